"""The options of methods and runs as values: declared once, they become options, keyword arguments and report fields.

Importing this module costs nothing: `enhance --help` reads every method's `Controls`.
"""

from __future__ import annotations

import dataclasses
import errno
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal

from enhance_cli.errors import UsageError
from enhance_cli.types import SourceName, without_suffix

LARGEST = 1 << 30
"""Bytes of the largest file of options that is read: a list of about ten million photos."""


def limited(file: BinaryIO) -> bytes:
    """All bytes of an open list, plan, review or file of decisions.

    Raises:
        OSError: it cannot be read, or is larger than `LARGEST`: a video named by mistake, or a device without an end.
    """
    data = bytearray()
    while chunk := file.read(1 << 20):
        data += chunk
        if len(data) > LARGEST:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return bytes(data)


def limited_file(path: str | Path) -> bytes:
    """All bytes of a file that `limited` reads.

    Raises:
        OSError: see there.
    """
    with Path(path).open("rb") as file:
        return limited(file)


@dataclass(frozen=True, slots=True)
class Knob:
    """What a user must know about one control; becomes an option, a keyword argument and a report field."""

    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    parse: Callable[[Any], Any] | None = None
    """Converts the text of the command line, or a Python value, to the control's value."""

    metavar: str | None = None
    short: str | None = None
    """A one-letter option, such as `-r`."""

    report: Callable[[Any], Any] | None = None
    """Converts the value to its form in the report; by default the value itself."""

    group: str = "Method"
    """The heading under which help lists the option."""

    show: Callable[[Any], str] | None = None
    """Formats the default for help; by default the value as text."""

    decides_pixels: bool = True
    """Whether a different value may change the image, so that a restart must redo it. True unless declared
    otherwise."""

    alone: str | None = None
    """The value of an option given without one, if that is allowed; an explicit value must then follow an =."""


def knob(default: Any, help: str, **details: Any) -> Any:
    """Declare a field of a `Knobs` dataclass: `strength: float = knob(1.0, "...", minimum=0)`."""
    return field(default=default, metadata={"knob": Knob(help, **details)})


def auto_or_number(minimum: float, maximum: float) -> Callable[[Any], float | Literal["auto"]]:
    """What reads `auto` or a number between two others, as a knob's `parse`."""

    def parse(value: Any) -> float | Literal["auto"]:
        if isinstance(value, str) and value.strip().lower() == "auto":
            return "auto"
        try:
            number = float(value)
        except (ValueError, TypeError):
            number = math.nan
        if not minimum <= number <= maximum:  # also refuses NaN
            raise ValueError(f"it is auto or a number from {minimum:g} to {maximum:g}, not {value!r}.")
        return number

    return parse


@dataclass(frozen=True)
class Knobs:
    """A set of options. Subclasses are frozen dataclasses whose fields are made by `knob`.

    Raises:
        UsageError: a value is out of range or cannot be read; the message names the option.
    """

    def __post_init__(self) -> None:
        for name, spec in self.knobs().items():
            value = getattr(self, name)
            if spec.parse is not None and value is not None:
                try:
                    value = spec.parse(value)
                except (ValueError, TypeError) as error:
                    raise UsageError(f"{option_name(name)}: {error}") from error
                object.__setattr__(self, name, value)
            _check_range(name, value, spec)

    @classmethod
    def knobs(cls) -> dict[str, Knob]:
        """Field name to its `Knob`: the class's own in order of declaration, then the inherited ones."""
        declared = {item.name: item.metadata["knob"] for item in dataclasses.fields(cls)}
        own = {name: spec for name, spec in declared.items() if name in cls.__annotations__}
        return own | declared

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Field name to its default, including controls that need a value to make sense."""
        return {item.name: item.default for item in dataclasses.fields(cls)}

    @property
    def deciding(self) -> dict[str, Any]:
        """The values that affect pixels, by name; a restart compares these."""
        return {name: getattr(self, name) for name, spec in self.knobs().items() if spec.decides_pixels}

    def to_json(self) -> dict[str, Any]:
        """The values as the report writes them."""
        shown: dict[str, Any] = {}
        for name, spec in self.knobs().items():
            value = getattr(self, name)
            shown[name] = spec.report(value) if spec.report is not None and value is not None else value
        return shown


@dataclass(frozen=True, kw_only=True)
class Controls(Knobs):
    """The knobs of one method, including those that all methods share."""

    amount: float = knob(
        1.0, "Blend of the input (0) and the result (1), with every method.", minimum=0.0, maximum=1.0, group="Output"
    )

    def variants(self) -> tuple[tuple[str, Controls], ...]:
        """The images these controls ask for: each with the suffix of its output's name and its own controls.

        By default one image without a suffix. The suffixes are known before any image is read, so that outputs
        can be named.
        """
        return (("", self),)

    @property
    def stacks(self) -> str | int | None:
        """How the sources of a run are grouped into stacks that become one image each (see `pipeline.stacks`).

        None by default: every source becomes one image.
        """
        return None

    @property
    def writes_copies(self) -> bool:
        """Whether photos that a plan leaves unchanged (`Plan.unchanged`) are written to the OUTPUT, as copies."""
        return True

    @property
    def looks_only(self) -> Path | None:
        """The file to which a run with `--decide` writes decisions; None for a run that enhances."""
        return None

    @property
    def looks_together(self) -> bool:
        """Whether photos of a run may be decided on together, before any is enhanced."""
        return False

    def with_decisions(self, decisions: Listed) -> Controls:
        """The same controls with decisions that the run itself has made."""
        raise NotImplementedError

    @property
    def listed(self) -> Listed | None:
        """The photos of a run that takes no INPUT but a file of decisions; None for all other runs."""
        return None

    @property
    def looks_for_names(self) -> bool:
        """Whether companion files are found by the name of the photo, so that duplicate names must be known."""
        return False

    def companions(self, source: SourceName) -> Mapping[str, Path]:
        """Companion files of a photo under these controls, by role; they are read and passed to `estimate`.

        Raises:
            UsageError: there is none, or more than one fits.
        """
        return {}

    planes: ClassVar[frozenset[str]] = frozenset()
    """Companions of which only one plane, opacity or luma, is used: masks. They are H×W; other companions are RGB."""

    def serves_all(self, name: str) -> bool:
        """Whether one companion file serves all photos."""
        return False

    def holds(self, height: int, width: int) -> int:
        """Peak bytes that the method holds in addition to an image of this size, for `--memory`; 0 if negligible."""
        return 0


def option_name(field_name: str) -> str:
    """The option name of a field: `--clip-limit` for `clip_limit`."""
    return "--" + field_name.replace("_", "-")


def _check_range(name: str, value: Any, spec: Knob) -> None:
    if value is None:
        return
    if spec.choices and value not in spec.choices:
        raise UsageError(f"{option_name(name)} is one of {', '.join(spec.choices)}, not {value!r}.")
    if spec.minimum is None and spec.maximum is None:
        return
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    low = float("-inf") if spec.minimum is None else spec.minimum
    high = float("inf") if spec.maximum is None else spec.maximum
    if not low <= number <= high:  # also refuses NaN
        raise UsageError(f"{option_name(name)} must lie between {low:g} and {high:g}, not {_short(value)}.")


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


@dataclass(frozen=True)
class PictureFolder:
    """Companion images of a run's inputs, matched by name: in a parallel folder tree, or all in one folder."""

    path: str
    by_name: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Paths of files by their path below the folder, without suffix: `day1/a`."""

    by_stem: Mapping[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)
    """The same by bare name, in any subfolder."""

    def __post_init__(self) -> None:
        by_stem: dict[str, tuple[str, ...]] = {}
        for name, paths in self.by_name.items():
            stem = name.rpartition("/")[2]
            by_stem[stem] = by_stem.get(stem, ()) + paths
        object.__setattr__(self, "by_stem", by_stem)

    @staticmethod
    def listed(folder: str | Path) -> dict[str, tuple[str, ...]]:
        """Index the files of a folder and its subfolders by name, skipping hidden files and links to folders.

        Raises:
            ValueError: it cannot be read, is a file, or holds none.
        """
        found: dict[str, list[str]] = {}
        try:
            os.scandir(folder).close()
        except NotADirectoryError:
            raise ValueError(f"{folder} is a file; give a folder of images.") from None
        except OSError as error:
            raise ValueError(f"the folder {folder} cannot be read: {error.strerror}.") from None
        for root, folders, names in os.walk(folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = os.path.join(root, name)  # noqa: PTH118
                if not name.startswith(".") and os.path.isfile(path):  # noqa: PTH113
                    found.setdefault(without_suffix(os.path.relpath(path, folder)), []).append(path)
        if not found:
            raise ValueError(f"{folder} holds no files.")
        return {name: tuple(paths) for name, paths in found.items()}

    def for_source(self, source: SourceName) -> str:
        """The path of the companion of an input.

        This is the file at the same path below the folder; otherwise the file with the same bare name, if it is the
        only one and no other input has that name.

        Raises:
            ValueError: there is none, or more than one fits.
        """
        stem = source.stem
        paths = next((self.by_name[key] for key in source.keys() if key in self.by_name), ())  # noqa: SIM118
        if not paths and not source.relative and not source.namesake:
            paths = self.by_name.get(stem, ())
        alone = bool(paths) or not source.namesake
        paths = paths or self.by_stem.get(stem, ())
        if not alone and paths:
            raise ValueError(
                f"{self._shown(paths)} in {self.path} could belong to {source.path} or to {source.namesake}; put "
                "the images in folders as the inputs are."
            )
        if len(paths) != 1:
            several = f"several: {self._shown(paths)}" if paths else "no image"
            raise ValueError(f"{self.path} holds {several} named {stem or 'as this photo'}; it must hold one.")
        return paths[0]

    def _shown(self, paths: tuple[str, ...]) -> str:
        return ", ".join(os.path.relpath(path, self.path) for path in paths)


# --- photos that a file of decisions lists -------------------------------------------------------------------


DECISION_SCHEMA = "enhance-decision/1"


@dataclass(frozen=True)
class ListedPhoto:
    """A line of a file of decisions."""

    place: str
    """The file and the line's number, for messages."""

    line: Mapping[str, Any]
    """Its JSON object."""

    source: str
    relative: str
    """The path of its output below the output folder."""


@dataclass(frozen=True)
class Listed:
    """A file of decisions: JSON lines, each with a photo and what is to be done to it."""

    path: str
    digest: str = ""
    """Of its bytes."""

    photos: Mapping[str, ListedPhoto] = field(default_factory=dict, repr=False, compare=False)
    """By absolute path, in the order of the file."""

    faults: tuple[str, ...] = field(default=(), repr=False, compare=False)
    """A sentence for every line that cannot be used."""

    @classmethod
    def parse(cls, value: Any) -> Listed:
        """Read a file; lines that cannot be used become faults.

        Raises:
            ValueError: it cannot be read.
        """
        if isinstance(value, Listed):
            return value
        import hashlib

        try:
            data = limited_file(value)
        except OSError as error:
            raise ValueError(f"{value} cannot be read: {error.strerror}.") from error
        photos: dict[str, ListedPhoto] = {}
        faults = []
        for number, text in enumerate(data.splitlines(), start=1):
            if not text.strip():
                continue
            place = f"{value}, line {number}"
            found = _listed_photo(text, place)
            if isinstance(found, str):
                faults.append(f"{place}: {found}")
                continue
            key = os.path.abspath(found.source)  # noqa: PTH100 - keeps links as they are
            if key in photos:
                faults.append(f"{place}: {found.source} is on {photos[key].place.rpartition(', ')[2]} already.")
                continue
            photos[key] = found
        return cls(str(value), hashlib.sha256(data).hexdigest(), photos, tuple(faults))

    def for_source(self, source: SourceName) -> ListedPhoto | None:
        """The line of a photo."""
        return self.photos.get(os.path.abspath(source.path))  # noqa: PTH100

    def present(self) -> tuple[list[ListedPhoto], list[str]]:
        """The lines whose photo is unchanged since the decision, and a sentence for each of the others."""
        found, faults = [], list(self.faults)
        for photo in self.photos.values():
            state = {name: photo.line.get(name) for name in ("bytes", "modified_ns")}
            try:
                status = os.stat(photo.source)  # noqa: PTH116
            except OSError as error:
                faults.append(f"{photo.place}: {photo.source} cannot be read ({error.strerror}); decide again.")
                continue
            if state != {"bytes": status.st_size, "modified_ns": status.st_mtime_ns}:
                faults.append(f"{photo.place}: {photo.source} has changed since it was decided on; decide again.")
                continue
            found.append(photo)
        return found, faults


def _listed_photo(text: bytes, place: str) -> ListedPhoto | str:
    """A line as a value, or why it is none."""
    import json

    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return "it is not JSON; repair or remove it."
    if not isinstance(line, dict) or line.get("schema") != DECISION_SCHEMA:
        return f"it is not a decision ({DECISION_SCHEMA}); repair or remove it."
    source, relative = line.get("source"), line.get("relative")
    if not isinstance(source, str) or not source or not _is_name(source):
        return "its source is not the path of a photo."
    if not isinstance(relative, str) or not Path(relative).name or not _is_name(relative) or relative.startswith("/"):
        return "its relative is not a path below the output folder."
    if ".." in Path(relative).parts:
        return "its relative leads out of the output folder."
    return ListedPhoto(place, line, source, relative)


def _is_name(text: str) -> bool:
    """Whether the system can have a file of that name."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False
