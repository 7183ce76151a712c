"""IA-CLAHE as estimate and render: histograms and a small network give tone curves, render looks them up per pixel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from enhance_cli.errors import UsageError
from enhance_cli.methods.clahe_adaptive import METHOD, ClaheAdaptiveControls, Grid, chroma, statistics, structure
from enhance_cli.methods.clahe_adaptive.adapt import Decision, Seen
from enhance_cli.methods.clahe_adaptive.counts import count
from enhance_cli.methods.clahe_adaptive.plan import ClahePlan
from enhance_cli.methods.clahe_adaptive.tiles import fit_grid, tile_geometry
from enhance_cli.types import Image, Method, Window

if TYPE_CHECKING:
    from enhance_cli.engines import Engine
    from enhance_cli.engines.weights import Weights
    from enhance_cli.types import Array


_NO_TINT = np.zeros((1, 1, 2), np.float32)
"""The means of chroma in a plan that was made of a grey photo."""


class ClaheAdaptive:
    """`clahe-adaptive` on one engine."""

    method: Method = METHOD

    def __init__(self, engine: Engine) -> None:
        """Choose the kernels; the engine opens the network when controls first need it."""
        self._engine = engine
        self._kernels: Any = engine.kernels(METHOD)

    def prepare(self, controls: ClaheAdaptiveControls) -> tuple[Weights, ...]:
        """Load the estimator unless the limits are given."""
        if controls.clip_limit is not None and controls.clip_map is not None:
            raise UsageError("--clip-limit and --clip-map exclude each other: give one of them.")
        if controls.clip_limit is not None or controls.clip_map is not None:
            return ()
        return (self._engine.network(METHOD, "estimator")[1],)

    def reads_planes(self, controls: ClaheAdaptiveControls) -> bool:
        """True: luma is mapped on its own, and chroma follows it as it is stored."""
        return True

    def estimate(self, image: Image, controls: ClaheAdaptiveControls) -> ClahePlan:
        """Histograms, clip limits and tone curves of all tiles; histograms are taken at full resolution.

        Raises:
            UsageError: the clip map has no line for this photo.
        """
        kernels, engine = self._kernels, self._engine
        height, width = image.height, image.width
        fixed, adapted, wanted, notes = None, None, controls.grid, []
        if controls.clip_map is not None:
            try:
                entry = controls.clip_map.picture_for(image.metadata.called)
            except ValueError as error:
                raise UsageError(f"--clip-map: {error}") from error
            fixed, adapted = np.asarray(entry.limits, np.float32), entry.adapted
            wanted = Grid(*fixed.shape)
        rows, columns = fit_grid(height, width, *wanted)
        if (rows, columns) != tuple(wanted):
            notes.append(
                f"grid reduced from {wanted.rows}x{wanted.columns} to {rows}x{columns}: "
                f"tiles of a {width}x{height} photo would fall under 8 pixels"
            )
        tile = tile_geometry(height, width, rows, columns)
        area = tile[0] * tile[1]

        counts = count(image, rows, columns, engine, kernels)
        noise = structure.noise_deviations(counts.diagonals())
        tint = chroma.tint_of(image, engine, kernels) if controls.chroma == "follow" else None
        given = None if fixed is None else statistics.area_pool(fixed, rows, columns)
        decision = None
        if controls.clip_limit is None and (given is None or adapted is not None):
            seen = Seen.of(counts, noise, height, width)
            if given is not None and adapted is not None:
                decision = Decision.given(given, adapted)
            else:
                decision = Decision.predicted(seen, engine.network(METHOD, "estimator")[0])
            decision = decision.strengthened(controls.strength)
            limits, curves = decision.limits, decision.curves(seen, area, engine, kernels)
        else:
            limits = np.full((rows, columns), controls.clip_limit, np.float32) if given is None else given
            limits = np.clip(limits * np.float32(controls.strength), statistics.LOWEST, statistics.HIGHEST)
            # Classic CLAHE is OpenCV's, to the grey level.
            make_curves = kernels.tile_curves if controls.clip_limit is None else kernels.opencv_tile_curves
            curves = engine.call(make_curves, counts.histograms, limits, area)
        return ClahePlan(
            height=height,
            width=width,
            tile=tile,
            curves=curves,
            clip_limits=limits,
            integer_limits=engine.call(kernels.integer_limits, limits, area),
            global_factor=None if decision is None else decision.global_factor,
            structure=None if decision is None else structure.structured_tiles(seen.histograms, seen.shares),
            local_shares=None if decision is None else decision.local_shares,
            photo_limit=None if decision is None else decision.photo_limit,
            retention=None if decision is None else decision.retention,
            blackness=None if decision is None else decision.blackness,
            chroma=controls.chroma,
            tint=tint,
            chroma_noise=chroma.noise_of(noise),
            notes=tuple(notes),
        )

    def render(self, window: Window, plan: ClahePlan, out: Array | None = None) -> Array:
        """Blend the curves of the nearest tiles at every pixel; bit-identical for any window."""
        kernels, pixels = self._kernels, window.pixels
        out = np.empty(pixels.shape, pixels.dtype) if out is None else out
        place = (plan.height, plan.width, window.top, window.left)
        if pixels.ndim == 3 and plan.chroma == "follow":
            tint = _NO_TINT if plan.tint is None else plan.tint
            kernel = kernels.render_rgb_followed
            return self._engine.into(out, kernel, pixels, plan.curves, tint, plan.chroma_noise, *place)
        kernel = kernels.render_luma if pixels.ndim == 2 else kernels.render_rgb
        return self._engine.into(out, kernel, pixels, plan.curves, *place)

    def render_chroma(
        self,
        luma: Array,
        stored: tuple[Array, Array],
        plan: ClahePlan,
        top: int,
        samples: tuple[int, int],
        out: tuple[Array, Array] | None = None,
    ) -> tuple[Array, Array]:
        """Stored chroma that follows luma; the same samples where it is kept."""
        if plan.chroma == "keep":
            for plane, kept in zip(out or (), stored, strict=False):
                self._engine.copy(plane, kept)
            return stored if out is None else out
        tint = _NO_TINT if plan.tint is None else plan.tint
        arrays = (*stored, luma, plan.curves, tint, plan.chroma_noise, *samples, (plan.height, plan.width), top)
        if out is not None:
            return self._engine.into(out, self._kernels.render_chroma, *arrays)
        made: tuple[Array, Array] = self._engine.call(self._kernels.render_chroma, *arrays)
        return made

    def illustrations(self, image: Image, plan: ClahePlan, controls: ClaheAdaptiveControls) -> Mapping[str, Array]:
        """With `--heatmap`, the clip-limit map over the image."""
        if not controls.heatmap:
            return {}
        from enhance_cli.methods.clahe_adaptive.heatmap import draw_clip_limits

        return {"heatmap": draw_clip_limits(image, plan.clip_limits)}
