"""Processes one photo: read, decode, enhance, encode, stage, record, place."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from enhance_cli.engines import abandon
from enhance_cli.errors import CorruptPicture
from enhance_cli.imaging import codecs, colour, metadata
from enhance_cli.pipeline import memory
from enhance_cli.pipeline.files import (
    Coding,
    check_free,
    contents,
    frame,
    is_jpeg,
    marked,
    name_note,
    place,
    read,
    read_states,
    refuse_loss,
    stage,
)
from enhance_cli.pipeline.holding import is_large
from enhance_cli.pipeline.inputs import STDIO
from enhance_cli.pipeline.journal import path_in_report
from enhance_cli.pipeline.recipe import Enhanced, Recipe, timed
from enhance_cli.pipeline.stacks import stacked
from enhance_cli.pipeline.states import file_state
from enhance_cli.types import Image, Job, Outcome

if TYPE_CHECKING:
    from enhance_cli.pipeline import in_place

Admit = Callable[[int], None]
Record = Callable[[Mapping[str, Any]], None]


def process(job: Job, recipe: Recipe, coding: Coding, admit: Admit, record: Record) -> Iterator[Outcome]:
    """Enhance one file into one or, if the controls request it, several outputs; yields each when it is in place.

    Args:
        job: the file and its target; if `job.target` is None the output goes to stdout.
        recipe: the method.
        coding: formats and limits.
        admit: called before decoding with the bytes that the photo will take; blocks until memory is available.
        record: called with each line after its files are staged and before they are placed.

    Raises:
        EnhanceError: any failure; the stream turns it into an Outcome.
    """
    if coding.mirror is not None:
        from enhance_cli.pipeline import transfer

        with transfer.fetched(job, coding.mirror) as local:
            for outcome in _process(local, recipe, coding, admit, transfer.recording(record, job, coding.mirror), None):
                yield replace(outcome, job=job)
        return
    if not coding.in_place:
        yield from _process(job, recipe, coding, admit, record, None)
        return
    from enhance_cli.pipeline import in_place

    assert job.source is not None
    assert job.target is not None
    # Give up the turn for memory before waiting for a lock: the holder of the lock may be waiting for that turn.
    with in_place.locked(job.target, waiting=lambda: admit(0)) as status:
        past = in_place.Past(job.source, job.target, status, coding.known, again=coding.again)
        if past.look():
            yield from _left_alone(job, recipe, record, past)
        else:
            yield from _process(job, recipe, coding, admit, record, past)


def _process(
    job: Job, recipe: Recipe, coding: Coding, admit: Admit, record: Record, past: in_place.Past | None
) -> Iterator[Outcome]:
    """The part of `process` after a photo in place is locked."""
    data = read(job.source if past is None else job.target)  # the locked file, even if a link now leads elsewhere
    if past is not None and past.look_into(data):
        yield from _left_alone(job, recipe, record, past)
        return
    states = read_states(job, recipe, data if coding.hash_sources or coding.backup else None)
    started = time.perf_counter()
    image = _decoded(data, job, recipe, coding, admit)
    decoding = (time.perf_counter() - started) * 1e3
    if past is not None and past.look_at_mark(image.metadata.xmp):
        yield from _left_alone(job, recipe, record, past)
        return
    written_format = coding.format_for(job, image)
    kept = image.metadata if coding.strip is None else metadata.strip(image.metadata, coding.strip)
    notes = (*kept.notes, *name_note(job.source, image, written_format))
    if coding.in_place and not coding.drop_extras:
        refuse_loss(_source(job), kept.lost)
    kept, is_marked = marked(kept, written_format, recipe, coding)
    source = _Source(states, notes, written_format, is_marked, image.height * image.width / 1e6, past)
    if coding.backup is not None or recipe.may_copy:
        source = source._replace(original=data)
    planes, most = recipe.reads_planes, coding.max_pixels
    decode = partial(codecs.decode, source=_source(job), planes=planes, max_pixels=most, card=recipe.decoder)
    again = None if job.frames else partial(decode, data)
    pictures = recipe.enhance_variants(image.replace(metadata=replace(kept, name=job.name)), reuse=True, again=again)
    del again, data, image  # a mask may be as large as the image, and is no longer needed
    ms = {"decode": decoding}
    for enhanced in pictures:
        if coding.save_plans is None:
            enhanced.plan = None
        target = None if job.target is None else job.target_with(enhanced.ending)
        if coding.skip_existing and target is not None and coding.exists(target):
            line = recipe.line(_source(job), str(target), frames=map(str, job.frames), skipped=True)
            yield from _recorded(Outcome(job, "skipped", line), record)
        elif enhanced.unchanged and (coding.in_place or not recipe.controls.writes_copies):
            yield from _not_written(job, enhanced, source, ms | enhanced.ms, recipe, record)
        else:
            yield from _written(job, enhanced, source, ms | enhanced.ms, recipe, coding, record)
        ms["decode"] = 0.0  # counted once, for the first output
        del enhanced  # free it before the next one is made


def _source(job: Job) -> str:
    return STDIO if job.source is None else str(job.source)


def _left_alone(job: Job, recipe: Recipe, record: Record, past: in_place.Past) -> Iterator[Outcome]:
    """Record that a photo was skipped, and its state, so that a later run need not examine it."""
    assert job.target is not None
    notes, seen = [past.reason or ""], [file_state(job.target)]
    line = recipe.line(_source(job), str(job.target), skipped=True, notes=notes, read=seen)
    yield from _recorded(Outcome(job, "skipped", line), record)


def _not_written(
    job: Job, enhanced: Enhanced, source: _Source, ms: dict[str, float], recipe: Recipe, record: Record
) -> Iterator[Outcome]:
    """Record that the plan leaves a photo unchanged, so that there is nothing to write."""
    assert job.target is not None
    described = enhanced.described
    notes = [f"{_source(job)} needs no change, left alone: {described['reason']}."] if "reason" in described else []
    line = recipe.line(
        _source(job),
        str(job.target),
        enhanced=enhanced,
        skipped=True,
        notes=[*notes, *source.notes],
        ms=ms,
        read=[file_state(job.target)] if source.past is not None else source.states,
    )
    yield from _recorded(Outcome(job, "skipped", line), record)


def _recorded(outcome: Outcome, record: Record, put: Callable[[], None] = lambda: None) -> Iterator[Outcome]:
    """Append a line and put its files in place: one step, which a stopped run either completes or does not begin."""
    with abandon.current().placing():
        record(outcome.report)
        put()
        yield outcome  # counted before a stop can take effect


def _decoded(data: bytes, job: Job, recipe: Recipe, coding: Coding, admit: Admit) -> Image:
    """Decode the photo with its frames and companions when there is enough memory for all of them."""
    jpeg = is_jpeg(data)
    companions = recipe.companions.beside(job.name, coding.max_pixels)
    beside: Mapping[str, Image] = {}
    broken: list[CorruptPicture] = []

    def admitted(height: int, width: int, depth: int) -> None:
        nonlocal beside
        # All at once: a stack that waited for memory with half of its frames decoded could wait forever.
        admit(recipe.holds(height, width, depth, jpeg, further=len(job.frames)) + companions.held)
        large = is_large(height * width * 3 * (depth // 8))
        try:  # before the photo: their decoders need more memory than the result
            beside = companions.hand_over() if large else companions.decode()
        except CorruptPicture as error:
            broken.append(error)
            raise
        if large and beside:
            memory.give_back()

    try:
        image = codecs.decode(
            data,
            source=_source(job),
            planes=recipe.reads_planes,
            max_pixels=coding.max_pixels,
            admit=admitted,
            card=recipe.decoder,
        )
    except CorruptPicture as error:
        raise (broken or [error])[0] from error  # the error of the companion, not of the photo
    if is_large(image.nbytes):
        memory.give_back()
    if job.frames:
        image = stacked(colour.to_rgb(image), [frame(path, image, coding) for path in job.frames])
    return image.replace(companions=beside)


class _Source(NamedTuple):
    """What is known about a photo when its outputs are written."""

    states: list[dict[str, Any]]
    """States of the files that decide the outputs, as they were read."""

    notes: tuple[str, ...]
    format: str
    """The format to write."""

    is_marked: bool
    """Whether its outputs carry a mark in their XMP."""

    megapixels: float
    past: in_place.Past | None = None
    original: bytes = b""
    """Its bytes, if they may be kept as a backup, or become the output."""


def _written(
    job: Job,
    enhanced: Enhanced,
    source: _Source,
    ms: dict[str, float],
    recipe: Recipe,
    coding: Coding,
    record: Record,
) -> Iterator[Outcome]:
    """Encode, stage, record and place one output with all its files."""
    target = None if job.target is None else job.target_with(enhanced.ending)
    past = source.past
    with ExitStack() as stack:
        with timed(ms, "encode"):
            coding_notes: tuple[str, ...] = ()
            copied = enhanced.unchanged and coding.copies(source.format, enhanced.image)
            if copied:
                coded, source = source.original, source._replace(is_marked=False)
            else:
                coded, coding_notes = codecs.encode(enhanced.image, source.format, quality=coding.quality)
            abandon.check()
            wanted = {} if target is None else contents(target, coded, enhanced, recipe, coding)
            staged = stage(stack, job, wanted, enhanced, coding, past)
        backup = None
        if past is not None:
            if not source.is_marked and coding.strip != "all":
                past.mark_file(staged[0].path, coded, recipe.enhancer.method.name)
            past.check_unchanged()
            if coding.backup is not None:
                backup = stack.enter_context(past.kept_original(coding.backup, source.original, coding.report))
        # A marked output next to its source needs no hash, which saves one percent of the time.
        hashed = coding.in_place or not source.is_marked
        line = recipe.line(
            _source(job),
            STDIO if target is None else str(target),
            frames=map(str, job.frames),
            enhanced=enhanced,
            notes=[*source.notes, *enhanced.notes, *coding_notes],
            ms=ms,
            read=source.states,
            written=[
                file_state(
                    item.path,
                    path_in_report(item.target, coding.report),
                    content=wanted[item.target] if hashed else None,
                )
                for item in staged
            ],
            backup=backup,
        )
        if target is None:
            sys.stdout.buffer.write(coded)
            sys.stdout.buffer.flush()
        for item in staged:
            check_free(item.target, job, coding)  # before a line is written

        def put() -> None:
            for item, entry in zip(staged, line["written"], strict=True):
                if etag := place(item, job, coding):
                    entry["etag"] = etag

        yield from _recorded(Outcome(job, "done", line, megapixels=source.megapixels), record, put)
