"""Compares settings: a few photos with each setting, in separate folders, and a gallery with a column for each."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enhance_cli.errors import EnhanceError, UsageError
from enhance_cli.gallery.build import Built, Column, build
from enhance_cli.gallery.choices import command_of
from enhance_cli.gallery.photos import Photo, read
from enhance_cli.gallery.previews import contents
from enhance_cli.imaging.previews import preview
from enhance_cli.pipeline.listener import Listener
from enhance_cli.pipeline.options import RunOptions
from enhance_cli.pipeline.run import Run, run
from enhance_cli.pipeline.shards import report_name
from enhance_cli.pipeline.summary import Summary

if TYPE_CHECKING:
    from enhance_cli.types import Array

ALLOWED = ("weights", "format", "quality", "strip")
"""The options that a setting may have besides those of its method."""

_HEIGHT = 480
"""Largest longer side of a photo on a sheet, in pixels."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting to try."""

    method: str
    values: Mapping[str, Any]
    """Options by name, as given."""

    typed: str
    """As the user typed it."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A finished comparison."""

    built: Built
    columns: list[Column]
    summaries: list[Summary]
    report: Path


def compare(
    photos: Sequence[str], folder: Path, settings: Sequence[Setting], shared: Mapping[str, Any], listener: Listener
) -> Compared:
    """Render photos with every setting, each in a separate folder, and build the gallery.

    Args:
        photos: inputs, as for a run.
        folder: the output folder of all.
        settings: what to try.
        shared: options of all runs: device, jobs, recursive.
        listener: receives the events of the runs.

    Raises:
        EnhanceError: a setting or an input cannot be used.
    """
    report = folder / report_name(None)
    columns: list[Column] = []
    summaries = []
    for asked, setting in _runs(photos, folder, settings, shared):
        summaries.append(run(asked, listener, alone=True))
        columns += _columns(asked, setting)
    return Compared(build(report, columns=columns, jobs=shared.get("jobs")), columns, summaries, report)


def _runs(
    photos: Sequence[str], folder: Path, settings: Sequence[Setting], shared: Mapping[str, Any]
) -> list[tuple[Run, Setting]]:
    """The run of every setting; all are checked before the first one starts.

    Raises:
        UsageError: an option belongs to no setting, or has no such value.
    """
    found = []
    for number, setting in enumerate(settings, 1):
        foreign = [name for name in setting.values if name in RunOptions.knobs() and name not in ALLOWED]
        if foreign:
            names = ", ".join("--" + name for name in ALLOWED)
            raise UsageError(
                f"--try {setting.typed!r}: --{foreign[0].replace('_', '-')} is not a setting; besides the options of "
                f"its method a setting can have {names}."
            )
        values = {**setting.values, **shared, "report": str(folder / report_name(None))}
        try:
            asked = Run.of(setting.method, [*photos, f"{folder / f'{number}-{setting.method}'}{os.sep}"], values)
        except EnhanceError as error:
            raise UsageError(f"--try {setting.typed!r}: {error}") from error
        found.append((asked, setting))
    return found


def _columns(asked: Run, setting: Setting) -> Iterator[Column]:
    """A column for each image that a setting produces."""
    folder = Path(os.path.abspath(asked.arguments[-1]))  # noqa: PTH100
    variants = asked.controls.variants()
    try:
        defaults = _told(type(asked.controls)())
    except UsageError:  # a method that cannot do without an option
        defaults = {}
    for ending, controls in variants:
        told = _told(controls)
        given = {name: value for name, value in told.items() if value != defaults.get(name)}
        others = {name: setting.values[name] for name in ALLOWED if name in setting.values}
        command = command_of(setting.method, given | others) if len(variants) > 1 else f"enhance {setting.typed}"
        label = setting.typed if len(variants) == 1 else f"{setting.method} {ending.removeprefix('_')}"
        yield Column(label, command, folder, told)


def _told(controls: Any) -> dict[str, Any]:
    """Controls as they appear in a report line that was read back."""
    told: dict[str, Any] = json.loads(json.dumps(controls.to_json()))
    return told


def sheet_rows(compared: Compared) -> list[list[tuple[str, Array]]]:
    """The rows of a contact sheet: the original of a photo and the result of every setting, each with a label."""
    rows: dict[str, dict[int, Photo]] = {}
    for photo in read([compared.report]):
        for place, column in enumerate(compared.columns):
            if column.holds(photo):
                rows.setdefault(str(photo.source), {})[place] = photo
    found = []
    for source, photos in rows.items():
        first = next(iter(photos.values()))
        cells = [(Path(source).name, _small(first.source))]
        cells += [
            (column.label, _small(photos[place].output) if place in photos else None)
            for place, column in enumerate(compared.columns)
        ]
        found.append([(label, picture) for label, picture in cells if picture is not None])
    return [row for row in found if row]


def _small(path: Path | None) -> Array | None:
    try:
        return None if path is None else preview(contents(path), _HEIGHT, source=str(path)).pixels
    except (OSError, ValueError, EnhanceError):
        return None
