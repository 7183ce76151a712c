"""CLODE as estimate and render: the equation is solved on a proxy, its shift is applied to every pixel."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from enhance_cli.errors import UsageError
from enhance_cli.imaging import bilateral_grid, colour, opacity
from enhance_cli.methods.clode import HIGHEST_TIME, LOWEST_TIME, METHOD, TRAINED_TIMES, ClodeControls
from enhance_cli.methods.clode.curve import RATIO_SHARE, coloured, guide, luma
from enhance_cli.methods.clode.denoise import noise_of, strength_for, visible_noise
from enhance_cli.methods.clode.plan import ClodePlan
from enhance_cli.methods.clode.solvers import Point, Rate, between, solve
from enhance_cli.types import Image, Method, Window

if TYPE_CHECKING:
    from enhance_cli.engines import Engine
    from enhance_cli.types import Array

CELL, BINS, SIGMA, ROUNDS = 12.0, 24, 0.7, 2
"""Pixels of the proxy to a cell of the bilateral grid, its cells of tone, the blur in cells, and corrections: the
best of those compared in docs/clode.md."""

_STANDSTILL = 0.01
"""`--time auto` stops where mean luma moves less than this in a unit of time."""

_FREE, _LIT = 3.0, 0.75
"""Beyond the paper's time, 3, `--time auto` brightens only until what is lit is this bright on average, or has gone
half of its way to white."""


class _Seen(NamedTuple):
    """The light of a proxy under a shift."""

    mean: float
    """Of luma."""

    lit: float
    """How bright what was lit has become: the mean of the largest channel, weighted by itself before.

    Where all of a picture is dark it follows the mean. Where one thing shines before black, the mean hardly sees it
    and this sees little else.
    """


@dataclass(slots=True)
class _Course:
    """One solve of one proxy: what was seen on its way."""

    light: Array
    share: float
    rate: Rate
    run: Callable[[Rate, Array, Sequence[float]], Iterator[Point]]
    seen: dict[float, _Seen]
    """By time."""

    weights: Array | None = None
    """Opacity of the proxy, h×w in 0..1; None where all of it counts alike."""

    def look(self, shift: Array) -> _Seen:
        after = coloured(self.light, shift, self.share)
        before = self.light.max(axis=0)
        if self.weights is not None:
            before = before * self.weights
        lit = float((before * after.max(axis=0)).sum() / max(float(before.sum()), 1e-6))
        return _Seen(opacity.mean(luma(after), self.weights), lit)

    def points(self, times: Sequence[float]) -> Iterator[Point]:
        for point in self.run(self.rate, self.light, times):
            self.seen[round(point.time, 6)] = self.look(point.shift)
            yield point

    @property
    def start(self) -> Point:
        return Point(0.0, np.zeros_like(self.light), 0)


class Clode:
    """`clode` on one engine."""

    method: Method = METHOD

    def __init__(self, engine: Engine) -> None:
        """Choose the kernels; the engine opens networks when controls first need them."""
        self._engine = engine
        self._kernels: Any = engine.kernels(METHOD)

    def _model(self, controls: ClodeControls) -> Literal["full", "lite"]:
        if controls.model != "auto":
            return controls.model
        return "full" if self._engine.device.startswith("cuda") else "lite"

    def prepare(self, controls: ClodeControls) -> Mapping[str, str] | None:
        """Load the estimator, and the denoiser unless it is turned off."""
        model = self._model(controls)
        if controls.denoise != 0.0:
            self._engine.network(METHOD, f"denoiser-{model}")
        return self._engine.network(METHOD, f"estimator-{model}")[1].report()

    def reads_planes(self, controls: ClodeControls) -> bool:
        """The curve needs all three channels."""
        return False

    # --- estimate ------------------------------------------------------------------------------------------

    def estimate(self, image: Image, controls: ClodeControls) -> ClodePlan:
        """Solve on the proxy to the time asked for, or found.

        Raises:
            UsageError: the reference is missing, or shaped differently.
        """
        return self.estimate_variants(image, controls)[0]

    def estimate_variants(self, image: Image, controls: ClodeControls) -> list[ClodePlan]:
        """A plan for every time that the controls name, from one solve."""
        course = self._course(image, controls)
        if controls.time == "auto":
            point, notes = self._reach(course, controls)
            chosen = [point]
        elif controls.time == "best":
            chosen, notes = [self._match(course, image, controls)], ()
        else:
            chosen, notes = self._visit(course, controls.time, controls), ()
        return [self._plan(image, controls, course, point, notes) for point in chosen]

    def _course(self, image: Image, controls: ClodeControls) -> _Course:
        light = self._proxy(image, controls.proxy)
        length = 3.0 / controls.steps

        def run(rate: Rate, light: Array, times: Sequence[float]) -> Iterator[Point]:
            options: dict[str, Any] = {"solver": controls.solver, "length": length, "tol": controls.tol}
            return solve(rate, light, times, kernels=self._kernels, **options)

        rate = Rate(self._engine.network(METHOD, f"estimator-{self._model(controls)}")[0])
        weights = opacity.weight_means(image, *light.shape[1:])
        course = _Course(light, RATIO_SHARE[controls.colour], rate, run, {}, weights)
        course.seen[0.0] = course.look(course.start.shift)
        return course

    def _proxy(self, image: Image, size: str) -> Array:
        height, width = image.height, image.width
        longest = max(height, width)
        if size != "full" and longest > int(size):
            scale = int(size) / longest
            height, width = max(1, round(height * scale)), max(1, round(width * scale))
        engine = self._engine

        def means(pixels: Array, height: int, width: int) -> Array:
            return engine.download(self._kernels.proxy(engine.upload(pixels), height, width))

        return opacity.area_means(image, height, width, means)

    def _visit(self, course: _Course, times: Sequence[float], controls: ClodeControls) -> list[Point]:
        """The points at some times, in their order, by one walk up and one down."""
        found = {0.0: course.start}
        for sign in (1.0, -1.0):
            wanted = sorted((time for time in times if time * sign > 0), key=abs)
            if wanted:
                stops = sorted({*wanted, *_stops(wanted[-1], controls)}, key=abs)
                found.update({point.time: point for point in course.points(stops) if point.time in wanted})
        return [found[time] for time in times]

    def _reach(self, course: _Course, controls: ClodeControls) -> tuple[Point, tuple[str, ...]]:
        """`--time auto`: the first point whose mean luma is the target's, and a note where it is not reached.

        Far up, what is lit already must not be blown (`_LIT`), and where light stands still the way ends.
        """
        before = course.seen[0.0]
        if abs(before.mean - controls.target) <= controls.dead_band:
            return course.start, ()
        sign = 1.0 if before.mean < controls.target else -1.0
        most = max(_LIT, 0.5 * (1.0 + before.lit))

        def reached(seen: _Seen) -> bool:
            return (seen.mean - controls.target) * sign >= 0

        def reached_or_blown(seen: _Seen) -> bool:
            return reached(seen) or seen.lit >= most

        point, level, why = course.start, before.mean, ""
        for ahead in course.points(_stops(HIGHEST_TIME if sign > 0 else LOWEST_TIME, controls)):
            seen = course.seen[round(ahead.time, 6)]
            arrived = reached_or_blown if ahead.time > _FREE else reached
            if arrived(seen):
                point = self._bisect(course, point, ahead, arrived)
                why = ": more would blow what is lit" if arrived is reached_or_blown and seen.lit >= most else ""
                break
            if (seen.mean - level) * sign < _STANDSTILL * abs(ahead.time - point.time):
                break
            point, level = ahead, seen.mean
        found = course.seen[round(point.time, 6)].mean
        if abs(found - controls.target) <= max(controls.dead_band, 0.005):
            return point, ()
        return point, (f"mean luma reaches {found:.2f}, not the target of {controls.target:g}{why}",)

    def _bisect(self, course: _Course, low: Point, high: Point, arrived: Callable[[_Seen], bool]) -> Point:
        """The point between two from which on a solve has arrived."""
        start, end = low.time, high.time
        for _ in range(12):
            middle = 0.5 * (start + end)
            over = arrived(course.look(between(low, high, middle)))
            start, end = (start, middle) if over else (middle, end)
        time = round(0.5 * (start + end), 4)
        point = Point(time, between(low, high, time), high.steps)
        course.seen[time] = course.look(point.shift)
        return point

    def _match(self, course: _Course, image: Image, controls: ClodeControls) -> Point:
        """`--time best`: the point nearest to the reference in mean squared error, on the proxy."""
        given = controls.reference.pixels if controls.reference is not None else None
        reference = image.companions["reference"] if given is None else colour.to_rgb(colour.from_array(given))
        goal = self._proxy(reference, str(max(course.light.shape[1:])))
        if goal.shape != course.light.shape:
            raise UsageError(
                f"--reference: the reference of {image.metadata.source or 'the picture'} is "
                f"{reference.width}x{reference.height}, shaped differently from {image.width}x{image.height}."
            )

        def error(shift: Array) -> float:
            squares = np.square(coloured(course.light, shift, course.share) - goal)
            return (
                float(squares.mean()) if course.weights is None else opacity.mean(squares.mean(axis=0), course.weights)
            )

        best, least = course.start, error(course.start.shift)
        for sign in (1.0, -1.0):
            low = course.start
            for high in course.points(_stops(HIGHEST_TIME if sign > 0 else LOWEST_TIME, controls)):
                for share in (0.25, 0.5, 0.75, 1.0):
                    time = low.time + share * (high.time - low.time)
                    shift = between(low, high, time)
                    now = error(shift)
                    if now < least:
                        best, least = Point(round(time, 4), shift, high.steps), now
                low = high
        course.seen[best.time] = course.look(best.shift)
        return best

    def _plan(
        self, image: Image, controls: ClodeControls, course: _Course, point: Point, notes: tuple[str, ...]
    ) -> ClodePlan:
        height, width = course.light.shape[1:]
        grid, shift = np.empty((0, 0, 0, 3), np.float32), np.empty((3, 0, 0), np.float32)
        if point.time != 0.0 and (height, width) == (image.height, image.width):
            shift = np.ascontiguousarray(point.shift, np.float32)
        elif point.time != 0.0:
            rows, columns = bilateral_grid.cells(height, width, CELL)
            values = np.moveaxis(point.shift, 0, 2)
            grid = bilateral_grid.fit(guide(course.light), values, rows, columns, BINS, SIGMA, ROUNDS)
        noise = visible_noise(image.pixels, point.shift, opacity.weights_of(image))
        lowest, highest = TRAINED_TIMES
        if not lowest <= point.time <= highest:
            notes = (*notes, f"the networks were trained for times from {lowest:g} to {highest:g}, not {point.time:g}")
        return ClodePlan(
            height=image.height,
            width=image.width,
            grid=grid,
            shift=shift,
            colour=controls.colour,
            strength=strength_for(noise) if controls.denoise == "auto" else float(controls.denoise),
            added_noise=noise,
            model=self._model(controls),
            time=point.time,
            solver=controls.solver,
            evaluations=course.rate.evaluations,
            steps=point.steps,
            proxy=(height, width),
            trajectory=np.array([(time, seen.mean) for time, seen in sorted(course.seen.items())], np.float64),
            gain_stops=_gain_stops(course, point.shift),
            notes=notes,
        )

    # --- render --------------------------------------------------------------------------------------------

    def render(self, window: Window, plan: ClodePlan, out: Array | None = None) -> Array:
        """Apply the curve, then take out noise; bit-equal for any window that has its halo."""
        kernels, engine = self._kernels, self._engine
        out = np.empty_like(window.pixels) if out is None else out
        if plan.time == 0.0 and plan.strength == 0.0:
            out[...] = window.pixels
            return out
        on_cpu = engine.device == "cpu"
        place = (RATIO_SHARE[plan.colour], plan.height, plan.width, window.top, window.left)
        arguments = [engine.upload(array) for array in (window.pixels, plan.grid, plan.shift)]
        if plan.strength == 0.0:
            rendered = kernels.render(*arguments, *place, out=out if on_cpu else None)
        else:
            light = kernels.render_light(*arguments, *place)
            network = self._engine.network(METHOD, f"denoiser-{plan.model}")[0]
            noise = noise_of(engine.download(light), window, plan.height, plan.width, network)
            rendered = out if on_cpu else arguments[0].clone()
            kernels.store(light, engine.upload(noise), plan.strength, rendered)
        if not on_cpu:
            out[...] = engine.download(rendered)
        return out

    def illustrations(self, image: Image, plan: ClodePlan, controls: ClodeControls) -> Mapping[str, Array]:
        """None."""
        return {}


def _stops(end: float, controls: ClodeControls) -> list[float]:
    """Times to look at on the way to `end`, and that: the whole steps of a fixed-step solver, for dopri5 quarters."""
    length = math.copysign(0.25 if controls.solver == "dopri5" else 3.0 / controls.steps, end)
    stops = [round(length * n, 9) for n in range(1, math.floor(end / length + 1e-6) + 1)]
    return stops if stops and abs(stops[-1] - end) < 1e-6 else [*stops, end]


def _gain_stops(course: _Course, shift: Array) -> tuple[float | None, float | None, float | None]:
    """Mean gain of linear light (encoded luma to the power 2.2) in stops, by the luma of the input: below a quarter,
    to three quarters, above; None where the picture has no such part.
    """
    before = np.maximum(luma(course.light), 1e-3)
    after = np.maximum(luma(coloured(course.light, shift, course.share)), 1e-3)
    gain = 2.2 * np.log2(after / before)
    parts = (before < 0.25, (before >= 0.25) & (before < 0.75), before >= 0.75)
    weights = course.weights
    seen = parts if weights is None else tuple(part & (weights > 0) for part in parts)
    means = (
        opacity.mean(gain[part], None if weights is None else weights[part]) if part.any() else None for part in seen
    )
    dark, mid, bright = (None if mean is None else round(mean, 3) for mean in means)
    return dark, mid, bright
