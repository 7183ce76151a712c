"""Where outputs go and how they are named, from what the user typed: all output names are made here."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from enhance_cli.errors import UsageError
from enhance_cli.imaging.codecs import FORMATS, format_of_suffix
from enhance_cli.pipeline.inputs import STDIO, Found
from enhance_cli.types import Job


@dataclass(frozen=True, slots=True)
class Destination:
    """Where outputs go."""

    inputs: Sequence[str]
    folder: Path | None
    name: Callable[[Found], Path | None]
    single_file: bool = False
    takes_one: str = ""
    """The error message if there are several images for it; empty if several are allowed."""


def destination(
    arguments: Sequence[str],
    beside: Sequence[str],
    endings: Sequence[str],
    format: str | None,
    *,
    stacked: bool,
    listed: bool = False,
) -> Destination:
    """The destination for `INPUT... OUTPUT`, or for `OUTPUT` alone if the inputs are `listed`.

    Raises:
        UsageError: there is no OUTPUT, or it cannot take the requested outputs.
    """
    if listed and len(arguments) != 1:
        raise UsageError("A file of decisions names its photos itself: give the OUTPUT (a folder) and no INPUT.")
    if len(arguments) < 2 and not listed:
        hint = f"`{arguments[0]}` and no OUTPUT" if arguments else "neither"
        raise UsageError(f"Give at least one INPUT and the OUTPUT (a folder, a file, or -) last; there is {hint}.")
    *inputs, output = arguments
    if output == STDIO:
        if beside:
            raise UsageError(f"--{beside[0]} writes an image beside the output, and - is not a file; name one.")
        if len(endings) > 1:
            raise UsageError(f"stdout takes one photo, and each one asks for {len(endings)}; give a folder as OUTPUT.")
        several = "stdout takes one photo, and there are {count}; give a folder as OUTPUT."
        return Destination(inputs, None, lambda item: None, takes_one=several)
    single = _single_file_target(inputs, output, several=stacked)
    folder = single.parent if single else Path(output)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; the OUTPUT for several photos is a folder.")
    if single is not None:
        several = output.replace("{", "{{").replace("}", "}}") + " is one file, and there are {count} photos"
        return Destination(inputs, folder, lambda item: single, True, several + "; give a folder as OUTPUT.")

    def below(item: Found) -> Path:
        if item.source is None:
            raise UsageError("A photo from stdin has no name: give a file or - as OUTPUT.")
        return folder / _renamed(item.relative, format)

    return Destination(inputs, folder, below)


def in_place_destination(inputs: Sequence[str], endings: Sequence[str]) -> Destination:
    """Each source is its own output.

    Raises:
        UsageError: there is no input, or each would have several outputs.
    """
    if not inputs:
        raise UsageError("Give at least one INPUT; with --in-place there is no OUTPUT.")
    if len(endings) > 1:
        raise UsageError(f"--in-place writes one photo, and each one asks for {len(endings)}; give an OUTPUT.")
    first = Path(inputs[0].removeprefix("@"))

    def itself(item: Found) -> Path:
        if item.source is None:
            raise UsageError("A photo from stdin has no file to replace: leave out --in-place.")
        # A link stays a link: its target is replaced.
        linked = item.source.is_symlink() and item.source.exists()  # of a dangling link the message names the link
        return Path(os.path.realpath(item.source)) if linked else item.source

    return Destination(inputs, first if first.is_dir() else first.parent, itself)


def refuse_nesting(place: Destination) -> None:
    """Refuse an OUTPUT that is or contains an INPUT folder: the next run would read what this one wrote."""
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
                    f"The OUTPUT would be in the INPUT {folder}, and a frame of the next run; give one elsewhere."
                )
            continue
        if folder.resolve() == output:
            raise UsageError(
                f"{folder} is INPUT and OUTPUT {place.folder}: each photo would replace its own source; "
                "give another folder as OUTPUT, or --in-place and none."
            )
        if output in folder.resolve().parents:
            raise UsageError(f"The INPUT {folder} lies inside the OUTPUT {place.folder}; give an OUTPUT apart from it.")


def _single_file_target(inputs: Sequence[str], output: str, *, several: bool = False) -> Path | None:
    """The output as a file: not an existing folder, with an image suffix, for one input that is not a folder, or for
    several files that may become one image.
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


def output_paths(
    job: Job, endings: Iterable[str], beside: Iterable[str], shared_stems: Collection[Path] = ()
) -> Iterator[Path]:
    """Every file that a job writes: its images, each with its illustrations."""
    if job.target is None:
        return
    for ending in endings:
        target = job.target_with(ending)
        yield target
        yield from illustration_paths(target, beside, shared_stems)


def illustration_paths(target: Path, names: Iterable[str], shared_stems: Collection[Path] = ()) -> Iterator[Path]:
    """The paths of an output's illustrations: `<stem>_<name>.png`, or `<whole name>_<name>.png` for shared stems."""
    for name in names:
        path = target.with_name(f"{target.stem}_{name}.png")
        yield target.with_name(f"{target.name}_{name}.png") if path in shared_stems else path
