"""IRLE as estimate and render: light is decided on a proxy, noise is taken out at full resolution by blocks.

A network's convolutions and a library's vector loops may round differently on arrays of other sizes. So everything
that looks at neighbours is computed on blocks that lie at the same places of a picture, whatever window is rendered:
squares of `BLOCK` pixels, each with as much around it as the networks can see.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import cv2
import numpy as np

from enhance_cli.engines import abandon
from enhance_cli.engines.cpu import available_cores
from enhance_cli.imaging import colour, opacity
from enhance_cli.methods.irle import HALO, METHOD, IrleControls, tone
from enhance_cli.methods.irle import pseudo_ground_truth as reference_room
from enhance_cli.methods.irle.plan import REACH, IrlePlan
from enhance_cli.types import Image, Method, Window

if TYPE_CHECKING:
    from pathlib import Path

    from enhance_cli.engines import Engine
    from enhance_cli.types import Array

BLOCK = 1024
"""Side of a block without its context. The stream's tiles hold whole blocks, which are with their context 1.47 times a
picture of 12 megapixels, where blocks of 512 would be 2.15 times it; a lite block takes half a gigabyte."""

LARGE, SMALL_BLOCK = 32_000_000, 512
"""Pixels of a picture from which on blocks are smaller, and run no more than the cores have work for: such a picture
itself takes what blocks of the other size would. A lite block of this size takes 190 MB."""

BORDER, MULTIPLE = 32, 16
"""Reflected pixels around the picture, and of what the sides that a denoiser gets are multiples."""

FAINT = 0.7
"""ln of the gain from which on the denoiser works in full: noise that is hardly amplified stays where it is."""

SHADOWS = (1.2, 2.2, 0.6)
"""ln of the gain where colour begins to go, the way to where all of it has gone that will, and the share that goes:
`pseudo_ground_truth.desaturated_shadows`."""

LEVELS = (0.9, 1.1)
"""Bounds of the factor at the end: what the bounds of the curve hold back is not put in here again."""

PATCHES, PATCH = 12, 32
"""Noise is judged on the flattest four of 12×12 patches of 32×32 pixels."""


class _Side(NamedTuple):
    """A block along one axis, in the whole picture's coordinates."""

    first: int
    last: int
    before: int
    after: int
    """Pixels of context of the denoiser; `REACH` more of either for the gain."""


class Irle:
    """`irle` on one engine."""

    method: Method = METHOD

    def __init__(self, engine: Engine) -> None:
        """Choose the kernels; the engine opens networks when controls first need them."""
        self._engine = engine
        self._kernels: Any = engine.kernels(METHOD)
        self._lock = threading.Lock()
        self._running = threading.BoundedSemaphore(max(1, available_cores() // getattr(engine, "threads", 1)))
        self._tuned: tuple[bytes, Callable[[Array, Array], Array]] | None = None
        self._latest: tuple[bytes, Array] | None = None

    def _model(self, controls: IrleControls) -> Literal["full", "lite"]:
        if controls.model != "auto":
            return controls.model
        return "full" if self._engine.device.startswith("cuda") else "lite"

    def prepare(self, controls: IrleControls) -> Mapping[str, str] | None:
        """Load the denoiser, where one will run."""
        if controls.stage != "2" or controls.denoise == 0.0:
            return None
        return self._engine.network(METHOD, f"denoiser-{self._model(controls)}")[1].report()

    def reads_planes(self, controls: IrleControls) -> bool:
        """The curve needs all three channels."""
        return False

    # --- estimate ------------------------------------------------------------------------------------------

    def estimate(self, image: Image, controls: IrleControls) -> IrlePlan:
        """White balance and level from a proxy, the curve from the whole picture's histogram.

        Raises:
            UsageError: `--adapt` is asked for and torch is missing.
        """
        weights = opacity.weights_of(image)
        counts = tone.histogram(image.pixels, weights)
        before = tone.mean_of(counts)
        proxy, shares = _proxy(image.pixels, weights)
        cast = reference_room.robust_white_balance(proxy, shares)
        balance = reference_room.balanced_with(cast, controls.white_balance)
        curve = _curve(counts, before, balance, controls)
        light = proxy * np.asarray(balance, np.float32)
        gain = _gain_of(light, curve)
        bright = reference_room.desaturated_shadows(curve.picture(light), gain).clip(0.0, 1.0)
        reached = opacity.mean(bright, _for_channels(shares))
        level = 1.0
        if not _is_identity(curve) and reached > 0.0:
            level = float(np.clip(tone.mean_after(counts, curve, balance) / reached, *LEVELS))
        smooth = np.empty((0, 0, 3), np.float32)
        if controls.stage == "reference":
            bright = reference_room.low_passed(bright)
            smooth = np.clip(np.float32(level) * bright, 0.0, 1.0)
        stops = opacity.quantiles(gain, (0.01, 0.5, 0.99), shares) / math.log(2.0)
        after = opacity.mean((bright * level).clip(0.0, 1.0), _for_channels(shares))
        plan = IrlePlan(
            height=image.height,
            width=image.width,
            stage=controls.stage,
            model=self._model(controls),
            balance=balance,
            tint=cast.tint,
            exponent=curve.exponent,
            factor=curve.factor,
            max_gain=controls.max_gain,
            level=level,
            strength=controls.denoise if controls.stage == "2" else 0.0,
            reference=smooth,
            tuned=np.empty(0, np.float32),
            adapted=0,
            gain_stops=(float(stops[0]), float(stops[1]), float(stops[2])),
            means=(before, after),
            notes=_notes(cast, after, controls),
        )
        if controls.adapt and plan.strength > 0.0 and not plan.leaves_light:
            plan = self._adapted(image.pixels, plan, controls.adapt)
        return replace(plan, noise=self._noise(image.pixels, plan, weights))

    def _adapted(self, pixels: Array, plan: IrlePlan, steps: int) -> IrlePlan:
        from enhance_cli.methods.irle import adapt

        def piece(top: int, left: int, height: int, width: int) -> tuple[Array, Array]:
            sides = _Side(top, top + height, 0, 0), _Side(left, left + width, 0, 0)
            picture, gain = self._lit(pixels, (0, 0), sides, plan)
            return self._engine.download(picture).transpose(1, 2, 0), self._engine.download(gain)

        tuned = adapt.adapt(_weights(plan.model), piece, plan.height, plan.width, steps)
        return replace(plan, tuned=tuned, adapted=steps)

    def _noise(self, pixels: Array, plan: IrlePlan, weights: Array | None) -> tuple[float, float, float] | None:
        """`IrlePlan.noise`, by rendering the flattest of the dark patches."""
        if plan.stage == "reference" or min(plan.height, plan.width) < PATCH:
            return None
        found = []
        for top, left in _flat_patches(pixels, weights):
            sides = _Side(top, top + PATCH, BORDER, BORDER), _Side(left, left + PATCH, BORDER, BORDER)
            patches = [pixels[top : top + PATCH, left : left + PATCH]]
            for strength in (0.0, plan.strength):
                patches.append(self._block(pixels, (0, 0), sides, replace(plan, strength=strength)))
            found.append([_deviation(patch) for patch in patches])
        if not found:
            return None
        before, brightened, after = np.mean(found, axis=0).tolist()
        return before, brightened, after

    # --- render --------------------------------------------------------------------------------------------

    def render(self, window: Window, plan: IrlePlan, out: Array | None = None) -> Array:
        """Curve, denoiser and desaturation by blocks; bit-equal for any window that has its halo."""
        out = np.empty_like(window.pixels) if out is None else out
        place = window.top, window.left
        if plan.stage == "reference":
            self._enlarge(plan, place, out)
            return out
        sides = []
        for start, count, length in zip(place, out.shape, (plan.height, plan.width), strict=False):
            believed = _believed(start, count, length)
            sides.append((believed, list(_blocks(*believed, length, plan))))
        ((top, bottom), rows), ((left, right), columns) = sides
        if (bottom - top, right - left) != out.shape[:2]:
            out[...] = window.pixels
        for down in rows:
            for across in columns:
                with self._running if _is_large(plan) else contextlib.nullcontext():
                    abandon.check()
                    done = self._block(window.pixels, place, (down, across), plan)
                y = slice(max(down.first, top), min(down.last, bottom))
                x = slice(max(across.first, left), min(across.last, right))
                out[y.start - place[0] : y.stop - place[0], x.start - place[1] : x.stop - place[1]] = done[
                    y.start - down.first : y.stop - down.first, x.start - across.first : x.stop - across.first
                ]
        return out

    def _enlarge(self, plan: IrlePlan, place: tuple[int, int], out: Array) -> None:
        target = out if self._engine.device == "cpu" else self._engine.upload(out)
        small = self._engine.upload(plan.reference)
        self._kernels.enlarge(small, plan.height, plan.width, *place, target)
        if target is not out:
            out[...] = self._engine.download(target)

    def _block(self, pixels: Array, place: tuple[int, int], sides: tuple[_Side, _Side], plan: IrlePlan) -> Array:
        """One block of a window as it will be; the latest one is remembered, as windows of small pictures share it."""
        down, across = sides
        key = b""
        if max(plan.height, plan.width) <= BLOCK:
            seen = hashlib.blake2b(pixels.tobytes(), digest_size=16)
            numbers = plan.balance, plan.curve, plan.level, plan.strength, plan.model
            seen.update(repr((place, pixels.shape, pixels.dtype, sides, numbers)).encode() + plan.tuned.tobytes())
            key = seen.digest()
            with self._lock:
                if self._latest is not None and self._latest[0] == key:
                    return self._latest[1]
        engine = self._engine
        picture, gain = self._lit(pixels, place, sides, plan)
        clean = picture
        if plan.strength > 0.0 and not plan.leaves_light:
            image = np.ascontiguousarray(engine.download(picture))[None]
            clean = engine.upload(
                self._denoiser(plan)(image, np.ascontiguousarray(engine.download(gain))[None, None])[0]
            )
        inner = tuple(slice(side.before, side.before + side.last - side.first) for side in sides)
        done = np.empty((down.last - down.first, across.last - across.first, 3), pixels.dtype)
        target = done if engine.device == "cpu" else engine.upload(done)
        start, way, amount = SHADOWS
        self._kernels.finish(
            *(picture[:, *inner], clean[:, *inner], gain[inner]),
            (plan.strength, FAINT, start, 1.0 / way, amount, plan.level),
            target,
        )
        done = engine.download(target)
        if key:
            with self._lock:
                self._latest = key, done
        return done

    def _lit(
        self, pixels: Array, place: tuple[int, int], sides: tuple[_Side, _Side], plan: IrlePlan
    ) -> tuple[Any, Any]:
        """Stage 1 of a block with its context, and ln of its gain: 3×h×w and h×w on the engine's device.

        Args:
            pixels: a window.
            place: its first row and column.
            sides: the block.
            plan: of the whole picture.
        """
        reads = [
            _reflected(side.first - side.before - REACH, side.last + side.after + REACH, length, start, count)
            for side, length, start, count in zip(sides, (plan.height, plan.width), place, pixels.shape, strict=False)
        ]
        codes = np.ascontiguousarray(pixels[reads[0]][:, reads[1]])
        engine, curve = self._engine, plan.curve
        white = np.iinfo(pixels.dtype).max
        steps = np.arange(white + 1, dtype=np.float32)
        light = steps * (np.asarray(plan.balance, np.float32) / np.float32(white))[:, None]
        bright = np.minimum(light, np.float32(1.0)) if plan.leaves_light else curve(light)
        picture, luma = self._kernels.first_stage(*map(engine.upload, (codes, light, bright)))
        numbers = (math.log(max(plan.factor, 1e-6)), plan.exponent - 1.0, math.log(plan.max_gain))
        gain = self._kernels.log_gain(luma, numbers)
        inner = slice(REACH, -REACH)
        return picture[:, inner, inner], gain[inner, inner]

    def _denoiser(self, plan: IrlePlan) -> Callable[[Array, Array], Array]:
        """The denoiser of a plan: image 1×3×h×w and gain 1×1×h×w to the clean image."""
        if plan.tuned.size == 0:
            network = self._engine.network(METHOD, f"denoiser-{plan.model}")[0]
            return lambda image, gain: network(image=image, gain=gain)["clean"]
        key = hashlib.blake2b(plan.tuned.tobytes(), digest_size=16).digest()
        with self._lock:
            if self._tuned is None or self._tuned[0] != key:
                from enhance_cli.methods.irle import adapt

                self._tuned = key, adapt.network_of(_weights(plan.model), plan.tuned)
            return self._tuned[1]

    def illustrations(self, image: Image, plan: IrlePlan, controls: IrleControls) -> Mapping[str, Array]:
        """`--maps`: the illumination on the left, white where nothing was lifted; on the right the gain, a stop
        for every 32 levels.
        """
        if not controls.maps:
            return {}
        light = _proxy(colour.to_rgb(image).pixels, opacity.weights_of(image))[0] * np.asarray(plan.balance, np.float32)
        gain = np.maximum(_gain_of(light, plan.curve), 0.0)
        greys = np.concatenate([np.exp(-gain) * 255.0, gain / math.log(2.0) * 32.0], axis=1)
        drawn: Array = np.rint(np.clip(greys, 0.0, 255.0)).astype(np.uint8)[..., None].repeat(3, axis=2)
        return {"maps": drawn}


# --- light -----------------------------------------------------------------------------------------------------


def _is_identity(curve: tone.ToneCurve) -> bool:
    return curve.exponent == curve.factor == 1.0


def _curve(counts: Array, before: float, balance: tuple[float, float, float], controls: IrleControls) -> tone.ToneCurve:
    """The curve that reaches `--exposure`; none where the picture is as bright already, or black."""
    bound = controls.max_gain
    if before >= controls.exposure or before == 0.0:
        return tone.ToneCurve(1.0, 1.0, bound)
    curve = tone.fitted(counts, target=controls.exposure, balance=balance, max_gain=bound)
    if curve.factor >= 1.0:
        return curve
    # A factor below 1 makes white grey. The picture needs a gentler curve, up to none: white stays, the exponent moves.
    light = np.arange(counts.shape[1])[None] * (np.asarray(balance) / (counts.shape[1] - 1))[:, None]
    low, high = curve.exponent, 1.0
    for _ in range(24):
        middle = 0.5 * (low + high)
        reached = float((counts * tone.ToneCurve(middle, 1.0, bound)(light)).sum() / counts.sum())
        low, high = (low, middle) if reached < controls.exposure else (middle, high)
    return tone.ToneCurve(0.5 * (low + high), 1.0, bound)


def _gain_of(light: Array, curve: tone.ToneCurve) -> Array:
    """Log of the curve's gain over a proxy's light, h×w."""
    smooth = cv2.GaussianBlur(light @ reference_room.LUMA, (0, 0), 1.0)
    return np.zeros_like(smooth) if _is_identity(curve) else curve.log_gain(smooth)


def _notes(cast: reference_room.Cast, after: float, controls: IrleControls) -> tuple[str, ...]:
    notes = []
    if cast.beyond and controls.white_balance > 0.0:
        notes.append("the light is tinted too strongly to be made neutral: one channel is nearly empty")
    if after < controls.exposure - 0.03:
        held = "more would turn lights white, or black grey"
        notes.append(f"the mean reaches {after:.2f}, not the {controls.exposure:g} asked for: {held}")
    return tuple(notes)


def _for_channels(shares: Array | None) -> Array | None:
    """Opacity h×w for pictures h×w×3."""
    return None if shares is None else np.repeat(shares[..., None], 3, axis=2)


def _proxy(pixels: Array, weights: Array | None) -> tuple[Array, Array | None]:
    """Area means as light, float32 h×w×3, long side at most `PROXY_SIDE`; and of weights, where there are such."""
    height, width = pixels.shape[:2]
    scale = min(1.0, reference_room.PROXY_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if weights is not None:
        shares = opacity.plane_means(weights, *size[::-1])
        return np.ascontiguousarray(opacity.weighted_means(pixels, weights, *size[::-1]).transpose(1, 2, 0)), shares
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) / np.float32(np.iinfo(pixels.dtype).max), None


# --- noise -----------------------------------------------------------------------------------------------------


def _flat_patches(pixels: Array, weights: Array | None) -> list[tuple[int, int]]:
    """Where the four flattest patches of the darker half lie that are not black: first rows and columns.

    Patches of which less than all is seen, where weights are given, are passed over: what hides is flat.
    """
    height, width = pixels.shape[:2]
    white = float(np.iinfo(pixels.dtype).max)
    judged = []
    for top in np.unique(np.linspace(0, height - PATCH, PATCHES).astype(int)).tolist():
        for left in np.unique(np.linspace(0, width - PATCH, PATCHES).astype(int)).tolist():
            if weights is not None and not weights[top : top + PATCH, left : left + PATCH].all():
                continue
            patch = pixels[top : top + PATCH, left : left + PATCH].astype(np.float32) @ reference_room.LUMA / white
            coarse = patch.reshape(4, PATCH // 4, 4, PATCH // 4).mean(axis=(1, 3))
            if coarse.min() > 2.0 / 255.0:
                judged.append((float(patch.mean()), float(coarse.std()) / float(patch.mean()), top, left))
    judged.sort()
    darker = judged[: -(-len(judged) // 2)]
    return [(top, left) for _, _, top, left in sorted(darker, key=lambda row: row[1])[:4]]


def _deviation(patch: Array) -> float:
    """Deviation of luma from the plane that fits it best, as a share of white."""
    luma = patch.astype(np.float64) @ reference_room.LUMA / np.iinfo(patch.dtype).max
    y, x = np.mgrid[: luma.shape[0], : luma.shape[1]]
    plane = np.stack([np.ones(luma.size), y.ravel(), x.ravel()], axis=1)
    left = luma.ravel() - plane @ np.linalg.lstsq(plane, luma.ravel(), rcond=None)[0]
    return float(left.std())


def _weights(model: str) -> Path:
    from enhance_cli.engines import weights

    return weights.find(METHOD, f"denoiser-{model}", "safetensors").path


# --- blocks ----------------------------------------------------------------------------------------------------


def _is_large(plan: IrlePlan) -> bool:
    return plan.height * plan.width > LARGE


def _blocks(first: int, last: int, length: int, plan: IrlePlan) -> Iterator[_Side]:
    """The blocks along one axis that cover `first` to `last` of a picture of `length`."""
    halo = plan.context
    side = SMALL_BLOCK if _is_large(plan) else BLOCK
    for start in range(first // side * side, last, side):
        end = min(start + side, length)
        before = halo if start > 0 else min(BORDER, halo)
        after = halo if end < length else min(BORDER, halo)
        yield _Side(start, end, before, after + -(end - start + before + after) % MULTIPLE)


def _believed(start: int, count: int, length: int) -> tuple[int, int]:
    """The part of a window's side, in the whole picture's coordinates, that has its context or needs none."""
    first = start + (HALO if start > 0 else 0)
    last = start + count - (HALO if start + count < length else 0)
    return (first, last) if first < last else (start, start)


def _reflected(begin: int, end: int, length: int, start: int, count: int) -> slice | Array:
    """Where rows `begin` to `end` of a picture lie in a window from `start`: what lies outside the picture is
    reflected at its border. What lies outside the window is looked at by no pixel that is believed: any row will do.
    """
    if begin >= start and end <= start + count:
        return slice(begin - start, end - start)
    period = max(2 * length - 2, 1)
    at = np.abs(np.arange(begin, end)) % period
    rows: Array = np.clip(np.minimum(at, period - at) - start, 0, count - 1) if length > 1 else at
    return rows
