"""Builds a gallery: previews of every photo of a report, made on all cores, and then the page that shows them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enhance_cli.gallery import page
from enhance_cli.gallery.choices import choices_of
from enhance_cli.gallery.photos import Photo, read, record_of, reports_of
from enhance_cli.gallery.previews import FOLDER, Made, Previews, refuse_foreign
from enhance_cli.gallery.summary import summarise
from enhance_cli.imaging import atomic
from enhance_cli.pipeline.inputs import GALLERY

PAGE = "index.html"
_WHY = b"A gallery that enhance made: scans of folders leave it out. It can be deleted as a whole.\n"


@dataclass(frozen=True, slots=True)
class Column:
    """A setting in a comparison: what a line must contain to belong to it."""

    label: str
    command: str
    folder: Path
    controls: dict[str, Any]

    def holds(self, photo: Photo) -> bool:
        """Whether a photo was made with this setting."""
        below = photo.output is not None and photo.output.is_relative_to(self.folder)
        return below and photo.line.get("controls") == self.controls


@dataclass(frozen=True, slots=True)
class Built:
    """A gallery that was built."""

    page: Path
    photos: int
    made: int
    """Photos whose previews were made; the others had previews."""

    missing: int
    """Photos whose source or output cannot be shown."""


def build(
    place: Path,
    to: Path | None = None,
    *,
    jobs: int | None = None,
    columns: Sequence[Column] = (),
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> Built:
    """Build the gallery of a run, or bring it up to date.

    Args:
        place: the output folder of a run, or its report.
        to: the folder of the gallery; `gallery` beside the report if not given.
        jobs: threads; one per core if not given.
        columns: the settings that are compared, for a page with a column for each.
        advance: called with (photos done, all photos) as the build goes on.

    Raises:
        UsageError: there is no report, or something else is where the gallery would be.
        UnreadableSource: a report cannot be read.
        OutputError: the gallery cannot be written.
    """
    from enhance_cli.engines.cpu import available_cores

    page.require()
    reports = reports_of(place)
    gallery = Path(os.path.abspath(to or (place if place.is_dir() else place.parent) / "gallery"))  # noqa: PTH100
    refuse_foreign(gallery, GALLERY)
    photos = read(reports)
    if columns:
        photos = [photo for photo in photos if any(column.holds(photo) for column in columns)]
    atomic.make_folder(gallery)
    if not (gallery / GALLERY).exists():
        atomic.write_atomically(gallery / GALLERY, _WHY)
    with Previews(gallery) as previews, _single_threaded(), ThreadPoolExecutor(jobs or available_cores()) as pool:
        pending = pool.map(previews.make, photos)
        made: list[Made] = []
        try:
            for result in pending:
                made.append(result)
                advance(len(made), len(photos))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        records = [
            _with_previews(record_of(photo, gallery), photo, item.facts)
            for photo, item in zip(photos, made, strict=True)
        ]
        _place_in_columns(records, photos, columns)
        atomic.write_atomically(gallery / PAGE, page.gallery(_data(place, reports, records, columns), _figures(photos)))
        previews.sweep()
    unseen = sum(bool(item.facts["missing"]) for item in made)
    return Built(gallery / PAGE, len(photos), sum(item.anew for item in made), unseen)


def _figures(photos: Sequence[Photo]) -> Any:
    return summarise((photo.name, {**photo.line, "verdict": photo.value_of("verdict")}) for photo in photos)


def _data(
    place: Path, reports: Sequence[Path], records: list[dict[str, Any]], columns: Sequence[Column]
) -> dict[str, Any]:
    """The data for the page's script."""
    folder = os.path.abspath(place if place.is_dir() else place.parent)  # noqa: PTH100
    return {
        "title": Path(folder).name or folder,
        "folder": folder,
        "reports": [os.path.abspath(report) for report in reports],  # noqa: PTH100
        "storage": hashlib.blake2b(folder.encode(errors="surrogatepass"), digest_size=8).hexdigest(),
        "columns": [{"label": column.label, "command": column.command} for column in columns],
        "photos": records,
    }


def _with_previews(record: dict[str, Any], photo: Photo, facts: dict[str, Any]) -> dict[str, Any]:
    def address(name: str | None) -> str:
        return f"./{FOLDER}/{name}" if name else ""

    record["size"] = record["size"] or facts["size"]
    return record | {
        "before": address(facts["before"]),
        "after": address(facts["after"]),
        "thumbnail": address(facts["thumbnail"]),
        "maps": [[name, address(file)] for name, file in facts["maps"]],
        "missing": facts["missing"],
        "histogram": facts["histogram"],
        "change": facts["change"],
        "redo": choices_of(photo.line),
    }


def _place_in_columns(records: list[dict[str, Any]], photos: Sequence[Photo], columns: Sequence[Column]) -> None:
    """Give every record of a comparison its row (the source) and its column."""
    for record, photo in zip(records, photos, strict=True):
        if columns:
            record["row"] = str(photo.source)
            record["column"] = next((at for at, column in enumerate(columns) if column.holds(photo)), None)


class _single_threaded:  # noqa: N801 - a context manager
    """OpenCV without its own threads: every photo has a thread already."""

    def __enter__(self) -> None:
        import cv2

        self._before = cv2.getNumThreads()
        cv2.setNumThreads(1)

    def __exit__(self, *_: object) -> None:
        import cv2

        cv2.setNumThreads(self._before)
