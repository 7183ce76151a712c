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
    """The clip limits that were applied: they can be edited, and replayed with `--clip-map`."""

    grid: Pair
    """[rows, columns] of tiles that were used."""

    tile: Pair
    """[height, width] of a tile in pixels, including padding."""

    global_factor: float | None
    """The network's factor for the whole image; null without the network."""

    structure: NotRequired[list[list[Share]] | None]
    """Rows with the share of structure in each tile, 0 for pure noise or a single tone; null if limits were given
    without these values, and missing in reports of earlier versions."""

    local_shares: NotRequired[list[list[Share]] | None]
    """Rows with the weight of each tile's own curve against the whole photo's; null and missing as `structure`."""

    photo_limit: NotRequired[Annotated[float, Within(above=0)] | None]
    """The clip limit of the curve of the whole photo, including `--strength`; null and missing as `structure`."""

    retention: NotRequired[Share | None]
    """The share of flat pixels that counts in the curves, besides structure; null and missing as `structure`."""

    blackness: NotRequired[Share | None]
    """How strongly empty dark areas were kept dark; null and missing as `structure`."""

    clip_limits: list[list[Annotated[float, Within(above=0)]]]
    """Rows of limits in multiples of the uniform bin height, as in OpenCV, including `--strength`."""

    integer_limits: list[list[Positive]]
    """The same limits in pixels per bin of the histogram."""


@dataclass(frozen=True, kw_only=True)
class ClahePlan(Plan):
    """Everything that `render` needs, and everything the report says."""

    method: ClassVar[str] = METHOD.name
    arrays: ClassVar[Mapping[str, tuple[Shaped, ...]]] = {
        "curves": (Shaped("float32", ("rows", "columns", 256)),),
        "clip_limits": (Shaped("float32", ("rows", "columns")),),
        "integer_limits": (Shaped("int32", ("rows", "columns")),),
        "structure": (Shaped("float32", ("rows", "columns")),),
        "local_shares": (Shaped("float32", ("rows", "columns")),),
        "tint": (Shaped("float32", ("parts", "parts", 2)),),
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
    """rows×columns float32: the share of each tile that is structure."""

    local_shares: Array | None = None
    """rows×columns float32: the weight of each tile's own curve, 0..1."""

    photo_limit: float | None = None
    """The clip limit of the curve of the whole photo, strength included."""

    retention: float | None = None
    blackness: float | None = None

    chroma: Literal["follow", "keep"] = "keep"
    tint: Array | None = None
    """parts×parts×2 float32: means of R-Y and B-Y, in levels, if chroma follows; None for a grey image."""

    chroma_noise: float = 1.0
    """Deviation from those means, in levels, that grows half as much as they do."""

    def describe(self) -> ClaheReport:
        """Grid, tile size, and the clip limits as they were applied."""
        return {
            "grid": list(self.clip_limits.shape),
            "tile": list(self.tile),
            "global_factor": None if self.global_factor is None else _digits(self.global_factor),
            "structure": None if self.structure is None else _rows(self.structure),
            "local_shares": None if self.local_shares is None else _rows(self.local_shares),
            "photo_limit": None if self.photo_limit is None else _digits(self.photo_limit),
            "retention": None if self.retention is None else _digits(self.retention),
            "blackness": None if self.blackness is None else _digits(self.blackness),
            "clip_limits": _rows(self.clip_limits),
            "integer_limits": self.integer_limits.tolist(),
        }


def _rows(field: Array) -> list[list[float]]:
    return [[_digits(number) for number in row] for row in field]


def _digits(number: float) -> float:
    """Nine significant digits, which identify any float32, so that a replayed report gives the same bytes."""
    return float(f"{number:.9g}")
