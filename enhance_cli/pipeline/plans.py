"""Plans as files: one for every image (`--save-plans`), or one for all images (`--plan`)."""

from __future__ import annotations

import os
from pathlib import Path

from enhance_cli import methods
from enhance_cli.controls import limited_file
from enhance_cli.errors import UnfitPlan, UsageError
from enhance_cli.plan import Plan
from enhance_cli.types import Image, Method

SUFFIX = ".plan.npz"


def plan_path(folder: Path, target: Path, root: Path | None) -> Path:
    """The path of an output's plan: `<folder>/<output below the output folder>.plan.npz`."""
    inside = root is not None and target.is_relative_to(root)
    relative = os.path.relpath(target, root) if inside else target.name
    return folder / f"{relative}{SUFFIX}"


def load_plan(path: Path, method: Method) -> Plan:
    """Read a plan that a run of this method saved.

    Raises:
        UsageError: the file cannot be read, is not a plan, or is a plan of another method.
    """
    try:
        data = limited_file(path)
    except OSError as error:
        raise UsageError(f"The plan {path} cannot be read: {error.strerror}.") from error
    try:
        return methods.plan_kind(method).from_bytes(data)
    except (UsageError, TypeError) as error:
        raise UsageError(f"--plan {path}: {error}") from error


def check_fit(plan: Plan, image: Image) -> None:
    """Check that a plan was made for this many exposures and this size; a plan without a size fits any image.

    Raises:
        UnfitPlan: the number of exposures or the size differs.
    """
    given = 1 + len(image.frames)
    if plan.exposures != given:
        raise UnfitPlan(
            f"{image.metadata.source or 'The photo'} is made of {_exposures(given)}, and the plan was made for "
            f"{_exposures(plan.exposures)}; give a plan made for as many."
        )
    size = plan.size
    if size is not None and size != (image.height, image.width):
        raise UnfitPlan(
            f"{image.metadata.source or 'The photo'} has {image.width}x{image.height} pixels, and the plan was made "
            f"for {size[1]}x{size[0]}; give a plan made for this size."
        )


def _exposures(count: int) -> str:
    return "1 exposure" if count == 1 else f"{count} exposures"
