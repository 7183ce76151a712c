"""CLODE as estimate and render: the equation is solved on a proxy, and the logit shift is applied to every pixel."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from enhance_cli.errors import UsageError
from enhance_cli.exposure import Wanted
from enhance_cli.exposure.predictor import Predictor
from enhance_cli.exposure.tones import tones_for
from enhance_cli.imaging import bilateral_grid, colour, night, opacity
from enhance_cli.imaging.finish import UNCHANGED, Tones
from enhance_cli.methods.clode import METHOD, TRAINED_TIMES, ClodeControls
from enhance_cli.methods.clode.curve import RATIO_SHARE, guide
from enhance_cli.methods.clode.dark import bounded, bounded_grid, empty_places
from enhance_cli.methods.clode.denoise import noise_of, strength_for, visible_noise
from enhance_cli.methods.clode.plan import ClodePlan
from enhance_cli.methods.clode.solvers import Point, Rate, solve
from enhance_cli.methods.clode.trajectory import Trajectory
from enhance_cli.types import Image, Method, Window

if TYPE_CHECKING:
    from enhance_cli.engines import Engine
    from enhance_cli.engines.weights import Weights
    from enhance_cli.types import Array

CELL, BINS, SIGMA, ROUNDS = 12.0, 24, 0.7, 2
"""The bilateral grid: proxy pixels per cell, tone bins, blur in cells, and rounds of correction; the best of those
compared in docs/clode.md."""


class Clode:
    """`clode` on one engine."""

    method: Method = METHOD

    def __init__(self, engine: Engine) -> None:
        """Choose the kernels; the engine opens networks when controls first need them."""
        self._engine = engine
        self._kernels: Any = engine.kernels(METHOD)
        self._predictor = Predictor(engine)

    def _model(self, controls: ClodeControls) -> Literal["full", "lite"]:
        return self._engine.model if controls.model == "auto" else controls.model

    def prepare(self, controls: ClodeControls) -> tuple[Weights, ...]:
        """Load the estimator, the denoiser unless it is turned off, and the predictor of exposure if it is asked."""
        model = self._model(controls)
        stems = ("estimator", "denoiser") if controls.denoise != 0.0 else ("estimator",)
        networks = [self._engine.network(METHOD, f"{stem}-{model}")[1] for stem in stems]
        return (*networks, self._predictor.weights) if controls.time == "auto" else tuple(networks)

    def reads_planes(self, controls: ClodeControls) -> bool:
        """The curve needs all three channels."""
        return False

    # --- estimate ------------------------------------------------------------------------------------------

    def estimate(self, image: Image, controls: ClodeControls) -> ClodePlan:
        """Solve on the proxy to the given time, or to the time found by `auto` or `best`.

        Raises:
            UsageError: the reference is missing, or has another shape.
        """
        return self.estimate_variants(image, controls)[0]

    def estimate_variants(self, image: Image, controls: ClodeControls) -> list[ClodePlan]:
        """A plan for every time in the controls, from one solve."""
        light = self._proxy(image, controls.proxy)
        network = self._engine.network(METHOD, f"estimator-{self._model(controls)}")[0]
        rate = Rate(network.run, self._kernels, self._engine.run, self._engine.numpy)
        step = 3.0 / controls.steps
        solution = partial(
            solve, rate, light, solver=controls.solver, length=step, tol=controls.tol, kernels=self._kernels
        )
        trajectory = Trajectory(
            light,
            RATIO_SHARE[controls.colour],
            solution,
            0.25 if controls.solver == "dopri5" else step,
            opacity.weight_means(image, *light.shape[1:]),
        )
        wanted: Wanted | None = None
        notes: tuple[str, ...] = ()
        if controls.time == "auto":
            wanted = self._predictor.predict_light(light)
            goal = controls.target
            if goal == "auto":
                goal = trajectory.tempered(wanted.luma, controls.dead_band)
            wanted = wanted._replace(luma=goal)
            point, notes = trajectory.reach(wanted.luma, controls.dead_band)
            chosen = [point]
        elif controls.time == "best":
            chosen = [trajectory.match(self._reference(image, controls, light))]
        else:
            chosen = trajectory.visit(controls.time)
        return [self._plan(image, controls, trajectory, point, wanted, rate.evaluations, notes) for point in chosen]

    def _proxy(self, image: Image, size: str) -> Array:
        height, width = image.height, image.width
        longest = max(height, width)
        if size != "full" and longest > int(size):
            scale = int(size) / longest
            height, width = max(1, round(height * scale)), max(1, round(width * scale))
        return opacity.area_means(image, height, width, partial(self._engine.call, self._kernels.proxy))

    def _reference(self, image: Image, controls: ClodeControls, light: Array) -> Array:
        """The proxy of the reference."""
        given = controls.reference.pixels if controls.reference is not None else None
        reference = image.companions["reference"] if given is None else colour.to_rgb(colour.from_array(given))
        goal = self._proxy(reference, str(max(light.shape[1:])))
        if goal.shape != light.shape:
            raise UsageError(
                f"--reference: the reference of {image.metadata.source or 'the photo'} is "
                f"{reference.width}x{reference.height}, of other proportions than {image.width}x{image.height}."
            )
        return goal

    def _plan(
        self,
        image: Image,
        controls: ClodeControls,
        trajectory: Trajectory,
        point: Point,
        wanted: Wanted | None,
        evaluations: int,
        notes: tuple[str, ...],
    ) -> ClodePlan:
        height, width = trajectory.light.shape[1:]
        empty = None
        if point.time > 0.0:
            empty = empty_places(trajectory.light, trajectory.weights, image.pixels, trajectory.scene)
        if empty is not None:
            point = point._replace(shift=bounded(point.shift, empty))
        grid, shift = np.empty((0, 0, 0, 3), np.float32), np.empty((3, 0, 0), np.float32)
        if point.time != 0.0 and (height, width) == (image.height, image.width):
            shift = np.ascontiguousarray(point.shift, np.float32)
        elif point.time != 0.0:
            rows, columns = bilateral_grid.cells(height, width, CELL)
            values = np.moveaxis(point.shift, 0, 2)
            grid = bilateral_grid.fit(guide(trajectory.light), values, rows, columns, BINS, SIGMA, ROUNDS)
            if empty is not None:
                grid = bounded_grid(grid, trajectory.light, empty, night.spread(image.pixels, empty))
        tones = UNCHANGED
        if wanted is not None and point.time != 0.0:
            aim = wanted if point.time > 0.0 else wanted._replace(luma=1.0)  # where darkening ends, it has its reason
            tones = tones_for(trajectory.result(point.shift), trajectory.light, aim, trajectory.weights)
        noise = visible_noise(image.pixels, point.shift, opacity.weights_of(image))
        lowest, highest = TRAINED_TIMES
        if not lowest <= point.time <= highest:
            notes = (*notes, f"the networks were trained for times from {lowest:g} to {highest:g}, not {point.time:g}")
        return ClodePlan(
            height=image.height,
            width=image.width,
            grid=grid,
            shift=shift,
            tones=tones.gains,
            chroma=tones.chroma,
            colour=controls.colour,
            strength=strength_for(noise) if controls.denoise == "auto" else float(controls.denoise),
            added_noise=noise,
            model=self._model(controls),
            time=point.time,
            target=None if wanted is None else wanted.luma,
            predicted=controls.time == controls.target == "auto",
            solver=controls.solver,
            evaluations=evaluations,
            steps=point.steps,
            proxy=(height, width),
            trajectory=np.array([(time, seen.mean) for time, seen in sorted(trajectory.seen.items())], np.float64),
            gain_stops=trajectory.gain_stops(trajectory.result(point.shift, tones)),
            notes=notes,
        )

    # --- render --------------------------------------------------------------------------------------------

    def render(self, window: Window, plan: ClodePlan, out: Array | None = None) -> Array:
        """Apply the curve, then remove noise; bit-identical for any window that includes its halo."""
        kernels, engine = self._kernels, self._engine
        out = np.empty_like(window.pixels) if out is None else out
        if plan.time == 0.0 and plan.strength == 0.0:
            engine.copy(out, window.pixels)
            return out
        arrays = window.pixels, plan.grid, plan.shift, Tones(plan.tones, plan.chroma)
        place = (RATIO_SHARE[plan.colour], plan.height, plan.width, window.top, window.left)
        if plan.strength == 0.0:
            return engine.into(out, kernels.render, *arrays, *place)
        light = engine.run(kernels.render_light, *arrays, *place)
        network = engine.network(METHOD, f"denoiser-{plan.model}")[0]
        noise = noise_of(light, window, plan.height, plan.width, network.run, kernels, engine.run)
        return engine.into(out, kernels.store, light, noise, plan.strength)

    def illustrations(self, image: Image, plan: ClodePlan, controls: ClodeControls) -> Mapping[str, Array]:
        """None."""
        return {}
