"""Expands INPUT arguments (files, folders, globs, lists and stdin) to sources in a stable order."""

from __future__ import annotations

import codecs
import glob
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from enhance_cli.controls import limited, limited_file
from enhance_cli.errors import UsageError
from enhance_cli.imaging.codecs import format_of_suffix
from enhance_cli.pipeline.jobs import SortedNames
from enhance_cli.pipeline.names import natural
from enhance_cli.storage import is_url

STDIO = "-"

GALLERY = ".enhance-gallery"
"""The file that marks the folder of a gallery: its previews are not photos, and scans skip it."""

_FOREIGN = {".tga", ".jxr", ".wdp", ".hdp", ".dpx", ".fits"}
"""Suffixes of photos that no codec reads. In a folder they get a report line that says so."""


@dataclass(frozen=True, slots=True)
class Found:
    """A source and the path of its output below the output folder."""

    source: Path | None
    relative: Path
    frames: tuple[Path, ...] = ()
    in_folder: bool = False
    """Whether `relative` is its path below an INPUT that is a folder."""


Elsewhere = Callable[[str, Path | None, bool, list[str]], Iterator[Found] | None]
"""Sources that are not on the disk: called with an input, the output folder, `recursive` and `remarks`; None for an
input that is on the disk."""


def find(
    inputs: Sequence[str],
    output: Path | None,
    recursive: bool,
    remarks: list[str],
    elsewhere: Elsewhere = lambda *_: None,
) -> Iterator[Found]:
    """The sources of all inputs.

    Args:
        inputs: files, folders, globs, `-`, `@list`.
        output: the output folder, which is skipped; None if there is none.
        recursive: whether folders are read with their subfolders.
        remarks: receives sentences about what is left out.
        elsewhere: finds what is not on the disk.

    Raises:
        UsageError: none of the inputs exists, or a list or folder cannot be read.
    """
    excluded = _identity(output) if output is not None and output.is_dir() else None
    missing = []
    anything = False
    for text in inputs:
        if text == STDIO:
            anything = True
            yield Found(None, Path("stdin"))
        elif (objects := elsewhere(text, output, recursive, remarks)) is not None:
            anything = True
            yield from objects
        elif text.startswith("@") and not Path(text).exists():
            anything = True
            for line in _listed(text[1:]):
                if is_url(line):
                    raise UsageError(f"The list {text[1:]} names {line}; give URLs as INPUT, and paths in lists.")
                yield Found(Path(line), Path(Path(line).name))
        elif Path(text).is_dir():
            anything = True
            yield from _pictures_below(Path(text), excluded, recursive, remarks)
        elif glob.has_magic(text) and not os.path.lexists(text):
            anything = True
            matches = SortedNames()
            for match in _matches(Path(text).parts):
                if not os.path.isdir(match):  # noqa: PTH112 - a path that is no file either gets a report line
                    matches.append(match)
            count = 0
            for count, match in enumerate(matches, 1):  # noqa: B007 - counted
                yield Found(Path(match), Path(Path(match).name))
            if count == 0:
                remarks.append(f"Nothing matches {text}.")
        else:
            if not os.path.lexists(text):
                missing.append(text)
            yield Found(Path(text), Path(Path(text).name))
            anything = anything or text not in missing
    if missing and not anything:
        raise UsageError(f"{missing[0]} does not exist; give a file, a folder, a glob, @list.txt or -.")


def _listed(name: str) -> Iterator[str]:
    """Paths of a list file: NUL-separated if it contains a NUL, else one path per line."""
    try:
        data = limited(sys.stdin.buffer) if name == STDIO else limited_file(name)
    except OSError as error:
        raise UsageError(f"The list {name} cannot be read: {error.strerror}.") from error
    try:
        data = _without_mark(data)
    except UnicodeError as error:
        raise UsageError(f"The list {name} is marked as UTF-16, but is not: {error}.") from error
    separator = rb"[^\0]+" if b"\0" in data else rb"[^\r\n]+"
    for found in re.finditer(separator, data):
        if found[0].strip():
            yield os.fsdecode(found[0])


def _without_mark(data: bytes) -> bytes:
    """The bytes of a list without a byte order mark; UTF-16 is converted to UTF-8.

    Without a mark it is UTF-16 if most pairs of bytes are ASCII characters: a NUL-separated list looks like that only
    if its names are of one byte.
    """
    if len(data) % 2 == 0:
        for high, coding in ((1, "utf-16-le"), (0, "utf-16-be")):
            ascii_pairs = data[high::2].count(0) - data.count(b"\0\0")
            if ascii_pairs * 8 > 3 * len(data):
                return data.decode(coding, "surrogatepass").removeprefix("\ufeff").encode("utf-8", "surrogatepass")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "surrogatepass").encode("utf-8", "surrogatepass")
    return data.removeprefix(codecs.BOM_UTF8)


def _matches(rest: tuple[str, ...], there: Path = Path()) -> Iterator[str]:
    """Paths that match a glob; a name in it that exists exactly as written, brackets included, is taken literally.

    Args:
        rest: the parts of the pattern.
        there: the folder to search in.
    """
    while rest and os.path.lexists(there / rest[0]):
        there, rest = there / rest[0], rest[1:]
    # Up to and including the next name that may be literal, such as "album [2019]" below folders matched by a *.
    literal = next((at for at, name in enumerate(rest) if at > 0 and "[" in name and "**" not in rest[:at]), 0)
    if literal:
        for folder in _globbed(there, rest[:literal]):
            if os.path.isdir(folder):  # noqa: PTH112
                yield from _matches(rest[literal:], Path(folder))
        return
    yield from _globbed(there, rest)


def _globbed(there: Path, rest: tuple[str, ...]) -> Iterator[str]:
    literal = glob.escape(str(there)) if there.parts else ""
    return glob.iglob(os.path.join(literal, *rest), recursive=True)  # noqa: PTH118, PTH207 - may be absolute


def _pictures_below(
    root: Path, excluded: tuple[int, int] | None, recursive: bool, remarks: list[str]
) -> Iterator[Found]:
    """Images of a folder in sorted order; hidden files, other files and the output folder are skipped."""
    yield from photos_of(root, _walk(root, excluded), recursive, remarks)


def photos_of(
    root: Path, folders: Iterable[tuple[Iterable[str], Path]], recursive: bool, remarks: list[str]
) -> Iterator[Found]:
    """Photos of folders, each given by the names of its photos and its path below `root`; says what was not given."""
    count = deeper = 0
    for names, relative in folders:
        for name in names:
            if not recursive and relative.parts:
                deeper += 1
                continue
            count += 1
            yield Found(root / relative / name, relative / name, in_folder=True)
    remark(root, count, deeper, remarks)


def remark(root: Path, count: int, deeper: int, remarks: list[str]) -> None:
    """Say what a folder did not give: photos at all, or those in subfolders."""
    if count == 0 and deeper == 0:
        remarks.append(f"{root} holds no photos.")
    elif deeper:
        remarks.append(f"{counted(deeper)} in subfolders of {root} left out; use -r to include them.")


def is_photo(name: str) -> bool:
    """Whether a file of a folder is taken for a photo, by its name."""
    return format_of_suffix(Path(name)) is not None or Path(name).suffix.lower() in _FOREIGN


def _walk(root: Path, excluded: tuple[int, int] | None) -> Iterator[tuple[Iterable[str], Path]]:
    """(names of images, folder relative to the root), depth first, each directory once.

    A subfolder that cannot be listed is yielded as if it were an image, so that reading it fails and is reported.
    """
    pending = [Path()]
    while pending:
        relative = pending.pop()
        names, folders = SortedNames(), list[Path]()
        try:
            with os.scandir(root / relative) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        if entry.name == GALLERY:
                            names, folders = SortedNames(), list[Path]()
                            break
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if excluded is None or _identity(Path(entry.path)) != excluded:
                            folders.append(relative / entry.name)
                    elif is_photo(entry.name):
                        names.append(entry.name)
        except OSError as error:
            if relative == Path():
                raise UsageError(f"{root} cannot be read: {error.strerror}.") from error
            yield [relative.name], relative.parent
            continue
        yield names, relative
        pending += sorted(folders, key=lambda folder: natural(folder.name), reverse=True)


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def counted(count: int) -> str:
    """A number of them, in words."""
    return "1 photo" if count == 1 else f"{count} photos"
