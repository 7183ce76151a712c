"""IA-CLAHE: a small CNN predicts a clip limit per tile, trained end to end through differentiable CLAHE.

This file holds only what `--help` needs: the controls and the declaration.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from enhance_cli.types import Controls, Method, knob


class Grid(NamedTuple):
    """Rows and columns of tiles."""

    rows: int
    columns: int

    @classmethod
    def parse(cls, value: str | Sequence[int]) -> Grid:
        """Read `8x8` (rows x columns), or take a pair of integers."""
        parts = value.lower().split("x") if isinstance(value, str) else list(value)
        try:
            rows, columns = (int(part) for part in parts)
        except (ValueError, TypeError):
            raise ValueError(f"a grid is ROWSxCOLUMNS, such as 8x8, not {value!r}.") from None
        if not (1 <= rows <= 256 and 1 <= columns <= 256):
            raise ValueError(f"a grid has 1 to 256 rows and columns, not {rows}x{columns}.")
        return cls(rows, columns)


@dataclass(frozen=True)
class ClipMap:
    """Clip limits per tile that somebody decided: read from a report, or edited by hand."""

    path: str
    by_source: Mapping[str, tuple[tuple[float, ...], ...]]
    """Rows of limits, by the source's file name; the empty name stands for any picture."""

    @classmethod
    def parse(cls, value: str | Path | ClipMap | Sequence[Sequence[float]]) -> ClipMap:
        """Read a report (JSON lines), one report line, or a JSON matrix; or take a matrix of numbers."""
        if isinstance(value, ClipMap):
            return value
        if not isinstance(value, str | Path):
            return cls("", {"": _limits(value, "the clip map")})
        try:
            text = Path(value).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"the clip map {value} cannot be read: {error}.") from None
        found: dict[str, tuple[tuple[float, ...], ...]] = {}
        for document in _documents(text, value):
            if isinstance(document, list):
                found[""] = _limits(document, value)
                continue
            plan = document.get("plan") or document
            if "clip_limits" in plan:
                found[Path(document.get("source") or "").name] = _limits(plan["clip_limits"], value)
        if not found:
            raise ValueError(f"{value} holds no clip_limits; give a report of clahe-adaptive or a matrix.")
        return cls(str(value), found)

    def for_source(self, source: str) -> tuple[tuple[float, ...], ...]:
        """The limits for a picture: those of its own line, else the only ones there are.

        Raises:
            ValueError: the map holds several pictures and none of this name.
        """
        limits = self.by_source.get(Path(source).name) or self.by_source.get("")
        if limits is None and len(self.by_source) == 1:
            limits = next(iter(self.by_source.values()))
        if limits is None:
            raise ValueError(f"the clip map {self.path} has no line for {source}.")
        return limits


def _documents(text: str, path: str | Path) -> list[Any]:
    try:
        return [json.loads(text)]
    except json.JSONDecodeError:
        pass
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except json.JSONDecodeError:
        raise ValueError(f"the clip map {path} is not JSON.") from None


def _limits(matrix: Any, path: object) -> tuple[tuple[float, ...], ...]:
    try:
        rows = tuple(tuple(float(limit) for limit in row) for row in matrix)
    except (TypeError, ValueError):
        raise ValueError(f"the clip limits of {path} are no matrix of numbers.") from None
    if not rows or not rows[0] or any(len(row) != len(rows[0]) for row in rows):
        raise ValueError(f"the clip limits of {path} must be rows of equal length.")
    if not all(math.isfinite(limit) and limit > 0 for row in rows for limit in row):
        raise ValueError(f"the clip limits of {path} must be positive numbers.")
    return rows


@dataclass(frozen=True)
class ClaheAdaptiveControls(Controls):
    """The knobs of `clahe-adaptive`."""

    grid: Grid = knob(
        Grid(8, 8),
        "Tiles as ROWSxCOLUMNS; any grid, reduced with a sentence where tiles would fall under 8 pixels.",
        parse=Grid.parse,
        metavar="RxC",
        report=list,
    )
    strength: float = knob(
        1.0,
        "Multiplies the predicted clip limits: below 1 gentler, above 1 stronger.",
        minimum=0.0,
        maximum=100.0,
    )
    clip_limit: float | None = knob(
        None,
        "One fixed clip limit for every tile, in multiples of the uniform bin height as in OpenCV: classic "
        "CLAHE, no network.",
        minimum=0.01,
        maximum=256.0,
    )
    clip_map: ClipMap | None = knob(
        None,
        "Use the clip limits of this report or JSON matrix instead of predicting them.",
        parse=ClipMap.parse,
        metavar="FILE",
        report=lambda clip_map: clip_map.path,
    )
    chroma: Literal["keep", "scale"] = knob(
        "keep",
        "Colour: keep the chroma planes as they are, or scale them with the change of luma.",
        choices=("keep", "scale"),
    )
    heatmap: bool = knob(False, "Also write <name>_heatmap.png: the clip-limit map drawn over the picture.")


METHOD = Method(
    name="clahe-adaptive",
    summary="Local contrast without over-enhancement: a small CNN predicts a clip limit for every tile.",
    paper="IA-CLAHE: image-adaptive contrast-limited adaptive histogram equalisation with learned clip limits",
    controls=ClaheAdaptiveControls,
    enhancer="enhance_cli.methods.clahe_adaptive.enhancer:ClaheAdaptive",
    channels="luma",
    halo=0,
    illustrations=("heatmap",),
    weights=("estimator",),
)
