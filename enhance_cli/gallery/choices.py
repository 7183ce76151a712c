"""The choices for redoing a photo: its own method, stronger or gentler, and the other methods."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from functools import cache
from typing import Any

from enhance_cli import methods
from enhance_cli.controls import Controls, option_name
from enhance_cli.errors import UsageError
from enhance_cli.gallery import values

_STRENGTHS = {
    "clahe-adaptive": (("strength", 1.6),),
    "clode": (("time", 1.4),),
    "retinex": (("under", 1.4), ("over", 1.4)),
    "irle": (("exposure", 1.25),),
    "local": (("degree", 0.8),),
}
"""By method, the controls that make it stronger, with the factor; the inverse makes it gentler."""

_LEAST_TIME = 0.5
"""The smallest step of a control that may be near 0, where a factor has no effect."""


def choices_of(line: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The choices for redoing a photo, the most likely first.

    Args:
        line: its report line.

    Returns:
        Each has a `label`, the `method`, its `options` by name, and the `command` to display.
    """
    method = values.text(line.get("method"))
    found = []
    if method in methods.names():
        for label, stronger in (("stronger", True), ("gentler", False)):
            options = _own(method, values.mapping(line.get("controls")), values.mapping(line.get("plan")), stronger)
            if options is not None:
                found.append(_choice(label, method, options))
    for other in methods.names():
        if other != method and not methods.get(other).example:  # a method that needs a mask cannot run without one
            found.append(_choice("other method", other, {}))
    return found


def _choice(label: str, method: str, options: Mapping[str, Any]) -> dict[str, Any]:
    return {"label": label, "method": method, "options": dict(options), "command": command_of(method, options)}


def command_of(method: str, options: Mapping[str, Any]) -> str:
    """The command line of a method with options, without files."""
    words = ["enhance", method]
    for name, value in options.items():
        if value is True:
            words.append(option_name(name))
        elif value is not None and value is not False:
            words.append(f"{option_name(name)}={_spelled(value)}")
    return " ".join(map(shlex.quote, words))


def _spelled(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "x".join(f"{part:g}" for part in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _own(method: str, told: Mapping[str, Any], plan: Mapping[str, Any], stronger: bool) -> dict[str, Any] | None:
    """The options that a photo was made with, but stronger or gentler; None if nothing would change."""
    kept = {name: value for name, value in told.items() if value is not None and not isinstance(value, dict)}
    try:
        return _changed(method, json.dumps(kept), values.number(plan.get("time")), stronger)
    except (ValueError, RecursionError):
        return None


@cache
def _changed(method: str, told: str, time: float | None, stronger: bool) -> dict[str, Any] | None:
    controls = methods.get(method).controls
    defaults = controls().to_json() if _needs_nothing(controls) else {}
    given = {
        name: value
        for name, value in json.loads(told).items()
        if name in controls.knobs() and value != defaults.get(name)
    }
    given = {name: "x".join(map(str, value)) if isinstance(value, list) else value for name, value in given.items()}
    before = {**defaults, **given}
    changed = {}
    for name, factor in _STRENGTHS.get(method, ()):
        spec = controls.knobs().get(name)
        value = values.number(before.get(name))
        value = time if value is None and name == "time" else value
        if spec is None or value is None:
            continue
        target = value * (factor if stronger else 1 / factor)
        if name == "time" and abs(target - value) < _LEAST_TIME:
            target = value + (_LEAST_TIME if stronger else -_LEAST_TIME)
        low = spec.minimum if spec.minimum is not None else -3.0
        high = spec.maximum if spec.maximum is not None else 6.0
        target = round(min(max(target, low), high), 2)
        if target != value:
            changed[name] = target
    if not changed and not stronger:
        amount = values.number(before.get("amount"))
        changed = {"amount": round((1.0 if amount is None else amount) * 0.6, 2)}
    if not changed:
        return None
    options = {**given, **changed}
    try:
        controls(**options)
    except (UsageError, TypeError, ValueError):
        return None
    return options


def _needs_nothing(controls: type[Controls]) -> bool:
    try:
        controls()
    except UsageError:
        return False
    return True
