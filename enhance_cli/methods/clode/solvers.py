"""From the network's rate to the logit shift S(t): six fixed-step solvers, and an interface to an adaptive one.

Solvers work on one of two states. On *logits* the state is S itself, dS/dt = a(I(S), t), and light follows from it
in closed form: no step can leave 0..1, and errors are a tenth. On *light*, as in the paper, the state is I,
dI/dt = a I (1 - I), and S is computed at the end. The logit solvers are ours. Of the solvers on light, the adaptive
one is SciPy's on the CPU and torchdiffeq's with torch, and the fixed-step ones are torchdiffeq's with torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from enhance_cli.types import Array

Derivative = Callable[[float, Any], Any]
"""d state / dt at (time, state)."""

Step = Callable[[Derivative, float, float, Any], Any]
"""The state after a step: (derivative, time, length, state)."""

_EDGE = 1e-3
"""Solvers on light start at least this far from 0 and 1, where light does not change and S is undefined."""

_LEAST_SIDE = 16
"""Least side of a proxy in pixels, reached by padding: the networks use reflect padding."""


class Point(NamedTuple):
    """The state of a solve at a time."""

    time: float
    shift: Array
    """3×h×w float32."""

    steps: int


def _here(kernel: Callable[..., Any], *arguments: Any) -> Any:
    return kernel(*arguments)


class Rate:
    """The network as a function a(I, t) of 3×h×w light on the engine's device, and the count of its evaluations."""

    def __init__(
        self,
        network: Callable[..., dict[str, Any]],
        kernels: Any,
        run: Callable[..., Any] = _here,
        numpy: Callable[[Any], Array] = lambda array: array,
    ) -> None:
        """Wrap a network opened by an engine.

        Args:
            network: `image` 1×3×h×w and `time` 1 to `rate` 1×3×h×w, all of the engine's device.
            kernels: the engine's.
            run: `Engine.run`.
            numpy: `Engine.numpy`.
        """
        self._network, self._kernels, self.run, self.numpy = network, kernels, run, numpy
        self.evaluations = 0

    def __call__(self, light: Any, time: float) -> Any:
        """The rate, 3×h×w float32."""
        self.evaluations += 1
        _, height, width = light.shape
        rows, columns = max(0, _LEAST_SIDE - height), max(0, _LEAST_SIDE - width)
        if rows or columns:
            light = self.run(self._kernels.padded, light, rows, columns)
        rate = self._network(image=light[None], time=np.array([time], np.float32))["rate"]
        return rate[0, :, :height, :width]


def euler(derivative: Derivative, time: float, length: float, state: Any) -> Any:
    """One evaluation, first order."""
    return state + length * derivative(time, state)


def heun(derivative: Derivative, time: float, length: float, state: Any) -> Any:
    """Two evaluations, second order: the mean of the slopes at both ends."""
    slope = derivative(time, state)
    return state + 0.5 * length * (slope + derivative(time + length, state + length * slope))


def midpoint(derivative: Derivative, time: float, length: float, state: Any) -> Any:
    """Two evaluations, second order: the slope half way."""
    half = 0.5 * length
    return state + length * derivative(time + half, state + half * derivative(time, state))


def rk4(derivative: Derivative, time: float, length: float, state: Any) -> Any:
    """Four evaluations, fourth order (Kutta's 3/8 rule, which torchdiffeq has too)."""
    third = length / 3.0
    one = derivative(time, state)
    two = derivative(time + third, state + third * one)
    three = derivative(time + 2.0 * third, state + length * (two - one / 3.0))
    four = derivative(time + length, state + length * (one - two + three))
    return state + length * 0.125 * (one + 3.0 * (two + three) + four)


LOGIT_STEPS: dict[str, Step] = {"logit-euler": euler, "logit-heun": heun, "logit-rk4": rk4}
LIGHT_STEPS: dict[str, Step] = {"euler": euler, "midpoint": midpoint, "rk4": rk4}
SOLVERS = (*LOGIT_STEPS, *LIGHT_STEPS, "dopri5")


def solve(
    rate: Rate, light: Array, times: Sequence[float], *, solver: str, length: float, tol: float, kernels: Any
) -> Iterator[Point]:
    """Yield the shift at each of the given times, lazily: the solve goes no further than it is consumed.

    A fixed-step solver always advances in whole steps; a time between two of them is reached by a separate, shorter
    step. So the result for a time does not depend on the other times.

    Args:
        rate: the network.
        light: 3×h×w float32 in 0..1.
        times: all above 0 or all below, in the order of their distance from 0.
        solver: one of `SOLVERS`.
        length: of a fixed step, above 0.
        tol: of the adaptive solver, absolute and relative.
        kernels: the engine's: `step_on_light(solver)`, `adaptive(...)`, and those on light.
    """
    if solver in LOGIT_STEPS:
        # All on the device; what comes down is the shift at the points that are asked for.
        there = rate.run(kernels.itself, light)

        def on_logits(time: float, shift: Any) -> Any:
            return rate(rate.run(kernels.shifted, there, shift), time)

        def step(*about: Any) -> Any:
            return rate.run(LOGIT_STEPS[solver], *about)

        for point in _march(step, on_logits, rate.run(kernels.nothing, there), times, length):
            yield point._replace(shift=rate.numpy(point.shift))
        return

    start = np.clip(light, np.float32(_EDGE), np.float32(1.0 - _EDGE))

    def on_light(time: float, state: Array) -> Array:
        state = np.asarray(state, np.float32).reshape(light.shape)
        return rate.numpy(rate(state, time)) * state * (1.0 - state)

    if solver == "dopri5":
        points = kernels.adaptive(on_light, start, times, tol)
    else:
        points = _march(kernels.step_on_light(solver), on_light, start, times, length)
    before = _logit(start)
    for time, state, steps in points:
        yield Point(time, _logit(np.asarray(state, np.float32).reshape(light.shape)) - before, steps)


def _march(step: Step, derivative: Derivative, state: Any, times: Sequence[float], length: float) -> Iterator[Point]:
    done = 0
    for wanted in times:
        forward = length if wanted > 0 else -length
        whole = int(wanted / forward + 1e-6)
        while done < whole:
            state = step(derivative, done * forward, forward, state)
            done += 1
        left = wanted - done * forward
        if abs(left) < 1e-6 * length:
            yield Point(wanted, state, done)
        else:
            yield Point(wanted, step(derivative, done * forward, left, state), done + 1)


def _logit(light: Array) -> Array:
    """log(I / (1 - I)) of light clipped to within 0..1, as a first-order step may leave that range."""
    inside = np.clip(light, np.float32(1e-6), np.float32(1.0 - 1e-6))
    odds: Array = np.log(inside) - np.log1p(-inside)
    return odds


def between(one: Point, two: Point, time: float) -> Array:
    """The shift at a time between two points: S is smooth, and linear interpolation is within a quarter grey level."""
    share = np.float32((time - one.time) / (two.time - one.time))
    shift: Array = one.shift + share * (two.shift - one.shift)
    return shift
