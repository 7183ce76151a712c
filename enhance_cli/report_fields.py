"""The report fields of a method's plan, declared once: a TypedDict with a docstring below every field.

`Plan.describe` returns such a TypedDict. docs/generate.py makes the method's part of docs/report.schema.json and of
docs/report.md from its annotations and docstrings, and tests check every plan against them.
"""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired, Union, get_args, get_origin


@dataclass(frozen=True, slots=True)
class Within:
    """The range of a number."""

    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    """An exclusive lower bound."""

    def to_schema(self) -> dict[str, Any]:
        """The keywords of JSON Schema."""
        bounds = {"minimum": self.minimum, "exclusiveMinimum": self.above, "maximum": self.maximum}
        return {name: bound for name, bound in bounds.items() if bound is not None}


@dataclass(frozen=True, slots=True)
class Length:
    """How many items a list has."""

    least: int
    most: int | None = None

    def to_schema(self) -> dict[str, Any]:
        """The keywords of JSON Schema."""
        return {"minItems": self.least} | ({} if self.most is None else {"maxItems": self.most})


@dataclass(frozen=True, slots=True)
class Items:
    """The types of a list's items, one by one."""

    kinds: tuple[Any, ...]

    def to_schema(self) -> dict[str, Any]:
        """The keywords of JSON Schema."""
        count = len(self.kinds)
        return {"prefixItems": [schema_of(kind) for kind in self.kinds], "minItems": count, "items": False}


Share = Annotated[float, Within(0, 1)]
NotNegative = Annotated[float, Within(0)]
Count = Annotated[int, Within(0)]
Positive = Annotated[int, Within(1)]
Pair = Annotated[list[Positive], Length(2, 2)]
"""A list of two: rows and columns, or height and width."""

_TYPES = {float: "number", int: "integer", bool: "boolean", str: "string"}


def schema_of(kind: Any) -> dict[str, Any]:
    """The JSON Schema of values of an annotated type.

    Args:
        kind: a TypedDict, a list, a dict whose keys are a Literal or whose values are Any, a number, text, a bool or a
            Literal; each may be Annotated with the classes above, or be optional.

    Raises:
        TypeError: a field of a TypedDict has no docstring.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        schema = schema_of(inner[0])
        for mark in inner[1:]:
            schema |= mark.to_schema()
        return schema
    if origin in (types.UnionType, Union):
        (other,) = (choice for choice in inner if choice is not types.NoneType)
        return {"oneOf": [{"type": "null"}, schema_of(other)]}
    if origin is Literal:
        return {"enum": list(inner)}
    if origin is list:
        return {"type": "array", "items": schema_of(inner[0])}
    if origin is dict and inner[1] is Any:
        return {"type": "object"}
    if origin is dict:
        return {"type": "object", "required": list(get_args(inner[0])), "additionalProperties": schema_of(inner[1])}
    if typing.is_typeddict(kind):
        return _schema_of_fields(kind)
    return {"type": _TYPES[kind]}


def _schema_of_fields(kind: type) -> dict[str, Any]:
    meanings, hints = _docstrings(kind), typing.get_type_hints(kind, include_extras=True)
    required, properties = [], {}
    for name, hint in hints.items():
        if name not in meanings:
            raise TypeError(f"{kind.__name__}.{name} lacks a docstring below it, which says what it means.")
        if get_origin(hint) is not NotRequired:
            required.append(name)
        field = get_args(hint)[0] if get_origin(hint) is NotRequired else hint
        properties[name] = schema_of(field) | {"description": meanings[name]}
    meaning = " ".join((kind.__doc__ or "").split())
    return {"description": meaning, "type": "object", "required": required, "properties": properties}


def _docstrings(kind: type) -> dict[str, str]:
    """The docstrings below the fields of a class, by field; Python keeps them in the source only."""
    import ast
    import inspect
    from itertools import pairwise
    from textwrap import dedent

    definition = ast.parse(dedent(inspect.getsource(kind))).body[0]
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for item, below in pairwise(definition.body):
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and isinstance(below, ast.Expr):
            found[item.target.id] = " ".join(str(ast.literal_eval(below.value)).split())
    return found


def report_of(plan: type) -> type:
    """The TypedDict that a Plan's `describe` returns."""
    return typing.cast(type, typing.get_type_hints(vars(plan)["describe"])["return"])
