"""Neighbours agree: photos of one burst, series or panorama get one verdict and one amount.

A photo whose brightness differs much from that of its neighbours, such as the one with a flash, keeps its own verdict.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

GAP = 2.0
"""Seconds between two photos of a burst, at most."""

OUTLIER, SPREADS = 0.4, 3.0
"""A photo is an outlier whose mean luma differs from the median of its group by a factor of 2^0.4 or more, and by three
times as many powers of two as half of the group does: frames of a panorama may differ more than those of a burst."""

KEPT = 0.6
"""Share of the difference of two frames' means that is left after `clode` brightened both for the same time. Fitted to
the darkest, middle and brightest frames of four bursts that flicker by 0.3 EV: times within 4 % of their median."""

LEAST = 3
"""Photos that make a group: two exposures of a scene may be meant to differ."""

_SERIES = re.compile(r"^(.*(?:burst|series|pano|sequence|seq|frame|lapse).*?)[-_ ]*(\d+)$", re.IGNORECASE)
"""Names that say so: a word for a series, and a number at the end."""


def groups(names: Sequence[str], taken: Sequence[float | None], mode: str) -> list[list[int]]:
    """The photos that belong together: places in `names`, groups of at least `LEAST`.

    Args:
        names: paths.
        taken: seconds at which each was taken, None where that is not known.
        mode: `burst`, `folder` or `none`.
    """
    if mode == "none":
        return []
    found: dict[Any, list[int]] = {}
    if mode == "folder":
        for place, name in enumerate(names):
            found.setdefault(os.path.dirname(name), []).append(place)  # noqa: PTH120
        return [group for group in found.values() if len(group) >= LEAST]
    rest = []
    for place, name in enumerate(names):
        stem = os.path.splitext(os.path.basename(name))[0]  # noqa: PTH119, PTH122
        series = _SERIES.match(stem)
        if series is not None:
            found.setdefault((os.path.dirname(name), series[1].lower()), []).append(place)  # noqa: PTH120
        else:
            rest.append(place)
    return [group for group in (*found.values(), *_close(names, taken, rest)) if len(group) >= LEAST]


def _close(names: Sequence[str], taken: Sequence[float | None], places: Iterable[int]) -> list[list[int]]:
    """Photos of one folder that were taken within `GAP` seconds, one after the other."""
    dated = sorted(
        (os.path.dirname(names[place]), time, place)  # noqa: PTH120
        for place in places
        if (time := taken[place]) is not None
    )
    found: list[list[int]] = []
    last: tuple[str, float] | None = None
    for folder, time, place in dated:
        if last is None or folder != last[0] or time - last[1] > GAP:
            found.append([])
        found[-1].append(place)
        last = folder, time
    return found


def agreed(lines: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[int]]:
    """The decisions of one group, made one; and the places of its outliers, whose decisions stay.

    The verdict (method and controls) with the most certainty in sum wins; the amount is the median of those who had it.
    Where it finds an exposure for each photo, all are brightened alike, as the one in their middle is.

    Args:
        lines: of a file of decisions (`decision.Decision.to_json`), each with `luma`.
    """
    middle = median(line["luma"] for line in lines)
    apart = [_stops(line["luma"], middle) for line in lines]
    outliers = [place for place, stops in enumerate(apart) if stops > max(OUTLIER, SPREADS * median(apart))]
    inside = [place for place in range(len(lines)) if place not in outliers]
    if len(inside) < 2:
        return [dict(line) for line in lines], outliers
    votes: dict[str, list[int]] = {}
    for place in inside:
        line = lines[place]
        kind = sorted((name, value) for name, value in line["controls"].items() if name != "target")
        votes.setdefault(repr((line["method"], kind)), []).append(place)
    winners = max(votes.values(), key=lambda group: sum(lines[place]["certainty"] for place in group))
    leader = lines[winners[0]]
    shared = {name: leader[name] for name in ("verdict", "method", "controls")}
    shared["amount"] = median(lines[place]["amount"] for place in winners)
    aim = _aim([lines[place] for place in winners])
    told = f"; decided together with {len(inside) - 1} neighbours"
    done = []
    for place, line in enumerate(lines):
        own = place in outliers
        one = dict(line) if own else {**line, **shared, "reason": line["reason"] + told}
        if not own and aim is not None:
            one["controls"] = {**one["controls"], **_brightened(line["luma"], aim)}
        done.append(one)
    return done, outliers


def _aim(lines: Sequence[Mapping[str, Any]]) -> tuple[float, float] | None:
    """The mean luma that photos of one verdict have, and the one that they should have: medians.

    None where the method finds no exposure, or where it darkens.
    """
    if lines[0]["controls"].get("time") != "auto":
        return None
    goals = [line["controls"].get("target", line["quantities"].get("expected mean")) for line in lines]
    before, after = median(line["luma"] for line in lines), median(goal for goal in goals if goal is not None)
    return (before, after) if after > before else None


def _brightened(luma: float, aim: tuple[float, float]) -> dict[str, float]:
    """Controls that brighten a photo as the one in the middle of its group, so that their own differences stay."""
    before, after = aim
    return {"target": round(min(0.95, max(0.05, after + KEPT * (luma - before))), 3), "dead_band": 0.0}


def _stops(one: float, other: float) -> float:
    return abs(math.log2((one + 0.02) / (other + 0.02)))
