"""A photo's files: how they are read and written, staged, checked and placed."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from enhance_cli.errors import (
    ChangedSource,
    EnhanceError,
    FailedCheck,
    MissingSource,
    OccupiedOutput,
    UnreadableSource,
    UnsupportedFormat,
    UsageError,
    WouldLose,
)
from enhance_cli.imaging import atomic, codecs, colour, marks
from enhance_cli.pipeline.plans import plan_path
from enhance_cli.pipeline.states import file_state
from enhance_cli.pipeline.targets import illustration_paths
from enhance_cli.types import Image, Job, Metadata, Standing

if TYPE_CHECKING:
    from enhance_cli.pipeline import in_place
    from enhance_cli.pipeline.known import Known
    from enhance_cli.pipeline.mirror import Mirror
    from enhance_cli.pipeline.recipe import Enhanced, Recipe


LARGEST_STREAM = 4 * 2**30
"""Bytes of a photo on stdin at most; a device or a damaged program may never end."""

_HEAD = 64 * 2**10
"""First bytes of a file, by which formats are told apart."""


@dataclass(frozen=True, slots=True)
class Coding:
    """How images are read and written."""

    format: str | None = None
    """The requested format; None keeps the source's."""

    quality: int | None = None
    max_pixels: int = codecs.MAX_PIXELS
    follow_target: bool = False
    """Whether the user typed the output's name; its suffix then decides the format."""

    in_place: bool = False
    """Whether outputs replace their sources, whose format and mode they then keep."""

    drop_extras: bool = False
    """Whether a source is replaced even if some of its extras would be lost."""

    strip: Literal["gps", "all"] | None = None
    verify: bool = False
    """Whether a staged image is read back and decoded before it is placed."""

    preserve_times: bool = False
    hash_sources: bool = False
    """Whether report lines contain the sha256 of the source."""

    overwrite: bool = False
    """Whether existing files are replaced, no matter what wrote them."""

    skip_existing: bool = False
    """Whether existing files are kept, and only missing ones written."""

    save_plans: Path | None = None
    shared_stems: frozenset[Path] = frozenset()
    """Illustrations that are named by their output's whole name (see `Scan.shared_stems`)."""

    root: Path | None = None
    """The output folder, which saved plans are named below."""

    report: Path | None = None
    """The report; paths of written files are relative to its folder."""

    settings: str = ""
    """The digest of everything but the source that decides an output, for the mark in outputs."""

    version: str = ""
    """Version of the program, for the mark."""

    known: Known | None = None
    """What enhance wrote before, according to reports; for photos in place."""

    again: bool = False
    """Whether photos in place are enhanced even if they were enhanced before."""

    backup: str | None = None
    """The suffix of the name under which the original is kept in place; None to keep none."""

    mirror: Mirror | None = None
    """Which paths are objects in buckets; None if all are files."""

    def is_object(self, path: Path) -> bool:
        """Whether a path is an object's."""
        return self.mirror is not None and self.mirror.location(path) is not None

    def exists(self, path: Path) -> bool:
        """Whether anything has this name now."""
        if not self.is_object(path):
            return os.path.lexists(path)
        from enhance_cli.pipeline import transfer

        return transfer.exists(path, self.mirror)

    def copies(self, written_format: str, image: Image) -> bool:
        """Whether a photo that is left unchanged is copied: no option requires bytes other than the source's."""
        return written_format == image.metadata.format and self.quality is None and self.strip is None

    def format_for(self, job: Job, image: Image) -> str:
        """The format that a photo is written in.

        Raises:
            UnsupportedFormat: it would replace a source of a format that has no writer.
        """
        if self.format is not None:
            return self.format
        read = codecs.FORMATS[image.metadata.format]
        if self.in_place and read.written_as:
            raise UnsupportedFormat(f"{job.source} is {read.name}, which is only read; leave out --in-place.")
        typed = codecs.format_of_suffix(job.target) if self.follow_target and job.target else None
        return typed.name if typed else read.written_as or read.name


def read(source: Path | None) -> bytes:
    """All bytes of a regular file, or of stdin for None; of what is no photo only the first.

    Raises:
        MissingSource: there is none, or it is a folder, a pipe or a device.
        UnreadableSource: the operating system refuses, or stdin does not end within `LARGEST_STREAM`.
        ChangedSource: another program wrote to it meanwhile.
    """
    if source is None:
        try:
            data = _read_photo(sys.stdin.buffer, LARGEST_STREAM + 1)
        except OSError as error:
            raise UnreadableSource(f"stdin cannot be read: {error.strerror}.") from error
        if len(data) > LARGEST_STREAM:
            raise UnreadableSource(f"stdin holds more than {LARGEST_STREAM >> 30} GiB; give one photo, or its file.")
        return data
    try:
        mode = source.stat().st_mode
        if stat.S_ISDIR(mode):
            os.scandir(source).close()  # a folder that cannot be listed says so; see `scan`
        if not stat.S_ISREG(mode):  # checked before opening: opening a pipe without a writer blocks forever
            raise MissingSource(f"{source} is not a regular file; give a photo.")
        with source.open("rb") as file:
            before = os.fstat(file.fileno())
            data = file.read(_HEAD)
            known = codecs.sniff(data) is not None
            if known:
                file.seek(0)  # rather than joined, which would take the memory of two
                data = file.read()
            after = os.fstat(file.fileno())
    except FileNotFoundError as error:
        what = "is a dangling link" if source.is_symlink() else "does not exist"
        raise MissingSource(f"{source} {what}.") from error
    except OSError as error:
        raise UnreadableSource(f"{source} cannot be read: {error.strerror}.") from error
    whole = len(data) == after.st_size or not known
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or not whole:
        raise ChangedSource(f"{source} changed while it was read; run again when it is complete.")
    return data


def _read_photo(file: BinaryIO, most: int) -> bytes:
    """What a file holds, at most so many bytes; of one that is no photo, such as a video, the first `_HEAD`."""
    head = file.read(_HEAD)
    return head + file.read(most - len(head)) if codecs.sniff(head) else head


def is_jpeg(data: bytes) -> bool:
    """Whether a file's first bytes announce a JPEG, or another format of planes."""
    found = codecs.sniff(data)
    return found is not None and found.planes


def refuse_loss(source: str, lost: tuple[str, ...]) -> None:
    """Raise if replacing a file would lose something it holds in addition to its image."""
    if lost:
        what = " and ".join((", ".join(lost[:-1]), lost[-1]) if len(lost) > 1 else lost)
        raise WouldLose(f"{source} holds {what}, which enhance cannot keep; give --drop-extras, or an OUTPUT.")


def frame(path: Path, first: Image, coding: Coding) -> Image:
    """A further exposure, RGB. Memory was reserved for the size of the first; a larger one is refused undecoded."""

    def check(height: int, width: int, depth: int) -> None:
        if height * width > first.height * first.width:
            raise UsageError(
                f"{path} is {width}x{height} and the first exposure, {first.metadata.source}, "
                f"{first.width}x{first.height}; the frames of a stack must be alike, so crop or convert them first."
            )

    return colour.to_rgb(codecs.decode(read(path), source=str(path), max_pixels=coding.max_pixels, admit=check))


def read_states(job: Job, recipe: Recipe, content: bytes | None) -> list[dict[str, Any]]:
    """The current state of all files that decide an output: its source, its frames, and its companions."""
    if job.source is None:
        return []
    others = (*job.frames, *recipe.controls.companions(job.name).values())
    try:
        return [
            file_state(job.source, str(job.source), content=content),
            *(file_state(path, str(path), content=None if content is None else path.read_bytes()) for path in others),
        ]
    except OSError as error:
        raise ChangedSource(f"{error.filename} went away while {job.source} was read.") from error


def marked(kept: Metadata, written_format: str, recipe: Recipe, coding: Coding) -> tuple[Metadata, bool]:
    """The metadata of an output with its mark, and whether it could be marked."""
    if coding.strip == "all" or "XMP" not in codecs.FORMATS[written_format].carries:
        return kept, False
    xmp = marks.with_mark(kept.xmp, _mark(recipe, coding), limit=codecs.FORMATS[written_format].xmp_limit)
    return replace(kept, xmp=xmp), xmp != kept.xmp


def _mark(recipe: Recipe, coding: Coding, role: str = "") -> marks.Mark:
    used = (recipe.weights or {}).get("id", "")
    return marks.Mark(recipe.enhancer.method.name, coding.settings, used, coding.version, role)


def contents(target: Path, coded: bytes, enhanced: Enhanced, recipe: Recipe, coding: Coding) -> dict[Path, bytes]:
    """All files of one output, the image itself first."""
    contents = {target: coded}
    pictures = enhanced.illustrations
    xmp = None if coding.strip == "all" else marks.with_mark(None, _mark(recipe, coding, "illustration"))
    for path, picture in zip(illustration_paths(target, pictures, coding.shared_stems), pictures.values(), strict=True):
        contents[path] = codecs.encode(Image(picture, metadata=Metadata(xmp=xmp)), "png")[0]
    if coding.save_plans is not None:
        contents[plan_path(coding.save_plans, target, coding.root)] = enhanced.plan.to_bytes()
    if coding.skip_existing:
        return {path: data for path, data in contents.items() if path == target or not coding.exists(path)}
    return contents


def stage(
    stack: ExitStack,
    job: Job,
    contents: Mapping[Path, bytes],
    enhanced: Enhanced,
    coding: Coding,
    past: in_place.Past | None,
) -> list[atomic.Staged]:
    """Write all files, complete and synced, but not yet under their names."""
    for path in contents:
        # Not the output folder itself: if that is gone, it was removed on purpose. Looked for last, as it may go now.
        if not path.parent.exists() and (coding.root is None or coding.root.exists() or coding.is_object(path)):
            atomic.make_folder(path.parent)
    staged = [stack.enter_context(atomic.Staged(path, data)) for path, data in contents.items()]
    if not staged:
        return staged
    if coding.verify or coding.in_place:
        _verify(staged[0], contents[staged[0].target], enhanced.image)
    if past is not None:
        past.hand_on(staged[0].path)
    if job.source is not None and coding.preserve_times:
        before = job.source.stat()
        os.utime(staged[0].path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return staged


def place(item: atomic.Staged, job: Job, coding: Coding) -> str:
    """Put a staged file in place: over the output of an earlier run, or where there is no file.

    Returns:
        The etag of an object; empty for a file.

    Raises:
        OccupiedOutput: another file is there.
    """
    if coding.is_object(item.target):
        from enhance_cli.pipeline import transfer

        return transfer.put(item, job, coding.mirror, overwrite=coding.overwrite)
    check_free(item.target, job, coding)
    if _may_replace(item.target, job, coding) or any(str(item.target) == old.path for old in job.standing):
        item.place()
        return ""
    try:
        item.place_anew()
    except FileExistsError:
        raise _occupied(item.target) from None
    return ""


def _may_replace(target: Path, job: Job, coding: Coding) -> bool:
    return coding.overwrite or (coding.in_place and target == job.target)


def check_free(target: Path, job: Job, coding: Coding) -> None:
    """Check that there is no file at a target except one that was there when the run began and may be replaced."""
    if _may_replace(target, job, coding):
        return
    try:
        status = target.lstat()
    except OSError:
        return
    if Standing(str(target), status.st_size, status.st_mtime_ns) not in job.standing:
        raise _occupied(target)


def _occupied(target: Path) -> OccupiedOutput:
    return OccupiedOutput(
        f"{target} was put there or changed by another program during the run, and is left alone; move it away "
        "and run again, or use --overwrite."
    )


def _verify(staged: atomic.Staged, coded: bytes, image: Image) -> None:
    """Read an image back from the disk and decode it.

    Raises:
        FailedCheck: the bytes differ, or do not decode to an image of that size.
    """
    try:
        if staged.path.read_bytes() != coded:
            raise FailedCheck(f"{staged.target} differs from what was written when read back; it was not put in place.")
        again = codecs.decode(coded, max_pixels=image.height * image.width)
    except EnhanceError as error:
        if isinstance(error, FailedCheck):
            raise
        raise FailedCheck(f"{staged.target} does not decode, so it was not put in place: {error}") from error
    if (again.height, again.width) != (image.height, image.width):
        raise FailedCheck(
            f"{staged.target} decodes to {again.width}x{again.height} instead of {image.width}x{image.height}; "
            "it was not put in place."
        )


def name_note(source: Path | None, image: Image, written_format: str) -> tuple[str, ...]:
    """A note if the format of a file is not the one its name says."""
    announced = None if source is None else codecs.format_of_suffix(source)
    if announced is None or announced.name == image.metadata.format:
        return ()
    return (f"named as {announced.name} but is {image.metadata.format} inside; written as {written_format}",)
