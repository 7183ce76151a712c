"""The previews of a gallery: made once for every state of a file, so that a build continues where it was stopped.

A preview is named by a digest of its file's path, size and time. What was measured (the histograms of luma) is appended
to a file of JSON lines, one for each photo, after its previews are in place: a photo with a line is done.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import cv2
import numpy as np

from enhance_cli.errors import EnhanceError, OutputError, UsageError
from enhance_cli.gallery.photos import Photo
from enhance_cli.imaging import atomic
from enhance_cli.imaging.previews import as_jpeg, preview, reduced

if TYPE_CHECKING:
    from enhance_cli.types import Array

LONGEST = 1280
"""Pixels of a preview's longer side."""

THUMBNAIL = 320
"""Pixels of a thumbnail's longer side."""

_QUALITY, _THUMBNAIL_QUALITY = 84, 76
_BINS = 64

FOLDER = "previews"
MEASURED = "measured.jsonl"
_SUFFIX = ".jpg"


@dataclass(frozen=True, slots=True)
class Made:
    """The result for one photo."""

    facts: dict[str, Any]
    """`before`, `after` (names of previews, or null), `thumbnail`, `maps`, `missing`, `histogram`, `change`, `size`."""

    anew: bool
    """Whether anything was made; otherwise everything existed."""


class Previews:
    """The folder of previews below a gallery, and the file of measurements. A context manager."""

    def __init__(self, gallery: Path) -> None:
        """Create the folder and lock the file, so that two builds do not write to it at once.

        Raises:
            OutputError: the folder cannot be written, or another build is writing it.
        """
        self._folder = gallery / FOLDER
        atomic.make_folder(self._folder)
        self._file: BinaryIO
        path = gallery / MEASURED
        try:
            self._file = path.open("ab+")
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror}.") from error
        if not atomic.try_lock(self._file):
            self._file.close()
            raise OutputError(f"Another build is writing {gallery}; wait for it, or give another folder with --to.")
        self._path = path
        self._known = self._read()
        self._appending = threading.Lock()
        self._used: set[str] = set()

    def _read(self) -> dict[str, dict[str, Any]]:
        self._file.seek(0)
        known = {}
        for line in self._file:
            with suppress(ValueError, LookupError, TypeError):
                entry = json.loads(line)
                known[str(entry["of"])] = dict(entry["facts"])
        return known

    def make(self, photo: Photo) -> Made:
        """Make the missing previews of a photo; from any thread.

        Raises:
            OutputError: the disk is full.
        """
        states = [_state_of(photo.source), _state_of(photo.output), *(_state_of(path) for _, path in photo.maps)]
        of = _digest(photo.key, *states)
        facts = self._known.get(of)
        if facts is not None and self._has(facts):
            self._use(facts)
            return Made(facts, anew=False)
        facts = self._made(photo, states)
        self._use(facts)
        entry = json.dumps({"of": of, "facts": facts}, separators=(",", ":")).encode() + b"\n"
        with self._appending:
            try:
                self._file.write(entry)
                self._file.flush()
            except OSError as error:
                raise OutputError(f"{self._path} cannot be written: {error.strerror}.") from error
        return Made(facts, anew=True)

    def _made(self, photo: Photo, states: list[str]) -> dict[str, Any]:
        missing: dict[str, str] = {}
        before = self._side("source", photo.source, missing)
        same = photo.output is not None and photo.output == photo.source
        after = None if same else self._side("output", photo.output, missing)
        if same:
            missing["source"] = "It was replaced in place; its original is not shown."
            before, after = None, before
        shown = after if after is not None else before
        maps = []
        for (name, path), state in zip(photo.maps, states[2:], strict=True):
            drawn = self._side(name, path, {})
            if drawn is not None:
                maps.append([name, self._write(drawn.pixels, _digest(str(path), state), _QUALITY)])
        histogram: dict[str, list[int]] = {}
        lumas = {}
        for when, side in (("before", before), ("after", after)):
            if side is not None:
                lumas[when] = cv2.cvtColor(side.pixels, cv2.COLOR_RGB2GRAY)
                histogram[when] = _histogram(lumas[when])
        return {
            "before": before and self._write(before.pixels, _digest("before", str(photo.source), states[0]), _QUALITY),
            "after": after and self._write(after.pixels, _digest("after", str(photo.output), states[1]), _QUALITY),
            "thumbnail": shown
            and self._write(
                reduced(shown.pixels, THUMBNAIL), _digest("thumbnail", photo.key, *states[:2]), _THUMBNAIL_QUALITY
            ),
            "maps": maps,
            "missing": missing,
            "histogram": histogram or None,
            "change": _change(lumas.get("before"), lumas.get("after")),
            "size": shown and [shown.width, shown.height],
        }

    def _side(self, what: str, path: Path | None, missing: dict[str, str]) -> Any:
        """A preview's pixels; None if there is no such image, with the reason in `missing`."""
        if path is None:
            missing[what] = f"No {what} file: it came from or went into a pipe, or the photo failed."
            return None
        try:
            return preview(contents(path), LONGEST, source=str(path))
        except FileNotFoundError:
            missing[what] = f"The {what} is not there: {path}"
        except OSError as error:
            missing[what] = f"The {what} {path} cannot be read: {error.strerror}."
        except ValueError:
            missing[what] = f"The {what} has no possible name: {path}"
        except EnhanceError as error:
            missing[what] = str(error)
        return None

    def _write(self, pixels: Array, name: str, quality: int) -> str:
        """Write a file under its final name; unsynced, because previews lost in a crash are made again."""
        target = self._folder / f"{name}{_SUFFIX}"
        data = as_jpeg(pixels, quality)
        try:
            descriptor, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=self._folder)
            with open(descriptor, "wb") as file:  # noqa: PTH123 - it is open already
                file.write(data)
            os.chmod(temporary, 0o644)  # noqa: PTH101
            Path(temporary).replace(target)
        except OSError as error:
            raise OutputError(f"{target} cannot be written: {error.strerror}.") from error
        return target.name

    def _names(self, facts: dict[str, Any]) -> list[str]:
        drawn = [name for _, name in facts.get("maps") or ()]
        return [name for name in (facts["before"], facts["after"], facts["thumbnail"], *drawn) if name]

    def _has(self, facts: dict[str, Any]) -> bool:
        try:
            return all((self._folder / name).stat().st_size > 0 for name in self._names(facts))
        except (OSError, LookupError, TypeError):
            return False

    def _use(self, facts: dict[str, Any]) -> None:
        self._used.update(self._names(facts))

    def sweep(self) -> None:
        """Remove the previews that no photo uses any more, after all were made."""
        for path in self._folder.iterdir():
            if path.name not in self._used and path.suffix in (_SUFFIX, ".tmp"):
                with suppress(OSError):
                    path.unlink()

    def __enter__(self) -> Previews:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def refuse_foreign(gallery: Path, marker: str) -> None:
    """Check that a gallery may be written at a path: there is nothing, an empty folder, or a gallery.

    Raises:
        UsageError: there is something else.
    """
    if not os.path.lexists(gallery) or (gallery / marker).exists():
        return
    if not gallery.is_dir():
        raise UsageError(f"{gallery} is a file, and a gallery is a folder; name another with --to.")
    if any(gallery.iterdir()):
        raise UsageError(f"{gallery} is not the folder of a gallery, so it is left alone; name another with --to.")


def _state_of(path: Path | None) -> str:
    try:
        status = None if path is None else path.stat()
    except (OSError, ValueError):
        status = None
    return "" if status is None else f"{status.st_size}-{status.st_mtime_ns}"


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=10).hexdigest()


def _histogram(luma: Array) -> list[int]:
    """Counts of 64 levels of luma (H×W, uint8), in thousandths of the largest."""
    counts = cv2.calcHist([luma], [0], None, [_BINS], [0, 256]).ravel()
    return [int(count) for count in np.rint(1000 * counts / max(1.0, counts.max()))]


def _change(before: Array | None, after: Array | None) -> float | None:
    """Mean difference of luma from 0 to 1; None where one of them is missing."""
    if before is None or after is None:
        return None
    if before.shape != after.shape:
        after = cv2.resize(after, before.shape[::-1], interpolation=cv2.INTER_AREA)
    return round(float(cv2.absdiff(before, after).mean()) / 255, 5)


def contents(path: Path) -> bytes:
    """All bytes of a file.

    Raises:
        OSError: it cannot be read, or is a pipe, which could block forever, or a device, which may have no end.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return path.read_bytes()
