"""Judge every method on the test photographs, beside the figures that public methods reach on them.

    python benchmarks/quality.py DATA [--methods clahe-adaptive ...] [--sets lol under ...]
                                 [--row "clahe-adaptive grid=8x8 strength=0.5"] [--out DIR] [--two-tone] [--json]

DATA is a folder with `test/` (see enhance_cli/quality/sets.py) and, if it is there, `PEERS.md`. Printed are one
table per set; what the methods do to photographs that were good already (test/clean); with `--two-tone` how flat
they leave two flat tones. `--out` receives a PNG sheet per set: input | every setting | reference.

Cells are PSNR/SSIM · the same mean-matched, means over the pictures of a set.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from enhance_cli.quality.blind import hue_change
from enhance_cli.quality.evaluate import PSNR_CAP
from enhance_cli.quality.pictures import read_rgb
from enhance_cli.quality.reference import mean_matched, psnr, ssim
from enhance_cli.quality.sets import SETS, Pair, pairs
from enhance_cli.quality.two_tone import two_tone_flatness, two_tone_pictures

# What is judged of each method: label and controls. A new method adds its line and nothing else.
SETTINGS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "clahe-adaptive": [
        ("1x1", {"grid": (1, 1)}),
        ("8x8", {"grid": (8, 8)}),
    ],
    "clode": [
        *((f"{model} T=3", {"model": model}) for model in ("lite", "full")),
        *((f"{model} auto", {"model": model, "time": "auto"}) for model in ("lite", "full")),
        *((f"{model} best (sees the reference)", {"model": model, "time": "best"}) for model in ("lite", "full")),
        ("lite T=3, all pixels", {"model": "lite", "proxy": "full"}),
    ],
    "retinex": [
        ("", {}),
        ("denoise 0", {"denoise": 0.0}),
        ("under alone", {"over": 0.0}),
        ("over alone", {"under": 0.0}),
    ],
    "local": [
        (f"{name}, whole picture", {"mask": "rect:0,0,100%,100%", "backbone": name}) for name in ("deepupe", "star")
    ],
    "irle": [
        ("reference", {"stage": "reference"}),
        ("stage 1", {"stage": "1"}),
        *((f"stage 2 {model}", {"model": model}) for model in ("lite", "full")),
        ("stage 2 lite, adapt 50", {"model": "lite", "adapt": 50}),
    ],
}

Picture = NDArray[Any]
Enhance = Callable[..., Picture]
"""From a picture, and `reference=` where the contender is one that sees it, to the output."""


class Contender(NamedTuple):
    """One row of the tables."""

    label: str
    enhance: Enhance
    ours: bool
    oracle: bool = False
    """Whether it sees the reference."""

    def output(self, picture: Picture, reference: Picture) -> Picture:
        """The enhanced picture."""
        return self.enhance(picture, reference=reference) if self.oracle else self.enhance(picture)


class Figures(NamedTuple):
    """A cell of the tables."""

    psnr: float
    ssim: float
    psnr_mean_matched: float
    ssim_mean_matched: float

    def __str__(self) -> str:
        return "{:.2f}/{:.3f} · {:.2f}/{:.3f}".format(*self)


# --- who is judged -----------------------------------------------------------------------------------------


def opencv_clahe(clip_limit: float, grid: tuple[int, int] = (8, 8)) -> Enhance:
    """Plain OpenCV CLAHE on the Y of 8-bit YCrCb, the way that reproduces the figures of PEERS.md."""

    def enhance(picture: Picture) -> Picture:
        # An object keeps buffers of its own, so threads must not share one.
        clahe = cv2.createCLAHE(clip_limit, (grid[1], grid[0]))
        planes = cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb)
        planes[..., 0] = clahe.apply(planes[..., 0])
        return cv2.cvtColor(planes, cv2.COLOR_YCrCb2RGB)

    return enhance


BASELINES = (
    Contender("input (nothing done)", lambda picture: picture, False),
    Contender("OpenCV CLAHE, clip 2, 8x8", opencv_clahe(2.0), False),
    Contender("OpenCV CLAHE, clip 40, 8x8", opencv_clahe(40.0), False),
)


def contenders(methods: Iterable[str], extra_rows: Iterable[str]) -> list[Contender]:
    """The rows of our methods: all their settings, then the rows asked for by `--row`."""
    wanted = [(name, label, controls) for name in methods for label, controls in SETTINGS.get(name, [("", {})])]
    wanted += [_parse_row(row) for row in extra_rows]
    return [
        Contender(f"{name} {label}".strip(), _ours(name, controls), True, controls.get("time") == "best")
        for name, label, controls in wanted
    ]


def _parse_row(text: str) -> tuple[str, str, dict[str, Any]]:
    """`clahe-adaptive grid=1x1 strength=0.5`: a method, and its controls as JSON or else as plain text."""
    name, *assignments = text.split()
    controls: dict[str, Any] = {}
    for assignment in assignments:
        control, equals, value = assignment.partition("=")
        if not equals:
            sys.exit(f"--row {text!r}: {assignment!r} is not CONTROL=VALUE")
        try:
            controls[control.replace("-", "_")] = json.loads(value)
        except json.JSONDecodeError:
            controls[control.replace("-", "_")] = value
    return name, " ".join(assignments), controls


def _ours(name: str, controls: dict[str, Any]) -> Enhance:
    import enhance_cli

    method = enhance_cli.open(name, threads=1)  # several pictures at once instead
    return lambda picture, **more: method.enhance(picture, **controls, **more).array


# --- measuring ---------------------------------------------------------------------------------------------


def judge(output: Picture, reference: Picture) -> Figures:
    """The four figures of one picture."""
    matched = mean_matched(output, reference)
    return Figures(
        min(psnr(output, reference), PSNR_CAP),
        ssim(output, reference),
        min(psnr(matched, reference), PSNR_CAP),
        ssim(matched, reference),
    )


def measure_set(found: Sequence[Pair], rows: Sequence[Contender], pool: ThreadPoolExecutor) -> dict[str, Figures]:
    """Mean figures per row."""

    def measure(pair: Pair) -> list[Figures]:
        picture, reference = read_rgb(pair.input), read_rgb(pair.reference)
        return [judge(row.output(picture, reference), reference) for row in rows]

    per_picture = list(pool.map(measure, found))
    columns = zip(*per_picture, strict=True)
    return {
        row.label: Figures(*map(statistics.fmean, zip(*column, strict=True)))
        for row, column in zip(rows, columns, strict=True)
    }


def measure_harm(
    found: Sequence[Pair], rows: Sequence[Contender], pool: ThreadPoolExecutor
) -> dict[str, dict[str, float | None]]:
    """What enhancing does to good photographs: medians over the pictures, output against input."""

    def measure(pair: Pair) -> list[tuple[float, float, float | None]]:
        picture = read_rgb(pair.input)
        outputs = [row.output(picture, picture) for row in rows]
        return [
            (
                ssim(mean_matched(output, picture), picture),
                min(psnr(output, picture), PSNR_CAP),
                hue_change(picture, output),
            )
            for output in outputs
        ]

    per_picture = list(pool.map(measure, found))
    harm: dict[str, dict[str, float | None]] = {}
    for row, column in zip(rows, zip(*per_picture, strict=True), strict=True):
        similarities, ratios, turns = zip(*column, strict=True)
        coloured = [turn for turn in turns if turn is not None]
        harm[row.label] = {
            "ssim_mean_matched": statistics.median(similarities),
            "psnr": statistics.median(ratios),
            "hue_change": statistics.median(coloured) if coloured else None,
        }
    return harm


def measure_two_tone(rows: Sequence[Contender]) -> dict[str, dict[str, float | None]]:
    """Unevenness of flat tones as a share of the output's step; None where a step was lost altogether."""
    pictures = two_tone_pictures()
    flatness: dict[str, dict[str, float | None]] = {}
    for row in rows:
        scores = [two_tone_flatness(tone.pixels, row.output(tone.pixels, tone.pixels)) for tone in pictures]
        figures = {"median": statistics.median(scores), "worst": max(scores)}
        flatness[row.label] = {name: value if np.isfinite(value) else None for name, value in figures.items()}
    return flatness


def read_peers(path: Path) -> dict[str, dict[str, str]]:
    """The figures of public methods: set name to {method: cell}, from the table of PEERS.md.

    The table's header names the method in its first column and a set in each other one, `lol (13 pairs)`.
    """
    if not path.is_file():
        return {}
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.lstrip().startswith("|")
    ]
    if not rows:
        return {}
    header, *body = rows
    body = [row for row in body if len(row) == len(header) and set(row[0]) - set("-: ")]
    names = [title.split("(")[0].strip() for title in header]
    return {name: {row[0]: row[column] for row in body} for column, name in enumerate(names) if column > 0}


# --- showing -----------------------------------------------------------------------------------------------


def print_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A Markdown table that also reads well on a terminal."""
    table = [list(headings), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(headings))]
    print(f"\n## {title}\n")
    for index, row in enumerate(table):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
        if index == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


def print_set(title: str, figures: dict[str, Figures], rows: Sequence[Contender], peers: dict[str, str]) -> None:
    """Measured rows, then the peers' rows that were not measured; a printed figure that differs is shown."""
    lines = []
    for row in rows:
        cell = str(figures[row.label])
        printed = peers.get(row.label)
        remark = "" if printed is None else "as in PEERS.md" if printed == cell else f"PEERS.md: {printed}"
        lines.append((f"**{row.label}**" if row.ours else row.label, cell, remark))
    lines += [(name, cell, "PEERS.md") for name, cell in peers.items() if name not in figures]
    print_table(title, ("method", "PSNR/SSIM · mean-matched", "source"), lines)


def _number(value: float | None, spec: str) -> str:
    return "-" if value is None else format(value, spec)


SHEET_ROWS = 8
CELL_WIDTH = 320
CELL_HEIGHT = 213
LABEL = 22


def write_sheet(path: Path, found: Sequence[Pair], rows: Sequence[Contender], with_reference: bool) -> None:
    """A PNG of at most `SHEET_ROWS` pictures of a set: input | every row of ours | reference."""
    chosen = [found[i] for i in np.unique(np.linspace(0, len(found) - 1, SHEET_ROWS).round().astype(int))]
    titles = ["input", *(row.label for row in rows), *(["reference"] if with_reference else [])]
    font = ImageFont.load_default(14)
    sheet = Image.new("RGB", (len(titles) * CELL_WIDTH, LABEL + len(chosen) * (CELL_HEIGHT + LABEL)), (24, 24, 24))
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        draw.text((column * CELL_WIDTH + 4, 3), title, (255, 255, 255), font)
    for line, pair in enumerate(chosen):
        top = LABEL + line * (CELL_HEIGHT + LABEL)
        picture, reference = read_rgb(pair.input), read_rgb(pair.reference)
        cells = [(picture, pair.name)] + [(row.output(picture, reference), "") for row in rows]
        cells += [(reference, pair.reference.stem)] if with_reference else []
        for column, (pixels, caption) in enumerate(cells):
            left = column * CELL_WIDTH
            shown = _fit(pixels)
            sheet.paste(shown, (left + (CELL_WIDTH - shown.width) // 2, top))
            text = caption or str(judge(pixels, reference)).split(" ·")[0]
            while draw.textlength(text, font) > CELL_WIDTH - 12:
                text = text.rstrip("…")[:-1] + "…"
            draw.text((left + 4, top + CELL_HEIGHT + 2), text, (190, 190, 190), font)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def _fit(pixels: Picture) -> Image.Image:
    """At most a cell large, aspect ratio kept."""
    eight_bit = pixels if pixels.dtype == np.uint8 else (pixels // 257).astype(np.uint8)
    height, width = eight_bit.shape[:2]
    scale = min((CELL_WIDTH - 4) / width, CELL_HEIGHT / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return Image.fromarray(cv2.resize(eight_bit, size, interpolation=cv2.INTER_AREA))


# --- the command -------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with test/ and PEERS.md")
    parser.add_argument("--methods", nargs="*", default=list(SETTINGS), help="none for the baselines alone")
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=SETS)
    parser.add_argument("--row", action="append", default=[], metavar="'METHOD CONTROL=VALUE ...'")
    parser.add_argument("--out", type=Path, help="folder for the sheets")
    parser.add_argument("--two-tone", action="store_true", help="also measure halos on two flat tones")
    parser.add_argument("--jobs", type=int, default=2, help="pictures at once")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    asked = parser.parse_args(arguments)
    if not (asked.data / "test").is_dir():
        parser.error(f"{asked.data} has no folder test")

    ours = contenders(asked.methods, asked.row)
    rows = [*BASELINES, *ours]
    peers = read_peers(asked.data / "PEERS.md")
    document: dict[str, Any] = {"schema": "enhance-quality/1", "sets": {}, "clean": None, "two_tone": None}
    cv2.setNumThreads(1)  # the pool below has the cores
    with ThreadPoolExecutor(asked.jobs) as pool:
        for name in asked.sets:
            found = pairs(asked.data, name)
            if not found:
                print(f"{name}: no pictures in {asked.data}", file=sys.stderr)
                continue
            if name == "clean":
                document["clean"] = measure_harm(found, rows, pool)
            else:
                figures = measure_set(found, rows, pool)
                document["sets"][name] = {
                    "pictures": len(found),
                    "figures": {label: cell._asdict() for label, cell in figures.items()},
                    "peers": peers.get(name, {}),
                }
                if not asked.json:
                    print_set(f"{name} ({len(found)} pictures)", figures, rows, peers.get(name, {}))
            if asked.out is not None:
                write_sheet(asked.out / f"{name}.png", found, ours or BASELINES[1:], name != "clean")
    if asked.two_tone:
        document["two_tone"] = measure_two_tone(rows)

    if asked.json:
        print(json.dumps(document, indent=1, allow_nan=False))
        return
    if document["clean"] is not None:
        print_table(
            "clean: output against input, medians",
            ("method", "SSIM mean-matched", "hue change", "PSNR"),
            (
                (
                    label,
                    _number(harm["ssim_mean_matched"], ".3f"),
                    _number(harm["hue_change"], ".1f"),
                    _number(harm["psnr"], ".2f"),
                )
                for label, harm in document["clean"].items()
            ),
        )
    if document["two_tone"] is not None:
        print_table(
            "two-tone: unevenness of a flat tone over the step",
            ("method", "median", "worst"),
            (
                (label, _number(flatness["median"], ".3f"), _number(flatness["worst"], ".3f"))
                for label, flatness in document["two_tone"].items()
            ),
        )


if __name__ == "__main__":
    main()
