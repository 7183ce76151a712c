"""IRLE as estimate and render: light is decided on a proxy, noise is taken out at full resolution by blocks.

A network's convolutions and a library's vector loops may round differently on arrays of other sizes. So everything
is computed on blocks of one size that lie at the same places of a picture, whatever window is rendered.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import cv2
import numpy as np

from enhance_cli.imaging import colour
from enhance_cli.methods.irle import METHOD, IrleControls, tone
from enhance_cli.methods.irle import pseudo_ground_truth as reference_room
from enhance_cli.types import Image, Method, Plan, Window

if TYPE_CHECKING:
    from enhance_cli.engines import Engine
    from enhance_cli.types import Array

BLOCK = 512
"""Side of a block without its context; pictures smaller than that have smaller ones."""

BLUR = 4.0
"""Of the luma that the denoiser's gain is read off, in pixels: the noise of a single pixel must not steer it."""

BLUR_REACH = 16
"""Pixels that this blur looks beyond a block: four deviations, as OpenCV cuts it off."""

NETWORK_HALO = {"lite": 96, "full": 176}
"""Of each denoiser, as `network.build` declares it."""

FAINT = 0.7
"""ln of the gain from which the denoiser works in full: noise that is hardly amplified stays."""

_KEPT_BLOCKS = 4
"""Blocks remembered: neighbouring windows of a small picture ask for the same ones."""


@dataclass(frozen=True, kw_only=True)
class IrlePlan(Plan):
    """Everything that `render` needs, and everything the report says."""

    method: ClassVar[str] = METHOD.name

    height: int
    width: int
    balance: tuple[float, float, float]
    """Factors of R, G and B before the curve."""

    tint: tuple[float, float, float]
    """The estimated light of the picture; 1 is neutral."""

    exponent: float
    factor: float
    max_gain: float
    """The tone curve, see `tone.ToneCurve`."""

    level: float
    """Factor after everything: denoising and desaturation move the mean a little."""

    strength: float
    stage: str
    model: str
    tuned: Array
    """Weights of `--adapt`, flat; empty without."""

    adapted: int
    reference: Array
    """h×w×3 float32, the pseudo ground truth of the proxy; empty unless it is what is asked for."""

    gain_stops: tuple[float, float, float]
    """Least, median and largest gain of the proxy, in stops."""

    means: tuple[float, float]
    """Mean of all samples before, and as the proxy shows it after."""

    @property
    def curve(self) -> tone.ToneCurve:
        """The tone curve."""
        return tone.ToneCurve(self.exponent, self.factor, self.max_gain)


class _Block(NamedTuple):
    """A block in the whole picture's coordinates, without its context."""

    top: int
    left: int


class Irle:
    """`irle` on one engine."""

    method: Method = METHOD

    def __init__(self, engine: Engine) -> None:
        """Networks are loaded when controls first need them."""
        self._engine = engine
        self._lock = threading.Lock()
        self._networks: dict[str, Any] = {}
        self._tuned: dict[bytes, Callable[[Array, Array], Array]] = {}
        self._done: OrderedDict[bytes, Array] = OrderedDict()

    def _model(self, controls: IrleControls) -> str:
        if controls.model != "auto":
            return controls.model
        return "full" if self._engine.device.startswith("cuda") else "lite"

    def _network(self, model: str) -> Any:
        """A denoiser and its weights, loaded once."""
        with self._lock:
            if model not in self._networks:
                self._networks[model] = self._engine.network(METHOD, f"denoiser-{model}")
            return self._networks[model]

    def prepare(self, controls: IrleControls) -> Mapping[str, str] | None:
        """Load the denoiser, unless it is turned off."""
        if controls.stage != "2" or controls.denoise == 0.0:
            return None
        return self._network(self._model(controls))[1].report()  # type: ignore[no-any-return]

    def reads_planes(self, controls: IrleControls) -> bool:
        """The curve needs all three channels."""
        return False

    # --- estimate ------------------------------------------------------------------------------------------

    def estimate(self, image: Image, controls: IrleControls) -> IrlePlan:
        """White balance and curve from a proxy and the whole picture's histogram."""
        counts = tone.histogram(image.pixels)
        before = tone.mean_of(counts)
        proxy = _proxy(image.pixels)
        cast = reference_room.robust_white_balance(proxy)
        balance = reference_room.balanced_with(cast, controls.white_balance)
        notes: tuple[str, ...] = ()
        if cast.beyond and controls.white_balance > 0.0:
            notes = ("the light is tinted too strongly to be made neutral: one channel is nearly empty",)
        if before >= controls.exposure or before == 0.0:
            curve = tone.ToneCurve(1.0, 1.0, controls.max_gain)
        else:
            curve = tone.fitted(counts, target=controls.exposure, balance=balance, max_gain=controls.max_gain)
        light = np.clip(proxy * np.asarray(balance, np.float32), 0.0, 1.0)
        gain = curve.log_gain(cv2.GaussianBlur(light @ reference_room.LUMA, (0, 0), 1.0))
        bright = reference_room.desaturated_shadows(curve.picture(light), gain).clip(0.0, 1.0)
        reached = float(bright.mean())
        level = controls.exposure / reached if curve.exponent < 1.0 and reached > 0.0 else 1.0
        # A curve at its bounds leaves a picture darker; what the bounds hold back is not put in here again.
        level = float(np.clip(level, 0.9, 1.1))
        smooth = np.empty((0, 0, 3), np.float32)
        if controls.stage == "reference":
            smooth = np.clip(level * reference_room.reference(proxy, curve, balance, 0.0), 0.0, 1.0)
        stops = np.quantile(gain, (0.01, 0.5, 0.99)) / np.log(2.0)
        plan = IrlePlan(
            height=image.height,
            width=image.width,
            balance=balance,
            tint=cast.tint,
            exponent=curve.exponent,
            factor=curve.factor,
            max_gain=controls.max_gain,
            level=level,
            strength=controls.denoise if controls.stage == "2" else 0.0,
            stage=controls.stage,
            model=self._model(controls),
            tuned=np.empty(0, np.float32),
            adapted=controls.adapt,
            reference=smooth,
            gain_stops=(float(stops[0]), float(stops[1]), float(stops[2])),
            means=(before, min(1.0, reached * level)),
            notes=notes,
        )
        return self._adapted(image, plan) if controls.adapt and plan.strength > 0.0 else plan

    def _adapted(self, image: Image, plan: IrlePlan) -> IrlePlan:
        from dataclasses import replace

        from enhance_cli.engines import weights
        from enhance_cli.methods.irle import adapt

        path = weights.find(METHOD, f"denoiser-{plan.model}", "safetensors").path

        def piece(top: int, left: int, height: int, width: int) -> tuple[Array, Array]:
            first = max(top - BLUR_REACH, 0), max(left - BLUR_REACH, 0)
            context = image.pixels[first[0] : top + height + BLUR_REACH, first[1] : left + width + BLUR_REACH]
            bright, gain = stage_one(context, plan)
            inner = np.s_[top - first[0] : top - first[0] + height, left - first[1] : left - first[1] + width]
            return bright[inner], gain[inner]

        tuned = adapt.adapt(path, piece, image.height, image.width, plan.adapted)
        return replace(plan, tuned=tuned)

    # --- render --------------------------------------------------------------------------------------------

    def render(self, window: Window, plan: IrlePlan, out: Array | None = None) -> Array:
        """Curve, denoiser and desaturation by blocks; bit-equal for any window that has its halo."""
        out = np.empty_like(window.pixels) if out is None else out
        if plan.stage == "reference":
            return _enlarged(plan.reference, window, plan, out)
        context = (NETWORK_HALO[plan.model] if plan.strength > 0.0 else 0) + BLUR_REACH
        side = min(BLOCK, -(-max(plan.height, plan.width) // 32) * 32)
        rows, columns = window.pixels.shape[:2]
        top, bottom = _believed(window.top, rows, plan.height, context)
        left, right = _believed(window.left, columns, plan.width, context)
        out[...] = window.pixels
        for block_top in range(top // side * side, bottom, side):
            for block_left in range(left // side * side, right, side):
                down = _gathered(block_top - context, side + 2 * context, window.top, rows)
                across = _gathered(block_left - context, side + 2 * context, window.left, columns)
                codes = np.ascontiguousarray(window.pixels[down][:, across])
                done = self._block(codes, plan, context)
                y0, y1 = max(block_top, top), min(block_top + side, bottom)
                x0, x1 = max(block_left, left), min(block_left + side, right)
                out[y0 - window.top : y1 - window.top, x0 - window.left : x1 - window.left] = done[
                    y0 - block_top : y1 - block_top, x0 - block_left : x1 - block_left
                ]
        return out

    def _block(self, codes: Array, plan: IrlePlan, context: int) -> Array:
        """A block with its context to the block as it will be."""
        key = hashlib.blake2b(codes.tobytes(), digest_size=16)
        told = (plan.balance, plan.curve, plan.level, plan.strength, plan.model, plan.tuned.tobytes(), codes.shape)
        key.update(repr(told).encode())
        with self._lock:
            if key.digest() in self._done:
                return self._done[key.digest()]
        bright, gain = stage_one(codes, plan)
        inner = slice(BLUR_REACH, -BLUR_REACH)
        bright, gain = bright[inner, inner], gain[inner, inner]
        if plan.strength > 0.0 and float(gain.max()) > 0.0:
            image = np.ascontiguousarray(bright.transpose(2, 0, 1)[None])
            clean = self._clean(plan)(image, np.ascontiguousarray(gain[None, None]))[0].transpose(1, 2, 0)
            share = np.float32(plan.strength) * np.clip(gain / np.float32(FAINT), 0.0, 1.0)[..., None]
            bright = bright + share * (clean - bright)
        cut = context - BLUR_REACH
        if cut:
            bright, gain = bright[cut:-cut, cut:-cut], gain[cut:-cut, cut:-cut]
        done = finished(bright, gain, plan.level, codes.dtype)
        with self._lock:
            self._done[key.digest()] = done
            while len(self._done) > _KEPT_BLOCKS:
                self._done.popitem(last=False)
        return done

    def _clean(self, plan: IrlePlan) -> Callable[[Array, Array], Array]:
        """The denoiser of a plan: image and gain to the clean image."""
        if plan.tuned.size == 0:
            network = self._network(plan.model)[0]
            return lambda image, gain: network(image=image, gain=gain)["clean"]
        key = hashlib.blake2b(plan.tuned.tobytes(), digest_size=16).digest()
        with self._lock:
            if key not in self._tuned:
                from enhance_cli.engines import weights
                from enhance_cli.methods.irle import adapt

                path = weights.find(METHOD, f"denoiser-{plan.model}", "safetensors").path
                self._tuned.clear()
                self._tuned[key] = adapt.network_of(path, plan.tuned)
            return self._tuned[key]

    def describe(self, plan: IrlePlan) -> dict[str, Any]:
        """What was decided about light and noise."""
        least, median, largest = (round(stops, 3) for stops in plan.gain_stops)
        return {
            "stage": plan.stage,
            "model": plan.model,
            "cast": [round(value, 4) for value in plan.tint],
            "balance": [round(value, 4) for value in plan.balance],
            "curve": {"exponent": round(plan.exponent, 4), "factor": round(plan.factor, 4)},
            "gain_stops": {"least": least, "median": median, "largest": largest},
            "exposure": {"before": round(plan.means[0], 5), "after": round(plan.means[1], 5)},
            "denoise": plan.strength,
            "adapt": plan.adapted,
        }

    def illustrations(self, image: Image, plan: IrlePlan, controls: IrleControls) -> Mapping[str, Array]:
        """Illumination (left) and gain in stops (right) of the proxy, as greys, if `--maps` asks for them."""
        if not controls.maps:
            return {}
        rgb = colour.to_rgb(image).pixels
        light = np.clip(_proxy(rgb) * np.asarray(plan.balance, np.float32), 0.0, 1.0)
        gain = plan.curve.log_gain(cv2.GaussianBlur(light @ reference_room.LUMA, (0, 0), 1.0))
        planes = (np.exp(-np.maximum(gain, 0.0)), gain / max(float(gain.max()), 1e-3))
        greys = np.concatenate([np.clip(plane, 0.0, 1.0) for plane in planes], axis=1)
        return {"maps": np.rint(greys * 255.0).astype(np.uint8)[..., None].repeat(3, axis=2)}


def stage_one(codes: Array, plan: IrlePlan) -> tuple[Array, Array]:
    """White balance and curve of codes h×w×3: the bright picture, float32 h×w×3 in 0..1, and its ln(gain), h×w.

    The gain is read off blurred luma: within `BLUR_REACH` of a border that is no border of the picture it is not to
    be used.
    """
    scale = np.asarray(plan.balance, np.float32) / np.float32(np.iinfo(codes.dtype).max)
    light = codes.astype(np.float32) * scale
    smooth = cv2.GaussianBlur(light @ reference_room.LUMA, (0, 0), BLUR)
    curve = plan.curve
    if curve.exponent == 1.0 and curve.factor == 1.0:
        return np.minimum(light, np.float32(1.0)), np.zeros_like(smooth)
    return curve.picture(light), curve.log_gain(smooth)


def finished(bright: Array, gain: Array, level: float, dtype: Any) -> Array:
    """Shadows desaturated, the level set, rounded to codes."""
    white = np.float32(np.iinfo(dtype).max)
    picture = reference_room.desaturated_shadows(bright, gain) * np.float32(level)
    codes: Array = np.rint(np.clip(picture, 0.0, 1.0) * white).astype(dtype)
    return codes


def _proxy(pixels: Array) -> Array:
    """Area means as light, float32 h×w×3, long side at most `PROXY_SIDE`."""
    height, width = pixels.shape[:2]
    scale = min(1.0, reference_room.PROXY_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) / np.float32(np.iinfo(pixels.dtype).max)


def _believed(start: int, count: int, length: int, context: int) -> tuple[int, int]:
    """The part of a window's side, in the whole picture's coordinates, that has its context or needs none."""
    first = start + (context if start > 0 else 0)
    last = start + count - (context if start + count < length else 0)
    return (first, last) if first < last else (start, start)


def _gathered(begin: int, size: int, start: int, count: int) -> Array:
    """Indices into a window for a block with its context; what lies outside repeats the border."""
    return np.clip(np.arange(begin, begin + size) - start, 0, count - 1)


def _enlarged(small: Array, window: Window, plan: IrlePlan, out: Array) -> Array:
    """The reference of the proxy at full resolution, bilinear in the whole picture's coordinates."""
    rows, columns = window.pixels.shape[:2]
    places = []
    for start, count, length, cells in (
        (window.top, rows, plan.height, small.shape[0]),
        (window.left, columns, plan.width, small.shape[1]),
    ):
        at = np.clip((np.arange(start, start + count) + 0.5) * cells / length - 0.5, 0.0, cells - 1.0)
        cell = np.minimum(at.astype(np.int64), max(cells - 2, 0))
        places.append((cell, np.minimum(cell + 1, cells - 1), (at - cell).astype(np.float32)))
    (above, below, down), (before, after, right) = places
    white = np.float32(np.iinfo(out.dtype).max)
    for y in range(rows):
        row = small[above[y]] + down[y] * (small[below[y]] - small[above[y]])
        found = row[before] + right[:, None] * (row[after] - row[before])
        out[y] = np.rint(np.clip(found, 0.0, 1.0) * white)
    return out
