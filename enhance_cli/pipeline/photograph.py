"""One photograph's way: read, decode, estimate, render, encode, put in place, and the line that says so."""

from __future__ import annotations

import math
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from enhance_cli.engines import abandon
from enhance_cli.errors import (
    ChangedSource,
    CorruptPicture,
    EnhanceError,
    FailedCheck,
    MissingSource,
    OccupiedOutput,
    UnreadableSource,
    UnsupportedFormat,
    UsageError,
    WouldLose,
)
from enhance_cli.imaging import atomic, codecs, colour, marks, metadata
from enhance_cli.imaging.tiles import Tile, tiles
from enhance_cli.pipeline import holding, in_place, memory
from enhance_cli.pipeline.companions import Companions
from enhance_cli.pipeline.journal import file_state, path_in_report
from enhance_cli.pipeline.known import Known
from enhance_cli.pipeline.plans import check_fit, plan_path
from enhance_cli.pipeline.report import report_line
from enhance_cli.pipeline.scan import STDIO, illustration_paths
from enhance_cli.pipeline.stacks import stacked
from enhance_cli.types import Enhancer, Image, Job, Metadata, Outcome, Plan, Standing, VariantEnhancer, Window

if TYPE_CHECKING:
    from enhance_cli.engines import Engine
    from enhance_cli.imaging.view import View
    from enhance_cli.types import Array

_LEAST_BAND = 128
"""Rows of a band below which handing it to another thread costs more than it gains."""

_VIEWED_BAND = 256
"""Rows of a band of a picture that is seen at 16 bits in another colour space than its own."""

_TILE, _TILE_STEP = 1024, 256
"""Largest side of a tile for methods with a halo, so large that the halo is a small part of it; and what sides are a
multiple of. The tiles of a picture are of about one size, so that threads end together."""


_SMALL_TILE = 512
"""Largest side of a tile where the picture itself is what memory is needed for."""


@dataclass(slots=True)
class Enhanced:
    """A picture after its method, and what is known of it."""

    image: Image
    plan: Any
    exposure: dict[str, dict[str, float]]
    illustrations: Mapping[str, Array]
    ms: dict[str, float]
    ending: str = ""
    """Of the output's name: which of the pictures that the controls ask for this is."""

    controls: Any = None
    """The controls of this one."""

    notes: tuple[str, ...] = ()
    """What the user should know of how the picture was seen."""


@dataclass(frozen=True)
class Recipe:
    """A method opened with controls: everything about a run but its files."""

    engine: Engine
    enhancer: Enhancer
    controls: Any
    amount: float = 1.0
    plan: Plan | None = None
    """Decided already, for every picture: nothing is estimated."""

    weights: Mapping[str, str] | None = field(init=False)
    companions: Companions = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "companions", Companions(self.controls, read))
        object.__setattr__(self, "weights", self.enhancer.prepare(self.controls))

    @property
    def reads_planes(self) -> bool:
        """Whether a JPEG may stay in its own planes."""
        return self.enhancer.reads_planes(self.controls)

    def holds(self, height: int, width: int, depth: int, jpeg: bool, *, further: int = 0) -> int:
        """Bytes that a photograph takes of `--memory`, from its header; `further` are exposures beside it."""
        return holding.held_bytes(
            height,
            width,
            depth,
            jpeg=jpeg,
            planes=self.reads_planes,
            halo=self.enhancer.method.halo,
            blended=self.amount < 1.0 or len(self.controls.variants()) > 1,
            further=further,
            method=self.controls.holds(height, width),
        )

    def enhance(self, image: Image, *, reuse: bool = False) -> Enhanced:
        """Estimate and render one decoded picture.

        Args:
            image: any layout; it is converted to what the method takes and back.
            reuse: the caller gives up `image.pixels`, so a method without halo may render in place.
        """
        return next(self.enhance_variants(image, reuse=reuse))

    def enhance_variants(self, image: Image, *, reuse: bool = False) -> Iterator[Enhanced]:
        """Every picture that the controls ask for of one photograph, from one estimate; arguments as for `enhance`."""
        from enhance_cli.imaging.view import view_of

        grey = image.chroma is None and image.pixels.ndim == 2
        variants = self.controls.variants()
        ms: dict[str, float] = {}
        if not image.companions:  # a picture from Python; a file's were counted and decoded with it
            with _timed(ms, "decode"):
                image = image.replace(companions=self.companions.beside(image.metadata.called).decode())
            if not image.companions:
                del ms["decode"]
        with _timed(ms, "estimate"):
            working, view, notes = view_of(image if self.reads_planes else colour.to_rgb(image))
            views = [view, *(view_of(frame)[1] for frame in image.frames)]
            seen = _seen_whole(working, views)
            before = exposure_of(seen)
            if self.plan is not None:
                check_fit(self.plan, image)
                plans = [self.plan]
            elif len(variants) == 1:
                plans = [self.enhancer.estimate(seen, self.controls)]
            else:
                plans = cast(VariantEnhancer, self.enhancer).estimate_variants(seen, self.controls)
        image, working = image.replace(companions={}), working.replace(companions={})  # seen, and let go
        drawn = [
            self.enhancer.illustrations(image if view is None else seen, plan, controls)
            for (_, controls), plan in zip(variants, plans, strict=True)
        ]
        del seen
        if image.nbytes > holding.LARGEST_TWICE:
            memory.give_back()
        for (ending, controls), plan, illustrations in zip(variants, plans, drawn, strict=True):
            with _timed(ms, "render"):
                last = plan is plans[-1]
                may_reuse = last and (reuse or working.pixels is not image.pixels)
                rendered = self._render(working, plan, views, reuse=may_reuse)
                if grey and rendered.ndim == 3:
                    rendered = colour.grey_like(rendered)
                result = working.replace(pixels=rendered, metadata=image.metadata, companions={}, frames=())
                after = exposure_of(result if view is None else replace(view, image=result).whole())
            exposure = {"before": before, "after": after}
            yield Enhanced(result, plan, exposure, illustrations, dict(ms), ending, controls, notes)
            ms["estimate"] = 0.0  # the first line bears it; the others came of the same look

    def _render(self, image: Image, plan: Any, views: Sequence[View | None], *, reuse: bool) -> Array:
        """All pixels of a picture, as it stores them.

        Args:
            image: as it is stored.
            plan: for the picture as methods see it.
            views: how they see it, and each of its frames; None where they see them as they are.
            reuse: whether it may be rendered into itself.
        """
        import numpy as np

        from enhance_cli.pipeline.originals import Originals

        view, *frame_views = views
        halo = self.enhancer.method.halo
        source = image.pixels
        in_place = reuse and self.amount == 1.0 and (halo == 0 or source.nbytes > holding.LARGEST_TWICE)
        target = source if in_place else np.empty_like(source)
        pieces = self._pieces(image, viewed=view is not None, small=in_place)
        originals = Originals(source, pieces, halo) if in_place and halo > 0 else None

        def render_tile(tile: Tile) -> None:
            stored = source[tile.outer] if originals is None else originals.outer(tile)
            seen = stored if view is None else view.window(stored, tile.outer)
            frames = tuple(
                frame.pixels[tile.outer] if its is None else its.window(frame.pixels[tile.outer], tile.outer)
                for frame, its in zip(image.frames, frame_views, strict=True)
            )
            window = Window(seen, tile.outer_top, tile.outer_left, frames)
            if halo == 0 and view is None:
                self.enhancer.render(window, plan, out=target[tile.inner])
                return
            inner = tile.inner_of_outer
            rendered = self.enhancer.render(window, plan)[inner]
            if view is not None:
                rendered = self._blended(rendered, seen[inner])
                rendered = view.back(stored[inner], tile.inner, seen[inner], rendered)
            target[tile.inner] = rendered
            if originals is not None:
                originals.done(tile)

        self.engine.map(render_tile, pieces)
        if originals is not None:
            memory.give_back()
        return target if view is not None else self._blended(target, source)

    def _pieces(self, image: Image, *, viewed: bool, small: bool) -> list[Tile]:
        """The parts that a picture is rendered in: bands, or tiles for a method with a halo."""
        halo = self.enhancer.method.halo
        if halo == 0:
            rows = max(_LEAST_BAND, math.ceil(image.height / self.engine.threads))
            rows = min(rows, _VIEWED_BAND) if viewed else rows
            return list(tiles(image.height, image.width, rows, image.width))
        largest = _SMALL_TILE if small else _TILE
        sides = _even_part(image.height, largest), _even_part(image.width, largest)
        return list(tiles(image.height, image.width, *sides, halo))

    def _blended(self, rendered: Array, source: Array) -> Array:
        """`--amount` of a method's result, the rest as it was; `rendered` is given up."""
        if self.amount == 1.0:
            return rendered
        import cv2

        blended: Array = cv2.addWeighted(rendered, self.amount, source, 1.0 - self.amount, 0.0, dst=rendered)
        return blended

    def line(
        self,
        job_source: str,
        output: str | None,
        *,
        enhanced: Enhanced | None = None,
        error: Exception | None = None,
        skipped: bool = False,
        **details: Any,
    ) -> dict[str, Any]:
        """The report line of one photograph; `details` are fields of `report_line`."""
        return report_line(
            source=job_source,
            output=output,
            status="failed" if error else "skipped" if skipped else "done",
            method=self.enhancer.method.name,
            controls={**(enhanced.controls if enhanced else self.controls).to_json(), "amount": self.amount},
            error=None if error is None else {"kind": getattr(error, "kind", "bug"), "message": sentence(error)},
            weights=self.weights,
            device=self.engine.device,
            size=None if enhanced is None else [enhanced.image.width, enhanced.image.height],
            exposure=None if enhanced is None else enhanced.exposure,
            plan=None if enhanced is None else self.enhancer.describe(enhanced.plan),
            **details,
        )


def _even_part(length: int, largest: int = _TILE) -> int:
    """A tile's side along one of a picture's: as few tiles as there must be, of about one size."""
    count = -(-length // largest)
    return -(-length // count // _TILE_STEP) * _TILE_STEP


def _seen_whole(image: Image, views: Sequence[View | None]) -> Image:
    """A picture with its frames and companions as methods see them."""
    from enhance_cli.imaging.view import as_srgb

    view, *frame_views = views
    frames = zip(image.frames, frame_views, strict=True)
    return (image if view is None else view.whole()).replace(
        frames=tuple(frame if its is None else its.whole() for frame, its in frames),
        companions={name: as_srgb(companion) for name, companion in image.companions.items()},
    )


def exposure_of(image: Image) -> dict[str, float]:
    """The report's exposure block: luma statistics in 0..1 (see `quality.blind.exposure`)."""
    import numpy as np

    from enhance_cli.imaging import luma as luma_room
    from enhance_cli.imaging import opacity
    from enhance_cli.quality.blind import exposure

    pixels, weights = image.pixels, opacity.weights_of(image)
    if weights is None and pixels.dtype == np.uint8:
        counts = luma_room.luma_histogram(pixels) if pixels.ndim == 2 else luma_room.rgb_luma_histogram(pixels)
    else:
        codes = np.iinfo(pixels.dtype).max + 1
        counts = np.zeros(codes, np.int64 if weights is None else np.float64)
        for top in range(0, image.height, 256):  # in bands: bincount widens what it counts to 8 bytes
            band = slice(top, top + 256)
            levels = pixels[band] if pixels.ndim == 2 else luma_room.luma(pixels[band])
            counts += np.bincount(levels.ravel(), None if weights is None else weights[band].ravel(), codes)
    return {name: round(value, 6) for name, value in exposure(counts).items()}


@contextmanager
def _timed(ms: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        ms[stage] = (time.perf_counter() - start) * 1e3


def sentence(error: BaseException) -> str:
    """An error as one line for a person; a bug of ours also names its class."""
    text = " ".join(str(error).split())
    if isinstance(error, EnhanceError):
        return text
    return f"A bug of ours ({type(error).__name__}: {text[:200]}); run again with --debug for its traceback."


# --- files -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Coding:
    """How pictures are read and written."""

    format: str | None = None
    """Wanted format; None keeps the source's."""

    quality: int | None = None
    max_pixels: int = codecs.MAX_PIXELS
    follow_target: bool = False
    """Whether the output's name was typed by the user, whose suffix then decides the format."""

    in_place: bool = False
    """Whether outputs replace their sources, whose format and mode they then keep."""

    drop_extras: bool = False
    """Whether a source is replaced even if something that it holds would be lost."""

    strip: Literal["gps", "all"] | None = None
    verify: bool = False
    """Whether a staged picture is read back and decoded before it is placed."""

    preserve_times: bool = False
    hash_sources: bool = False
    """Whether lines keep the sha256 of what was read."""

    overwrite: bool = False
    """Whether files are replaced, whoever wrote them."""

    skip_existing: bool = False
    """Whether files that are there are left alone, and the others still written."""

    save_plans: Path | None = None
    shared_stems: frozenset[Path] = frozenset()
    """Illustrations that are named by their output's whole name (see `Scan.shared_stems`)."""

    root: Path | None = None
    """The output folder, which saved plans are named below."""

    report: Path | None = None
    """Where lines go, which written files are named from."""

    settings: str = ""
    """The digest of what decides a picture beside its source, for the mark that outputs get."""

    version: str = ""
    """Of the program, for the mark."""

    known: Known | None = None
    """What enhance wrote before, as far as reports tell; for photographs in place."""

    again: bool = False
    """Whether photographs in place are enhanced though they were before."""

    backup: str | None = None
    """The suffix of the name under which the original is kept in place; None to keep none."""

    def format_for(self, job: Job, image: Image) -> str:
        """The format that a photograph is written in.

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
    """All bytes of a regular file, or of stdin for None.

    Raises:
        MissingSource: there is none, or it is a folder, a pipe or a device.
        UnreadableSource: the operating system refuses.
        ChangedSource: somebody wrote to it meanwhile.
    """
    if source is None:
        try:
            return sys.stdin.buffer.read()
        except OSError as error:
            raise UnreadableSource(f"stdin cannot be read: {error.strerror}.") from error
    try:
        mode = source.stat().st_mode
        if stat.S_ISDIR(mode):
            os.scandir(source).close()  # a folder that cannot be listed says so; see `scan`
        if not stat.S_ISREG(mode):  # looked at before opening: a pipe without a writer would hold us for ever
            raise MissingSource(f"{source} is no regular file; give a picture.")
        with source.open("rb") as file:
            before = os.fstat(file.fileno())
            data = file.read()
            after = os.fstat(file.fileno())
    except FileNotFoundError as error:
        what = "is a link to nothing" if source.is_symlink() else "does not exist"
        raise MissingSource(f"{source} {what}.") from error
    except OSError as error:
        raise UnreadableSource(f"{source} cannot be read: {error.strerror}.") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(data) != after.st_size:
        raise ChangedSource(f"{source} changed while it was read; run again when it is complete.")
    return data


def is_jpeg(data: bytes) -> bool:
    """Whether a file's first bytes announce a JPEG."""
    found = codecs.sniff(data)
    return found is not None and found.name == "jpeg"


def process(
    job: Job,
    recipe: Recipe,
    coding: Coding,
    admit: Callable[[int], None],
    record: Callable[[Mapping[str, Any]], None],
) -> Iterator[Outcome]:
    """Enhance one file into another, or into several where the controls ask for that; yields each when it is there.

    Args:
        job: the file and its target; bytes for `job.target` None go to stdout.
        recipe: the method.
        coding: formats and limits.
        admit: called with the decoded bytes before decoding; blocks until there is room.
        record: called with each line when its files are staged, before they are placed.

    Raises:
        EnhanceError: whatever made it fail; the stream turns it into an Outcome.
    """
    if not coding.in_place:
        yield from _process(job, recipe, coding, admit, record)
        return
    assert job.source is not None
    assert job.target is not None
    # Before waiting, the turn for memory is passed on: whoever is waited for may be waiting for it.
    with in_place.locked(job.target, waiting=lambda: admit(0)) as status:
        past = in_place.Past(job.source, job.target, status, coding.known, again=coding.again)
        past.look()
        if past.reason is None:
            yield from _process(job, recipe, coding, admit, record, past)
        else:
            yield from _left_alone(job, recipe, record, past.reason)


def _left_alone(
    job: Job, recipe: Recipe, record: Callable[[Mapping[str, Any]], None], reason: str
) -> Iterator[Outcome]:
    """Say that a photograph was not touched, and in which state, so that a later run need not look into it."""
    assert job.target is not None
    line = recipe.line(str(job.source), str(job.target), skipped=True, notes=[reason], read=[file_state(job.target)])
    with abandon.current().placing():
        record(line)
        yield Outcome(job, "skipped", line)


def _process(
    job: Job,
    recipe: Recipe,
    coding: Coding,
    admit: Callable[[int], None],
    record: Callable[[Mapping[str, Any]], None],
    past: in_place.Past | None = None,
) -> Iterator[Outcome]:
    """What `process` does once a photograph in place is held."""
    source = STDIO if job.source is None else str(job.source)
    data = read(job.source if past is None else job.target)  # the file that is held, wherever a link now leads
    if past is not None and past.look_into(data):
        yield from _left_alone(job, recipe, record, past.reason or "")
        return
    seen = _read_states(job, recipe, data if coding.hash_sources or coding.backup else None)
    ms: dict[str, float] = {}
    jpeg = is_jpeg(data)
    held, companions = recipe.companions.beside(job.name, coding.max_pixels)
    beside: dict[str, Image] = {}
    broken: list[CorruptPicture] = []

    def admitted(height: int, width: int, depth: int) -> None:
        # All at once: a stack that waited for room with half of its frames decoded could wait for ever.
        admit(recipe.holds(height, width, depth, jpeg, further=len(job.frames)) + held)
        try:
            beside.update(companions())  # before the photograph: their decoders need more than they leave
        except CorruptPicture as error:
            broken.append(error)
            raise

    started = time.perf_counter()
    try:
        image = codecs.decode(
            data, source=source, planes=recipe.reads_planes, max_pixels=coding.max_pixels, admit=admitted
        )
    except CorruptPicture as error:
        raise (broken or [error])[0] from error  # in the words about the mask, not about the photograph
    if job.frames:
        image = stacked(colour.to_rgb(image), [_frame(path, image, coding) for path in job.frames])
    image = image.replace(companions=dict(beside))
    beside.clear()
    ms["decode"] = (time.perf_counter() - started) * 1e3
    if past is not None and past.look_at_mark(image.metadata.xmp):
        yield from _left_alone(job, recipe, record, past.reason or "")
        return
    written_format = coding.format_for(job, image)
    megapixels = image.height * image.width / 1e6
    kept = image.metadata if coding.strip is None else metadata.strip(image.metadata, coding.strip)
    notes = (*kept.notes, *_name_note(job.source, image, written_format))
    if coding.in_place and not coding.drop_extras:
        _refuse_loss(source, kept.lost)
    kept, is_marked = _marked(kept, written_format, recipe, coding)
    pictures = recipe.enhance_variants(image.replace(metadata=replace(kept, name=job.name)), reuse=True)
    original = data if coding.backup is not None else b""
    del data, image  # a mask may be as large as the picture, and is not needed to the end
    for enhanced in pictures:
        ms.update(enhanced.ms)
        target = None if job.target is None else job.target_with(enhanced.ending)
        if coding.skip_existing and target is not None and os.path.lexists(target):
            line = recipe.line(source, str(target), frames=map(str, job.frames), skipped=True)
            with abandon.current().placing():
                record(line)
                yield Outcome(job, "skipped", line)
            continue
        with ExitStack() as stack:
            with _timed(ms, "encode"):
                coded, coding_notes = codecs.encode(enhanced.image, written_format, quality=coding.quality)
                abandon.check()
                contents = {} if target is None else _contents(target, coded, enhanced, recipe, coding)
                staged = _stage(stack, job, contents, enhanced, coding, past)
            backup = None
            if past is not None:
                if not is_marked and coding.strip != "all":
                    past.mark_file(staged[0].path, coded, recipe.enhancer.method.name)
                past.check_unchanged()
                if coding.backup is not None:
                    backup = stack.enter_context(past.kept_original(coding.backup, original, coding.report))
            line = recipe.line(
                source,
                STDIO if target is None else str(target),
                frames=map(str, job.frames),
                enhanced=enhanced,
                notes=[*notes, *enhanced.notes, *enhanced.plan.notes, *coding_notes],
                ms=ms,
                read=seen,
                written=[
                    file_state(
                        item.path,
                        path_in_report(item.target, coding.report),
                        # What bears a mark beside its source costs a hundredth less without its hash.
                        content=contents[item.target] if coding.in_place or not is_marked else None,
                    )
                    for item in staged
                ],
                backup=backup,
            )
            if target is None:
                sys.stdout.buffer.write(coded)
                sys.stdout.buffer.flush()
            for item in staged:
                _check_free(item.target, job, coding)  # before a line says that it is done
            with abandon.current().placing():
                record(line)
                for item in staged:
                    _place(item, job, coding)
                yield Outcome(job, "done", line, megapixels=megapixels)  # counted before a stop can count
        ms["decode"] = 0.0  # once, for the first of them


def _refuse_loss(source: str, lost: tuple[str, ...]) -> None:
    """Raise where replacing a file would lose what it holds beside its picture."""
    if lost:
        what = " and ".join((", ".join(lost[:-1]), lost[-1]) if len(lost) > 1 else lost)
        raise WouldLose(f"{source} holds {what}, which enhance cannot keep; give --drop-extras, or an OUTPUT.")


def _frame(path: Path, first: Image, coding: Coding) -> Image:
    """A further exposure, RGB. It has room if it is no larger than the first, so that others are not even decoded."""

    def check(height: int, width: int, depth: int) -> None:
        if height * width > first.height * first.width:
            raise UsageError(
                f"{path} is {width}x{height} and the first exposure, {first.metadata.source}, "
                f"{first.width}x{first.height}; the frames of a stack must be alike, so crop or convert them first."
            )

    return colour.to_rgb(codecs.decode(read(path), source=str(path), max_pixels=coding.max_pixels, admit=check))


def _read_states(job: Job, recipe: Recipe, content: bytes | None) -> list[dict[str, Any]]:
    """The files that decide a picture, as they are now: its source, its frames, and what the controls add to it."""
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


def _marked(kept: Metadata, written_format: str, recipe: Recipe, coding: Coding) -> tuple[Metadata, bool]:
    """The metadata of an output with the mark that it gets, and whether it got one."""
    if coding.strip == "all" or "XMP" not in codecs.FORMATS[written_format].carries:
        return kept, False
    limit = marks.JPEG_LIMIT if written_format == "jpeg" else None
    xmp = marks.with_mark(kept.xmp, _mark(recipe, coding), limit=limit)
    return replace(kept, xmp=xmp), xmp != kept.xmp


def _mark(recipe: Recipe, coding: Coding, role: str = "") -> marks.Mark:
    used = (recipe.weights or {}).get("id", "")
    return marks.Mark(recipe.enhancer.method.name, coding.settings, used, coding.version, role)


def _contents(target: Path, coded: bytes, enhanced: Enhanced, recipe: Recipe, coding: Coding) -> dict[Path, bytes]:
    """Everything that one picture writes, itself first."""
    contents = {target: coded}
    pictures = enhanced.illustrations
    xmp = None if coding.strip == "all" else marks.with_mark(None, _mark(recipe, coding, "illustration"))
    for path, picture in zip(illustration_paths(target, pictures, coding.shared_stems), pictures.values(), strict=True):
        contents[path] = codecs.encode(Image(picture, metadata=Metadata(xmp=xmp)), "png")[0]
    if coding.save_plans is not None:
        contents[plan_path(coding.save_plans, target, coding.root)] = enhanced.plan.to_bytes()
    if coding.skip_existing:
        return {path: data for path, data in contents.items() if path == target or not os.path.lexists(path)}
    return contents


def _stage(
    stack: ExitStack,
    job: Job,
    contents: Mapping[Path, bytes],
    enhanced: Enhanced,
    coding: Coding,
    past: in_place.Past | None,
) -> list[atomic.Staged]:
    """Write all, whole and synced but not in place."""
    for path in contents:
        if not path.parent.exists() and (coding.root is None or coding.root.exists()):
            atomic.make_folder(path.parent)  # not the output folder itself: if that is gone, somebody took it away
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


def _place(item: atomic.Staged, job: Job, coding: Coding) -> None:
    """Put a staged file in place: over what an earlier run left there, or where nothing is.

    Raises:
        OccupiedOutput: something else stands there.
    """
    _check_free(item.target, job, coding)
    if _may_replace(item.target, job, coding) or any(str(item.target) == old.path for old in job.standing):
        item.place()
        return
    try:
        item.place_anew()
    except FileExistsError:
        raise _occupied(item.target) from None


def _may_replace(target: Path, job: Job, coding: Coding) -> bool:
    return coding.overwrite or (coding.in_place and target == job.target)


def _check_free(target: Path, job: Job, coding: Coding) -> None:
    """See that nothing stands at a target but what stood there when the run began and may be replaced."""
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
        f"{target} was put there or changed during the run by somebody else, and is left as it is; move it away and "
        "run again, or use --overwrite."
    )


def _verify(staged: atomic.Staged, coded: bytes, image: Image) -> None:
    """Read a picture back from the disk and decode it.

    Raises:
        FailedCheck: it is not what was written, or is no picture of that size.
    """
    try:
        if staged.path.read_bytes() != coded:
            raise FailedCheck(f"{staged.target} was not kept by the disk as it was written; it was not put in place.")
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


def _name_note(source: Path | None, image: Image, written_format: str) -> tuple[str, ...]:
    announced = None if source is None else codecs.format_of_suffix(source)
    if announced is None or announced.name == image.metadata.format:
        return ()
    return (f"named as {announced.name} but is {image.metadata.format} inside; written as {written_format}",)
