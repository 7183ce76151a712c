"""What a run does to a decoded image, independent of files: estimate, render, and the report of both."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from enhance_cli import methods
from enhance_cli.controls import Controls
from enhance_cli.engines.weights import report as report_of_weights
from enhance_cli.errors import EnhanceError, OutOfMemory
from enhance_cli.imaging import colour
from enhance_cli.imaging.measures import MEASURES
from enhance_cli.imaging.tiles import Tile, tiles
from enhance_cli.pipeline import holding, memory
from enhance_cli.pipeline.card import Card, side_within, unless_exhausted
from enhance_cli.pipeline.companions import Companions
from enhance_cli.pipeline.plans import check_fit
from enhance_cli.pipeline.report import report_line
from enhance_cli.plan import Plan
from enhance_cli.types import ChromaEnhancer, Enhancer, Image, VariantEnhancer, Window

if TYPE_CHECKING:
    from enhance_cli.engines import Engine
    from enhance_cli.imaging.codecs.jpeg.on_card import CardDecoder
    from enhance_cli.imaging.view import View
    from enhance_cli.types import Array

_LEAST_BAND = 128
"""Minimum rows of a band: for fewer rows, another thread costs more than it gains."""

_VIEWED_BAND = 256
"""Rows of a band of an image that methods see converted, at 16 bits."""

_TILE, _TILE_STEP = 1024, 256
"""Largest side of a tile for methods with a halo, large enough that the halo is a small part of it; and the number that
sides are a multiple of. The tiles of an image have about the same size, so that threads finish together."""

_SMALL_TILE = 512
"""Largest side of a tile of images so large that memory is scarce."""

_CARD_WORK, _CARD_BLOCK = 550, 2**30
"""Bytes of device memory that kernels need per pixel of a photo that is rendered whole, besides its own, and per pixel
of a block of a network. The tensors that are live at once in torch on the CPU take 120 (clahe-adaptive), 220 (retinex),
430 (local) and 530 bytes per pixel (clode), and 950 per pixel of a block of irle's full network; the libraries of a
card may need more."""


@dataclass(slots=True)
class Enhanced:
    """An enhanced image, and what is known about it."""

    image: Image
    plan: Any
    """None once it is no longer needed: that of `local` holds 2 bytes per pixel."""

    described: Mapping[str, Any]
    """The plan as the report has it."""

    exposure: dict[str, dict[str, float]]
    illustrations: Mapping[str, Array]
    ms: dict[str, float]
    ending: str = ""
    """The suffix of its output's name, which identifies it among the outputs that the controls request."""

    controls: Controls = field(default_factory=Controls)
    """The controls of this image."""

    unchanged: bool = False
    """Whether the plan leaves the photo as it is (`Plan.unchanged`)."""

    notes: tuple[str, ...] = ()
    """Notes to the user about how methods saw the image, and about the plan."""


@dataclass(frozen=True)
class Recipe:
    """A method opened with controls: everything about a run except its files."""

    engine: Engine
    enhancer: Enhancer
    controls: Controls
    plan: Plan | None = None
    """A given plan for every image; then nothing is estimated."""

    decoder: CardDecoder | None = None
    """Decodes what the card can decode of files (`--codec gpu`)."""

    weights: Mapping[str, Any] | None = field(init=False)
    """The report's `weights` field: the networks that run."""

    precision: str | None = field(init=False)
    """On a card `half` if networks of this run may run in half precision, otherwise `full`."""

    companions: Companions = field(init=False)
    card: Card = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "card", Card(self.engine))
        object.__setattr__(self, "companions", Companions(self.controls))
        used = self.enhancer.prepare(self.controls)
        object.__setattr__(self, "weights", report_of_weights(used, self.engine.own_weights))
        object.__setattr__(self, "precision", self._precision([weights.path.stem for weights in used]))

    def _card_of(self, enhanced: Enhanced | None) -> dict[str, str] | None:
        """The report's `card` field."""
        if self.precision is None:
            return None
        told = {"precision": self.precision}
        if enhanced is not None:
            told["decoder"] = "gpu" if enhanced.image.metadata.decoded_on_card else "cpu"
        return told

    def _precision(self, stems: Sequence[str]) -> str | None:
        if self.engine.card_memory is None:
            return None
        method = self.enhancer.method
        others = any(methods.get(name).half for name in method.uses)
        return "half" if self.engine.half and (others or not set(stems).isdisjoint(method.half)) else "full"

    @property
    def may_copy(self) -> bool:
        """Whether a plan may leave a photo unchanged, so that its bytes must be kept."""
        return self.enhancer.method.copies

    @property
    def reads_planes(self) -> bool:
        """Whether a JPEG may be processed in the planes it stores."""
        return self.enhancer.reads_planes(self.controls)

    def holds(self, height: int, width: int, depth: int, jpeg: bool, *, further: int = 0) -> int:
        """Bytes of `--memory` that a photo takes, from its header; `further` is the number of further exposures."""
        return holding.held_bytes(
            height,
            width,
            depth,
            jpeg=jpeg,
            planes=self.reads_planes and self.decoder is None,
            halo=self.enhancer.method.halo,
            blended=self.controls.amount < 1.0,
            several=len(self.controls.variants()) > 1,
            further=further,
            method=self.controls.holds(height, width),
        )

    def enhance(self, image: Image, *, reuse: bool = False) -> Enhanced:
        """Estimate and render one decoded image.

        Args:
            image: any layout; it is converted to what the method takes and back.
            reuse: the caller no longer needs `image.pixels`, so a method without halo may render in place.
        """
        return next(self.enhance_variants(image, reuse=reuse))

    def enhance_variants(
        self, image: Image, *, reuse: bool = False, again: Callable[[], Image] | None = None
    ) -> Iterator[Enhanced]:
        """Every output that the controls request of one photo; see `_variants`."""
        images = [image]
        del image  # so that `_variants` decides how long it is kept
        return self.card.flights(self._holding(images, reuse=reuse, again=again))

    def _holding(self, images: list[Image], *, reuse: bool, again: Callable[[], Image] | None) -> Iterator[Enhanced]:
        """As `enhance_variants`, of the one image in a list, which is emptied."""
        with ExitStack() as held:
            yield from self._variants(images.pop(), held, reuse=reuse, again=again)

    def _variants(
        self, image: Image, held: ExitStack, *, reuse: bool, again: Callable[[], Image] | None
    ) -> Iterator[Enhanced]:
        """Every output that the controls request of one photo, from one estimate.

        Args:
            image: as for `enhance`.
            held: what is held on the device for the photo; closed before the last output is given.
            reuse: as for `enhance`.
            again: decodes `image` once more. A large image that would need a second copy (another colour space,
                several outputs) is decoded again instead of held twice.

        Raises:
            OutOfCardMemory: there is a card, and it has too little memory for this photo.
        """
        from enhance_cli.imaging.view import view_of

        self.engine.remarks()  # those of an earlier photo that failed
        grey = image.chroma is None and image.pixels.ndim == 2
        # Methods that read planes leave flat dark parts alone by themselves; frames fill each other's dark parts.
        smooth = not self.reads_planes and not image.frames
        variants = self.controls.variants()
        ms: dict[str, float] = {}
        if not image.companions:  # an image from Python; those of a file were counted and decoded with it
            with timed(ms, "decode"):
                image = image.replace(companions=self.companions.beside(image.metadata.called).decode())
            if not image.companions:
                del ms["decode"]
        with timed(ms, "estimate"):
            working, view, notes = view_of(image if self.reads_planes else colour.to_rgb(image), smooth=smooth)
            views = [view, *(view_of(frame)[1] for frame in image.frames)]
            if not reuse or len(views) > 1 or not holding.is_large(image.nbytes):
                again = None
            gives_up = again is not None and view is not None and not view.fill
            if len(variants) == 1 and not gives_up:
                again = None  # frees the file's bytes too
            neutral = not grey and working.chroma is None and colour.is_neutral(working.pixels)
            seen = _seen_whole(working, views, reuse=gives_up)
            whole = self._fits_the_card(working, views)
            if whole:
                pixels = [working.pixels, *(working.chroma or ()), *(frame.pixels for frame in working.frames)]
                whole = bool(unless_exhausted(partial(held.enter_context, self.engine.resident(pixels))))
                del pixels
            before = exposure_of(seen, counted=self._counted)
            if self.plan is not None:
                check_fit(self.plan, image)
                plans: list[Any] = [self.plan]
            elif len(variants) == 1:
                plans = [self._tried(partial(self.enhancer.estimate, seen, self.controls), image)]
            else:
                several = cast(VariantEnhancer, self.enhancer).estimate_variants
                plans = self._tried(partial(_listed, several, seen, self.controls), image)
        image, working = image.replace(companions={}), working.replace(companions={})  # no longer needed
        drawn = [
            self._tried(partial(self.enhancer.illustrations, image if view is None else seen, plan, controls), image)
            for (_, controls), plan in zip(variants, plans, strict=True)
        ]
        del seen
        called = image.metadata

        def decoded_again() -> tuple[Image, Image, View | None]:
            assert again is not None
            image = again().replace(metadata=called)
            return image, *view_of(image if self.reads_planes else colour.to_rgb(image), smooth=smooth)[:2]

        if gives_up:
            del image, working, view, views
            started = time.perf_counter()
            image, working, view = decoded_again()
            views = [view]
            ms["estimate"] += (time.perf_counter() - started) * 1e3  # the first rendering changed the pixels in place
        if len(plans) == 1:
            again = None
        if holding.is_large(image.nbytes):
            memory.give_back()
        for number, (ending, controls) in enumerate(variants):
            plan, plans[number] = plans[number], None
            with timed(ms, "render"):
                if number > 0 and again is not None:
                    image, working, view = decoded_again()
                    views = [view]
                last = number == len(plans) - 1
                may_reuse = (last or again is not None) and (reuse or working.pixels is not image.pixels)
                unchanged, counts = bool(plan.unchanged), None
                if unchanged:
                    rendered, chroma = image.pixels, working.chroma
                elif whole and (
                    made_whole := unless_exhausted(partial(self._render_whole, working, plan, reuse=may_reuse))
                ):
                    rendered, chroma, counts = made_whole.pop()
                else:
                    whole = False
                    held.close()  # tiles have the memory to themselves
                    chroma = self._render_chroma(working, plan, reuse=may_reuse)
                    # Chroma first: luma may be rendered in place.
                    rendered = self._render(working, plan, views, reuse=may_reuse)
                if last:
                    held.close()
                if grey and rendered.ndim == 3:
                    rendered, counts = colour.grey_like(rendered), None
                elif neutral and not unchanged:  # networks see colour in noise: black and white stays black and white
                    colour.make_neutral(rendered)
                    counts = None
                base = image if unchanged else working.replace(chroma=chroma)
                result = base.replace(pixels=rendered, metadata=image.metadata, companions={}, frames=())
                if unchanged:
                    after = before
                elif counts is not None and result.alpha is None:
                    after = exposure_from(counts)
                else:
                    after = exposure_of(result, view and view.of_result(result))
            exposure = {"before": before, "after": after}
            if again is not None:
                del image, working, view, views  # the pixels now belong to the result
            described, told = plan.describe(), (*notes, *plan.notes, *self.engine.remarks())
            facts = drawn[number], dict(ms), ending, controls, unchanged, told
            made = [Enhanced(result, plan, described, exposure, *facts)]
            del plan, rendered, chroma, result  # the caller decides how long they are kept
            yield made.pop()
            ms["estimate"] = 0.0  # counted for the first output; the others share its estimate

    def _fits_the_card(self, image: Image, views: Sequence[View | None]) -> bool:
        """Whether a photo is copied to the device once, as methods see it, and rendered there as a whole."""
        memory = self.engine.card_memory
        if memory is None or any(view is not None for view in views):
            return False
        planes = (image.pixels, *(image.chroma or ()), *(frame.pixels for frame in image.frames))
        if not all(plane.flags.c_contiguous for plane in planes):
            return False
        return 2 * image.nbytes + _CARD_WORK * image.height * image.width + _CARD_BLOCK <= memory

    def _counted(self, pixels: Array) -> Array | None:
        """The histogram of luma codes; None if a device that holds the pixels lacks the memory to compute it."""
        made = unless_exhausted(partial(self.engine.measured, MEASURES, "luma_counts", pixels))
        return made.pop() if made else None

    def _render_whole(
        self, image: Image, plan: Any, *, reuse: bool
    ) -> tuple[Array, tuple[Array, Array] | None, Array | None]:
        """Pixels and stored chroma of an image that is held on the device: all of it is copied back at once.

        The third value is the luma histogram of these pixels; None if they are blended here.
        """
        import numpy as np

        enhancer, source, stored = self.enhancer, image.pixels, image.chroma
        in_place = reuse and self.controls.amount == 1.0
        target = source if in_place else np.empty_like(source)
        chroma = stored if stored is None or in_place else (np.empty_like(stored[0]), np.empty_like(stored[1]))
        follows = stored is not None and isinstance(enhancer, ChromaEnhancer)
        with self.engine.resident(written=[target, *(chroma if follows and chroma is not None else ())]):
            if follows:
                assert stored is not None
                assert isinstance(enhancer, ChromaEnhancer)
                enhancer.render_chroma(source, stored, plan, 0, stored[0].shape, out=chroma)
            frames = tuple(frame.pixels for frame in image.frames)
            enhancer.render(Window(source, 0, 0, frames), plan, out=target)
            counts = self._counted(target) if self.controls.amount == 1.0 else None
        if stored is None or chroma is None or not follows:
            return self._blended(target, source), stored, counts
        blended = self._blended(chroma[0], stored[0]), self._blended(chroma[1], stored[1])
        return self._blended(target, source), blended, counts

    def _render(self, image: Image, plan: Any, views: Sequence[View | None], *, reuse: bool) -> Array:
        """Render all pixels of an image, in the layout it stores.

        Args:
            image: as it is stored.
            plan: for the image as methods see it.
            views: how they see it and each of its frames; None if unchanged.
            reuse: whether it may be rendered in place.
        """
        import numpy as np

        view, *frame_views = views
        halo = self.enhancer.method.halo if plan.halo is None else plan.halo
        source = image.pixels
        in_place = reuse and self.controls.amount == 1.0 and (halo == 0 or holding.is_large(source.nbytes))
        target = source if in_place else np.empty_like(source)
        pieces = self._pieces(image, halo, viewed=view is not None, small=in_place)
        originals = None
        if in_place and halo > 0:
            from enhance_cli.pipeline.originals import Originals

            originals = Originals(source, pieces, halo)

        def render_tile(tile: Tile) -> None:
            stored = source[tile.outer] if originals is None else originals.outer(tile)
            self.card.by_parts(tile, halo, partial(render_part, tile, stored), image.metadata.source)
            if originals is not None:
                originals.done(tile)

        def render_part(whole: Tile, original: Array, tile: Tile) -> None:
            stored = original[tile.within(whole)]
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

        self.engine.map(render_tile, pieces)
        if originals is not None:
            memory.give_back()
        return target if view is not None else self._blended(target, source)

    def _render_chroma(self, image: Image, plan: Any, *, reuse: bool) -> tuple[Array, Array] | None:
        """The stored chroma of an image that is seen in its planes, as the method changes it; None if it has none."""
        stored = image.chroma
        if stored is None or not isinstance(self.enhancer, ChromaEnhancer):
            return stored
        enhancer = self.enhancer
        rows, columns = stored[0].shape
        down = colour.pixels_per_sample(image.height, rows)
        target = stored if reuse and self.controls.amount == 1.0 else (stored[0].copy(), stored[1].copy())

        def render_band(band: Tile) -> None:
            self.card.by_parts(band, 0, render_part, image.metadata.source, rows=True)

        def render_part(band: Tile) -> None:
            here = band.inner[0]
            luma = image.pixels[here.start * down : here.stop * down]
            made = enhancer.render_chroma(luma, (stored[0][here], stored[1][here]), plan, here.start, (rows, columns))
            for plane, new, old in zip(target, made, stored, strict=True):
                plane[here] = self._blended(new.copy(), old[here]) if self.controls.amount < 1.0 else new

        height = max(_LEAST_BAND, math.ceil(rows / self.engine.threads))
        self.engine.map(render_band, tiles(rows, columns, height, columns))
        return target

    def _pieces(self, image: Image, halo: int, *, viewed: bool, small: bool) -> list[Tile]:
        """The parts in which an image is rendered: bands, or tiles where there is a halo."""
        side = side_within(self.engine.card_memory)
        if halo == 0:
            rows = max(_LEAST_BAND, math.ceil(image.height / self.engine.threads))
            rows = min(rows, _VIEWED_BAND) if viewed else rows
            if side is not None:
                rows = min(rows, max(1, side * side // image.width))
            return list(tiles(image.height, image.width, rows, image.width))
        largest = _SMALL_TILE if small else _TILE
        if side is not None:
            largest = min(largest, max(_TILE_STEP, (side - 2 * halo) // _TILE_STEP * _TILE_STEP))
        sides = _even_part(image.height, largest), _even_part(image.width, largest)
        return list(tiles(image.height, image.width, *sides, halo))

    def _tried(self, work: Callable[[], Any], image: Image) -> Any:
        return self.card.tried(work, image.metadata.source)

    def _blended(self, rendered: Array, source: Array) -> Array:
        """Blend the original with `--amount` of the result; `rendered` is overwritten."""
        amount = self.controls.amount
        if amount == 1.0:
            return rendered
        import cv2

        blended: Array = cv2.addWeighted(rendered, amount, source, 1.0 - amount, 0.0, dst=rendered)
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
        """The report line of one photo; `details` are fields of `report_line`."""
        return report_line(
            source=job_source,
            output=output,
            status="failed" if error else "skipped" if skipped else "done",
            method=self.enhancer.method.name,
            controls=(enhanced.controls if enhanced else self.controls).to_json(),
            error=None if error is None else told(error, job_source),
            weights=self.weights,
            device=self.engine.device,
            card=self._card_of(enhanced),
            size=None if enhanced is None else [enhanced.image.width, enhanced.image.height],
            exposure=None if enhanced is None else enhanced.exposure,
            plan=None if enhanced is None else enhanced.described,
            **details,
        )


def _listed(work: Callable[..., Iterable[Any]], *arguments: Any) -> list[Any]:
    return list(work(*arguments))


def _even_part(length: int, largest: int = _TILE) -> int:
    """The tile length along one side of an image: the fewest tiles, of about the same size."""
    count = -(-length // largest)
    return -(-length // count // _TILE_STEP) * _TILE_STEP


def _seen_whole(image: Image, views: Sequence[View | None], *, reuse: bool = False) -> Image:
    """An image and its frames as methods see them; with `reuse` in the same memory."""
    view, *frame_views = views
    frames = zip(image.frames, frame_views, strict=True)
    return (image if view is None else view.whole(reuse=reuse)).replace(
        frames=tuple(frame if its is None else its.whole() for frame, its in frames)
    )


def exposure_of(
    image: Image, view: View | None = None, counted: Callable[[Array], Array | None] = lambda pixels: None
) -> dict[str, float]:
    """The report's exposure block: luma statistics in 0..1 (see `quality.blind.exposure`).

    Args:
        image: the image.
        view: how methods see it, if not as stored.
        counted: counts the codes of luma of an image that is seen as it is stored; they are counted here if it gives
            None.
    """
    import numpy as np

    from enhance_cli.imaging import kernels_cpu, opacity
    from enhance_cli.imaging.luma import luma

    weights = opacity.weights_of(image)
    if view is None and weights is None:
        told = counted(image.pixels)
        return exposure_from(kernels_cpu.luma_counts(image.pixels) if told is None else told)
    codes = np.iinfo(image.pixels.dtype).max + 1
    counts = np.zeros(codes, np.int64 if weights is None else np.float64)
    for top in range(0, image.height, 256):  # in bands: bincount converts its input to 8 bytes
        band = slice(top, min(top + 256, image.height))
        seen = image.pixels[band] if view is None else view.part(band)
        if weights is None:
            counts += kernels_cpu.luma_counts(seen)
        else:
            levels = seen if seen.ndim == 2 else luma(seen)
            counts += np.bincount(levels.ravel(), weights[band].ravel(), codes)
    return exposure_from(counts)


def exposure_from(counts: Array) -> dict[str, float]:
    """The same from the counts of luma's codes."""
    from enhance_cli.quality.blind import exposure

    return {name: round(value, 6) for name, value in exposure(counts).items()}


@contextmanager
def timed(ms: dict[str, float], stage: str) -> Iterator[None]:
    """Add the milliseconds spent in the body under a name."""
    start = time.perf_counter()
    try:
        yield
    finally:
        ms[stage] = (time.perf_counter() - start) * 1e3


def told(error: Exception, source: str) -> dict[str, str]:
    """What report lines say of the error of a photo: `kind` and `message`."""
    if isinstance(error, MemoryError):
        error = OutOfMemory(
            f"{source} needs more memory than the system gives; close other programs, or give fewer --jobs."
        )
    return {"kind": getattr(error, "kind", "bug"), "message": sentence(error)}


def sentence(error: BaseException) -> str:
    """An error as a one-line message; for a bug with the name of its class."""
    text = " ".join(str(error).split())
    if isinstance(error, EnhanceError):
        return text
    return f"Internal error ({type(error).__name__}: {text[:200]}); run again with --debug for the traceback."
