"""The values that every room shares: pictures, controls, plans, jobs and what a method declares of itself.

Importing this module costs nothing: numpy is named for the type checker and imported only where arrays are
packed, because `enhance --help` reads every method's `Controls` from here.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol, Self

from enhance_cli.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from enhance_cli.plan_values import Shaped

    Array = NDArray[Any]


# --- pictures ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JpegCoding:
    """How a JPEG was coded, so that its successor can be coded alike."""

    quality: int
    """The IJG quality, 1..100, nearest to the luma quantisation table."""

    subsampling: Literal["444", "422", "420", "440", "411"]
    """Chroma subsampling in the J:a:b notation without colons."""

    progressive: bool = False
    optimised: bool = False
    """Sequential, with Huffman tables made for the picture; a progressive JPEG always has such."""


class Density(NamedTuple):
    """How many pixels of a picture lie on a length of paper."""

    across: float
    down: float
    unit: Literal["inch", "none"] = "inch"
    """`none`: only their ratio is known, the shape of a pixel."""


@dataclass(frozen=True, slots=True)
class SourceName:
    """What a photograph is called in its run: what the files that belong to it are found by."""

    path: str = ""
    """As the user gave it; `-` for stdin, empty for an array."""

    relative: str = ""
    """Its path below the folder that was given as INPUT; empty where it was named itself."""

    namesake: str = ""
    """Another photograph of the run, in another folder, of the same name but for the suffix; empty where none is."""

    twin: bool = False
    """Whether another one, below another INPUT, has the same `relative` path but for the suffix."""

    @property
    def stem(self) -> str:
        """The bare name, without suffix."""
        return Path(self.path).stem

    def keys(self) -> Iterator[str]:
        """Paths without suffix that only this photograph of the run has, the surest first: `day1/a`.

        First the one below its INPUT, then longer ones of its absolute path; of one that was named itself, all that
        say more than its bare name.
        """
        if self.relative and not self.twin:
            yield _without_suffix(self.relative)
        parts = _without_suffix(os.path.abspath(self.path)).split("/") if self.path not in ("", "-") else []  # noqa: PTH100
        shortest = max(2, self.relative.count("/") + 2) if self.relative else 2
        other = "/" + _without_suffix(os.path.abspath(self.namesake)) if self.namesake else ""  # noqa: PTH100
        for count in range(len(parts) - 1, shortest - 1, -1):
            key = "/".join(parts[-count:])
            if not other.endswith("/" + key):
                yield key


def _without_suffix(path: str) -> str:
    return os.path.splitext(path)[0]  # noqa: PTH122 - keeps the rest as it is written


@dataclass(frozen=True, slots=True)
class Trailer:
    """What follows the picture in a JPEG file and is kept as it stands, such as the video of a motion photo."""

    data: bytes
    index: bytes | None = None
    """The index of further pictures among it (see `imaging.mpf.relocated`)."""

    holds: str = "what follows the picture"
    """What it is, in words, with its article."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a picture carries besides its pixels. Orientation has already been applied to the pixels."""

    source: str = ""
    """The path as the user gave it; empty for an array."""

    name: SourceName | None = None
    """What it is called in its run, where there is one."""

    format: str = "png"
    """The format that it was read from, a key of `imaging.codecs.FORMATS`."""

    bit_depth: Literal[8, 16] = 8
    icc: bytes | None = None
    exif: bytes | None = None
    """The TIFF structure, without the `Exif\\0\\0` prefix; its orientation tag reads 1."""

    xmp: bytes | None = None
    xmp_extension: bytes | None = None
    """What a JPEG keeps of its XMP outside of the one segment that XMP may fill; that names the MD5 of this."""

    iptc: bytes | None = None
    """IPTC-IIM records, as they stand in a Photoshop resource, without its header."""

    density: Density | None = None
    jpeg: JpegCoding | None = None
    trailer: Trailer | None = None
    lost: tuple[str, ...] = ()
    """What else the file holds that cannot be kept, each with its article (`a gain map`); see `--drop-extras`."""

    notes: tuple[str, ...] = ()
    """Sentences the user should read about this picture (profile converted, first frame only)."""

    @property
    def called(self) -> SourceName:
        """What it is called in its run; outside of one, by its path."""
        return self.name or SourceName(self.source)


@dataclass(frozen=True, slots=True)
class Image:
    """A decoded photograph, display-referred (sRGB-encoded unless `metadata.icc` says otherwise)."""

    pixels: Array
    """H×W×3 RGB, or H×W luma (a grey picture, or the luma of one with `chroma`); uint8 or uint16."""

    chroma: tuple[Array, Array] | None = None
    """Cb and Cr as the JPEG stored them (uint8, centred on 128, subsampled), beside a luma `pixels`."""

    alpha: Array | None = None
    """H×W opacity of the same dtype as `pixels`, never touched by a method."""

    metadata: Metadata = field(default_factory=Metadata)

    companions: Mapping[str, Image] = field(default_factory=dict)
    """Other pictures that the controls named for this one, such as a reference (see `Controls.companions`)."""

    frames: tuple[Image, ...] = ()
    """Further exposures of the same scene, RGB of the same size and depth, that become one picture with this one."""

    @property
    def height(self) -> int:
        """Rows of the picture."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns of the picture."""
        return int(self.pixels.shape[1])

    @property
    def nbytes(self) -> int:
        """Decoded bytes held by this picture."""
        planes = (self.pixels, *(self.chroma or ()), *(() if self.alpha is None else (self.alpha,)))
        return sum(int(plane.nbytes) for plane in planes) + sum(frame.nbytes for frame in self.frames)

    def replace(self, **changes: Any) -> Image:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)


# --- controls ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Knob:
    """What a user must know of one control; becomes an option, a keyword argument and a report field."""

    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    parse: Callable[[Any], Any] | None = None
    """Turns the text of the command line, or a Python value, into the control's value."""

    metavar: str | None = None
    short: str | None = None
    """A one-letter option, such as `-r`."""

    report: Callable[[Any], Any] | None = None
    """Turns the value into what the report says of it; by default the value itself."""

    group: str = "Method"
    """The heading that help shows the option under."""

    show: Callable[[Any], str] | None = None
    """Turns the default into what help shows of it; by default the value as text."""

    decides_pixels: bool = True
    """Whether another value may make another picture, so that a restart does it again. What is new does, until said
    otherwise."""

    alone: str | None = None
    """The value of an option that is named without one, where it may be; a value is then given after = only."""


def knob(default: Any, help: str, **details: Any) -> Any:
    """Declare a field of a `Knobs` dataclass: `strength: float = knob(1.0, "...", minimum=0)`."""
    return field(default=default, metadata={"knob": Knob(help, **details)})


@dataclass(frozen=True)
class Knobs:
    """Options as a value. Subclasses are frozen dataclasses whose fields come from `knob`.

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
        """Field name to its `Knob`: the class's own in order of declaration, then those that it inherits."""
        declared = {item.name: item.metadata["knob"] for item in dataclasses.fields(cls)}
        own = {name: spec for name, spec in declared.items() if name in cls.__annotations__}
        return own | declared

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Field name to its default, also of controls that make no sense without something given."""
        return {item.name: item.default for item in dataclasses.fields(cls)}

    @property
    def deciding(self) -> dict[str, Any]:
        """Those values that decide pixels, by name: what a restart compares."""
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
    """The knobs of one method, and those that every method has."""

    amount: float = knob(
        1.0, "Blend of the input (0) and the result (1), with every method.", minimum=0.0, maximum=1.0, group="Output"
    )

    def variants(self) -> tuple[tuple[str, Controls], ...]:
        """The pictures that these controls ask for: an ending of the output's name, and the controls of that one.

        One picture with no ending, unless a method's controls say otherwise. The endings are known before any
        picture is read, so that outputs can be named.
        """
        return (("", self),)

    @property
    def stacks(self) -> str | int | None:
        """How the sources of a run are grouped into stacks that become one picture each (see `pipeline.stacks`).

        None, unless a method's controls say otherwise: every source becomes a picture.
        """
        return None

    @property
    def looks_for_names(self) -> bool:
        """Whether files that belong to a picture are found by its name, so that names alike must be known."""
        return False

    def companions(self, source: SourceName) -> Mapping[str, Path]:
        """Files that belong to a picture under these controls, by what they are; read for `estimate` to see.

        Raises:
            UsageError: there is none, or no telling which.
        """
        return {}

    planes: ClassVar[frozenset[str]] = frozenset()
    """Companions of which one plane is looked at, opacity or luma: masks. They are H×W, the others RGB."""

    def serves_all(self, name: str) -> bool:
        """Whether a companion is the same file for all photographs."""
        return False

    def holds(self, height: int, width: int) -> int:
        """Bytes that the method holds at most beside a picture of this size, for `--memory`; 0 where it is little."""
        return 0


def option_name(field_name: str) -> str:
    """`clip_limit` as the command line spells it: `--clip-limit`."""
    return "--" + field_name.replace("_", "-")


def _check_range(name: str, value: Any, spec: Knob) -> None:
    if value is None:
        return
    if spec.choices and value not in spec.choices:
        raise UsageError(f"{option_name(name)} is one of {', '.join(spec.choices)}, not {value!r}.")
    if spec.minimum is None and spec.maximum is None:
        return
    number = float(value)
    low = float("-inf") if spec.minimum is None else spec.minimum
    high = float("inf") if spec.maximum is None else spec.maximum
    if not low <= number <= high:  # also refuses NaN
        raise UsageError(f"{option_name(name)} must lie between {low:g} and {high:g}, not {number:g}.")


@dataclass(frozen=True)
class PictureFolder:
    """Pictures that belong to the inputs of a run, found by their names: tree beside tree, or all in one folder."""

    path: str
    by_name: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Paths of files by their path below the folder, without suffix: `day1/a`."""

    by_stem: Mapping[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)
    """The same by bare name, wherever they lie."""

    def __post_init__(self) -> None:
        by_stem: dict[str, tuple[str, ...]] = {}
        for name, paths in self.by_name.items():
            stem = name.rpartition("/")[2]
            by_stem[stem] = by_stem.get(stem, ()) + paths
        object.__setattr__(self, "by_stem", by_stem)

    @staticmethod
    def listed(folder: str | Path) -> dict[str, tuple[str, ...]]:
        """The files of a folder and its subfolders by their names; hidden ones and links to folders are passed over.

        Raises:
            ValueError: it cannot be read, is a file, or holds none.
        """
        found: dict[str, list[str]] = {}
        try:
            os.scandir(folder).close()
        except NotADirectoryError:
            raise ValueError(f"{folder} is a file; give a folder of pictures.") from None
        except OSError as error:
            raise ValueError(f"the folder {folder} cannot be read: {error.strerror}.") from None
        for root, folders, names in os.walk(folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = os.path.join(root, name)  # noqa: PTH118
                if not name.startswith(".") and os.path.isfile(path):  # noqa: PTH113
                    found.setdefault(_without_suffix(os.path.relpath(path, folder)), []).append(path)
        if not found:
            raise ValueError(f"{folder} holds no files.")
        return {name: tuple(paths) for name, paths in found.items()}

    def for_source(self, source: SourceName) -> str:
        """The path of the picture that belongs to an input.

        That is the one at the same path below the folder; otherwise the one of the same bare name, where it is the
        only one and no other input has that name.

        Raises:
            ValueError: there is none, or no telling which.
        """
        stem = source.stem
        paths = next((self.by_name[key] for key in source.keys() if key in self.by_name), ())  # noqa: SIM118
        if not paths and not source.relative and not source.namesake:
            paths = self.by_name.get(stem, ())
        alone = bool(paths) or not source.namesake
        paths = paths or self.by_stem.get(stem, ())
        if not alone and paths:
            raise ValueError(
                f"{self._shown(paths)} in {self.path} could belong to {source.path} or to {source.namesake}; lay the "
                "pictures out in folders as the inputs are."
            )
        if len(paths) != 1:
            several = f"several: {self._shown(paths)}" if paths else "no picture"
            raise ValueError(f"{self.path} holds {several} named {stem or 'as this picture'}; it must hold one.")
        return paths[0]

    def _shown(self, paths: tuple[str, ...]) -> str:
        return ", ".join(os.path.relpath(path, self.path) for path in paths)


MAX_PLAN = 2 * 10**9
"""Bytes of arrays in the largest plan that is read: a mask of a picture of a gigapixel."""

# --- plans -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What `estimate` decided for one picture: small arrays and numbers, enough to `render` every pixel.

    Subclasses are frozen, keyword-only dataclasses of arrays, numbers, strings, tuples and None.
    """

    method: ClassVar[str] = ""

    arrays: ClassVar[Mapping[str, tuple[Shaped, ...]]] = {}
    """By field: the ways that an array may be, which is all that is believed of a file."""

    notes: tuple[str, ...] = ()
    """Sentences the user should read about this decision."""

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of the picture that it was made for, from fields of these names; None where it fits any."""
        values = vars(self)
        return (values["height"], values["width"]) if "height" in values and "width" in values else None

    @property
    def exposures(self) -> int:
        """How many exposures of a scene it makes one picture of."""
        return 1

    def describe(self) -> Mapping[str, Any]:
        """What the report says of it, as `plan`: a TypedDict of values of JSON (see `report_fields`)."""
        return {}

    def to_bytes(self) -> bytes:
        """Pack into npz: arrays as they are, everything else as one JSON text."""
        import numpy as np

        arrays: dict[str, Any] = {}
        plain: dict[str, Any] = {"method": self.method}
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            (arrays if isinstance(value, np.ndarray) else plain)[item.name] = value
        packed = io.BytesIO()
        np.savez_compressed(packed, __json__=np.array(json.dumps(plain)), **arrays)
        return packed.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Unpack what `to_bytes` packed.

        Raises:
            UsageError: the bytes are no plan, one of another method, or one that kernels could not take.
        """
        import struct
        import zipfile
        import zlib

        import numpy as np

        from enhance_cli.plan_values import fault_of

        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                packed = sum(item.file_size for item in archive.infolist())
            if packed > MAX_PLAN:
                raise ValueError(f"it would take {packed >> 20} MB of memory")
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                values: dict[str, Any] = {
                    name: np.ascontiguousarray(archive[name]) for name in archive.files if name != "__json__"
                }
                plain = json.loads(str(archive["__json__"]))
            method = plain.pop("method")
        except (
            ValueError, LookupError, OSError, EOFError, TypeError, AttributeError, RuntimeError, MemoryError,
            SyntaxError, struct.error, zlib.error, zipfile.BadZipFile,
        ) as error:  # fmt: skip
            raise UsageError(f"This is no plan that enhance saved: {error or type(error).__name__}.") from error
        if method != cls.method:
            raise UsageError(f"This plan was made by another method than {cls.method}.")
        values.update({k: tuple(v) if isinstance(v, list) else v for k, v in plain.items()})
        wrong = fault_of(cls, values, cls.arrays) or cls.fault_in(values)
        if wrong:
            raise UsageError(f"This is no plan that enhance saved: {wrong}.")
        return cls(**values)

    @classmethod
    def fault_in(cls, values: Mapping[str, Any]) -> str:
        """What else keeps values, each of which fits its field, from being a plan; empty if nothing does."""
        return ""


# --- methods -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Method:
    """What a method declares of itself; pure data, cheap to import."""

    name: str
    """The id: the command's name. The folder is the same with `_` for `-`."""

    summary: str
    """One line for `enhance --help`."""

    paper: str
    controls: type[Controls]
    enhancer: str
    """Where its Enhancer lives, as `module:Class`; imported when the method is opened."""

    plan: str
    """Where its Plan lives, likewise; imported when a saved plan is read."""

    halo: int = 0
    """Pixels of context that `render` needs around a window."""

    fuses: bool = False
    """Whether it makes one picture of several exposures of a scene (`Image.frames`)."""

    illustrations: tuple[str, ...] = ()
    """Boolean controls that each ask for a picture of that name beside the output."""

    weights: tuple[str, ...] = ()
    """Stems of the files in `weights/<name>/` that it may open."""

    example: tuple[tuple[str, str], ...] = ()
    """Controls without a default, each with a value to try the method with."""

    def module(self, name: str) -> str:
        """The full name of a module of the method's folder, such as `kernels_cpu`."""
        return self.enhancer.partition(":")[0].rpartition(".")[0] + "." + name


class Window(NamedTuple):
    """A part of a picture: the pixels and where their first row and column lie in the whole."""

    pixels: Array
    top: int
    left: int
    frames: tuple[Array, ...] = ()
    """The same part of the picture's further exposures (`Image.frames`)."""


class Enhancer(Protocol):
    """One method opened on one engine. Safe to call from several threads."""

    method: Method

    def prepare(self, controls: Any) -> Mapping[str, str] | None:
        """Load what these controls need, before the first photograph.

        Returns:
            `{"id", "sha256"}` of the weights that will be used, or None where none are.

        Raises:
            WeightsError: they are missing or altered.
        """
        ...

    def reads_planes(self, controls: Any) -> bool:
        """Whether `render` takes H×W luma windows under these controls and leaves chroma alone."""
        ...

    def estimate(self, image: Image, controls: Any) -> Any:
        """Look at the whole picture and decide: returns the method's Plan."""
        ...

    def render(self, window: Window, plan: Any, out: Array | None = None) -> Array:
        """Change the pixels of a window; same shape and dtype as `window.pixels`, into `out` if given.

        Where `method.halo` is 0, `out` may be `window.pixels` itself.
        """
        ...

    def illustrations(self, image: Image, plan: Any, controls: Any) -> Mapping[str, Array]:
        """Pictures that the controls ask for beside the output: name to H×W×3 uint8."""
        ...


class VariantEnhancer(Enhancer, Protocol):
    """An Enhancer whose controls may ask for several pictures of one photograph."""

    def estimate_variants(self, image: Image, controls: Any) -> list[Any]:
        """One Plan for each of `controls.variants()`, in order, from one look at the picture."""
        ...


# --- the stream --------------------------------------------------------------------------------------------


class Standing(NamedTuple):
    """A file as it stood when a run began."""

    path: str
    bytes: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Job:
    """One photograph to do. Paths are as the user gave them; None stands for stdin or stdout."""

    index: int
    source: Path | None
    target: Path | None

    frames: tuple[Path, ...] = ()
    """Further exposures of the same scene, that become one picture with the source."""

    relative: str = ""
    namesake: str = ""
    twin: bool = False
    """See `SourceName`."""

    standing: tuple[Standing, ...] = ()
    """Files of an earlier run that it may replace; whatever else stands where it writes is left alone."""

    @property
    def name(self) -> SourceName:
        """What the source is called in the run."""
        path = "-" if self.source is None else str(self.source)
        return SourceName(path, self.relative, self.namesake, self.twin)

    @property
    def sources(self) -> tuple[Path, ...]:
        """Every photograph that it reads from a file: the source, unless that is stdin, and the frames."""
        return self.frames if self.source is None else (self.source, *self.frames)

    def target_with(self, ending: str) -> Path:
        """The target of a variant: `<stem><ending>.<suffix>`."""
        assert self.target is not None
        return self.target.with_name(f"{self.target.stem}{ending}{self.target.suffix}") if ending else self.target


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a Job: a value, never a raise."""

    job: Job
    status: Literal["done", "failed", "skipped"]
    report: Mapping[str, Any]
    """The report line, ready for JSON; empty where none is written: an earlier run's holds."""

    megapixels: float = 0.0
    error: Exception | None = None
    """The failure itself, for `--debug` and exit codes; its sentence is in `report`."""
