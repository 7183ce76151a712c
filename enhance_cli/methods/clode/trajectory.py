"""The trajectory of one proxy through the equation: its light at each time, and at which time to stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from enhance_cli.exposure import TONES_KEPT
from enhance_cli.exposure.features import luma_of
from enhance_cli.imaging import opacity
from enhance_cli.imaging.finish import UNCHANGED, Tones, clipped, finished, smoothstep
from enhance_cli.methods.clode import HIGHEST_TIME, LOWEST_TIME
from enhance_cli.methods.clode.curve import coloured
from enhance_cli.methods.clode.solvers import Point, between

if TYPE_CHECKING:
    from enhance_cli.types import Array

_STANDSTILL = 0.01
"""`--time auto` stops where mean luma changes by less than this per unit of time."""

_FREE, _LIT = 3.0, 0.75
"""Beyond the paper's time of 3, `--time auto` brightens only until bright parts have this mean (`Seen.lit`), or have
gone half of the way to white."""


_DARKENING = 1.5
"""`--time auto` darkens photos whose mean luma is above the target by more than this many dead bands: what is merely
bright keeps its light."""

_DARKEST = 0.62
"""It darkens to no less than this share of the mean, and `exposure.TONES_KEPT` of that of what is not clipped
(`Seen.tonal`)."""

_EMPTY = (0.006, 0.022)
"""Luma between which pixels of a photo that is lit elsewhere count less and less as empty black: 1.5 to 5.6 of 255."""

_SCENE = (0.3, 0.5)
"""`Seen.lit` of the photo between which its black is more and more taken for what the scene was: where nothing is lit,
it may be underexposed."""


class Seen(NamedTuple):
    """Statistics of a proxy's light under a shift."""

    mean: float
    """Mean luma."""

    lit: float
    """Brightness of what was bright before: the mean of the largest channel, weighted by that channel of the input.

    In an image that is dark all over it follows the mean. With a bright object before a black background, the mean
    hardly depends on the object, and this value on little else.
    """

    tonal: float
    """Mean luma of what is not clipped in the input; 0 where all of it is."""


@dataclass(slots=True)
class Trajectory:
    """One solve on one proxy, with the statistics at the points visited."""

    light: Array
    """The proxy, 3×h×w float32 in 0..1."""

    share: float
    """The share of the common ratio (`curve.coloured`)."""

    solve: Callable[[Sequence[float]], Iterator[Point]]
    """Solves for times that are all above 0 or all below, in the order of their distance from 0."""

    spacing: float
    """Time between the points visited: a whole step of a fixed-step solver."""

    weights: Array | None = None
    """Opacity of the proxy, h×w in 0..1; None if all pixels count alike."""

    seen: dict[float, Seen] = field(default_factory=dict)
    """Statistics by time."""

    _tonal: Array = field(init=False)
    """Weight of a pixel that is not clipped, h×w."""

    scene: float = field(default=0.0, init=False)
    """How certainly black is what the scene was, 0..1, as something is lit (`_SCENE`)."""

    _lifted: Array | None = field(default=None, init=False)
    """Share of a shift above 0 that a pixel gets, h×w; None for all of it."""

    def __post_init__(self) -> None:
        """Record the statistics at time 0, and find out which pixels are clipped and which stay dark."""
        self._tonal = 1.0 - clipped(self.light)
        if self.weights is not None:
            self._tonal = self._tonal * self.weights
        self.seen[0.0] = self._look(self.start.shift)
        self.scene = float(smoothstep(self.seen[0.0].lit, *_SCENE))
        if self.scene > 0.0:
            self._lifted = (1.0 - self.scene * (1.0 - smoothstep(luma_of(self.light), *_EMPTY))).astype(np.float32)

    @property
    def start(self) -> Point:
        """Time 0."""
        return Point(0.0, np.zeros_like(self.light), 0)

    def result(self, shift: Array, tones: Tones = UNCHANGED) -> Array:
        """The proxy's light under a shift, with its end (`imaging.finish`)."""
        return finished(coloured(self.light, shift, self.share), self.light, tones)

    def visit(self, times: Sequence[float]) -> list[Point]:
        """The points at the given times, in their order, by one solve upwards and one downwards."""
        found = {0.0: self.start}
        for sign in (1.0, -1.0):
            wanted = sorted((time for time in times if time * sign > 0), key=abs)
            if wanted:
                stops = sorted({*wanted, *self._stops(wanted[-1])}, key=abs)
                found.update({point.time: point for point in self._points(stops) if point.time in wanted})
        return [found[time] for time in times]

    def tempered(self, predicted: float, dead_band: float) -> float:
        """A predicted target, with less darkening: not of what is merely bright, and not for what is clipped."""
        before = self.seen[0.0].mean
        if predicted >= before:
            return predicted
        if before - predicted <= _DARKENING * dead_band:
            return before
        white = opacity.mean(clipped(self.light), self.weights)
        return min(max(predicted + white * white * (1.0 - predicted), _DARKEST * before), before)

    def reach(self, target: float, dead_band: float) -> tuple[Point, tuple[str, ...]]:
        """`--time auto`: the first point whose mean luma is the target, and a note if it is not reached.

        At large times, bright parts must not clip (`_LIT`), and the search ends where light no longer changes.
        """
        before = self.seen[0.0]
        if abs(before.mean - target) <= dead_band:
            return self.start, ()
        sign = 1.0 if before.mean < target else -1.0
        most = max(_LIT, 0.5 * (1.0 + before.lit))

        def reached(seen: Seen) -> bool:
            return (seen.mean - target) * sign >= 0

        def reached_or_blown(seen: Seen) -> bool:
            return reached(seen) or seen.lit >= most

        def reached_or_dark(seen: Seen) -> bool:
            return reached(seen) or seen.tonal <= TONES_KEPT * before.tonal

        point, level, why = self.start, before.mean, ""
        for ahead in self._points(self._stops(HIGHEST_TIME if sign > 0 else LOWEST_TIME)):
            seen = self.seen[round(ahead.time, 6)]
            arrived = reached_or_dark if sign < 0 else reached_or_blown if ahead.time > _FREE else reached
            if arrived(seen):
                point = self._bisect(point, ahead, arrived)
                why = ": more would clip what is lit" if arrived is reached_or_blown and seen.lit >= most else ""
                if arrived is reached_or_dark and not reached(seen):
                    why = ": the rest is clipped, and more would darken only what is not"
                break
            if (seen.mean - level) * sign < _STANDSTILL * abs(ahead.time - point.time):
                break
            point, level = ahead, seen.mean
        found = self.seen[round(point.time, 6)].mean
        if abs(found - target) <= max(dead_band, 0.005):
            return point, ()
        return point, (f"mean luma reaches {found:.2f}, not the target of {round(target, 3):g}{why}",)

    def match(self, goal: Array) -> Point:
        """`--time best`: the point nearest to a goal, light like the proxy's, in mean squared error."""

        def error(shift: Array) -> float:
            squares = np.square(self.result(shift) - goal)
            return float(squares.mean()) if self.weights is None else opacity.mean(squares.mean(axis=0), self.weights)

        best, least = self.start, error(self.start.shift)
        for end in (HIGHEST_TIME, LOWEST_TIME):
            low = self.start
            for high in self._points(self._stops(end)):
                for share in (0.25, 0.5, 0.75, 1.0):
                    time = low.time + share * (high.time - low.time)
                    shift = between(low, high, time)
                    now = error(shift)
                    if now < least:
                        best, least = Point(round(time, 4), shift, high.steps), now
                low = high
        self.seen[best.time] = self._look(best.shift)
        return best

    def gain_stops(self, after: Array) -> tuple[float | None, float | None, float | None]:
        """Mean gain of linear light, which is encoded luma to the power 2.2, in stops.

        For luma of the input below 0.25, up to 0.75, and above; None if the image has no such part. `after` is the
        result's light, 3×h×w.
        """
        before = np.maximum(luma_of(self.light), 1e-3)
        after = np.maximum(luma_of(after), 1e-3)
        gain = 2.2 * np.log2(after / before)
        parts = (before < 0.25, (before >= 0.25) & (before < 0.75), before >= 0.75)
        weights = self.weights
        seen = parts if weights is None else tuple(part & (weights > 0) for part in parts)
        means = (
            opacity.mean(gain[part], None if weights is None else weights[part]) if part.any() else None
            for part in seen
        )
        dark, mid, bright = (None if mean is None else round(mean, 3) for mean in means)
        return dark, mid, bright

    def _look(self, shift: Array) -> Seen:
        after = self.result(shift)
        before = self.light.max(axis=0)
        if self.weights is not None:
            before = before * self.weights
        lit = float((before * after.max(axis=0)).sum() / max(float(before.sum()), 1e-6))
        luma = luma_of(after)
        tonal = float((luma * self._tonal).sum() / max(float(self._tonal.sum()), 1e-6))
        return Seen(opacity.mean(luma, self.weights), lit, tonal)

    def _points(self, times: Sequence[float]) -> Iterator[Point]:
        for point in self.solve(times):
            if self._lifted is not None:
                shift = np.where(point.shift > 0.0, point.shift * self._lifted, point.shift)
                point = Point(point.time, shift, point.steps)
            self.seen[round(point.time, 6)] = self._look(point.shift)
            yield point

    def _stops(self, end: float) -> list[float]:
        """Times to visit on the way to `end`, and `end` itself."""
        length = math.copysign(self.spacing, end)
        stops = [round(length * n, 9) for n in range(1, math.floor(end / length + 1e-6) + 1)]
        return stops if stops and abs(stops[-1] - end) < 1e-6 else [*stops, end]

    def _bisect(self, low: Point, high: Point, arrived: Callable[[Seen], bool]) -> Point:
        """The first point between two at which `arrived` holds, by bisection."""
        start, end = low.time, high.time
        for _ in range(12):
            middle = 0.5 * (start + end)
            over = arrived(self._look(between(low, high, middle)))
            start, end = (start, middle) if over else (middle, end)
        time = round(0.5 * (start + end), 4)
        point = Point(time, between(low, high, time), high.steps)
        self.seen[time] = self._look(point.shift)
        return point
