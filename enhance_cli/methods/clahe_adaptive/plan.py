"""What `clahe-adaptive` decides for an image: a clip limit and a tone curve for every tile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NotRequired, TypedDict

from enhance_cli.methods.clahe_adaptive import METHOD
from enhance_cli.plan import Plan
from enhance_cli.plan_values import Shaped
from enhance_cli.report_fields import Pair, Positive, Share, Within

if TYPE_CHECKING:
    from enhance_cli.types import Array


class ClaheReport(TypedDict):
    """Clip limits as they were applied: they can be replayed, and edited, with `--clip-map`."""

    grid: Pair
    """[rows, columns] of tiles as used."""

    tile: Pair
    """[height, width] of a tile in pixels, padding included."""

    global_factor: float | None
    """The network's factor for the whole image; null without the network."""

    structure: NotRequired[list[list[Share]] | None]
    """Rows of the shares of structure, 0 for noise or nothing at all, by which the network's limits are weighted; null
    without the network, and missing in reports of earlier versions."""

    clip_limits: list[list[Annotated[float, Within(above=0)]]]
    """Rows of limits in multiples of the uniform bin height, as in OpenCV, `--strength` included."""

    integer_limits: list[list[Positive]]
    """The same in pixels per bin of the histogram."""


@dataclass(frozen=True, kw_only=True)
class ClahePlan(Plan):
    """Everything that `render` needs, and everything the report says."""

    method: ClassVar[str] = METHOD.name
    arrays: ClassVar[Mapping[str, tuple[Shaped, ...]]] = {
        "curves": (Shaped("float32", ("rows", "columns", 256)),),
        "clip_limits": (Shaped("float32", ("rows", "columns")),),
        "integer_limits": (Shaped("int32", ("rows", "columns")),),
        "structure": (Shaped("float32", ("rows", "columns")),),
    }

    height: int
    width: int
    tile: tuple[int, int]
    """Height and width of a tile in pixels, padding included."""

    curves: Array
    """rows×columns×256 float32: the grey level, 0..255, that each tile gives to each luma code."""

    clip_limits: Array
    """rows×columns float32, strength included: multiples of the uniform bin height."""

    integer_limits: Array
    """rows×columns int32: the same in pixels per bin, as OpenCV would clip."""

    global_factor: float | None
    """The network's factor for the whole image; None without the network."""

    structure: Array | None = None
    """rows×columns float32: the share of each tile that is not noise, by which the network's limits were weighted."""

    chroma: Literal["keep", "scale"] = "keep"

    def describe(self) -> ClaheReport:
        """Grid, tile size, and the clip limits as they were applied."""
        return {
            "grid": list(self.clip_limits.shape),
            "tile": list(self.tile),
            "global_factor": None if self.global_factor is None else _digits(self.global_factor),
            "structure": None if self.structure is None else _rows(self.structure),
            "clip_limits": _rows(self.clip_limits),
            "integer_limits": self.integer_limits.tolist(),
        }


def _rows(field: Array) -> list[list[float]]:
    return [[_digits(number) for number in row] for row in field]


def _digits(number: float) -> float:
    """Nine significant digits, which identify any float32, so that a replayed report gives the same bytes."""
    return float(f"{number:.9g}")
