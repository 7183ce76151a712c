"""Auto as estimate and render: a choice from a small copy, carried out by the method chosen."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from enhance_cli import methods
from enhance_cli.engines.once import Once
from enhance_cli.errors import UsageError
from enhance_cli.exposure.predictor import Predictor
from enhance_cli.imaging import opacity
from enhance_cli.imaging.blocks import Region
from enhance_cli.imaging.measures import MEASURES
from enhance_cli.imaging.shooting import shooting
from enhance_cli.methods.auto import CHOICES, METHOD, AutoControls, together
from enhance_cli.methods.auto.chooser import choose
from enhance_cli.methods.auto.decision import Decision
from enhance_cli.methods.auto.hints import hinted
from enhance_cli.methods.auto.measure import SIDE, luma_of
from enhance_cli.methods.auto.plan import AutoPlan
from enhance_cli.methods.auto.scores import Scores
from enhance_cli.methods.auto.shift import table
from enhance_cli.methods.cases import options_of
from enhance_cli.plan import Plan
from enhance_cli.types import Enhancer, Image, Method, Window

if TYPE_CHECKING:
    from enhance_cli.engines import Engine
    from enhance_cli.engines.weights import Weights
    from enhance_cli.types import Array

_OPENED = 16
"""Plans of methods that are kept unpacked: more than there are photos at once."""


class Auto:
    """`auto` on one engine."""

    method: Method = METHOD

    def __init__(self, engine: Engine) -> None:
        """Open no method yet."""
        self._engine = engine
        self._predictor = Predictor(engine)
        self._scores = Scores(METHOD)
        self._made: Once[Any] = Once()
        self._plans: OrderedDict[int, tuple[weakref.ref[Any], Plan]] = OrderedDict()

    def _opened(self, name: str) -> Enhancer:
        """The Enhancer of a method."""
        return self._made.get(name, lambda: methods.open_enhancer(methods.get(name), self._engine))  # type: ignore[no-any-return]

    def prepare(self, controls: AutoControls) -> tuple[Weights, ...]:
        """Open the methods to choose from, and load their networks.

        Raises:
            UsageError: own weights are given.
        """
        if self._engine.own_weights is not None:
            raise UsageError("--weights does not apply to auto, which chooses among the shipped methods; leave it out.")
        found: list[Weights] = [self._scores.weights, self._predictor.weights]
        for name in CHOICES if controls.decisions is not None else controls.methods:
            method = methods.get(name)
            found += self._opened(name).prepare(method.controls())
        return tuple(found)

    def reads_planes(self, controls: AutoControls) -> bool:
        """Most methods need all three channels."""
        return False

    # --- estimate ------------------------------------------------------------------------------------------

    def look(self, image: Image, controls: AutoControls) -> dict[str, Any]:
        """The decision for an image, as JSON values; the image may be a copy of lower resolution."""
        return self._decided(image, controls).to_json()

    def groups(self, names: Sequence[str], taken: Sequence[float | None], controls: AutoControls) -> list[list[int]]:
        """The photos that are decided together, as `--together` says: places in `names`."""
        return together.groups(names, taken, controls.together)

    def agree(self, lines: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[int]]:
        """The decisions of one group made one, and the places of outliers, whose decisions stay."""
        return together.agreed(lines)

    def _decided(self, image: Image, controls: AutoControls) -> Decision:
        scale = min(1.0, SIDE / max(image.height, image.width))
        height, width = (max(1, round(side * scale)) for side in (image.height, image.width))
        light = opacity.area_means(image, height, width, partial(self._engine.measured, MEASURES, "area_means"))
        small = np.ascontiguousarray(np.rint(light.transpose(1, 2, 0) * np.float32(255.0)).astype(np.uint8))
        wanted, hint = hinted(self._predictor.predict_light(light), shooting(image.metadata.exif))
        decision = choose(small, wanted, controls, self._opened, self._scores, hint)
        return replace(decision, luma=float(luma_of(small).mean()) / 255.0)

    def estimate(self, image: Image, controls: AutoControls) -> AutoPlan:
        """Decide, or look the decision up, and let the method chosen estimate.

        Raises:
            UsageError: the decisions do not name the photo, or say something that cannot be done.
        """
        decision = self._listed(image, controls) or self._decided(image, controls)
        amount = decision.amount * controls.strength
        enhances = decision.method != "" and amount > 0.0
        inner, options, notes = np.empty(0, np.uint8), [], ()
        if enhances:
            chosen = self._controls_of(decision, image)
            plan = self._opened(decision.method).estimate(image, chosen)
            inner = np.frombuffer(plan.to_bytes(), np.uint8)
            options, notes = options_of(decision.controls), plan.notes
        return AutoPlan(
            height=image.height,
            width=image.width,
            chosen=decision.method if enhances else "",
            options=tuple(options),
            inner=inner,
            amount=amount if enhances else 0.0,
            shift=controls.shift,
            reason=decision.reason,
            names=tuple(decision.quantities),
            values=tuple(decision.quantities.values()),
            runner_up=decision.runner_up,
            certainty=decision.certainty,
            guard=decision.guard,
            notes=notes,
        )

    def _listed(self, image: Image, controls: AutoControls) -> Decision | None:
        if controls.decisions is None:
            return None
        found = controls.decisions.for_source(image.metadata.called)
        if found is None and not controls.decisions.path:
            return None  # decided together are the photos of groups only
        if found is None:
            name = image.metadata.source or "the photo"
            raise UsageError(f"--decisions: {controls.decisions.path} has no line for {name}.")
        return Decision.from_json(found.line, found.place)

    def _controls_of(self, decision: Decision, image: Image) -> Any:
        method = methods.get(decision.method)
        known = method.controls.knobs()
        where = decision.place and f"{decision.place}: "
        for name in decision.controls:
            if name not in known:
                raise UsageError(f"{where}{method.name} has no control {name!r}; it has {', '.join(known)}.")
        try:
            return method.controls(**decision.controls)
        except UsageError as error:
            raise UsageError(f"{where}{error}") from error

    # --- render --------------------------------------------------------------------------------------------

    def render(self, window: Window, plan: AutoPlan, out: Array | None = None) -> Array:
        """Let the method render, blend, and shift; bit-identical for any window that includes its halo."""
        out = np.empty_like(window.pixels) if out is None else out
        self._engine.copy(out, window.pixels)
        valid = Region.valid(window, plan.height, plan.width, plan.halo)
        if plan.unchanged or valid.empty:
            return out
        engine, part, source = self._engine, out[valid.within_window], window.pixels[valid.within_window]
        levels = None if plan.shift == 0.0 else table(plan.shift, int(np.iinfo(part.dtype).max))
        if not plan.chosen:
            return self._mixed(out, part, source, source, 1.0, levels)
        enhancer = self._opened(plan.chosen)
        around = valid.grown(plan.halo)
        seen = np.ascontiguousarray(window.pixels[around.within_window])
        inner = Window(seen, around.top, around.left)
        if plan.amount == 1.0 and levels is None and around.shape == valid.shape:
            enhancer.render(inner, self._plan(plan), out=part)
            return out
        rendered = np.empty_like(seen)
        with engine.resident(discarded=[rendered]):
            enhancer.render(inner, self._plan(plan), out=rendered)
            return self._mixed(out, part, source, engine.made(rendered)[valid.within(around)], plan.amount, levels)

    def _mixed(
        self, out: Array, part: Array, source: Array, rendered: Any, amount: float, levels: Array | None
    ) -> Array:
        """Blend and shift into a part of `out`, which is returned."""
        self._engine.into(part, self._engine.kernels(METHOD).mixed, source, rendered, amount, levels)
        return out

    def _plan(self, plan: AutoPlan) -> Plan:
        """The plan of the method, unpacked once for all windows of a photo."""
        key = id(plan.inner)
        found = self._plans.get(key)
        if found is None or found[0]() is not plan.inner:
            opened = plan.opened()
            assert opened is not None
            found = weakref.ref(plan.inner), opened
            self._plans[key] = found
            while len(self._plans) > _OPENED:
                self._plans.popitem(last=False)
        return found[1]

    def illustrations(self, image: Image, plan: AutoPlan, controls: AutoControls) -> Mapping[str, Array]:
        """None."""
        return {}
