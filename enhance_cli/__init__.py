"""Brighten and clarify photographs with published methods.

    import enhance_cli

    result = enhance_cli.open("clahe-adaptive").enhance(array, grid=(8, 8))
    result.array, result.report["plan"]["clip_limits"]

Names are resolved on first use: importing the package loads neither numpy nor any engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from enhance_cli.pipeline.opened import Opened, Result
    from enhance_cli.types import Image

__all__ = ["Image", "Opened", "Result", "__version__", "enhance", "method_names", "open"]

_HOMES = {"Opened": "pipeline.opened", "Result": "pipeline.opened", "Image": "types"}


def open(method: str, *, device: str = "auto", threads: int | None = None) -> Opened:
    """Open a method on a device: see `Opened`."""
    from enhance_cli.pipeline.opened import Opened

    return Opened(method, device=device, threads=threads)


def enhance(picture: Any, method: str = "clahe-adaptive", *, device: str = "auto", **controls: Any) -> Result:
    """Enhance one picture with a method opened for the occasion: see `Opened.enhance`."""
    with open(method, device=device) as opened:
        return opened.enhance(picture, **controls)


def method_names() -> tuple[str, ...]:
    """The ids of the methods there are."""
    from enhance_cli import methods

    return methods.names()


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "__version__":
        from importlib.metadata import version

        return version("enhance-cli")
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
