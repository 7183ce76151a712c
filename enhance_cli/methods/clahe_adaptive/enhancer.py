"""IA-CLAHE as estimate and render: histograms and a small network give tone curves, render looks them up per pixel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from enhance_cli.errors import UsageError
from enhance_cli.methods.clahe_adaptive import METHOD, ClaheAdaptiveControls, Grid, statistics, structure
from enhance_cli.methods.clahe_adaptive.counts import count
from enhance_cli.methods.clahe_adaptive.plan import ClahePlan
from enhance_cli.methods.clahe_adaptive.tiles import fit_grid, tile_geometry
from enhance_cli.types import Image, Method, Window

if TYPE_CHECKING:
    from enhance_cli.engines import Engine
    from enhance_cli.engines.weights import Weights
    from enhance_cli.types import Array


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
        """Whether luma alone changes: if chroma is kept."""
        return controls.chroma == "keep"

    def estimate(self, image: Image, controls: ClaheAdaptiveControls) -> ClahePlan:
        """Histograms, clip limits and tone curves of all tiles; histograms are taken at full resolution.

        Raises:
            UsageError: the clip map has no line for this photo.
        """
        kernels, engine = self._kernels, self._engine
        height, width = image.height, image.width
        fixed, wanted, notes = None, controls.grid, []
        if controls.clip_map is not None:
            try:
                fixed = np.asarray(controls.clip_map.for_source(image.metadata.called), np.float32)
            except ValueError as error:
                raise UsageError(f"--clip-map: {error}") from error
            wanted = Grid(*fixed.shape)
        rows, columns = fit_grid(height, width, *wanted)
        if (rows, columns) != tuple(wanted):
            notes.append(
                f"grid reduced from {wanted.rows}x{wanted.columns} to {rows}x{columns}: "
                f"tiles of a {width}x{height} photo would fall under 8 pixels"
            )
        tile_height, tile_width = tile_geometry(height, width, rows, columns)
        area = tile_height * tile_width

        counts = count(image, rows, columns, engine, kernels)
        global_factor = share = None
        make_curves = kernels.tile_curves
        if controls.clip_limit is not None:
            limits = np.full((rows, columns), controls.clip_limit, np.float32)
            make_curves = kernels.opencv_tile_curves  # classic CLAHE is OpenCV's, to the grey level
        elif fixed is not None:
            limits = statistics.area_pool(fixed, rows, columns)
        else:
            run, _ = engine.network(METHOD, "estimator")
            outputs = run(**statistics.network_inputs(counts.histograms, counts.thumbnail(), counts.whole))
            share = structure.structure(counts.histograms, counts.diagonals())
            limits = structure.weighed(statistics.clip_limits(outputs, rows, columns), share)
            global_factor = statistics.global_factor(outputs)
        limits = np.clip(limits * np.float32(controls.strength), statistics.LOWEST, statistics.HIGHEST)
        return ClahePlan(
            height=height,
            width=width,
            tile=(tile_height, tile_width),
            curves=engine.call(make_curves, counts.histograms, limits, area),
            clip_limits=limits,
            integer_limits=engine.call(kernels.integer_limits, limits, area),
            global_factor=global_factor,
            structure=share,
            chroma=controls.chroma,
            notes=tuple(notes),
        )

    def render(self, window: Window, plan: ClahePlan, out: Array | None = None) -> Array:
        """Blend the curves of the nearest tiles at every pixel; bit-identical for any window."""
        kernels = self._kernels
        if window.pixels.ndim == 2:
            if plan.chroma != "keep":  # a saved plan, replayed with other controls
                raise UsageError(f"This plan was made with --chroma {plan.chroma}; say the same with it.")
            kernel = kernels.render_luma
        else:
            kernel = kernels.render_rgb if plan.chroma == "keep" else kernels.render_rgb_scaled
        out = np.empty(window.pixels.shape, window.pixels.dtype) if out is None else out
        place = (plan.height, plan.width, window.top, window.left)
        return self._engine.into(out, kernel, window.pixels, plan.curves, *place)

    def illustrations(self, image: Image, plan: ClahePlan, controls: ClaheAdaptiveControls) -> Mapping[str, Array]:
        """With `--heatmap`, the clip-limit map over the image."""
        if not controls.heatmap:
            return {}
        from enhance_cli.methods.clahe_adaptive.heatmap import draw_clip_limits

        return {"heatmap": draw_clip_limits(image, plan.clip_limits)}
