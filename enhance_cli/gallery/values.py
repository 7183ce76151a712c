"""Reads values from report lines defensively: reports may be edited, damaged or malicious."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

LONGEST = 2000
"""Characters of a text that are kept."""

_SHORT = 120
"""Characters of a value in a table."""


def text(value: object, longest: int = LONGEST) -> str:
    """A text, shortened; empty for anything else."""
    if not isinstance(value, str):
        return ""
    return value if len(value) <= longest else value[:longest] + "…"


def texts(value: object, most: int = 50) -> list[str]:
    """The texts of a list."""
    return [text(item) for item in value[:most] if isinstance(item, str)] if isinstance(value, list) else []


def number(value: object) -> float | None:
    """A finite number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        value = float(value)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


def whole(value: object) -> int | None:
    """An integer in the range of file sizes and times; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63 else None


def numbers(value: object) -> dict[str, float]:
    """The numbers of an object, by name."""
    found = {text(name, _SHORT): number(item) for name, item in mapping(value).items()}
    return {name: item for name, item in found.items() if item is not None}


def mapping(value: object) -> Mapping[str, Any]:
    """An object; empty for anything else."""
    return value if isinstance(value, dict) else {}


def shown(value: object) -> str:
    """A value of any kind for a table, in a few characters."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if isinstance(value, str):
        return text(value, _SHORT)
    if isinstance(value, int | float):
        finite = number(value)
        return "not a number" if finite is None else f"{finite:.6g}"
    if isinstance(value, list) and len(value) <= 4 and not any(isinstance(item, list | dict) for item in value):
        return ", ".join(map(shown, value))
    return f"{len(value)} values" if isinstance(value, list | dict) else ""
