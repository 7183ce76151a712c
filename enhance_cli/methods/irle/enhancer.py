"""IRLE as estimate and render: brightness is decided on a proxy, noise is removed at full resolution, in blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from enhance_cli.exposure.predictor import Predictor
from enhance_cli.exposure.tones import Clearing, clearing, part_of
from enhance_cli.imaging import opacity
from enhance_cli.imaging.blocks import Region
from enhance_cli.imaging.finish import UNCHANGED, Tones, finished
from enhance_cli.imaging.measures import MEASURES
from enhance_cli.methods.irle import HALO, METHOD, IrleControls, pseudo_ground_truth, tone
from enhance_cli.methods.irle.blocks import BORDER, LatestBlock, is_large, side_of, with_context
from enhance_cli.methods.irle.denoiser import Denoisers
from enhance_cli.methods.irle.empty import Empty, empty_grid, held
from enhance_cli.methods.irle.maps import draw_maps
from enhance_cli.methods.irle.noise import PATCH, deep_black, deviation, flat_patches
from enhance_cli.methods.irle.plan import REACH, IrlePlan
from enhance_cli.methods.irle.proxy import balance_share, chroma_mean, gain_of, mean, proxy_of
from enhance_cli.types import Image, Method, Window

if TYPE_CHECKING:
    from enhance_cli.engines import Engine
    from enhance_cli.engines.weights import Weights
    from enhance_cli.types import Array

NEUTRAL = (1.0, 1.0, 1.0)

FAINT = 0.7
"""ln of the gain from which the denoiser is applied fully: noise that is hardly amplified is kept."""

CHROMAS = (1.0, 1.35)
"""Bounds of the factor of colour that the predictor asks for: more would be visible where it errs."""

CLEARED = 0.04
"""Growth of the mean from which a veil is taken away fully: a photo that is left alone keeps its tones."""

VEILED = Clearing(gains=(1.6, 2.4), backlit=(0.2, 0.35), deeper=(0.7, 0.5))
"""Its bounds, wider than those of methods that see the scene: a curve of the whole photo lifts black with everything
else."""

LEVELS = (0.9, 1.1)
"""Bounds of the final factor, which must not undo the bounds of the curve."""


class Irle:
    """`irle` on one engine."""

    method: Method = METHOD

    def __init__(self, engine: Engine) -> None:
        """Choose the kernels; the engine opens networks when controls first need them."""
        self._engine = engine
        self._kernels: Any = engine.kernels(METHOD)
        self._denoisers = Denoisers(engine)
        self._latest = LatestBlock()
        self._predictor = Predictor(engine)

    def _model(self, controls: IrleControls) -> Literal["full", "lite"]:
        return self._engine.model if controls.model == "auto" else controls.model

    def prepare(self, controls: IrleControls) -> tuple[Weights, ...]:
        """Load the denoiser, if one will run, and the predictor of exposure, if it is asked."""
        denoises = controls.stage == "2" and controls.denoise > 0.0
        networks = [self._engine.network(METHOD, f"denoiser-{self._model(controls)}")[1]] if denoises else []
        return (*networks, self._predictor.weights) if controls.exposure == "auto" else tuple(networks)

    def reads_planes(self, controls: IrleControls) -> bool:
        """The curve needs all three channels."""
        return False

    # --- estimate ------------------------------------------------------------------------------------------

    def estimate(self, image: Image, controls: IrleControls) -> IrlePlan:
        """White balance and level from a proxy, the curve from the histogram of the whole image, the noise for reports.

        Raises:
            UsageError: `--adapt` is asked for and torch is missing.
        """
        plan = self.sketch(image, controls)
        return replace(plan, noise=self._noise(image.pixels, plan, opacity.weights_of(image)))

    def sketch(self, image: Image, controls: IrleControls) -> IrlePlan:
        """The same without the noise, which takes most of the time for a small image."""
        weights = opacity.weights_of(image)
        counts = (
            self._engine.measured(MEASURES, "channel_counts", image.pixels)
            if weights is None
            else tone.histogram(image.pixels, weights)
        )
        before = tone.mean_of(counts)
        proxy, shares = proxy_of(image.pixels, weights)
        cast = pseudo_ground_truth.robust_white_balance(proxy, shares)
        exposure, wanted = controls.exposure, None
        if exposure == "auto":
            wanted = self._predictor.predict(image)
            exposure = tone.aim(wanted.luma, wanted.doubt, before)
        empty = np.empty((0, 0, 0), np.float32)
        if 0.0 < before < exposure and controls.stage != "reference":
            empty = empty_grid(image.pixels, proxy, shares)
        at_night = float(empty.max()) if empty.size else 0.0
        to_reach = partial(
            tone.reaching,
            counts,
            exposure,
            max_gain=controls.max_gain,
            black=deep_black(proxy, shares),
            blown=tone.BLOWN + at_night * (tone.BLOWN_AT_NIGHT - tone.BLOWN),
        )
        share = controls.white_balance
        if share == "auto":
            share = balance_share(to_reach(balance=NEUTRAL), proxy, shares)
        balance = pseudo_ground_truth.balanced_with(cast, share)
        curve = to_reach(balance=balance)
        light = proxy * np.asarray(balance, np.float32)
        gain = gain_of(light, curve)
        picture = curve.picture(light).clip(0.0, 1.0)
        bright = pseudo_ground_truth.coloured(picture, gain)
        chroma = 1.0
        if wanted is not None and not curve.is_identity:
            chroma = float(np.clip(wanted.chroma / max(chroma_mean(bright, shares), 1e-3), *CHROMAS))
        bright = pseudo_ground_truth.coloured(picture, gain, chroma).clip(0.0, 1.0)
        reached = mean(bright, shares)
        level = 1.0
        if not curve.is_identity and reached > 0.0:
            level = float(np.clip(tone.mean_after(counts, curve, balance) / reached, *LEVELS))
        smooth = np.empty((0, 0, 3), np.float32)
        if controls.stage == "reference":
            bright = pseudo_ground_truth.low_passed(bright)
            smooth = np.clip(np.float32(level) * bright, 0.0, 1.0)
        bright = (bright * np.float32(level)).clip(0.0, 1.0)
        tones = UNCHANGED
        if wanted is not None and not curve.is_identity and controls.stage != "reference":
            planes = bright.transpose(2, 0, 1), proxy.transpose(2, 0, 1)
            brightened = mean(bright, shares) / max(mean(proxy, shares), 1e-3)
            grown = float(np.clip((brightened - 1.0) / CLEARED, 0.0, 1.0))
            tones = part_of(clearing(*planes, wanted, shares, VEILED), grown)
            bright = finished(*planes, tones, follows=pseudo_ground_truth.SKIN_FOLLOWS).transpose(1, 2, 0)
        bright = held(bright, proxy, empty)
        stops = opacity.quantiles(gain, (0.01, 0.5, 0.99), shares) / math.log(2.0)
        after = mean(bright, shares)
        plan = IrlePlan(
            height=image.height,
            width=image.width,
            stage=controls.stage,
            model=self._model(controls),
            target=exposure,
            predicted=controls.exposure == "auto",
            balance=balance,
            tint=cast.tint,
            exponent=curve.exponent,
            factor=curve.factor,
            veil=curve.veil,
            black=curve.black,
            max_gain=controls.max_gain,
            chroma=chroma,
            level=level,
            tones=tones.gains,
            toned_chroma=tones.chroma,
            empty=empty,
            strength=controls.denoise if controls.stage == "2" else 0.0,
            reference=smooth,
            tuned=np.empty(0, np.float32),
            adapted=0,
            gain_stops=(float(stops[0]), float(stops[1]), float(stops[2])),
            means=(before, after),
            notes=_notes(cast, share, after, exposure),
        )
        if controls.adapt and plan.strength > 0.0 and not plan.leaves_light:
            plan = self._adapted(image.pixels, plan, controls.adapt)
        return plan

    def _adapted(self, pixels: Array, plan: IrlePlan, steps: int) -> IrlePlan:
        from enhance_cli.methods.irle import adapt

        tables = self._tables(pixels.dtype, plan)

        def piece(top: int, left: int, height: int, width: int) -> tuple[Array, Array]:
            part = Region(plan.height, plan.width, 0, 0, top, left, top + height, left + width)
            picture, gain = self._first_stage(pixels, part, plan, tables)
            return self._engine.numpy(picture).transpose(1, 2, 0), self._engine.numpy(gain)

        tuned = adapt.adapt(self._denoisers.file(plan.model), piece, plan.height, plan.width, steps)
        return replace(plan, tuned=tuned, adapted=steps)

    def _noise(self, pixels: Array, plan: IrlePlan, weights: Array | None) -> tuple[float, float, float] | None:
        """`IrlePlan.noise`, measured by rendering the flattest dark patches."""
        if plan.stage == "reference":
            return None
        found, tables = [], self._tables(pixels.dtype, plan)
        for top, left in flat_patches(pixels, weights):
            part = Region(plan.height, plan.width, 0, 0, top, left, top + PATCH, left + PATCH)
            around = part.with_context(BORDER, BORDER)
            patches = [pixels[top : top + PATCH, left : left + PATCH]]
            for strength in (0.0, plan.strength):
                patches.append(self._block(pixels, part, around, replace(plan, strength=strength), tables))
            found.append([deviation(patch) for patch in patches])
        if not found:
            return None
        before, brightened, after = np.mean(found, axis=0).tolist()
        return before, brightened, after

    # --- render --------------------------------------------------------------------------------------------

    def render(self, window: Window, plan: IrlePlan, out: Array | None = None) -> Array:
        """Curve, denoiser and desaturation, in blocks; bit-identical for any window that includes its halo."""
        engine = self._engine
        out = np.empty_like(window.pixels) if out is None else out
        if plan.stage == "reference":
            place = (plan.height, plan.width, window.top, window.left)
            return engine.into(out, self._kernels.enlarge, plan.reference, *place)
        valid = Region.valid(window, plan.height, plan.width, HALO)
        if valid.shape != out.shape[:2]:
            engine.copy(out, window.pixels)
        tables = self._tables(window.pixels.dtype, plan)
        for block in valid.blocks(side_of(plan)):
            render = partial(self._block, window.pixels, block, with_context(block, plan), plan, tables)
            part = block.common(valid)
            with engine.turn(limited=is_large(plan)):
                if engine.card_memory is not None and part == block:  # stays on the device
                    render(out=out[part.within_window])
                    continue
                done = self._latest.get(window, block, plan, render)
            engine.copy(out[part.within_window], done[part.within(block)])
        return out

    def _block(
        self, pixels: Array, block: Region, around: Region, plan: IrlePlan, tables: Any, out: Array | None = None
    ) -> Array:
        """Render a block of a window.

        Args:
            pixels: the window.
            block: the pixels to render.
            around: the block with its context.
            plan: of the whole image.
            tables: see `_tables`.
            out: of the block's shape, to render into.
        """
        picture, gain = self._first_stage(pixels, around, plan, tables)
        clean = picture
        if plan.strength > 0.0 and not plan.leaves_light:
            clean = self._denoisers.of(plan)(picture[None], gain[None, None])[0]
        inner = block.within(around)
        codes = self._engine.run(self._kernels.read, pixels, block, "reflect")
        return self._engine.into(
            np.empty((*block.shape, 3), pixels.dtype) if out is None else out,
            self._kernels.finish,
            *(picture[:, *inner], clean[:, *inner], gain[inner]),
            codes,
            (plan.strength, FAINT, plan.chroma, plan.level),
            Tones(plan.tones, plan.toned_chroma),
            Empty(plan.empty, plan.height, plan.width, block.top, block.left),
        )

    def _tables(self, dtype: Any, plan: IrlePlan) -> Any:
        """Balanced light of every code, and what the curve makes of it: 3×codes each, left on the engine's device."""
        white = np.iinfo(dtype).max
        steps = np.arange(white + 1, dtype=np.float32)
        light = steps * (np.asarray(plan.balance, np.float32) / np.float32(white))[:, None]
        bright = np.minimum(light, np.float32(1.0)) if plan.leaves_light else plan.curve(light)
        return self._engine.run(lambda *both: both, light, bright)

    def _first_stage(self, pixels: Array, region: Region, plan: IrlePlan, tables: Any) -> tuple[Any, Any]:
        """Stage 1 of a region of a window, 3×h×w, and ln of its gain, h×w: arrays of the engine's device."""
        engine, curve = self._engine, plan.curve
        wide = region.with_context(REACH, REACH)
        codes = engine.run(self._kernels.read, pixels, wide, "reflect")
        picture, luma = engine.run(self._kernels.first_stage, codes, *tables)
        gain = engine.run(self._kernels.log_gain, luma, curve.gain_numbers)
        inner = region.within(wide)
        return picture[:, *inner], gain[inner]

    def illustrations(self, image: Image, plan: IrlePlan, controls: IrleControls) -> Mapping[str, Array]:
        """`--maps`."""
        return {"maps": draw_maps(image, plan)} if controls.maps else {}


def _notes(cast: pseudo_ground_truth.Cast, share: float, after: float, exposure: float) -> tuple[str, ...]:
    notes = []
    if cast.beyond and share > 0.0:
        notes.append("the light is tinted too strongly to be made neutral: one channel is nearly empty")
    if after < exposure - 0.03:
        held = "more would clip lights, or turn black grey"
        notes.append(f"the mean reaches {after:.2f}, not the {exposure:.2f} aimed for: {held}")
    return tuple(notes)
