"""The Python interface: a method is opened once and used for images, arrays and paths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from enhance_cli import methods
from enhance_cli.engines import open_engine
from enhance_cli.engines.weights import own_folder
from enhance_cli.errors import UnsupportedFormat, UsageError
from enhance_cli.imaging import atomic, codecs, colour
from enhance_cli.pipeline.files import is_jpeg, read
from enhance_cli.pipeline.recipe import Enhanced, Recipe
from enhance_cli.pipeline.stacks import stacked
from enhance_cli.pipeline.stream import Admission, ByteBudget, parallel
from enhance_cli.types import Image

if TYPE_CHECKING:
    from enhance_cli.plan import Plan
    from enhance_cli.types import Array


@dataclass(frozen=True, slots=True)
class Result:
    """An enhanced image with its report."""

    image: Image
    report: dict[str, Any]
    """The report line, as the command line writes it (docs/report.md)."""

    plan: Plan

    @property
    def array(self) -> Array:
        """The pixels, H×W, H×W×3 RGB, or H×W×4 with alpha; uint8 or uint16."""
        import numpy as np

        pixels, alpha = self.image.pixels, self.image.alpha
        if alpha is None:
            return pixels
        return np.dstack((colour.to_rgb(self.image).pixels, alpha))

    def save(self, path: str | Path, *, format: str | None = None, quality: int | None = None) -> tuple[str, ...]:
        """Write the image atomically, with its source's bit depth, colour profile, metadata and coding.

        Args:
            path: the file, which is replaced if it exists.
            format: such as `png`; by default that of the path's suffix, else the source's.
            quality: 1 to 100, of JPEG and WebP; by default the source's.

        Returns:
            A message for everything that the file cannot hold.

        Raises:
            UsageError: there is no such format.
            UnsupportedFormat: enhance cannot write the format, or the image is too large for it.
            OutputError: the file cannot be written.
        """
        path = Path(path)
        read = codecs.FORMATS[self.image.metadata.format]
        try:
            named = codecs.format_named(format) if format is not None else codecs.format_of_suffix(path)
        except ValueError as error:
            raise UsageError(f"format: {error}") from error
        if named is not None and not named.writable:
            raise UnsupportedFormat(f"{path}: enhance only reads {named.name}; give another suffix or a format.")
        written = named.name if named is not None else read.written_as or read.name
        coded, notes = codecs.encode(self.image, written, quality=quality)
        atomic.write_atomically(path, coded)
        return notes


@dataclass(frozen=True, slots=True)
class Failure:
    """A photo of `enhance_many` that could not be enhanced."""

    error: Exception
    """The reason: an `EnhanceError` with a one-sentence message, unless it is a bug."""

    report: dict[str, Any]


class Opened:
    """A method with its engine. Safe to use from several threads; a context manager, or call `close`."""

    def __init__(
        self, method: str, *, device: str = "auto", threads: int | None = None, weights: str | Path | None = None
    ) -> None:
        """Open a method.

        Args:
            method: the id of the method, such as `clahe-adaptive`.
            device: `auto`, `cpu`, `cuda` or `cuda:N`.
            threads: CPU threads for one photo; by default every core.
            weights: folder that `enhance train` wrote; its networks run in place of the shipped ones.

        Raises:
            UsageError: no such method, kind of device or folder.
            WeightsError: the folder holds no network of the method; what is wrong with one is found when controls
                first need it.
            DeviceError: the named device is missing.
        """
        from enhance_cli.engines.cpu import available_cores

        self.method = methods.get(method)
        own = None if weights is None else Path(weights)
        if own is not None:
            try:
                own_folder(own, self.method)
            except UsageError as error:
                raise error.in_python() from None
        self._engine = open_engine(device, threads=threads or available_cores(), weights=own)
        self._enhancer = methods.open_enhancer(self.method, self._engine)

    def enhance(self, picture: Any, **controls: Any) -> Result:
        """Enhance one image.

        Args:
            picture: an Image, a path, or an array of H×W, H×W×3 (RGB) or H×W×4 values: uint8, uint16, or
                floating point in 0..1 (worked on, and returned, at 16 bits).
            controls: the method's knobs by name, such as `grid=(8, 8)`, and `amount`, which all methods have.

        Raises:
            EnhanceError: the image cannot be read, or a control makes no sense.
        """
        recipe = self._recipe(controls)
        return self._one(recipe, _as_image(picture))

    def enhance_variants(self, picture: Any, **controls: Any) -> list[Result]:
        """Every image that the controls ask for, such as one for each time of clode's `time=(1, 2, 3)`.

        `enhance` returns the first of them; arguments are as there.
        """
        recipe, image = self._recipe(controls), _as_image(picture)
        return [self._result(recipe, image, enhanced) for enhanced in recipe.enhance_variants(image)]

    def fuse(self, pictures: Sequence[Any], **controls: Any) -> Result:
        """Make one image of several exposures of a scene, with a method that can, such as `retinex`.

        Args:
            pictures: two or more, of one size and depth, each as for `enhance`.
            controls: the method's knobs; `amount` blends the first exposure (0) and the result (1).

        Raises:
            EnhanceError: the method does not fuse, or the images are not alike.
        """
        if not self.method.fuses:
            raise UsageError(f"{self.method.name} does not fuse exposures.")
        if len(pictures) < 2:
            raise UsageError("A stack needs two exposures.")
        first, *others = (colour.to_rgb(_as_image(picture)) for picture in pictures)
        return self._one(self._recipe(controls), stacked(first, others))

    def enhance_many(
        self,
        paths: Iterable[str | Path],
        *,
        jobs: int | None = None,
        memory: int = 2 * 10**9,
        **controls: Any,
    ) -> Iterator[Result | Failure]:
        """Enhance many files with the stream's parallelism; results come in the order of `paths`.

        A photo that fails yields a Failure, and the iteration goes on.

        Args:
            paths: read lazily.
            jobs: photos at once; by default one per core.
            memory: bound on decoded bytes held, results not yet taken included.
            controls: the method's knobs.
        """
        from enhance_cli.engines.cpu import available_cores

        recipe = self._recipe(controls)

        def work(path: str | Path, admit: Admission) -> Result | Failure:
            return self._one(recipe, _read_image(path, recipe, admit))

        def failed(path: str | Path, error: Exception) -> Result | Failure:
            return Failure(error, recipe.line(str(path), None, error=error))

        yield from parallel(
            paths,
            work,
            failed,
            workers=jobs or available_cores(),
            budget=ByteBudget(memory),
            ordered=True,
            keep_admitted=True,
        )

    def _recipe(self, controls: dict[str, Any]) -> Recipe:
        known = self.method.controls.knobs()
        for name in controls:
            if name not in known:
                raise UsageError(f"{self.method.name} has no control {name!r}; it has {', '.join(known)}.")
        try:
            made = self.method.controls(**controls)
        except UsageError as error:
            raise error.in_python() from None
        return Recipe(self._engine, self._enhancer, made)

    def _one(self, recipe: Recipe, image: Image) -> Result:
        return self._result(recipe, image, recipe.enhance(image))

    def _result(self, recipe: Recipe, image: Image, enhanced: Enhanced) -> Result:
        notes = (*image.metadata.notes, *enhanced.notes)
        frames = [frame.metadata.source for frame in image.frames]
        line = recipe.line(image.metadata.source, None, frames=frames, enhanced=enhanced, notes=notes, ms=enhanced.ms)
        return Result(enhanced.image, line, enhanced.plan)

    def close(self) -> None:
        """End the engine's threads."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _as_image(picture: Any) -> Image:
    if isinstance(picture, Image):
        return picture
    if isinstance(picture, str | Path):
        return codecs.decode(read(Path(picture)), source=str(picture))
    return colour.from_array(picture)


def _read_image(path: str | Path, recipe: Recipe, admit: Admission) -> Image:
    data = read(Path(path))

    def admitted(height: int, width: int, depth: int) -> None:
        admit(recipe.holds(height, width, depth, is_jpeg(data)))

    return codecs.decode(data, source=str(path), admit=admitted)
