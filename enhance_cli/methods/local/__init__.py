"""RANLEN: brightens what a mask selects, with a natural fall-off, and nothing else.

This module has only what `--help` needs: the mask syntax, the controls and the declaration. `masks.py` draws the
masks that are parsed here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from enhance_cli.controls import Controls, PictureFolder, knob
from enhance_cli.errors import UsageError
from enhance_cli.types import Method, SourceName

HALO = 1
"""Pixels of context around a window: the refining convolution at the end sees its neighbours."""

TRAINED_DEGREES = (0.8, 1.3)
"""What the paper shows; a note is made outside."""


# --- masks as they are written -----------------------------------------------------------------------------


class Length(NamedTuple):
    """A number of pixels, or percent of something."""

    number: float
    percent: bool = False

    @classmethod
    def parse(cls, text: str) -> Length:
        """Read `12`, `12px` or `5%`.

        Raises:
            ValueError: it is no such number.
        """
        match = re.fullmatch(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(%|px)?\s*", text.lower())
        if match is None or not math.isfinite(float(match[1])):
            raise ValueError(f"{text.strip()!r} is neither pixels, such as 40, nor percent, such as 5%.")
        return cls(float(match[1]), match[2] == "%")

    def pixels(self, of: float) -> float:
        """In pixels, where percent are of `of` pixels."""
        return self.number * of / 100.0 if self.percent else self.number

    def __str__(self) -> str:
        return f"{self.number:g}{'%' if self.percent else ''}"


class Shape(NamedTuple):
    """One shape of a mask."""

    kind: Literal["circle", "rect", "ellipse", "polygon"]
    lengths: tuple[Length, ...]
    degrees: float = 0.0
    """An ellipse's turn, clockwise."""


_FORMS = {
    "circle": "circle:x,y,radius",
    "rect": "rect:x,y,width,height",
    "ellipse": "ellipse:x,y,rx,ry or ellipse:x,y,rx,ry,degrees",
    "polygon": "polygon:x,y;x,y;x,y and further corners",
}
_EXAMPLE = "a shape such as circle:50%,40%,25%, an image, a folder of images, alpha or luma<0.2"


def parse_shape(text: str) -> Shape:
    """Read one shape.

    Raises:
        ValueError: it is none, or has no extent.
    """
    kind, _, rest = text.strip().partition(":")
    form = _FORMS.get(kind)
    if form is None:
        raise ValueError(f"{text.strip()!r} is not a shape; shapes are {', '.join(_FORMS)}, joined by +.")
    parts = re.split(r"[,;]" if kind == "polygon" else ",", rest.strip(" ;"))
    corners = [corner.split(",") for corner in rest.strip(" ;").split(";")] if kind == "polygon" else []
    counts = {"circle": (3,), "rect": (4,), "ellipse": (4, 5)}.get(kind, (len(parts),))
    if len(parts) not in counts or (corners and (len(corners) < 3 or any(len(corner) != 2 for corner in corners))):
        raise ValueError(f"write {form}, not {text.strip()!r}.")
    lengths = [Length.parse(part) for part in parts]
    degrees = 0.0
    if len(lengths) == 5 and kind == "ellipse":
        turn = lengths.pop()
        if turn.percent:
            raise ValueError(f"the degrees of {text.strip()!r} are a plain number.")
        degrees = turn.number
    if kind != "polygon" and any(length.number <= 0 for length in lengths[2:]):
        raise ValueError(
            f"{text.strip()!r} has no extent: its {'radius' if kind == 'circle' else 'sizes'} must be above 0."
        )
    return Shape(kind, tuple(lengths), degrees)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Mask:
    """Where the light goes: what `--mask` says, before any picture is seen."""

    text: str
    """As written; empty for an array."""

    shapes: tuple[Shape, ...] = ()
    source: Literal["shapes", "picture", "folder", "alpha", "luma", "array"] = "shapes"
    below: float = 0.0
    """For `luma`: pixels darker than this."""

    folder: PictureFolder | None = None
    pixels: Any = None
    """For `array`: H×W, or H×W×3, uint8, uint16, bool or floats in 0..1."""

    @classmethod
    def parse(cls, value: Any) -> Mask:
        """Read shapes, `alpha`, `luma<0.2`, or the path of a picture or a folder; or take an array.

        Raises:
            ValueError: it is none of these.
        """
        if isinstance(value, Mask):
            return value
        if not isinstance(value, str | Path):
            return cls("", source="array", pixels=value)
        text = str(value).strip()
        if not text:
            raise ValueError(f"there is nothing in it; give {_EXAMPLE}.")
        if text == "alpha":
            return cls(text, source="alpha")
        if re.match(r"luma\s*[<>=]", text):
            return cls(text, source="luma", below=_parse_luma(text))
        if re.match(r"[a-z]+:", text) and not Path(text).exists():
            return cls(text, tuple(parse_shape(part) for part in text.split("+")))
        path = Path(text)
        if path.is_dir():
            return cls(text, source="folder", folder=PictureFolder(text, PictureFolder.listed(path)))
        if not path.exists():
            raise ValueError(f"{text} does not exist; give {_EXAMPLE}.")
        return cls(text, source="picture")

    @property
    def is_picture(self) -> bool:
        """Whether it is an image of what is to be lit, by a person or a program, and not a shape or a rule."""
        return self.source in ("picture", "folder", "alpha", "array")

    def path_for(self, source: SourceName) -> Path | None:
        """The file that holds the mask of an input; None where no file does.

        Raises:
            ValueError: the folder holds none of its name, or several.
        """
        if self.folder is not None:
            return Path(self.folder.for_source(source))
        return Path(self.text) if self.source == "picture" else None


def parse_outer(value: Any) -> Mask:
    """Read the path of a picture or a folder; or take an array."""
    mask = Mask.parse(value)
    if mask.source not in ("picture", "folder", "array"):
        raise ValueError(f"{mask.text} is not a file; the outer mask is an image, or a folder of images.")
    return mask


def _parse_luma(text: str) -> float:
    match = re.fullmatch(r"luma\s*<\s*([\d.]+)", text)
    try:
        below = float(match[1]) if match else math.nan
    except ValueError:
        below = math.nan
    if not 0.0 < below <= 1.0:
        raise ValueError(f"write luma< and a number above 0, at most 1, such as luma<0.2, not {text!r}.")
    return below


def parse_transition(value: Any) -> Length | Literal["auto"]:
    """Read `6%`, `40`, `40px` or `auto`; or take a number of pixels."""
    if isinstance(value, Length):
        return value
    text = str(value).strip().lower()
    if text == "auto":
        return "auto"
    length = Length.parse(text)
    if length.number < 0:
        raise ValueError(f"the transition is at least 0 wide, not {text}.")
    return length


# --- controls ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LocalControls(Controls):
    """The knobs of `local`."""

    mask: Mask | None = knob(
        None,
        "The area to brighten; required. A shape: circle:50%,40%,25% (centre in percent of width and height, radius "
        "in percent of the shorter side; plain numbers are pixels), rect:x,y,width,height, ellipse:x,y,rx,ry[,degrees] "
        "or polygon:x,y;x,y;..., several joined by +; an image of any size; a folder with an image of the same file "
        "name for every input; alpha, the photo's alpha channel; or luma<0.2, its dark regions.",
        parse=Mask.parse,
        metavar="SHAPE|FILE|DIR|alpha|luma<N",
        report=lambda mask: mask.text,
    )
    mask_outer: Mask | None = knob(
        None,
        "Where the fall-off ends, an image or a folder as for --mask; replaces --transition.",
        parse=parse_outer,
        metavar="FILE|DIR",
        report=lambda mask: mask.text,
    )
    mask_invert: bool = knob(False, "Brighten everything outside the mask instead.")
    transition: Length | Literal["auto"] = knob(
        "auto",
        "Width of the fall-off, in pixels (40) or percent of the shorter side (6%); auto is 0.22 times the radius of "
        "a disc with the mask's area, for a soft mask its own softness, and for a hard mask that is an image a narrow "
        "edge that follows the photo.",
        parse=parse_transition,
        metavar="auto|W%|PX",
        report=str,
    )
    transition_mode: Literal["auto", "dilate", "erode", "both"] = knob(
        "auto",
        "Where the fall-off lies: outside the mask (dilate), inside it (erode), or half and half (both); auto is erode "
        "for masks that are images, whose edge is fitted to the photo, and dilate for shapes.",
        choices=("auto", "dilate", "erode", "both"),
    )
    degree: float = knob(
        1.0,
        "Factor on the estimated illumination; smaller is brighter, and the paper's range is 0.8 to 1.3.",
        minimum=0.5,
        maximum=2.0,
    )
    lock: bool = knob(
        True, "Keep everything outside mask and transition bit for bit; --no-lock shows the network's own output."
    )
    backbone: Literal["deepupe", "star"] = knob(
        "deepupe",
        "Network: deepupe predicts illumination as a bilateral grid, star predicts curves with a transformer.",
        choices=("deepupe", "star"),
    )
    show_mask: bool = knob(False, "Also write <name>_show_mask.png, the areas drawn over the photo.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mask is None:
            raise UsageError(f"local needs --mask: {_EXAMPLE}.")
        if self.mask_outer is not None and self.transition != "auto":
            raise UsageError("--mask-outer replaces --transition: give one of them.")

    @property
    def place(self) -> Literal["dilate", "erode", "both"]:
        """Where the transition lies: as asked for, else inside a mask that is an image and outside any other."""
        if self.transition_mode != "auto":
            return self.transition_mode
        return "erode" if self.mask is not None and self.mask.is_picture else "dilate"

    @property
    def looks_for_names(self) -> bool:
        """A folder of masks does."""
        return any(mask is not None and mask.folder is not None for mask in (self.mask, self.mask_outer))

    planes: ClassVar[frozenset[str]] = frozenset({"mask", "mask_outer"})

    def serves_all(self, name: str) -> bool:
        """One file given as the mask is that of every photograph."""
        mask = getattr(self, name)
        return mask is not None and mask.source == "picture"

    def holds(self, height: int, width: int) -> int:
        """The fall-off at every pixel, and the mask that it is made from; two masks are worked on in floating point,
        those of large pictures as bits and in bands (`masks.LARGE`).
        """
        in_bands = self.mask_outer is None or height * width > 2**25
        return (4 if in_bands else 16) * height * width

    def companions(self, source: SourceName) -> Mapping[str, Path]:
        """The pictures that hold the masks of this input."""
        found = {}
        for name, mask in (("mask", self.mask), ("mask_outer", self.mask_outer)):
            try:
                path = mask.path_for(source) if mask is not None else None
            except ValueError as error:
                raise UsageError(f"--{name.replace('_', '-')}: {error}") from None
            if path is not None:
                found[name] = path
        return found


METHOD = Method(
    name="local",
    summary="Brightens only what a mask selects, with a smooth fall-off, and leaves the rest of the photo alone.",
    paper="RANLEN: local low-light image enhancement by region-aware normalization",
    controls=LocalControls,
    enhancer="enhance_cli.methods.local.enhancer:Local",
    plan="enhance_cli.methods.local.plan:LocalPlan",
    halo=HALO,
    illustrations=("show_mask",),
    weights=("deepupe", "star"),
    half=("deepupe", "star"),
    example=(("mask", "rect:0,0,100%,100%"),),
)
