"""The types that every part of the program shares: images, jobs and what a method declares about itself.

Importing this module costs nothing, because `enhance --help` does: numpy is imported for the type checker only.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from enhance_cli.controls import Controls
    from enhance_cli.engines.weights import Weights

    Array = NDArray[Any]


# --- images ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JpegCoding:
    """How a JPEG was coded, so that the output can be coded the same way."""

    quality: int
    """The IJG quality, 1..100, nearest to the luma quantisation table."""

    subsampling: Literal["444", "422", "420", "440", "411"]
    """Chroma subsampling in the J:a:b notation without colons."""

    progressive: bool = False
    optimised: bool = False
    """Sequential, with Huffman tables optimised for the image; a progressive JPEG always has those."""


class Density(NamedTuple):
    """Print resolution: pixels per unit of length."""

    across: float
    down: float
    unit: Literal["inch", "none"] = "inch"
    """`none`: only the aspect ratio of a pixel is known."""


@dataclass(frozen=True, slots=True)
class SourceName:
    """The name of a photo within its run, by which its companion files are found."""

    path: str = ""
    """As the user gave it; `-` for stdin, empty for an array."""

    relative: str = ""
    """Its path below the folder that was given as INPUT; empty if the photo itself was named."""

    namesake: str = ""
    """A photo of the run in another folder with the same name but for the suffix; empty if there is none."""

    twin: bool = False
    """Whether another one, below another INPUT, has the same `relative` path but for the suffix."""

    @property
    def stem(self) -> str:
        """The bare name, without suffix."""
        return Path(self.path).stem

    def keys(self) -> Iterator[str]:
        """Paths without suffix that identify this photo within the run, the most reliable first: `day1/a`.

        First the path below its INPUT, then longer parts of its absolute path; for a photo that was named itself, all
        parts longer than its bare name.
        """
        if self.relative and not self.twin:
            yield without_suffix(self.relative)
        parts = without_suffix(os.path.abspath(self.path)).split("/") if self.path not in ("", "-") else []  # noqa: PTH100
        shortest = max(2, self.relative.count("/") + 2) if self.relative else 2
        other = "/" + without_suffix(os.path.abspath(self.namesake)) if self.namesake else ""  # noqa: PTH100
        for count in range(len(parts) - 1, shortest - 1, -1):
            key = "/".join(parts[-count:])
            if not other.endswith("/" + key):
                yield key


def without_suffix(path: str) -> str:
    """A path without the suffix of its file name."""
    return os.path.splitext(path)[0]  # noqa: PTH122 - keeps the rest as it is written


@dataclass(frozen=True, slots=True)
class Trailer:
    """Data after the image in a JPEG file that is kept unchanged, such as the video of a motion photo."""

    data: bytes
    index: bytes | None = None
    """The index of further images in it (see `imaging.mpf.relocated`)."""

    holds: str = "what follows the picture"
    """A description with its article, for messages."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What an image carries besides its pixels. The orientation has already been applied to the pixels."""

    source: str = ""
    """The path as the user gave it; empty for an array."""

    name: SourceName | None = None
    """Its name within a run, if there is one."""

    format: str = "png"
    """The format that it was read from, a key of `imaging.codecs.FORMATS`."""

    bit_depth: Literal[8, 16] = 8
    icc: bytes | None = None
    exif: bytes | None = None
    """The TIFF structure, without the `Exif\\0\\0` prefix; its orientation tag reads 1."""

    xmp: bytes | None = None
    xmp_extension: bytes | None = None
    """The extended XMP of a JPEG, outside its single standard segment, which names the MD5 of this part."""

    iptc: bytes | None = None
    """IPTC-IIM records, as in a Photoshop resource, without its header."""

    density: Density | None = None
    jpeg: JpegCoding | None = None
    trailer: Trailer | None = None
    lost: tuple[str, ...] = ()
    """Other content that cannot be kept, each with its article (`a gain map`); see `--drop-extras`."""

    decoded_on_card: bool = False
    """Whether a card decoded its pixels (`--codec gpu`)."""

    notes: tuple[str, ...] = ()
    """Notes to the user about this image (profile converted, first frame only)."""

    @property
    def called(self) -> SourceName:
        """Its name within the run; without a run, from its path."""
        return self.name or SourceName(self.source)


@dataclass(frozen=True, slots=True)
class Image:
    """A decoded photo, display-referred (sRGB-encoded unless `metadata.icc` says otherwise)."""

    pixels: Array
    """H×W×3 RGB, or H×W luma (a grey image, or the luma plane if there is `chroma`); uint8 or uint16."""

    chroma: tuple[Array, Array] | None = None
    """Cb and Cr as stored in the JPEG (uint8, centred on 128, subsampled); `pixels` is then luma."""

    alpha: Array | None = None
    """H×W opacity of the same dtype as `pixels`, never changed by a method."""

    metadata: Metadata = field(default_factory=Metadata)

    companions: Mapping[str, Image] = field(default_factory=dict)
    """Companion images that the controls name for this one, such as a reference (see `Controls.companions`)."""

    frames: tuple[Image, ...] = ()
    """Further exposures of the same scene, RGB of the same size and depth, to be fused with this one."""

    @property
    def height(self) -> int:
        """Rows of the image."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns of the image."""
        return int(self.pixels.shape[1])

    @property
    def nbytes(self) -> int:
        """Decoded bytes held by this image."""
        planes = (self.pixels, *(self.chroma or ()), *(() if self.alpha is None else (self.alpha,)))
        return sum(int(plane.nbytes) for plane in planes) + sum(frame.nbytes for frame in self.frames)

    def replace(self, **changes: Any) -> Image:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)


# --- methods -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Method:
    """What a method declares about itself; pure data, cheap to import."""

    name: str
    """The id: the command's name. The folder is the same with `_` for `-`."""

    summary: str
    """One line for `enhance --help`."""

    paper: str
    controls: type[Controls]
    enhancer: str
    """Its Enhancer as `module:Class`; imported when the method is opened."""

    plan: str
    """Its Plan as `module:Class`; imported when a saved plan is read."""

    halo: int = 0
    """Pixels of context that `render` needs around a window."""

    fuses: bool = False
    """Whether it fuses several exposures of a scene into one image (`Image.frames`)."""

    illustrations: tuple[str, ...] = ()
    """Boolean controls that each request an illustration of that name next to the output."""

    weights: tuple[str, ...] = ()
    """Stems of the files in `weights/<name>/` that it may load."""

    half: tuple[str, ...] = ()
    """Those of `weights` whose networks may run in half precision on a card: it changes a result by at most half a grey
    level of 8 bits, by measurement (docs/decisions/22-half-precision.md)."""

    shares: tuple[str, ...] = ()
    """Folders of weights that it shares with other methods, such as `exposure`."""

    copies: bool = False
    """Whether its plans may leave a photo unchanged (`Plan.unchanged`): its output is then a copy of the file."""

    uses: tuple[str, ...] = ()
    """Other methods that it may apply: their weights decide its outputs, too."""

    example: tuple[tuple[str, str], ...] = ()
    """Controls without a default, each with a value to try the method with."""

    def module(self, name: str) -> str:
        """The full name of a module of the method's folder, such as `kernels_cpu`."""
        return self.enhancer.partition(":")[0].rpartition(".")[0] + "." + name


class Window(NamedTuple):
    """A part of an image: its pixels, and the position of their first row and column in the whole image."""

    pixels: Array
    top: int
    left: int
    frames: tuple[Array, ...] = ()
    """The same part of the further exposures (`Image.frames`)."""


class Enhancer(Protocol):
    """One method opened on one engine. Safe to call from several threads."""

    method: Method

    def prepare(self, controls: Any) -> tuple[Weights, ...]:
        """Load what these controls need, before the first photo.

        Returns:
            The weights of the networks that will run, the one that decides most first; empty if none will.

        Raises:
            WeightsError: they are missing or altered.
        """
        ...

    def reads_planes(self, controls: Any) -> bool:
        """Whether `render` takes H×W luma windows under these controls; chroma stays, or see `ChromaEnhancer`."""
        ...

    def estimate(self, image: Image, controls: Any) -> Any:
        """Analyse the whole image; returns the method's Plan."""
        ...

    def render(self, window: Window, plan: Any, out: Array | None = None) -> Array:
        """Change the pixels of a window; same shape and dtype as `window.pixels`, into `out` if given.

        Where `method.halo` is 0, `out` may be `window.pixels` itself.
        """
        ...

    def illustrations(self, image: Image, plan: Any, controls: Any) -> Mapping[str, Array]:
        """Illustrations that the controls request: name to H×W×3 uint8."""
        ...


class LookingEnhancer(Enhancer, Protocol):
    """An Enhancer that can decide about a photo from a copy of low resolution."""

    def look(self, image: Image, controls: Any) -> dict[str, Any]:
        """The decision as JSON values: the photo's line in a file of decisions."""
        ...

    def groups(self, names: Sequence[str], taken: Sequence[float | None], controls: Any) -> list[list[int]]:
        """The groups of photos that are decided together, as indices into `names`.

        Args:
            names: paths of photos.
            taken: seconds at which each was taken, None where that is not known.
            controls: of the run.
        """
        ...

    def agree(self, lines: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[int]]:
        """The decisions of one group, unified; and the indices of outliers, whose decisions are kept."""
        ...


@runtime_checkable
class SketchingEnhancer(Protocol):
    """An Enhancer whose estimate also takes measurements only for the report, which can be skipped."""

    def sketch(self, image: Image, controls: Any) -> Any:
        """A plan that renders like that of `estimate`."""
        ...


@runtime_checkable
class ChromaEnhancer(Protocol):
    """An Enhancer that changes the stored chroma of a JPEG in addition to its luma."""

    def render_chroma(
        self,
        luma: Array,
        stored: tuple[Array, Array],
        plan: Any,
        top: int,
        samples: tuple[int, int],
        out: tuple[Array, Array] | None = None,
    ) -> tuple[Array, Array]:
        """Change rows of stored chroma.

        Args:
            luma: the rows of luma that they stand for, before `render` changes it.
            stored: those rows of Cb and Cr, over the full width.
            plan: the method's Plan.
            top: their first row.
            samples: rows and columns of the whole image's stored chroma.
            out: two planes of the same shape to write into.

        Returns:
            New Cb and Cr of the same shape, or `stored` itself; `out` if given.
        """
        ...


class VariantEnhancer(Enhancer, Protocol):
    """An Enhancer whose controls may request several outputs of one photo."""

    def estimate_variants(self, image: Image, controls: Any) -> list[Any]:
        """One Plan for each of `controls.variants()`, in order, from one analysis of the image."""
        ...


# --- the stream --------------------------------------------------------------------------------------------


class Standing(NamedTuple):
    """The state of a file when a run began."""

    path: str
    bytes: int
    modified_ns: int
    etag: str = ""
    """Of an object in a bucket, which changes with every write."""


@dataclass(frozen=True, slots=True)
class Job:
    """One photo to process. Paths are as the user gave them; None stands for stdin or stdout."""

    index: int
    source: Path | None
    target: Path | None

    frames: tuple[Path, ...] = ()
    """Further exposures of the same scene, to be fused with the source."""

    relative: str = ""
    namesake: str = ""
    twin: bool = False
    """See `SourceName`."""

    standing: tuple[Standing, ...] = ()
    """Files of an earlier run that it may replace; any other file at its output paths is left alone. Of a source in a
    bucket, what was listed."""

    listed: Path | None = None
    """The source as it was listed, where `source` is a copy that was fetched from a bucket."""

    @property
    def name(self) -> SourceName:
        """The name of the source within the run."""
        path = "-" if self.source is None else str(self.listed or self.source)
        return SourceName(path, self.relative, self.namesake, self.twin)

    @property
    def sources(self) -> tuple[Path, ...]:
        """Every photo it reads from a file: the source, unless that is stdin, and the frames."""
        return self.frames if self.source is None else (self.source, *self.frames)

    def target_with(self, ending: str) -> Path:
        """The output path of a variant: `<stem><ending>.<suffix>`."""
        assert self.target is not None
        return self.target.with_name(f"{self.target.stem}{ending}{self.target.suffix}") if ending else self.target


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a Job, as a value; failures are not raised."""

    job: Job
    status: Literal["done", "failed", "skipped"]
    report: Mapping[str, Any]
    """The report line, ready for JSON; empty if none is written because that of an earlier run still holds."""

    megapixels: float = 0.0
    error: Exception | None = None
    """The exception, for `--debug` and exit codes; its message is in `report`."""
