"""Checks that values read from a file are valid for the fields of a Plan.

Kernels are compiled without bounds checks: an array of the wrong shape, or a NaN where they compute an index, makes
them read out of bounds. So the whole plan is checked before any kernel sees it.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

LARGEST = 1e9
"""Largest allowed magnitude: sums of products of two such numbers stay finite in float32, so no NaN arises."""


class Shaped(NamedTuple):
    """Allowed dtype and shape of an array of a plan."""

    dtype: str
    shape: tuple[int | str, ...]
    """Lengths: numbers or names. Equal names mean equal lengths; the name of a field means its value."""

    least: int = 1
    """The smallest length that a name may stand for."""

    or_empty: bool = False
    """Whether it may be empty instead: any number of dimensions, one of them 0."""


def fault_of(plan: type, values: Mapping[str, Any], arrays: Mapping[str, tuple[Shaped, ...]]) -> str:
    """Why values are not valid fields of a plan; empty if they are.

    Args:
        plan: a dataclass.
        values: by field name.
        arrays: for each array field, its allowed dtypes and shapes.
    """
    hints = typing.get_type_hints(plan, localns={"Array": np.ndarray, "Shaped": Shaped})
    fields = {item.name: item for item in dataclasses.fields(plan)}
    for name in values:
        if name not in fields:
            return f"it holds {name[:40]!r}"
    for name, item in fields.items():
        if name in values:
            if not _is_of(values[name], hints[name]):
                return f"its {name} has another type"
        elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            return f"it lacks {name!r}"
    lengths = {name: value for name, value in values.items() if isinstance(value, int)}
    if any(lengths.get(name, 1) < 1 for name in ("height", "width")):
        return "it is of an image without pixels"
    for name, ways in arrays.items():
        if values.get(name) is None:  # only if the field may be None, as checked above
            continue
        wrong = _fault_of_array(values[name], ways, lengths)
        if wrong:
            return f"its {name} {wrong}"
    return ""


def _is_of(value: Any, hint: Any) -> bool:
    """Whether a value and everything in it are of the declared type; numbers must be finite."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return any(_is_of(value, choice) for choice in inner)
    if origin is typing.Literal:
        return isinstance(value, str) and value in inner
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        wanted = (inner[0],) * len(value) if len(inner) == 2 and inner[1] is ... else inner
        return len(value) == len(wanted) and all(map(_is_of, value, wanted))
    if hint is types.NoneType:
        return value is None
    if hint in (int, float) and not isinstance(value, bool):
        kinds = (int, float) if hint is float else (int,)
        return isinstance(value, kinds) and math.isfinite(value) and abs(value) <= LARGEST
    return isinstance(value, hint) and not (isinstance(value, bool) and hint is not bool)


def _fault_of_array(array: np.ndarray[Any, Any], ways: tuple[Shaped, ...], lengths: dict[str, int]) -> str:
    """The same for one array; the lengths that names stand for are added to `lengths`."""
    for way in ways:
        if array.dtype != way.dtype or not ((way.or_empty and array.size == 0) or _fits(array.shape, way, lengths)):
            continue
        small = array.dtype.kind != "f" or bool((np.abs(array) <= LARGEST).all())  # False for NaN
        return "" if small else "holds what is no number, or a huge one"
    return f"is {'x'.join(map(str, array.shape)) or 'one number'} of {array.dtype}"


def _fits(shape: tuple[int, ...], way: Shaped, lengths: dict[str, int]) -> bool:
    if len(shape) != len(way.shape):
        return False
    found = dict(lengths)
    for length, wanted in zip(shape, way.shape, strict=True):
        if isinstance(wanted, int):
            if length != wanted:
                return False
        elif found.setdefault(wanted, length) != length or length < way.least:
            return False
    lengths.update(found)
    return True
