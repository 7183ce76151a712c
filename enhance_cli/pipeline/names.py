"""The order of names: numbers in them sort as numbers, as people and file managers expect."""

from __future__ import annotations

import re

_DIGITS = re.compile("([0-9]+)")


def natural(name: str) -> tuple[tuple[str | int, ...], str]:
    """A sorting key by which IMG_2 comes before IMG_10; names that differ in leading zeros alone go by their text."""
    parts: list[str | int] = [*_DIGITS.split(name)]
    parts[1::2] = [int(digits) for digits in parts[1::2]]
    return tuple(parts), name
