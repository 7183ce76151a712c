"""IA-CLAHE: a small CNN predicts a clip limit per tile, trained end to end through differentiable CLAHE.

This file holds only what `--help` needs: the controls and the declaration.
"""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

from enhance_cli.controls import Controls, knob
from enhance_cli.types import Method, SourceName


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


Limits = tuple[tuple[float, ...], ...]
"""Rows of clip limits."""

_NAMELESS = ("", "-")
"""Sources that are no names: of an array, and of stdin."""

_LONGEST = 1 << 24
"""Bytes of the longest report line, or the longest file of another kind, that is read."""


class Adapted(NamedTuple):
    """What the network decided beside the limits, as a report has it: see `plan.ClaheReport`."""

    photo_limit: float
    retention: float
    blackness: float
    local_shares: Limits


class MappedPicture(NamedTuple):
    """The clip limits of one photo, as read from a report."""

    source: str
    """Its path as given in that run; empty if the limits apply to any photo."""

    relative: str
    """Its path below the folder that was enhanced, derived from its output's path; empty if not known."""

    limits: Limits

    adapted: Adapted | None = None
    """The rest of what was predicted with the limits; None if they are all that is given."""


@dataclass(frozen=True)
class ClipMap:
    """Given clip limits per tile: read from a report, or edited by hand."""

    path: str
    pictures: tuple[MappedPicture, ...]

    @classmethod
    def parse(cls, value: str | Path | ClipMap | Sequence[Sequence[float]]) -> ClipMap:
        """Read a report (JSON lines), one report line, or a JSON matrix; or take a matrix of numbers.

        If several lines have the same source, the last one counts.

        Raises:
            ValueError: it cannot be read, or holds no limits.
        """
        if isinstance(value, ClipMap):
            return value
        if not isinstance(value, str | Path):
            return cls("", (MappedPicture("", "", _limits(value, "the clip map")),))
        found: dict[str, MappedPicture] = {}
        try:
            for document in _documents(value):
                picture = _mapped(document, value)
                if picture is not None:
                    found[os.path.abspath(picture.source) if picture.source else ""] = picture  # noqa: PTH100
        except OSError as error:
            raise ValueError(f"the clip map {value} cannot be read: {error.strerror}.") from None
        if not found:
            raise ValueError(f"{value} holds no clip_limits; give a report of clahe-adaptive or a matrix.")
        return cls(str(value), tuple(found.values()))

    def for_source(self, source: SourceName) -> Limits:
        """The limits for a photo; see `picture_for`."""
        return self.picture_for(source).limits

    def picture_for(self, source: SourceName) -> MappedPicture:
        """The entry for a photo: that of its own line, else the one without a source.

        A line belongs to a photo if its source is the same file, or has the same path below the folder that was
        enhanced, or has the same file name and neither another line nor another photo of the run has it. A photo
        without a name, from a pipe or an array, gets the limits of the only line.

        Raises:
            ValueError: the map has no line for this name, or several that could be meant.
        """
        if source.path in _NAMELESS and len(self.pictures) == 1:
            return self.pictures[0]
        name = Path(source.path).name
        alike = [picture for picture in self.pictures if picture.source and Path(picture.source).name == name]
        found = _own(alike, source)
        if found is None and alike:
            others = [picture.source for picture in alike] if len(alike) > 1 else [source.path, source.namesake]
            if len(alike) > 1 or source.namesake:
                raise ValueError(
                    f"the clip map {self.path} does not tell {' from '.join(others[:2])} for {source.path}; run on the "
                    "same folder as then."
                )
            found = alike[0]
        if found is None:
            found = next((picture for picture in self.pictures if not picture.source), None)
        if found is None:
            held = f"{len(self.pictures)} other photos" if len(self.pictures) > 1 else self.pictures[0].source
            raise ValueError(
                f"the clip map {self.path} has no line for {source.path or 'this photo'}, only for {held}; a file "
                "that holds only the matrix of limits is used for any photo."
            )
        return found


def _own(alike: Sequence[MappedPicture], source: SourceName) -> MappedPicture | None:
    """The entry that certainly is this source, among those with the same file name; None if there is none."""
    here = os.path.abspath(source.path)  # noqa: PTH100
    same = [picture for picture in alike if os.path.abspath(picture.source) == here]  # noqa: PTH100
    if same:
        return same[0]
    # Run from another working folder: the path given then is a suffix of the present one.
    ends = [picture for picture in alike if "/" in picture.source and here.endswith("/" + _plain(picture.source))]
    if ends:
        return max(ends, key=lambda picture: len(_plain(picture.source)))
    same = [picture for picture in alike if source.relative and not source.twin and picture.relative == source.relative]
    return same[0] if len(same) == 1 else None


def _plain(path: str) -> str:
    """A normalised path without leading `/`, `.` and `..`."""
    parts = os.path.normpath(path).split("/")
    return "/".join(part for part in parts if part not in ("", ".", ".."))


def _mapped(document: Any, path: str | Path) -> MappedPicture | None:
    """The limits of a report line, a plan or a matrix; None for a line without limits."""
    if isinstance(document, list):
        return MappedPicture("", "", _limits(document, path))
    if not isinstance(document, dict):
        return None
    plan = document.get("plan") or document
    if not isinstance(plan, dict) or "clip_limits" not in plan:
        return None
    source = document.get("source") or ""
    if not isinstance(source, str):
        raise ValueError(f"a line of the clip map {path} has a source that is not a path.")
    source = "" if source in _NAMELESS else source
    relative = ""
    try:
        output = document["written"][0]["path"]
        if not os.path.isabs(output):  # noqa: PTH117
            relative = os.path.join(os.path.dirname(output), os.path.basename(source))  # noqa: PTH118, PTH119, PTH120
    except (LookupError, TypeError):
        pass  # edited by hand, or from Python
    return MappedPicture(source, relative, _limits(plan["clip_limits"], path), _adapted(plan, path))


def _adapted(plan: dict[str, Any], path: str | Path) -> Adapted | None:
    """What a report has beside the limits; None if it lacks any of it, as reports of given limits do."""
    found: list[Any] = [plan.get(name) for name in Adapted._fields]
    if any(value is None for value in found):
        return None
    *numbers, local = found
    try:
        limit, retention, blackness = (float(number) for number in numbers)
        shares = tuple(tuple(float(share) for share in row) for row in local)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"a line of the clip map {path} has numbers that are none.") from None
    each = (retention, blackness, *(share for row in shares for share in row))
    even = bool(shares) and bool(shares[0]) and all(len(row) == len(shares[0]) for row in shares)
    if not (even and math.isfinite(limit) and limit > 0 and all(0 <= share <= 1 for share in each)):
        raise ValueError(
            f"the clip map {path} has a photo_limit that is not above 0, or a retention, blackness or local_shares "
            "outside of 0..1."
        )
    return Adapted(limit, retention, blackness, shares)


def _documents(path: str | Path) -> Iterator[Any]:
    """The contents of a file: one JSON value, or one per line; a truncated last line is ignored.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not JSON.
    """
    with Path(path).open("rb") as file:
        beginning = file.read(_LONGEST)
        if len(beginning) < _LONGEST:
            value = _parsed(beginning)
            if value is not _NOTHING:
                yield value
                return
        lines: BinaryIO = io.BytesIO(beginning)  # a pipe is read once
        if len(beginning) == _LONGEST:
            file.seek(0)
            lines = file
        number = 0
        while line := lines.readline(_LONGEST):
            number += 1
            value = _parsed(line) if line.strip() else None
            if value is not _NOTHING:
                yield value
            elif line.endswith(b"\n") or len(line) == _LONGEST or number == 1:
                where = f", line {number}," if number > 1 else ""
                raise ValueError(f"the clip map {path}{where} is not JSON.")


_NOTHING = object()


def _parsed(data: bytes) -> Any:
    """A JSON value, or `_NOTHING` if it is not JSON, is nested too deeply, or has a number of thousands of digits."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return _NOTHING


def _limits(matrix: Any, path: object) -> tuple[tuple[float, ...], ...]:
    try:
        rows = tuple(tuple(float(limit) for limit in row) for row in matrix)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"the clip limits of {path} are not a matrix of numbers.") from None
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
        "Rows and columns of tiles; reduced, with a note, if tiles would be smaller than 8 pixels.",
        parse=Grid.parse,
        metavar="RxC",
        report=list,
    )
    strength: float = knob(
        1.0,
        "Factor on the predicted clip limits: below 1 is gentler, above 1 stronger.",
        minimum=0.0,
        maximum=100.0,
    )
    clip_limit: float | None = knob(
        None,
        "One clip limit for all tiles, in multiples of the mean histogram bin as in OpenCV, instead of predicted ones "
        "(classic CLAHE, no network).",
        minimum=0.01,
        maximum=256.0,
    )
    clip_map: ClipMap | None = knob(
        None,
        "Read the clip limits from this report or JSON matrix instead of predicting them.",
        parse=ClipMap.parse,
        metavar="FILE",
        report=lambda clip_map: clip_map.path,
    )
    chroma: Literal["follow", "keep"] = knob(
        "follow",
        "Let chroma follow luma where it is lifted, within bounds and without amplifying its noise, or keep it.",
        choices=("follow", "keep"),
    )
    heatmap: bool = knob(False, "Also write <name>_heatmap.png, with the clip limits drawn over the photo.")

    @property
    def looks_for_names(self) -> bool:
        """Whether names decide which limits a photo gets: they do with a report."""
        return self.clip_map is not None


METHOD = Method(
    name="clahe-adaptive",
    summary="Local contrast without over-enhancement: a small CNN predicts a clip limit for every tile.",
    paper="IA-CLAHE: image-adaptive contrast-limited adaptive histogram equalisation with learned clip limits",
    controls=ClaheAdaptiveControls,
    enhancer="enhance_cli.methods.clahe_adaptive.enhancer:ClaheAdaptive",
    plan="enhance_cli.methods.clahe_adaptive.plan:ClahePlan",
    halo=0,
    illustrations=("heatmap",),
    weights=("estimator",),
    half=("estimator",),
)
