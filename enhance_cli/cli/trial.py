"""A trial of a card: one real kernel and one real network, through the interface that a run uses, against the CPU."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from enhance_cli import methods
from enhance_cli.types import Image, Window

if TYPE_CHECKING:
    from enhance_cli.engines import Engine
    from enhance_cli.types import Array

_SIZE = 192, 256

_LEVELS = 1
"""8-bit grey levels by which kernels of the two engines may differ; tests verify it for every kernel."""

Report = Callable[[str], None]


def trial(engine: Engine, problem: Report) -> dict[str, str]:
    """Run a kernel and a network of a method on a device, and compare the results with the CPU engine's.

    The kernel renders with a plan from the CPU; the network computes a plan, which the CPU renders. So the two can
    fail independently.

    Args:
        engine: of the card.
        problem: called with a sentence for each of the two that fails.

    Returns:
        The results for `kernel` and `network`, in words.
    """
    from enhance_cli.engines.cpu import CpuEngine

    method = next(method for method in map(methods.get, methods.names()) if method.weights and not method.uses)
    controls = method.controls()
    cpu = CpuEngine()
    reference = methods.open_enhancer(method, cpu)
    reference.prepare(controls)
    image = Image(_picture())
    plan = reference.estimate(image, controls)
    expected = reference.render(Window(image.pixels, 0, 0), plan)

    def kernel() -> Array:
        on_device = methods.open_enhancer(method, engine)
        return on_device.render(Window(image.pixels, 0, 0), plan)

    def network() -> Any:
        on_device = methods.open_enhancer(method, engine)
        on_device.prepare(controls)
        return on_device.estimate(image, controls)

    def rendered(plan: Any) -> Array:
        return reference.render(Window(image.pixels, 0, 0), plan)

    found = {
        "kernel": _compared(engine, "a kernel", kernel, lambda made: made, expected, problem),
        "network": _compared(engine, "a network", network, rendered, expected, problem),
    }
    cpu.close()
    return found


def _compared(
    engine: Engine,
    what: str,
    work: Callable[[], Any],
    pixels: Callable[[Any], Array],
    expected: Array,
    problem: Report,
) -> str:
    """Do work on the card, and compare its pixels with those expected."""
    import numpy as np

    began = time.perf_counter()
    try:
        made = work()
    except Exception as error:  # noqa: BLE001 - a doctor reports whatever it meets
        said = " ".join(str(error).split()).rstrip(".")[:200] or type(error).__name__
        problem(f"{engine.device} cannot run {what} ({said}); update its driver, or use --device cpu.")
        return f"failed: {said}"
    took = (time.perf_counter() - began) * 1e3
    difference = int(np.abs(pixels(made).astype(np.int64) - expected).max())
    if difference > _LEVELS:
        problem(
            f"{engine.device} runs {what}, but its result differs from the CPU's by {difference} levels; use --device "
            "cpu."
        )
        return f"differs from the CPU by {difference} levels"
    return f"ran in {took:.0f} ms, largest difference from the CPU {difference}"


def _picture() -> Array:
    """A small dark photo: a gradient with a pattern, H×W×3 uint8."""
    import numpy as np

    y, x = np.mgrid[: _SIZE[0], : _SIZE[1]].astype(np.float32)
    grey = 20 + 60 * x / _SIZE[1] + 25 * np.sin(x / 7) * np.sin(y / 11)
    picture: Array = np.stack([grey, 0.9 * grey, 0.7 * grey + 10], axis=-1).clip(0, 255).astype(np.uint8)
    return picture
