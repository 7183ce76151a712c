"""The methods, one folder each. They are found by listing the folders, so a new method is a new folder."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from enhance_cli.errors import UsageError
from enhance_cli.plan import Plan
from enhance_cli.types import Enhancer, Method

if TYPE_CHECKING:
    from enhance_cli.engines import Engine


@cache
def names() -> tuple[str, ...]:
    """Every method's id, sorted: the folder's name with `-` for `_`."""
    here = Path(__file__).parent
    return tuple(sorted(entry.parent.name.replace("_", "-") for entry in here.glob("*/__init__.py")))


def get(name: str) -> Method:
    """A method's declaration.

    Raises:
        UsageError: there is no such method.
    """
    if name not in names():
        raise UsageError(f"There is no method {name!r}; there are {', '.join(names())}.")
    return cast(Method, import_module(f"{__name__}.{name.replace('-', '_')}").METHOD)


def open_enhancer(method: Method, engine: Engine) -> Enhancer:
    """Import a method's Enhancer and bind it to an engine."""
    module, _, name = method.enhancer.partition(":")
    return cast(Enhancer, getattr(import_module(module), name)(engine))


def plan_kind(method: Method) -> type[Plan]:
    """A method's Plan class."""
    module, _, name = method.plan.partition(":")
    return cast(type[Plan], getattr(import_module(module), name))
