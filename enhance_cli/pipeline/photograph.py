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

from enhance_cli.errors import (
    ChangedSource,
    EnhanceError,
    FailedCheck,
    MissingSource,
    UnreadableSource,
    UnsupportedFormat,
    UsageError,
)
from enhance_cli.imaging import atomic, codecs, colour, metadata
from enhance_cli.imaging.tiles import Tile, tiles
from enhance_cli.pipeline.journal import file_state, path_in_report
from enhance_cli.pipeline.plans import check_fit, plan_path
from enhance_cli.pipeline.report import report_line
from enhance_cli.pipeline.scan import STDIO, illustration_paths
from enhance_cli.pipeline.stacks import stacked
from enhance_cli.types import Enhancer, Image, Job, Outcome, Plan, VariantEnhancer, Window

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

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", self.enhancer.prepare(self.controls))

    @property
    def reads_planes(self) -> bool:
        """Whether a JPEG may stay in its own planes."""
        return self.enhancer.reads_planes(self.controls)

    def enhance(self, image: Image, *, reuse: bool = False) -> Enhanced:
        """Estimate and render one decoded picture.

        Args:
            image: any layout; it is converted to what the method takes and back.
            reuse: the caller gives up `image.pixels`, so a method without halo may render in place.
        """
        return next(self.enhance_variants(image, reuse=reuse))

    def enhance_variants(self, image: Image, *, reuse: bool = False) -> Iterator[Enhanced]:
        """Every picture that the controls ask for of one photograph, from one estimate; arguments as for `enhance`."""
        from enhance_cli.imaging.view import as_srgb, view_of

        grey = image.chroma is None and image.pixels.ndim == 2
        variants = self.controls.variants()
        ms: dict[str, float] = {}
        with _timed(ms, "estimate"):
            working, view, notes = view_of(image if self.reads_planes else colour.to_rgb(image))
            frame_views = [view_of(frame)[1] for frame in image.frames]
            seen = working if view is None else view.whole()
            frames = zip(image.frames, frame_views, strict=True)
            seen = seen.replace(frames=tuple(frame if its is None else its.whole() for frame, its in frames))
            before = exposure_of(seen)
            for name, path in self.controls.companions(image.metadata.source).items():
                companion = as_srgb(colour.to_rgb(codecs.decode(read(path), source=str(path))))
                seen = seen.replace(companions={**seen.companions, name: companion})
            if self.plan is not None:
                check_fit(self.plan, image)
                plans = [self.plan]
            elif len(variants) == 1:
                plans = [self.enhancer.estimate(seen, self.controls)]
            else:
                plans = cast(VariantEnhancer, self.enhancer).estimate_variants(seen, self.controls)
        drawn = [
            self.enhancer.illustrations(image if view is None else seen, plan, controls)
            for (_, controls), plan in zip(variants, plans, strict=True)
        ]
        del seen
        for (ending, controls), plan, illustrations in zip(variants, plans, drawn, strict=True):
            with _timed(ms, "render"):
                last = plan is plans[-1]
                may_reuse = last and (reuse or working.pixels is not image.pixels)
                rendered = self._render(working, plan, view, frame_views, reuse=may_reuse)
                if grey and rendered.ndim == 3:
                    rendered = colour.grey_like(rendered)
                result = working.replace(pixels=rendered, metadata=image.metadata, companions={}, frames=())
                after = exposure_of(result if view is None else replace(view, image=result).whole())
            exposure = {"before": before, "after": after}
            yield Enhanced(result, plan, exposure, illustrations, dict(ms), ending, controls, notes)
            ms["estimate"] = 0.0  # the first line bears it; the others came of the same look

    def _render(
        self, image: Image, plan: Any, view: View | None, frame_views: Sequence[View | None], *, reuse: bool
    ) -> Array:
        import numpy as np

        halo = self.enhancer.method.halo
        source = image.pixels
        target = source if reuse and halo == 0 and self.amount == 1.0 else np.empty_like(source)

        def render_tile(tile: Tile) -> None:
            frames = tuple(
                frame.pixels[tile.outer] if its_view is None else its_view.window(tile.outer)
                for frame, its_view in zip(image.frames, frame_views, strict=True)
            )
            if view is not None:
                seen = view.window(tile.outer)
                rendered = self.enhancer.render(Window(seen, tile.outer_top, tile.outer_left, frames), plan)
                seen = seen[tile.inner_of_outer]
                rendered = self._blended(rendered[tile.inner_of_outer], seen)
                target[tile.inner] = view.back(tile.inner, seen, rendered)
                return
            window = Window(source[tile.outer], tile.outer_top, tile.outer_left, frames)
            if halo == 0:
                self.enhancer.render(window, plan, out=target[tile.inner])
            else:
                target[tile.inner] = self.enhancer.render(window, plan)[tile.inner_of_outer]

        if halo == 0:
            rows = max(_LEAST_BAND, math.ceil(image.height / self.engine.threads))
            rows = rows if view is None else min(rows, _VIEWED_BAND)
            pieces = tiles(image.height, image.width, rows, image.width)
        else:
            pieces = tiles(image.height, image.width, _even_part(image.height), _even_part(image.width), halo)
        self.engine.map(render_tile, pieces)
        return target if view is not None else self._blended(target, source)

    def _blended(self, rendered: Array, source: Array) -> Array:
        """`--amount` of a method's result, the rest as it was."""
        if self.amount == 1.0:
            return rendered
        import cv2

        blended: Array = cv2.addWeighted(rendered, self.amount, source, 1.0 - self.amount, 0.0)
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


def _even_part(length: int) -> int:
    """A tile's side along one of a picture's: as few tiles as there must be, of about one size."""
    count = -(-length // _TILE)
    return -(-length // count // _TILE_STEP) * _TILE_STEP


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

    strip: Literal["gps", "all"] | None = None
    verify: bool = False
    """Whether a staged picture is read back and decoded before it is placed."""

    preserve_times: bool = False
    hash_sources: bool = False
    """Whether lines keep the sha256 of what was read."""

    save_plans: Path | None = None
    root: Path | None = None
    """The output folder, which saved plans are named below."""

    report: Path | None = None
    """Where lines go, which written files are named from."""

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
        return sys.stdin.buffer.read()
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
    source = STDIO if job.source is None else str(job.source)
    data = read(job.source)
    seen = _read_states(job, recipe, data if coding.hash_sources else None)
    ms: dict[str, float] = {}

    def admitted(height: int, width: int, depth: int) -> None:
        # All at once: a stack that waited for room with half of its frames decoded could wait for ever.
        admit(decoded_bytes(height, width, depth, further=len(job.frames)))

    started = time.perf_counter()
    image = codecs.decode(data, source=source, planes=recipe.reads_planes, max_pixels=coding.max_pixels, admit=admitted)
    if job.frames:
        image = stacked(colour.to_rgb(image), [_frame(path, image, coding) for path in job.frames])
    ms["decode"] = (time.perf_counter() - started) * 1e3
    written_format = coding.format_for(job, image)
    megapixels = image.height * image.width / 1e6
    kept = image.metadata if coding.strip is None else metadata.strip(image.metadata, coding.strip)
    notes = (*image.metadata.notes, *_name_note(job.source, image, written_format))
    image = image.replace(metadata=kept)
    del data
    for enhanced in recipe.enhance_variants(image, reuse=True):
        ms.update(enhanced.ms)
        target = None if job.target is None else job.target_with(enhanced.ending)
        with ExitStack() as stack:
            with _timed(ms, "encode"):
                coded, coding_notes = codecs.encode(enhanced.image, written_format, quality=coding.quality)
                staged = [] if target is None else _stage(stack, job, target, coded, enhanced, coding)
            line = recipe.line(
                source,
                STDIO if target is None else str(target),
                frames=map(str, job.frames),
                enhanced=enhanced,
                notes=[*notes, *enhanced.notes, *enhanced.plan.notes, *coding_notes],
                ms=ms,
                read=seen,
                written=[file_state(item.path, path_in_report(item.target, coding.report)) for item in staged],
            )
            if target is None:
                sys.stdout.buffer.write(coded)
                sys.stdout.buffer.flush()
            record(line)
            for item in staged:
                item.place()
        yield Outcome(job, "done", line, megapixels=megapixels)
        ms["decode"] = 0.0  # once, for the first of them


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
    others = (*job.frames, *recipe.controls.companions(str(job.source)).values())
    try:
        return [
            file_state(job.source, str(job.source), content=content),
            *(file_state(path, str(path), content=None if content is None else path.read_bytes()) for path in others),
        ]
    except OSError as error:
        raise ChangedSource(f"{error.filename} went away while {job.source} was read.") from error


def _stage(
    stack: ExitStack, job: Job, target: Path, coded: bytes, enhanced: Enhanced, coding: Coding
) -> list[atomic.Staged]:
    """Everything that one picture writes, itself first, whole and synced but not in place."""
    if not target.parent.exists() and (coding.root is None or coding.root.exists()):
        atomic.make_folder(target.parent)  # not the output folder itself: if that is gone, somebody took it away
    wanted = {target: coded}
    pictures = enhanced.illustrations
    for path, picture in zip(illustration_paths(target, pictures), pictures.values(), strict=True):
        wanted[path] = codecs.encode(Image(picture), "png")[0]
    if coding.save_plans is not None:
        path = plan_path(coding.save_plans, target, coding.root)
        atomic.make_folder(path.parent)
        wanted[path] = enhanced.plan.to_bytes()
    staged = [stack.enter_context(atomic.Staged(path, data)) for path, data in wanted.items()]
    if coding.verify or coding.in_place:
        _verify(staged[0], coded, enhanced.image)
    if job.source is not None and (coding.in_place or coding.preserve_times):
        before = job.source.stat()
        if coding.in_place:
            staged[0].path.chmod(stat.S_IMODE(before.st_mode))
        if coding.preserve_times:
            os.utime(staged[0].path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return staged


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


def decoded_bytes(height: int, width: int, depth: int, further: int = 0) -> int:
    """What a picture in flight takes of `--memory`: its RGB samples twice, as decoded and as rendered.

    Args:
        height: in pixels.
        width: in pixels.
        depth: bits of a sample.
        further: exposures of a stack beside the first; each is held once.
    """
    return height * width * 3 * (depth // 8) * (2 + further)


def _name_note(source: Path | None, image: Image, written_format: str) -> tuple[str, ...]:
    announced = None if source is None else codecs.format_of_suffix(source)
    if announced is None or announced.name == image.metadata.format:
        return ()
    return (f"named as {announced.name} but is {image.metadata.format} inside; written as {written_format}",)
