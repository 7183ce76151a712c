"""Cases: the named settings of a method that benchmarks measure and that tables and sheets show.

A method's folder may hold `cases.py` with `CASES: tuple[Case, ...]`; it needs the standard library and this file only.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module, util
from typing import Any, NamedTuple

from enhance_cli import methods
from enhance_cli.controls import option_name

PAIRED = ("lol", "under", "over", "fivek", "under-fused", "over-fused")
"""Sets of pairs: photos and what they should look like."""

EVERYWHERE = (*PAIRED, "clean", "two-tone", "shade", "highlights", "skin", "empty-dark")
"""All sets of single photos without masks (benchmarks/lib/sets.py says what they are)."""


class Case(NamedTuple):
    """A named set of controls."""

    name: str
    """Unique within the method; shown after the method's name."""

    controls: Mapping[str, Any]
    sets: tuple[str, ...] = EVERYWHERE
    """The test sets that its quality is measured on."""

    shown: bool = False
    """Whether it has a row in docs/benchmarks.md; the first such case of a method is its column in sheets."""

    timed: bool = False
    """Whether its speed is measured."""

    sees_reference: bool = False
    """Whether it is also given the reference image, as `reference`: an upper bound, not a competitor."""


def options_of(controls: Mapping[str, Any]) -> list[str]:
    """Controls as command-line arguments."""
    words = []
    for name, value in controls.items():
        option = option_name(name)
        if isinstance(value, bool):
            words.append(option if value else option.replace("--", "--no-", 1))
        else:
            words.append(f"{option}={value}")
    return words


def cases_of(name: str) -> tuple[Case, ...]:
    """The cases of a method; without a `cases.py`, a single case with the default controls.

    Raises:
        UsageError: there is no such method.
    """
    method = methods.get(name)
    module = method.module("cases")
    if util.find_spec(module) is None:
        return (Case("", dict(method.example), shown=True, timed=True),)
    found: tuple[Case, ...] = import_module(module).CASES
    return found
