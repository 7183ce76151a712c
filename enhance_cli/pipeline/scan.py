"""From what a user typed to Jobs: every output is named before any work, so clashes are found here."""

from __future__ import annotations

import codecs
import glob
import itertools
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from enhance_cli.errors import UsageError
from enhance_cli.imaging.codecs import FORMATS, format_of_suffix
from enhance_cli.pipeline.jobs import Jobs, Names, Paths, SortedNames, each_once, named_alike, same_name
from enhance_cli.pipeline.names import natural
from enhance_cli.pipeline.plans import plan_path
from enhance_cli.pipeline.shards import Shard
from enhance_cli.pipeline.stacks import grouped
from enhance_cli.types import Job

STDIO = "-"

_FOREIGN = {".exr", ".hdr", ".tga", ".jxr", ".wdp", ".hdp", ".dpx", ".fits"}
"""Suffixes of photographs that no codec here reads. In a folder they get their line too, which says so."""


@dataclass(slots=True)
class Scan:
    """What there is to do."""

    jobs: Jobs
    folder: Path | None
    """The output folder; None when the output is stdout."""

    single_file: bool = False
    """Whether the user named the output file itself, so that its suffix decides the format."""

    shared_stems: frozenset[Path] = frozenset()
    """Names of illustrations that several outputs would have, so that each is named by its output's whole name."""

    remarks: list[str] = field(default_factory=list)
    """Sentences for the user: what was left out and why."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A source and what its output is called below the output folder."""

    source: Path | None
    relative: Path
    frames: tuple[Path, ...] = ()
    in_folder: bool = False
    """Whether `relative` is its path below an INPUT that is a folder."""


def scan(
    arguments: Sequence[str],
    *,
    recursive: bool = False,
    format: str | None = None,
    beside: Sequence[str] = (),
    endings: Sequence[str] = ("",),
    stacks: str | int | None = None,
    in_place: bool = False,
    shard: Shard | None = None,
    names: bool = False,
    plans: Path | None = None,
) -> Scan:
    """Turn `INPUT... OUTPUT` into Jobs in a stable order.

    Args:
        arguments: inputs (files, folders, globs, `-`, `@list`) and last the output (folder, file or `-`).
        recursive: whether folders are read with their subfolders.
        format: the format that outputs are written in; None keeps each source's name.
        beside: names of the illustrations that will be written as `<stem>_<name>.png`, for the clash check.
        endings: of the names of the pictures that are written for each source (see `Controls.variants`).
        stacks: how sources are grouped into stacks that become one picture each (see `stacks.grouped`). What belongs
            together is known when all names are, so that a run of stacks holds them in memory once.
        in_place: every argument is an input, and every picture its own output.
        shard: keep only this part of the jobs, a stack as a whole; clashes are looked for among all.
        names: tell each Job of sources that are named as its own; they are then held in memory.
        plans: the folder that plans are kept in, for the clash check.

    Raises:
        UsageError: the arguments make no sense together, nothing named exists, outputs clash with each other
            or with their sources.
    """
    remarks: list[str] = []
    if in_place:
        if stacks is not None:
            raise UsageError("--in-place replaces each photo, and --fuse makes one of several: give an OUTPUT.")
        place = _in_place(arguments, endings)
    else:
        place = _destination(arguments, beside, endings, format, stacked=stacks is not None)
        _refuse_nesting(place)
    jobs = Jobs()
    kept = jobs if shard is None else Jobs()
    kept_plan = None if plans is None else partial(plan_path, plans, root=place.folder)
    clashes = _Clashes(jobs, beside, endings, in_place, kept_plan)
    if names:
        jobs.names = kept.names = Names()
    items = _find(place.inputs, None if in_place else place.folder, recursive, remarks)
    if stacks is not None:
        items = _stacked(items, stacks, remarks)
    for index, item in enumerate(items):
        if place.takes_one and index > 0:
            count = index + 1 + sum(1 for _ in items)
            raise UsageError(place.takes_one.format(count=count))
        below = item.relative.as_posix() if item.in_folder else ""
        job = Job(index, item.source, place.name(item), item.frames, relative=below)
        jobs.append(job)
        if jobs.names is not None:
            jobs.names.add(job)
        if not in_place:
            clashes.watch(job)
        if shard is not None and shard.holds(item.relative):
            kept.append(job)
    if in_place:
        kept = jobs = each_once(kept, lambda picture: illustration_paths(picture, beside))
        clashes = _Clashes(jobs, beside, endings, in_place, kept_plan)
        for job in jobs:
            clashes.watch(job)
    clashes.refuse()
    return Scan(kept, place.folder, place.single_file, clashes.shared_stems, remarks)


# --- destinations ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """Where outputs go."""

    inputs: Sequence[str]
    folder: Path | None
    name: Callable[[_Found], Path | None]
    single_file: bool = False
    takes_one: str = ""
    """What to say when there are several pictures for it; empty where several may come."""


def _destination(
    arguments: Sequence[str], beside: Sequence[str], endings: Sequence[str], format: str | None, *, stacked: bool
) -> _Place:
    if len(arguments) < 2:
        hint = f"`{arguments[0]}` and no OUTPUT" if arguments else "neither"
        raise UsageError(f"Give at least one INPUT and the OUTPUT (a folder, a file, or -) last; there is {hint}.")
    *inputs, output = arguments
    if output == STDIO:
        if beside:
            raise UsageError(f"--{beside[0]} writes an image beside the output, and - is not a file; name one.")
        if len(endings) > 1:
            raise UsageError(f"stdout takes one photo, and each one asks for {len(endings)}; give a folder as OUTPUT.")
        several = "stdout takes one photo, and there are {count}; give a folder as OUTPUT."
        return _Place(inputs, None, lambda item: None, takes_one=several)
    single = _single_file_target(inputs, output, several=stacked)
    folder = single.parent if single else Path(output)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; the OUTPUT for several photos is a folder.")
    if single is not None:
        several = output.replace("{", "{{").replace("}", "}}") + " is one file, and there are {count} photos"
        return _Place(inputs, folder, lambda item: single, True, several + "; give a folder as OUTPUT.")

    def below(item: _Found) -> Path:
        if item.source is None:
            raise UsageError("A photo from stdin has no name: give a file or - as OUTPUT.")
        return folder / _renamed(item.relative, format)

    return _Place(inputs, folder, below)


def _in_place(inputs: Sequence[str], endings: Sequence[str]) -> _Place:
    if not inputs:
        raise UsageError("Give at least one INPUT; with --in-place there is no OUTPUT.")
    if len(endings) > 1:
        raise UsageError(f"--in-place writes one photo, and each one asks for {len(endings)}; give an OUTPUT.")
    first = Path(inputs[0].removeprefix("@"))

    def itself(item: _Found) -> Path:
        if item.source is None:
            raise UsageError("A photo from stdin has no file to replace: leave out --in-place.")
        # A link stays a link: what it leads to is replaced.
        return Path(os.path.realpath(item.source)) if item.source.is_symlink() else item.source

    return _Place(inputs, first if first.is_dir() else first.parent, itself)


def _refuse_nesting(place: _Place) -> None:
    """Folders of pictures must not lie where pictures are written: the next run would read what this one wrote."""
    if place.folder is None:
        return
    output = place.folder.resolve()
    for text in place.inputs:
        folder = Path(text)
        if text == STDIO or not folder.is_dir():
            continue
        if place.single_file:
            if folder.resolve() == output:
                raise UsageError(
                    f"The OUTPUT would lie in the INPUT {folder}, and be a frame of the next run's; give one elsewhere."
                )
            continue
        if folder.resolve() == output:
            raise UsageError(
                f"{folder} is INPUT and OUTPUT {place.folder}: each photo would replace its own source; "
                "give another folder as OUTPUT, or --in-place and none."
            )
        if output in folder.resolve().parents:
            raise UsageError(f"The INPUT {folder} lies inside the OUTPUT {place.folder}; give an OUTPUT apart from it.")


def _stacked(items: Iterable[_Found], rule: str | int, remarks: list[str]) -> Iterator[_Found]:
    """One item for each stack, named as its picture."""
    found = list(items)
    sources = [item.source for item in found if item.source is not None]
    if len(sources) < len(found):
        raise UsageError("--fuse takes files, and - is one photo without a name.")
    stacks, unmatched = grouped(sources, [item.relative for item in found], rule)
    if unmatched:
        remarks.append(
            f"{_pictures(len(unmatched))} left out: {rule} does not match {sources[unmatched[0]].name}, for example."
        )
    for stack in stacks:
        first, *frames = (sources[place] for place in stack.frames)
        yield _Found(first, stack.relative, tuple(frames))


def _single_file_target(inputs: Sequence[str], output: str, *, several: bool = False) -> Path | None:
    """The output as a file: no existing folder, a picture's suffix, one input that is no folder, or several files
    that may become one picture.
    """
    path = Path(output)
    announced = format_of_suffix(path)
    if output == STDIO or output.endswith(os.sep) or path.is_dir() or announced is None:
        return None
    if not several and (len(inputs) != 1 or Path(inputs[0]).is_dir()):
        return None
    if not announced.writable:
        raise UsageError(f"{output} cannot be written as {announced.name}; name it as one of {_writable_suffixes()}.")
    return path


def _writable_suffixes() -> str:
    return ", ".join(item.suffixes[0] for item in FORMATS.values() if item.writable)


def _renamed(relative: Path, format: str | None) -> Path:
    """The source's name, with the suffix of another format only where the source's is not one of its own."""
    announced = format_of_suffix(relative)
    if format is None and announced is not None:
        format = announced.written_as
    if format is None or relative.suffix.lower() in FORMATS[format].suffixes:
        return relative
    return relative.with_suffix(FORMATS[format].suffixes[0])


# --- inputs ------------------------------------------------------------------------------------------------


def _find(inputs: Sequence[str], output: Path | None, recursive: bool, remarks: list[str]) -> Iterator[_Found]:
    excluded = _identity(output) if output is not None and output.is_dir() else None
    missing = []
    anything = False
    for text in inputs:
        if text == STDIO:
            anything = True
            yield _Found(None, Path("stdin"))
        elif text.startswith("@") and not Path(text).exists():
            anything = True
            for line in _listed(text[1:]):
                yield _Found(Path(line), Path(Path(line).name))
        elif Path(text).is_dir():
            anything = True
            yield from _pictures_below(Path(text), excluded, recursive, remarks)
        elif glob.has_magic(text) and not os.path.lexists(text):
            anything = True
            matches = SortedNames()
            for match in _matches(Path(text).parts):
                if not os.path.isdir(match):  # noqa: PTH112 - what is no file either gets its line
                    matches.append(match)
            count = 0
            for count, match in enumerate(matches, 1):  # noqa: B007 - counted
                yield _Found(Path(match), Path(Path(match).name))
            if count == 0:
                remarks.append(f"Nothing matches {text}.")
        else:
            if not os.path.lexists(text):
                missing.append(text)
            yield _Found(Path(text), Path(Path(text).name))
            anything = anything or text not in missing
    if missing and not anything:
        raise UsageError(f"{missing[0]} does not exist; give a file, a folder, a glob, @list.txt or -.")


def _listed(name: str) -> Iterator[str]:
    """Paths of a list file: NUL-separated if it holds a NUL, else a path a line."""
    try:
        data = sys.stdin.buffer.read() if name == STDIO else Path(name).read_bytes()
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
    """The bytes of a list without the mark that some editors write first; what is UTF-16, in UTF-8.

    Without a mark it is UTF-16 where most pairs of bytes are characters of ASCII: no list that is separated by NULs is
    such, unless its names are of one byte.
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
    """Paths that fit a glob; names in it mean themselves where they are there as written, brackets and all.

    Args:
        rest: the parts of the pattern.
        there: the folder that they lie below.
    """
    while rest and os.path.lexists(there / rest[0]):
        there, rest = there / rest[0], rest[1:]
    # Up to and with the next name that may mean itself, such as "album [2019]" below folders that a * stands for.
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
) -> Iterator[_Found]:
    """Pictures of a folder in sorted order; hidden files, other files and the output folder are passed over."""
    count = deeper = 0
    for names, relative in _walk(root, excluded):
        for name in names:
            if not recursive and relative.parts:
                deeper += 1
                continue
            count += 1
            yield _Found(root / relative / name, relative / name, in_folder=True)
    if count == 0 and deeper == 0:
        remarks.append(f"{root} holds no photos.")
    elif deeper:
        remarks.append(f"{_pictures(deeper)} in subfolders of {root} left out; use -r to include them.")


def _walk(root: Path, excluded: tuple[int, int] | None) -> Iterator[tuple[Iterable[str], Path]]:
    """(names of pictures, folder relative to the root), depth first, each directory once.

    A subfolder that cannot be listed stands for the pictures in it: it becomes a name, whose reading will fail.
    """
    pending = [Path()]
    while pending:
        relative = pending.pop()
        names, folders = SortedNames(), []
        try:
            with os.scandir(root / relative) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if excluded is None or _identity(Path(entry.path)) != excluded:
                            folders.append(relative / entry.name)
                    elif format_of_suffix(Path(entry.name)) is not None or Path(entry.name).suffix.lower() in _FOREIGN:
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


def _pictures(count: int) -> str:
    return "1 photo" if count == 1 else f"{count} photos"


# --- clashes -----------------------------------------------------------------------------------------------


class _Clashes:
    """No output may be another's, or a source. Names equal but for case clash too: some file systems think so."""

    def __init__(
        self,
        jobs: Jobs,
        beside: Sequence[str],
        endings: Sequence[str],
        in_place: bool,
        kept_plan: Callable[[Path], Path] | None,
    ) -> None:
        self._jobs, self._beside, self._endings, self._in_place = jobs, beside, endings, in_place
        self._kept_plan = kept_plan
        self._written, self._read = Paths(), Paths()
        self.shared_stems: frozenset[Path] = frozenset()

    def watch(self, job: Job) -> None:
        """Note what a job reads and writes."""
        for path in self._paths(job):
            self._written.add(path)
            for source in job.sources if not self._in_place else ():
                if _same_file(source, path):
                    raise UsageError(f"{path} would replace its own source {source}; give another folder as OUTPUT.")
        for source in job.sources if not self._in_place else ():
            self._read.add(source)

    def refuse(self) -> None:
        """Name the first clash of all that was watched.

        Raises:
            UsageError: there is one.
        """
        self.shared_stems = self._find_shared_stems()
        repeated = self._written.repeated()
        if self.shared_stems:  # what is written has other names now
            self._written = Paths()
            for path, _ in self._outputs():
                self._written.add(path)
            repeated = self._written.repeated()
        for path, first, second in named_alike(repeated, self._outputs()):
            raise UsageError(
                f"{first} and {second} would both be written to {path}; give them different names or run them apart."
            )
        shared = self._written.shared_with(self._read)
        if shared:
            sources = ((source, source) for job in self._jobs for source in job.sources)
            for path, over, source in named_alike(shared, itertools.chain(sources, self._outputs())):
                raise UsageError(f"{source} would be written to {path}, over the source {over}; give another OUTPUT.")

    def _outputs(self) -> Iterator[tuple[Path, Path | None]]:
        return ((path, job.source) for job in self._jobs for path in self._paths(job))

    def _paths(self, job: Job) -> Iterator[Path]:
        """What a job writes; in place but for the picture, which is a file of its own already."""
        if self._in_place and job.target is not None:
            yield from illustration_paths(job.target, self._beside, self.shared_stems)
        else:
            yield from output_paths(job, self._endings, self._beside, self.shared_stems)
        if self._kept_plan is not None:
            yield from map(self._kept_plan, output_paths(job, self._endings, ()))

    def _find_shared_stems(self) -> frozenset[Path]:
        """Illustrations whose names several outputs would share: `a_heatmap.png` of `a.jpg` and of `a.png`."""
        repeated = self._written.repeated() if self._beside else None
        if not repeated:
            return frozenset()
        drawn = [
            (path, job.source)
            for job in self._jobs
            if job.target is not None
            for ending in self._endings
            for path in illustration_paths(job.target_with(ending), self._beside)
            if hash(same_name(path)) in repeated
        ]
        alike = {same_name(path) for path, _, _ in named_alike(repeated, drawn)}
        return frozenset(path for path, _ in drawn if same_name(path) in alike)


def output_paths(
    job: Job, endings: Iterable[str], beside: Iterable[str], shared_stems: Collection[Path] = ()
) -> Iterator[Path]:
    """Every file that a job writes: its pictures, each with its illustrations."""
    if job.target is None:
        return
    for ending in endings:
        target = job.target_with(ending)
        yield target
        yield from illustration_paths(target, beside, shared_stems)


def illustration_paths(target: Path, names: Iterable[str], shared_stems: Collection[Path] = ()) -> Iterator[Path]:
    """Where the pictures beside an output go: `<stem>_<name>.png`, or `<whole name>_<name>.png` for shared stems."""
    for name in names:
        path = target.with_name(f"{target.stem}_{name}.png")
        yield target.with_name(f"{target.name}_{name}.png") if path in shared_stems else path


def _same_file(source: Path, target: Path) -> bool:
    try:
        return target.samefile(source)
    except OSError:
        return False
