"""Retinex as estimate and render: illumination curves from 64×64 pixels, everything else at full resolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from enhance_cli.engines import weights as weight_files
from enhance_cli.engines.once import Once
from enhance_cli.errors import UsageError
from enhance_cli.exposure.predictor import Predictor
from enhance_cli.imaging import night, opacity
from enhance_cli.imaging.blocks import Region
from enhance_cli.imaging.finish import UNCHANGED, Tones
from enhance_cli.imaging.measures import MEASURES
from enhance_cli.methods.retinex import HALO, METHOD, RetinexControls, formulas
from enhance_cli.methods.retinex.alignment import frame_notes
from enhance_cli.methods.retinex.arrays import FusionWeights, RestorationWeights
from enhance_cli.methods.retinex.formulas import PROXY
from enhance_cli.methods.retinex.maps import draw_maps
from enhance_cli.methods.retinex.noise_map import RADIUS, low_pass, patches
from enhance_cli.methods.retinex.plan import CANDIDATES, RetinexPlan
from enhance_cli.methods.retinex.target import FirstStage, powers_for, powers_of, toned
from enhance_cli.types import Image, Method, Window

if TYPE_CHECKING:
    from enhance_cli.engines import Engine
    from enhance_cli.engines.weights import Weights
    from enhance_cli.types import Array


SUFFIXES = {"paper": "", "full": "-full"}
"""Of the stems of a model's weights."""


class Retinex:
    """`retinex` on one engine."""

    method: Method = METHOD

    def __init__(self, engine: Engine) -> None:
        """Choose the kernels; networks are loaded when controls first need them."""
        self._engine = engine
        self._kernels: Any = engine.kernels(METHOD)
        self._made: Once[Any] = Once()
        self._predictor = Predictor(engine)

    def _illumination(self, controls: RetinexControls) -> tuple[Any, Weights]:
        return self._engine.network(METHOD, "illumination" + SUFFIXES[controls.model])

    def _file(self, stem: str) -> Weights:
        """The file of a network that the kernels run themselves."""
        find = partial(weight_files.find, METHOD, stem, "safetensors", self._engine.own_weights)
        return self._made.get(("file", stem), find)  # type: ignore[no-any-return]

    def _arrays(self, stem: str) -> dict[str, Array]:
        """The tensors of such a network."""
        return self._made.get(stem, lambda: weight_files.read_arrays(self._file(stem)))  # type: ignore[no-any-return]

    def _restoration(self) -> RestorationWeights:
        return self._made.get("packed", lambda: RestorationWeights.of(self._arrays("restoration")))  # type: ignore[no-any-return]

    def prepare(self, controls: RetinexControls) -> tuple[Weights, ...]:
        """Load the networks of these controls."""
        suffix = SUFFIXES[controls.model]
        self._arrays("fusion" + suffix)
        if controls.denoise > 0.0:
            self._restoration()
        stems = ("fusion" + suffix, "restoration") if controls.denoise > 0.0 else ("fusion" + suffix,)
        predictor = (self._predictor.weights,) if controls.predicts else ()
        return self._illumination(controls)[1], *map(self._file, stems), *predictor

    def reads_planes(self, controls: RetinexControls) -> bool:
        """The bright channel needs all three."""
        return False

    # --- estimate ------------------------------------------------------------------------------------------

    def estimate(self, image: Image, controls: RetinexControls) -> RetinexPlan:
        """From the downscaled image, the curves of both illuminations and the exposure statistics of the candidates."""
        if controls.fuse is not None and not image.frames:
            raise UsageError("fuse groups the files of a run; from Python, fuse photos by `Opened.fuse`.")
        frames = (image, *image.frames)
        means = partial(self._engine.measured, MEASURES, "area_means")
        lights = [opacity.area_means(frame, PROXY, PROXY, means) for frame in frames]
        seen = opacity.weight_means(image, PROXY, PROXY)
        powers, target = (controls.under, controls.over), None
        notes: tuple[str, ...] = ()
        tones = UNCHANGED
        if image.frames:
            notes = frame_notes(frames)
            forward = inverse = np.empty((0, 0, 0, 2), np.float32)
            illuminations = np.empty((0, 4))
            candidates = lights
            names = tuple(Path(it.metadata.source).name or f"frame {place}" for place, it in enumerate(frames, start=1))
        else:
            light = lights[0]
            found = self._illumination(controls)[0](image=light[None])
            forward, inverse = found["forward"][0], found["inverse"][0]
            empty = night.empty(light, seen, image.pixels)
            if empty is not None:
                forward = formulas.limited(forward, light, empty, night.spread(image.pixels, empty))
            channels = (forward, light.max(axis=0)), (inverse, (1.0 - light).max(axis=0))
            illuminations = np.stack([_spread(formulas.illumination(*each), seen) for each in channels])
            stage = FirstStage(light, (forward, inverse), partial(self._scoring, seen=seen, model=controls.model), seen)
            if controls.predicts:
                wanted = self._predictor.predict_light(light)
                target = wanted.luma
                powers = powers_of(stage, target)
                tones = toned(stage, powers, wanted)
            elif not isinstance(controls.target, str):
                target = controls.target
                powers, notes = powers_for(stage, target, powers)
            candidates = formulas.candidates(light, (forward, inverse), formulas.scored_powers(powers))
            names = CANDIDATES
        biases = self._biases(candidates, seen, controls.model)
        plan = RetinexPlan(
            height=image.height,
            width=image.width,
            forward=forward,
            inverse=inverse,
            under=powers[0],
            over=powers[1],
            tones=tones.gains,
            chroma=tones.chroma,
            target=target,
            predicted=controls.predicts,
            denoise=controls.denoise,
            model=controls.model,
            biases=biases,
            candidates=names,
            illuminations=illuminations,
            shares=_shares(formulas.weights(candidates, self.fusion(biases, controls.model)), seen),
            noise_energy=0.0,
            notes=notes,
        )
        if plan.denoise == 0.0:
            return plan
        pixels, weights = [frame.pixels for frame in frames], opacity.weights_of(image)
        return replace(plan, noise_energy=self._noise_energy(pixels, plan, weights))

    def _scoring(self, candidates: Sequence[Array], *, seen: Array | None, model: str) -> FusionWeights:
        """Fusion-Net for candidates, 3×h×w."""
        return self.fusion(self._biases(candidates, seen, model), model)

    def _biases(self, candidates: Sequence[Array], seen: Array | None, model: str) -> Array:
        """Biases of Fusion-Net's first layer for each candidate, 3×h×w: its own, plus that of its statistics."""
        tensors = self._arrays("fusion" + SUFFIXES[model])
        known = np.stack([formulas.luma_statistics(candidate, seen) for candidate in candidates])
        biases: Array = known @ tensors["statistics.weight"].T + tensors["first.bias"]
        return biases.astype(np.float32)

    def fusion(self, biases: Array, model: str) -> FusionWeights:
        """Fusion-Net of a model for candidates with these biases."""
        tensors = self._arrays("fusion" + SUFFIXES[model])
        if biases.shape[1] != len(tensors["first.weight"]):
            raise UsageError("The plan was made with other weights than those of this version; make it anew.")
        second = tensors["second.weight"], tensors["second.bias"]
        return FusionWeights(tensors["first.weight"], biases, *second, tensors["third.weight"].reshape(-1))

    def _noise_energy(self, frames: Sequence[Array], plan: RetinexPlan, weights: Array | None) -> float:
        """Mean square of the noise map to be added, over patches; weighted by opacity if given."""

        def energy(patch: Region) -> tuple[float, float]:
            around = patch.grown(HALO)
            parts = [np.ascontiguousarray(frame[around.within_window]) for frame in frames]
            wanted = patch._replace(window_top=around.top, window_left=around.left)
            squares = np.square(self._engine.numpy(self.light_and_noise(parts, wanted, plan)[1]))
            if weights is None:
                return float(squares.mean()), 1.0
            share = weights[patch.within_window].astype(np.float64)
            return float((squares.mean(axis=0) * share).sum()), float(share.sum())

        found = self._engine.map(energy, patches(plan.height, plan.width))
        total = sum(share for _, share in found)
        return float(np.sum([value for value, _ in found]) / total) if total > 0 else 0.0

    # --- render --------------------------------------------------------------------------------------------

    def render(self, window: Window, plan: RetinexPlan, out: Array | None = None) -> Array:
        """Slice, divide, fuse and restore; bit-identical for any window that includes its halo."""
        kernels, engine = self._kernels, self._engine
        out = np.empty_like(window.pixels) if out is None else out
        valid = Region.valid(window, plan.height, plan.width, HALO)
        if plan.leaves_all or valid.empty:
            engine.copy(out, window.pixels)
            return out
        frames = [window.pixels, *window.frames]
        if plan.denoise in (0.0, 1.0):
            restoration = self._restoration() if plan.denoise else None
            networks = self.fusion(plan.biases, plan.model), restoration
            return engine.into(out, kernels.render, frames, valid, *self._first_stage(plan), *networks)
        if valid.shape != out.shape[:2]:
            engine.copy(out, window.pixels)
        engine.into(out[valid.within_window], kernels.store, *self.light_and_noise(frames, valid, plan))
        return out

    @staticmethod
    def _first_stage(plan: RetinexPlan) -> tuple[Any, ...]:
        return plan.grids, (plan.under, plan.over), Tones(plan.tones, plan.chroma)

    def light_and_noise(self, frames: list[Array], wanted: Region, plan: RetinexPlan) -> tuple[Any, Any]:
        """The fused light of a region of a window, and the noise map to add: arrays of the engine's device."""
        kernels, engine = self._kernels, self._engine
        region = wanted.grown(RADIUS if plan.denoise < 1.0 else 0)
        networks = self.fusion(plan.biases, plan.model), self._restoration()
        light, noise = engine.run(kernels.render_light, frames, region, *self._first_stage(plan), *networks)
        if plan.denoise < 1.0:
            light = light[:, *wanted.within(region)]
            noise = engine.run(kernels.high_pass, noise, low_pass(plan.denoise), region, wanted)
        return light, noise

    def illustrations(self, image: Image, plan: RetinexPlan, controls: RetinexControls) -> Mapping[str, Array]:
        """`--maps`."""
        return {"maps": draw_maps(image, plan, self.fusion(plan.biases, plan.model))} if controls.maps else {}


def _spread(values: Array, seen: Array | None) -> Array:
    """Mean and 5, 50, 95 % percentiles, weighted by opacity."""
    return np.array([opacity.mean(values, seen), *opacity.quantiles(values, (0.05, 0.5, 0.95), seen)], np.float64)


def _shares(weights: Array, seen: Array | None) -> Array:
    """For each candidate its mean weight and the share of pixels where its weight is the largest, by opacity."""
    if seen is not None:
        winners = np.bincount(weights.argmax(axis=0).ravel(), seen.ravel(), len(weights)) / seen.sum(dtype=np.float64)
        means = [opacity.mean(weight, seen) for weight in weights]
        return np.stack([means, winners], axis=1).astype(np.float64)
    winners = np.bincount(weights.argmax(axis=0).ravel(), minlength=len(weights)) / weights[0].size
    return np.stack([weights.mean(axis=(1, 2)), winners], axis=1).astype(np.float64)
