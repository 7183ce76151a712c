"""The decision for one photo from a small copy, and what is sent to a child process that only decides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from enhance_cli.controls import DECISION_SCHEMA
from enhance_cli.errors import ChangedSource, UsageError
from enhance_cli.imaging import codecs, colour, metadata, shooting
from enhance_cli.pipeline.files import read
from enhance_cli.pipeline.inputs import STDIO
from enhance_cli.pipeline.states import file_state
from enhance_cli.types import Image, Job, LookingEnhancer, Metadata

if TYPE_CHECKING:
    from enhance_cli.pipeline.recipe import Recipe

_HEAD = 1 << 16
"""Bytes of a file in which its EXIF is looked for."""

_SIDE = 320
"""Longer side in pixels that is enough for a decision: twice that of the copies that methods analyse."""

UNNAMED = f"{STDIO} has no name that a decision could be for; give files."


@dataclass(frozen=True)
class Look:
    """A photo that is only looked at."""

    job: Job
    max_pixels: int

    @property
    def source(self) -> Path | None:
        """The photo."""
        return self.job.source

    @property
    def target(self) -> None:
        """Nothing is written."""


def decision_of(job: Job, recipe: Recipe, max_pixels: int) -> dict[str, Any]:
    """The line of a photo.

    Raises:
        EnhanceError: it cannot be read.
    """
    from enhance_cli.imaging.view import view_of

    if job.source is None:
        raise UsageError(UNNAMED)
    data = read(job.source)
    state = file_state(job.source)
    if state["bytes"] != len(data):
        raise ChangedSource(f"{job.source} changed while it was read; run again when it is complete.")
    image = _small(data, str(job.source), max_pixels)
    _, view, _ = view_of(image)
    decision = cast(LookingEnhancer, recipe.enhancer).look(image if view is None else view.whole(), recipe.controls)
    names: dict[str, Any] = {
        "schema": DECISION_SCHEMA,
        "source": str(job.source),
        "relative": job.relative or job.source.name,
    }
    names["taken"] = taken(job.source)
    return {**names, **decision, "bytes": state["bytes"], "modified_ns": state["modified_ns"]}


def _small(data: bytes, source: str, max_pixels: int) -> Image:
    """A photo, RGB, decoded at a fraction of its size where its format allows that."""
    codec = codecs.sniff(data)
    small = codec.small(data, _SIDE) if codec is not None and codec.small is not None else None
    # A photo that is no larger is decoded as when it is enhanced: the faster decoder rounds more.
    whole = small is None or small.pixels.shape[0] == small.height or small.height * small.width > max_pixels
    if codec is None or small is None or whole:
        return colour.to_rgb(codecs.decode(data, source=source, max_pixels=max_pixels))
    carried = Metadata(source=source, format=codec.name, icc=small.icc, exif=small.exif)
    return colour.to_rgb(Image(small.pixels, metadata=carried))


def taken(path: Path | None) -> float | None:
    """When a JPEG was taken, from the beginning of its file."""
    try:
        with (path or Path()).open("rb") as file:
            start = file.read(_HEAD)
    except OSError:
        return None
    place = start.find(metadata.EXIF_PREFIX)
    return None if place < 0 else shooting.taken(start[place + len(metadata.EXIF_PREFIX) :])
