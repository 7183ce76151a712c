"""RANLEN as estimate and render: the network sees photo and mask at 96×96, and its decision lights every pixel."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from enhance_cli.imaging import opacity
from enhance_cli.imaging.measures import MEASURES
from enhance_cli.methods.local import METHOD, TRAINED_DEGREES, LocalControls
from enhance_cli.methods.local.fitting import LUMA
from enhance_cli.methods.local.masks import NARROW, Regions, regions
from enhance_cli.methods.local.overlay import draw_regions
from enhance_cli.methods.local.plan import LocalPlan
from enhance_cli.methods.local.restraint import noise, restrained
from enhance_cli.methods.local.review import Rendered, Review, Samples, review
from enhance_cli.types import Image, Method, Window

if TYPE_CHECKING:
    from enhance_cli.engines import Engine
    from enhance_cli.engines.weights import Weights
    from enhance_cli.types import Array

SIDE = 96
"""Both sides of the square that the networks look at."""

WHOLE = 0.5
"""Share of what a network decides for the whole photo in what it decides for a part of it. Alone it takes black clothes
for darkness, and lights them until they are grey."""


class Local:
    """`local` on one engine."""

    method: Method = METHOD

    def __init__(self, engine: Engine) -> None:
        """Choose the kernels; the engine opens a network when controls first need it."""
        self._engine = engine
        self._kernels: Any = engine.kernels(METHOD)

    def prepare(self, controls: LocalControls) -> tuple[Weights, ...]:
        """Load the backbone."""
        return (self._engine.network(METHOD, controls.backbone)[1],)

    def reads_planes(self, controls: LocalControls) -> bool:
        """Light needs all three channels."""
        return False

    # --- estimate ------------------------------------------------------------------------------------------

    def estimate(self, image: Image, controls: LocalControls) -> LocalPlan:
        """Draw the regions, run the network, and review its effect on a small copy.

        Raises:
            UsageError: the mask does not fit the picture.
        """
        found = regions(image, controls)
        means = partial(self._engine.measured, MEASURES, "area_means")
        picture = np.ascontiguousarray(opacity.area_means(image, SIDE, SIDE, means)[None])
        field, guide, tail = self._decided(picture, found.planes(SIDE, SIDE)[None], controls.backbone)
        values: dict[str, Any] = {
            "height": image.height,
            "width": image.width,
            "fall_off": found.fall_off,
            "top": found.top,
            "left": found.left,
            "field": field,
            "guide": guide,
            "tail": tail,
            "backbone": controls.backbone,
            "degree": controls.degree,
            "lock": controls.lock,
            "shares": found.shares,
            "transition": found.transition,
            "mode": _mode(found, controls),
            "fitted": found.fitted,
        }
        if found.fall_off.size:
            # Before the degree: whoever asks for more light gets more.
            sampled = self._sampled(LocalPlan(**{**values, "degree": 1.0}))
            level = float(np.dot(LUMA, picture[0].mean(axis=(1, 2))))
            raised = noise(image.pixels, found.fall_off, (found.top, found.left), level, sampled)
            if raised is not None:
                values["field"] = restrained(field, raised, image.height, image.width)
        seen = self._review(image, LocalPlan(**values))
        return LocalPlan(
            **values,
            luma_before=seen.before,
            luma_after=seen.after,
            fall_off_gain=seen.gains,
            monotony=seen.monotony,
            notes=_notes(image, found, controls),
        )

    def _decided(self, picture: Array, planes: Array, backbone: str) -> tuple[Array, Array, Array]:
        """Field, guide and tail: what the network decides under the mask, and under one of the whole photo."""
        network = self._engine.network(METHOD, backbone)[0]
        field, guide, tail = _decision(network(image=picture, mask=planes))
        if planes.min() < 1.0:
            whole = _decision(network(image=picture, mask=np.ones_like(planes)))[0]
            field += np.float32(WHOLE) * (whole - field)
        return field, guide, tail

    def _review(self, image: Image, plan: LocalPlan) -> Review:
        place = plan.top, plan.left
        return review(image.pixels, plan.fall_off, place, self._sampled(plan), opacity.weights_of(image))

    def _sampled(self, plan: LocalPlan) -> Rendered:
        """Renders pixels that lie evenly in an image."""
        rows, columns = plan.field.shape[0] / plan.height, plan.field.shape[1] / plan.width

        def rendered(pixels: Array, fall_off: Array, samples: Samples) -> Array:
            top, left, step = samples
            # A sample stands in the middle of the pixels that it is taken for.
            above, before = top + 0.5 - step / 2, left + 0.5 - step / 2
            cells = (rows * step, rows * above, columns * step, columns * before)
            return self._lit(np.empty_like(pixels), pixels, fall_off, plan, (0, 0), cells)

        return rendered

    # --- render --------------------------------------------------------------------------------------------

    def render(self, window: Window, plan: LocalPlan, out: Array | None = None) -> Array:
        """Light a window; bit-equal for any window that has its halo. `out` is not `window.pixels`."""
        cells = (plan.field.shape[0] / plan.height, 0.0, plan.field.shape[1] / plan.width, 0.0)
        out = np.empty_like(window.pixels) if out is None else out
        # Only the rows of the fall-off that the window overlaps: arguments of kernels may have to be copied.
        first = max(window.top - plan.top, 0)
        fall_off = plan.fall_off[first : max(window.top + len(window.pixels) - plan.top, 0)]
        region, place = (plan.top + first, plan.left), (window.top, window.left)
        return self._lit(out, window.pixels, fall_off, plan, region, cells, place)

    def _lit(
        self,
        out: Array,
        pixels: Array,
        fall_off: Array,
        plan: LocalPlan,
        region: tuple[int, int],
        cells: tuple[float, float, float, float],
        place: tuple[int, int] = (0, 0),
    ) -> Array:
        """Pixels as a plan lights them, into `out`; the other arguments are those of `kernels_cpu.render`."""
        arrays = pixels, fall_off, plan.field, plan.guide, plan.tail
        return self._engine.into(out, self._kernels.render, *arrays, plan.degree, plan.lock, region, cells, place)

    def illustrations(self, image: Image, plan: LocalPlan, controls: LocalControls) -> Mapping[str, Array]:
        """The regions over the picture, if asked for."""
        if not controls.show_mask:
            return {}
        return {"show_mask": draw_regions(image, plan.fall_off, (plan.top, plan.left))}


def _decision(outputs: Mapping[str, Array]) -> tuple[Array, Array, Array]:
    """What a network decided, as the kernels take it: field, guide and tail."""
    tail = np.column_stack((outputs["tail"].reshape(3, -1), outputs["tail_bias"])).astype(np.float32)
    if "maps" in outputs:
        field = outputs["maps"][0].transpose(1, 2, 0)
        return np.ascontiguousarray(field, np.float32), np.empty((0, 6), np.float32), np.ascontiguousarray(tail)
    field = outputs["grid"][0].transpose(2, 3, 1, 0)
    hidden = np.column_stack((outputs["guide_weight"], outputs["guide_bias"], outputs["guide_out"]))
    last = np.zeros((1, 6), np.float32)
    last[0, 5] = outputs["guide_out_bias"][0]
    guide = np.vstack((hidden, last)).astype(np.float32)
    return np.ascontiguousarray(field, np.float32), guide, np.ascontiguousarray(tail)


def _mode(found: Regions, controls: LocalControls) -> str:
    if controls.mask_outer is not None:
        return "drawn"
    return "soft" if found.soft else controls.place


def _notes(image: Image, found: Regions, controls: LocalControls) -> tuple[str, ...]:
    """Notes on a mask that may not be what the user meant."""
    notes = []
    inside, between, _ = found.shares
    if inside + between == 0.0:
        notes.append("the mask is empty: nothing is lit")
    elif inside == 0.0:
        notes.append("no pixel lies wholly inside the mask: there is transition only")
    elif inside == 1.0:
        notes.append("the mask covers the whole photo")
    least = NARROW * min(image.height, image.width)
    if between > 0.0 and not (found.soft or found.fitted) and found.transition < least:
        notes.append(
            f"a transition of {found.transition:.0f} pixels is narrow here: below {least:.0f} it may show as an edge"
        )
    lowest, highest = TRAINED_DEGREES
    if not lowest <= controls.degree <= highest:
        notes.append(f"degrees from {lowest:g} to {highest:g} are natural, {controls.degree:g} lies outside")
    return tuple(notes)
