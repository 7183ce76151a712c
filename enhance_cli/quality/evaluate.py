"""Measures a folder of outputs against a folder of references, and against the inputs they were made from.

It returns values and prints nothing; an image that cannot be measured is a row with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from enhance_cli.errors import EnhanceError, UsageError
from enhance_cli.quality import blind, faults
from enhance_cli.quality import reference as against
from enhance_cli.quality.pictures import PICTURE_SUFFIXES, Picture, read_rgb

PSNR_CAP = 100.0
"""dB written for identical images, whose PSNR is infinite, and for anything beyond.

JSON has no infinity, and a mean over a folder must stay finite. Two 8-bit images that differ in one sample
of 50 megapixels are 130 dB apart; nothing useful is lost above 100.
"""

COLUMNS: Mapping[str, tuple[str, str]] = {
    "psnr": ("PSNR dB", ".2f"),
    "ssim": ("SSIM", ".3f"),
    "psnr_mean_matched": ("PSNR matched", ".2f"),
    "ssim_mean_matched": ("SSIM matched", ".3f"),
    "delta_e_2000": ("delta E 2000", ".2f"),
    "black_point": ("black point", "+.1f"),
    "contrast_ratio": ("contrast ratio", ".2f"),
    "chroma_ratio": ("chroma ratio", ".2f"),
    "shade_regained": ("shade regained", ".2f"),
    "shade_bright": ("beside shade", ".1f"),
    "loe": ("LOE", ".0f"),
    "highlight_level": ("highlights", ".0f"),
    "highlight_contours": ("contours", ".3%"),
    "skin_turn": ("skin turn", ".1f"),
    "skin_chroma": ("skin chroma", ".2f"),
    "skin_luma": ("skin luma", ".2f"),
    "dark_noise": ("dark noise", ".1f"),
    "dark_lifted": ("dark lifted", ".1%"),
    "entropy": ("entropy", ".2f"),
    "contrast": ("contrast", ".3f"),
    "clipped_low": ("clipped low", ".2%"),
    "clipped_high": ("clipped high", ".2%"),
}
"""Every figure, in order: its heading and number format in a table."""


@dataclass(frozen=True, slots=True)
class Row:
    """One output and its figures, or why it has none."""

    name: str
    """The output's path below the folder of outputs, with `/`."""

    output: str
    reference: str | None
    input: str | None
    figures: Mapping[str, float]
    """Keys of `COLUMNS`; empty where `error` is set, and every value is finite."""

    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The row as JSON; figures that were not asked for are absent."""
        return {
            "name": self.name,
            "output": self.output,
            "reference": self.reference,
            "input": self.input,
            "error": self.error,
            **self.figures,
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The results for a folder of outputs."""

    rows: tuple[Row, ...]
    """One per output that was measured or should have been, in order of names."""

    unmatched: Mapping[str, tuple[str, ...]]
    """Paths without a partner, under `outputs`, `references` and `inputs`.

    An output without a reference is listed here and has no row; one without an input is listed as well, but
    measured without the figures that need it.
    """

    @property
    def judged(self) -> int:
        """How many outputs have figures."""
        return sum(row.error is None for row in self.rows)

    @property
    def failed(self) -> int:
        """How many outputs could not be measured."""
        return len(self.rows) - self.judged

    @property
    def all_failed(self) -> bool:
        """Whether there were outputs, but none could be measured (failed, or without a reference)."""
        return self.judged == 0 and bool(self.rows or self.unmatched["outputs"])

    @property
    def mean(self) -> dict[str, float]:
        """The mean of every figure over the rows that have it; not every photo has highlights, skin or empty dark."""
        values = {key: [row.figures[key] for row in self.rows if key in row.figures] for key in COLUMNS}
        return {key: math.fsum(column) / len(column) for key, column in values.items() if column}

    def to_json(self) -> dict[str, Any]:
        """The whole as JSON: finite numbers, strings and null only.

        A `psnr` of 100 says that the images are identical, or nearer than 100 dB (`PSNR_CAP`).
        """
        return {
            "schema": "enhance-evaluation/1",
            "judged": self.judged,
            "failed": self.failed,
            "mean": self.mean,
            "pictures": [row.to_json() for row in self.rows],
            "unmatched": {kind: list(paths) for kind, paths in self.unmatched.items()},
        }


def evaluate(
    outputs: Path,
    references: Path | None,
    inputs: Path | None = None,
    *,
    read: Callable[[Path], Picture] = read_rgb,
) -> Evaluation:
    """Measure outputs against references, or on their own.

    Folders are searched with their subfolders and matched by the path below the folder without its suffix;
    of several partners that differ in suffix only, the one with the output's suffix is taken. If `references`
    or `inputs` is a file it is the partner of every output.

    With references the figures are psnr, ssim, psnr_mean_matched, ssim_mean_matched, delta_e_2000, and the tones
    relative to the reference's: black_point, contrast_ratio, chroma_ratio. Without references, or with inputs, they are
    entropy, contrast, clipped_low and clipped_high; with inputs also loe and, for photos that have such areas, the
    effect on clipped highlights, skin-like colours and empty dark areas; with both the light in deep shade and beside
    it (`quality.faults`).

    Args:
        outputs: a folder of images, or one image.
        references: a folder or an image of the same sizes; None if there are none.
        inputs: what the outputs were made from, likewise.
        read: decodes a file to H×W×3 or H×W, uint8, uint16 or floating point in 0..1.

    Raises:
        UsageError: one of the paths does not exist. Images that cannot be measured do not raise; they are
            rows with an `error`.
    """
    for path in (outputs, references, inputs):
        if path is not None and not path.exists():
            raise UsageError(f"There is no file or folder {path}.")
    found = _pictures(outputs)
    of_reference = _Partners(references)
    of_input = _Partners(inputs)
    rows, without_reference, without_input = [], [], []
    for key, output in found:
        reference = of_reference.find(key, output)
        before = of_input.find(key, output)
        if inputs is not None and before is None:
            without_input.append(str(output))
        if references is not None and reference is None:
            without_reference.append(str(output))
            continue
        rows.append(_judge(_below(outputs, output), output, reference, before, inputs is not None, read))
    # An output can lack both partners, and is then listed once.
    lonely = dict.fromkeys([*without_reference, *without_input])
    unmatched = {
        "outputs": tuple(lonely),
        "references": of_reference.unused(),
        "inputs": of_input.unused(),
    }
    return Evaluation(tuple(rows), unmatched)


def table_rows(evaluation: Evaluation) -> tuple[list[str], list[list[str]]]:
    """The evaluation as text: headings, and a list of cells per image, the mean last.

    The first column is the name; a failed image has its reason in the second cell and no further ones.
    """
    mean = evaluation.mean
    keys = [key for key in COLUMNS if key in mean]
    headings = ["photo", *(COLUMNS[key][0] for key in keys)]
    cells = [
        [row.name, row.error] if row.error is not None else [row.name, *_cells(keys, row.figures)]
        for row in evaluation.rows
    ]
    if mean:
        cells.append([f"mean of {evaluation.judged}", *_cells(keys, mean)])
    return headings, cells


def _cells(keys: Sequence[str], figures: Mapping[str, float]) -> list[str]:
    return [format(figures[key], COLUMNS[key][1]) if key in figures else "" for key in keys]


def _judge(
    name: str,
    output: Path,
    reference: Path | None,
    before: Path | None,
    with_inputs: bool,
    read: Callable[[Path], Picture],
) -> Row:
    figures: dict[str, float] = {}
    reason = None
    try:
        picture = read(output)
        wanted = None if reference is None else read(reference)
        original = None if before is None else read(before)
        if wanted is not None:
            figures |= _reference_figures(picture, wanted)
        if wanted is None or with_inputs:
            figures |= _blind_figures(picture, original)
        if wanted is not None and original is not None:
            figures |= _named("shade", faults.shade(original, picture, wanted))
    except (EnhanceError, OSError, ValueError) as error:
        figures, reason = {}, str(error)
    return Row(
        name=name,
        output=str(output),
        reference=None if reference is None else str(reference),
        input=None if before is None else str(before),
        figures=figures,
        error=reason,
    )


def _reference_figures(picture: Picture, wanted: Picture) -> dict[str, float]:
    _same_size(picture, wanted, "reference")
    matched = against.mean_matched(picture, wanted)
    veil = faults.veil(picture, wanted)
    return {
        "psnr": min(against.psnr(picture, wanted), PSNR_CAP),
        "ssim": against.ssim(picture, wanted),
        "psnr_mean_matched": min(against.psnr(matched, wanted), PSNR_CAP),
        "ssim_mean_matched": against.ssim(matched, wanted),
        "delta_e_2000": against.delta_e_2000(picture, wanted),
        "black_point": veil.black_point,
        "contrast_ratio": veil.contrast,
        "chroma_ratio": veil.chroma,
    }


def _blind_figures(picture: Picture, before: Picture | None) -> dict[str, float]:
    figures: dict[str, float] = {}
    if before is not None:
        _same_size(picture, before, "input")
        figures["loe"] = blind.loe(picture, before)
        figures |= _fault_figures(before, picture)
    low, high = blind.clipped(picture)
    return figures | {
        "entropy": blind.entropy(picture),
        "contrast": blind.contrast(picture),
        "clipped_low": low,
        "clipped_high": high,
    }


def _fault_figures(before: Picture, after: Picture) -> dict[str, float]:
    """The figures of `faults` that apply to the photo."""
    return {
        **_named("highlight", faults.highlights(before, after)),
        **_named("skin", faults.skin(before, after)),
        **_named("dark", faults.empty_dark(before, after)),
    }


def _named(
    kind: str, found: faults.Shade | faults.Highlights | faults.Skin | faults.EmptyDark | None
) -> dict[str, float]:
    """The fields of a measure with the names of their columns; empty if the photo has nothing to measure."""
    return {} if found is None else {f"{kind}_{name}": value for name, value in found._asdict().items()}


def _same_size(picture: Picture, partner: Picture, role: str) -> None:
    (height, width), (its_height, its_width) = picture.shape[:2], partner.shape[:2]
    if (height, width) != (its_height, its_width):
        raise ValueError(f"it has {width}x{height} pixels, its {role} {its_width}x{its_height}")


class _Partners:
    """Finds the reference or input of an output, and remembers which were found."""

    def __init__(self, root: Path | None) -> None:
        self._everyones = root if root is not None and not root.is_dir() else None
        self._by_key: dict[str, list[Path]] = {}
        self._used: set[Path] = set()
        if root is not None and self._everyones is None:
            for key, path in _pictures(root):
                self._by_key.setdefault(key, []).append(path)

    def find(self, key: str, output: Path) -> Path | None:
        if self._everyones is not None:
            return self._everyones
        candidates = self._by_key.get(key)
        if not candidates:
            return None
        same_suffix = (path for path in candidates if path.suffix.lower() == output.suffix.lower())
        partner = next(same_suffix, candidates[0])
        self._used.add(partner)
        return partner

    def unused(self) -> tuple[str, ...]:
        """Those whose path without suffix matches no output."""
        keys = {key for key, paths in self._by_key.items() if not self._used.isdisjoint(paths)}
        return tuple(str(path) for key, paths in self._by_key.items() if key not in keys for path in paths)


def _pictures(root: Path) -> list[tuple[str, Path]]:
    """Images below a folder, or the one file, with their keys: the path below the root without suffix."""
    if not root.is_dir():
        return [(root.stem, root)]
    paths = (path for path in root.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file())
    return [(str(PurePosixPath(_below(root, path)).with_suffix("")), path) for path in sorted(paths)]


def _below(root: Path, path: Path) -> str:
    return path.name if path == root else path.relative_to(root).as_posix()
