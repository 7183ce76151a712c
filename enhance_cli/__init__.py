"""Brighten and clarify photos with published methods.

    import enhance_cli as enhance

    summary = enhance.run("clode", ["in", "out"], time="auto", recursive=True)

    with enhance.open("clahe-adaptive") as method:
        result = method.enhance("photo.jpg", grid=(8, 8))
        result.save("enhanced.jpg")

`run` does what the command line does, including restarts, the report and atomic writing. `open` gives a method for
single images, arrays and iterators of files. Failures are raised as `EnhanceError` with a one-sentence message.

Names are resolved on first use: importing the package loads neither numpy nor any engine.
"""

from __future__ import annotations

import os as _os
from typing import TYPE_CHECKING, Any

# From version 1.29 on ONNX Runtime sends usage data, and leaves an identifier in the home folder, unless this is set
# before it is loaded. Nothing about the user's photos may leave the machine.
_os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from enhance_cli.errors import (
        CorruptPicture,
        DeviceError,
        EnhanceError,
        MissingSource,
        OutputError,
        PhotographError,
        PictureTooLarge,
        UnsupportedFormat,
        UsageError,
        WeightsError,
    )
    from enhance_cli.pipeline.listener import Listener, Silent
    from enhance_cli.pipeline.opened import Failure, Opened, Result
    from enhance_cli.pipeline.summary import Summary
    from enhance_cli.types import Image

__all__ = [
    "CorruptPicture",
    "DeviceError",
    "EnhanceError",
    "Failure",
    "Image",
    "Listener",
    "MissingSource",
    "Opened",
    "OutputError",
    "PhotographError",
    "PictureTooLarge",
    "Result",
    "Silent",
    "Summary",
    "UnsupportedFormat",
    "UsageError",
    "WeightsError",
    "__version__",
    "enhance",
    "method_names",
    "open",
    "run",
]

_HOMES = {
    "Failure": "pipeline.opened",
    "Image": "types",
    "Listener": "pipeline.listener",
    "Opened": "pipeline.opened",
    "Result": "pipeline.opened",
    "Silent": "pipeline.listener",
    "Summary": "pipeline.summary",
}


def run(method: str, arguments: Iterable[str | Path], *, listener: Listener | None = None, **options: Any) -> Summary:
    """Enhance files and folders as `enhance METHOD ARGUMENTS` does.

    Args:
        method: the id of the method, such as `clode`.
        arguments: inputs, and last the output: files, folders, globs.
        listener: receives progress and remarks during the run.
        options: the options of the command by name, with `_` for `-`: `time="auto"`, `recursive=True`.

    Returns:
        Counts of photos by result; the report has a line for each photo.

    Raises:
        EnhanceError: the run as a whole cannot continue; photos that fail are only counted in the summary.
    """
    from enhance_cli.errors import UsageError
    from enhance_cli.pipeline.run import Run
    from enhance_cli.pipeline.run import run as do

    try:
        asked = Run.of(method, arguments, options)
        summary = do(asked, listener)
        if asked.options.gallery and summary.report is not None:
            from pathlib import Path

            from enhance_cli.gallery.build import build

            build(Path(summary.report), jobs=asked.options.jobs)
        return summary
    except UsageError as error:
        raise error.in_python() from None


def open(method: str, *, device: str = "auto", threads: int | None = None, weights: str | Path | None = None) -> Opened:
    """Open a method on a device: see `Opened`."""
    from enhance_cli.pipeline.opened import Opened

    return Opened(method, device=device, threads=threads, weights=weights)


def enhance(
    picture: Any,
    method: str = "clahe-adaptive",
    *,
    device: str = "auto",
    weights: str | Path | None = None,
    **controls: Any,
) -> Result:
    """Open a method, enhance one image and close it: see `Opened.enhance`."""
    with open(method, device=device, weights=weights) as opened:
        return opened.enhance(picture, **controls)


def method_names() -> tuple[str, ...]:
    """The ids of all methods."""
    from enhance_cli import methods

    return methods.names()


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "__version__":
        from importlib.metadata import version

        return version("enhance-cli")
    if name in _HOMES or name in __all__:
        return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
