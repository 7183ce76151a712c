"""A declaration of what the report says becomes a schema that refuses everything else."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

import jsonschema
import pytest

from enhance_cli.report_fields import Count, Items, Length, Pair, Positive, Share, Within, schema_of


class Part(TypedDict):
    """A part."""

    weight: Share
    """Its weight."""


class Told(TypedDict):
    """What is told."""

    size: Pair
    """[height, width]."""

    mode: Literal["a", "b"] | None
    """How."""

    steps: Count
    """How many."""

    above: Annotated[float, Within(above=0, maximum=1)]
    """A number with
    two bounds."""

    points: list[Annotated[list[float], Items((float, Share))]]
    """[time, mean]."""

    parts: Annotated[list[Part], Length(1)]
    """All parts."""

    means: dict[Literal["before", "after"], float | None]
    """Means."""

    later: NotRequired[list[Positive] | None]
    """Missing earlier."""


GOOD: dict[str, Any] = {
    "size": [3, 4],
    "mode": "a",
    "steps": 0,
    "above": 1.0,
    "points": [[0.0, 0.5]],
    "parts": [{"weight": 1}],
    "means": {"before": 0.5, "after": None},
    "later": [1, 2],
}

WRONG: list[tuple[str, Any]] = [
    ("size", [3]),
    ("size", [3, 4, 5]),
    ("size", [0, 4]),
    ("size", [3.5, 4]),
    ("mode", "c"),
    ("steps", -1),
    ("above", 0),
    ("above", 1.01),
    ("points", [[0.0, 1.5]]),
    ("points", [[0.0]]),
    ("points", [[0.0, 0.5, 0.5]]),
    ("parts", []),
    ("parts", [{}]),
    ("parts", [{"weight": "1"}]),
    ("means", {"before": 0.5}),
    ("means", {"before": 0.5, "after": "dark"}),
    ("later", 3),
]


def test_what_fits_is_taken() -> None:
    schema = schema_of(Told)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(GOOD, schema)
    jsonschema.validate({name: value for name, value in GOOD.items() if name != "later"} | {"mode": None}, schema)


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_what_does_not_fit_is_refused(name: str, value: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(GOOD | {name: value}, schema_of(Told))


@pytest.mark.parametrize("name", sorted(GOOD.keys() - {"later"}))
def test_what_is_missing_is_missed(name: str) -> None:
    with pytest.raises(jsonschema.ValidationError, match=name):
        jsonschema.validate({key: value for key, value in GOOD.items() if key != name}, schema_of(Told))


def test_docstrings_are_descriptions_in_order() -> None:
    schema = schema_of(Told)
    assert schema["description"] == "What is told."
    assert list(schema["properties"]) == list(GOOD)
    assert schema["properties"]["above"]["description"] == "A number with two bounds."
    assert schema["properties"]["parts"]["items"]["properties"]["weight"]["description"] == "Its weight."


def test_a_field_without_a_docstring_is_named() -> None:
    class Silent(TypedDict):
        told: Share

    with pytest.raises(TypeError, match=r"Silent\.told lacks a docstring"):
        schema_of(Silent)
