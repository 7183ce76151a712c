"""Sheets of photos side by side, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from enhance_cli.quality.pictures import Picture
from enhance_cli.training.sheet import write_sheet

HEIGHT = 213


def write(out: Path | None, name: str, rows: Sequence[Sequence[tuple[str, Picture]]], height: int = HEIGHT) -> None:
    """Labelled photos in rows into `OUT/NAME.png`; nothing where no folder was asked for or there are no photos."""
    if out is not None and rows:
        write_sheet(
            out / f"{name}.png", [[(label, eight_bit(picture)) for label, picture in row] for row in rows], height
        )


def eight_bit(picture: Picture) -> Picture:
    """A photo of 8 or 16 bits in 8."""
    return picture if picture.dtype == np.uint8 else (picture // 257).astype(np.uint8)
