"""How good retinex's pictures are: the test sets against plain baselines, backlit and clipped pictures, halos, hues.

    python benchmarks/retinex_quality.py DATA [--parts sets backlit ...] [--out DIR]

DATA is a folder with `test/` (see enhance_cli/quality/sets.py). Printed is a JSON line per row of:

    sets       lol, under, over, fivek: PSNR/SSIM as it is and mean-matched, and LOE, of the input, of OpenCV's CLAHE,
               of Mertens' fusion of the retoucher's plain quotients, and of retinex
    hue        the same sets: median over pictures of the median turn of the hue angle of coloured pixels
    backlit    twenty simulated backlit photographs with known originals (enhance_cli/quality/backlit.py)
    clipped    frames of `over` of which at least a fiftieth is clipped white: what white becomes, and chroma
    tones      the nine two-tone pictures
    harm       good photographs: mean-matched SSIM to the input

`--out` receives sheets: the simulated backlit pictures, the real ones of test/unpaired_dark, the clipped ones.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from enhance_cli.quality.sets import pairs
from enhance_cli.quality.two_tone import two_tone_flatness, two_tone_pictures
from numpy.typing import NDArray

import enhance_cli
from enhance_cli.methods.retinex import retouch
from enhance_cli.quality.backlit import backlit_pictures, recovery
from enhance_cli.quality.blind import hue_change, loe
from enhance_cli.quality.lab import lab
from enhance_cli.quality.pictures import luma, read_rgb
from enhance_cli.quality.reference import mean_matched, psnr, ssim
from enhance_cli.training.sheet import write_sheet

Picture = NDArray[np.uint8]
Row = dict[str, Any]
Enhance = Callable[[Picture], Picture]

SETS = ("lol", "under", "over", "fivek")
PLAIN = retouch.Coefficients(detail=0.0)


def clahe(picture: Picture) -> Picture:
    planes = cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb)
    planes[..., 0] = cv2.createCLAHE(2.0, (8, 8)).apply(np.ascontiguousarray(planes[..., 0]))
    return cv2.cvtColor(planes, cv2.COLOR_YCrCb2RGB)


def mertens(picture: Picture) -> Picture:
    return retouch.retouched(picture, PLAIN)


class Bench:
    """The photographs and the ways to enhance them."""

    def __init__(self, data: Path, out: Path | None, baselines: bool) -> None:
        self.data, self.out = data, out
        method = enhance_cli.open("retinex", device="cpu", threads=1)
        self.retinex: Enhance = lambda picture: np.asarray(method.enhance(picture).array)
        self.ways: dict[str, Enhance] = {"retinex": self.retinex}
        if baselines:
            self.ways = {"input": lambda picture: picture, "CLAHE": clahe, "Mertens": mertens, **self.ways}

    def sheet(self, name: str, rows: list[list[tuple[str, Picture]]]) -> None:
        """Labelled pictures in rows, for --out."""
        if self.out is not None and rows:
            write_sheet(self.out / f"{name}.png", rows, 200)


def sets(bench: Bench) -> Iterator[Row]:
    for name in SETS:
        found = [(read_rgb(pair.input), read_rgb(pair.reference)) for pair in pairs(bench.data, name)]
        for way, enhance in bench.ways.items():
            figures = []
            for before, wanted in found:
                after = enhance(before)
                matched = mean_matched(after, wanted)
                plain = (psnr(after, wanted), ssim(after, wanted))
                figures.append((*plain, psnr(matched, wanted), ssim(matched, wanted), loe(after, before)))
            means = [statistics.fmean(column) for column in zip(*figures, strict=True)]
            yield {"set": name, "way": way, "pictures": len(found)} | dict(
                zip(("psnr", "ssim", "psnr_matched", "ssim_matched", "loe"), (round(m, 4) for m in means), strict=True)
            )


def hue(bench: Bench) -> Iterator[Row]:
    for name in SETS:
        inputs = [read_rgb(pair.input) for pair in pairs(bench.data, name)]
        turns = [turn for before in inputs if (turn := hue_change(before, bench.retinex(before))) is not None]
        yield {"set": name, "median": round(statistics.median(turns), 2), "worst": round(max(turns), 2)}


def backlit(bench: Bench) -> Iterator[Row]:
    photographs = {pair.name: read_rgb(pair.input) for pair in pairs(bench.data, "clean")}
    rows, judged = [], []
    for picture in backlit_pictures(photographs):
        after = bench.retinex(picture.pixels)
        found = recovery(picture, after)
        judged.append(found)
        yield {"picture": picture.name, "regained": round(found.regained, 3), "moved": round(found.moved, 2)}
        rows.append([(picture.name, picture.pixels), ("retinex", after), ("original", picture.original)])
    bench.sheet("backlit", rows)
    yield {
        "pictures": len(judged),
        "regained_median": round(statistics.median(one.regained for one in judged), 3),
        "regained_at_least_half": sum(one.regained >= 0.5 for one in judged),
        "moved_median": round(statistics.median(one.moved for one in judged), 2),
        "moved_less_than_8": sum(one.moved < 8.0 for one in judged),
        "both": sum(one.regained >= 0.5 and one.moved < 8.0 for one in judged),
    }
    real = sorted((bench.data / "test" / "unpaired_dark").rglob("*acklit*"))
    bench.sheet(
        "backlit-real", [[(path.stem, before := read_rgb(path)), ("retinex", bench.retinex(before))] for path in real]
    )


def clipped(bench: Bench) -> Iterator[Row]:
    rows, whites, ratios = [], [], []
    for pair in pairs(bench.data, "over"):
        before = read_rgb(pair.input)
        white = before.min(axis=2) >= 250
        if white.mean() < 0.02:
            continue
        after = bench.retinex(before)
        whites.append(float(luma(after)[white].mean()) / 255.0)
        ratios.append(float(_chroma(after).mean() / _chroma(before).mean()))
        yield {"picture": pair.name, "white": round(whites[-1], 3), "chroma_ratio": round(ratios[-1], 2)}
        rows.append([(pair.name, before), ("retinex", after), ("reference", read_rgb(pair.reference))])
    bench.sheet("clipped", rows)
    yield {
        "pictures": len(whites),
        "white_least": round(min(whites), 3),
        "chroma_ratio_median": round(statistics.median(ratios), 2),
        "chroma_ratio_worst": round(max(ratios), 2),
        "chroma_ratio_above_1.5": sum(ratio > 1.5 for ratio in ratios),
    }


def _chroma(picture: Picture) -> NDArray[np.float64]:
    values = lab(picture.astype(np.float64))
    return np.hypot(values[..., 1], values[..., 2])


def tones(bench: Bench) -> Iterator[Row]:
    flat = [two_tone_flatness(one.pixels, bench.retinex(one.pixels)) for one in two_tone_pictures()]
    small = [two_tone_flatness(one.pixels, bench.retinex(one.pixels)) for one in two_tone_pictures(160, 240)]
    values = [*flat, *small]
    yield {"median": round(statistics.median(values), 4), "worst": round(max(values), 4), "pictures": len(values)}


def harm(bench: Bench) -> Iterator[Row]:
    figures = []
    for pair in pairs(bench.data, "clean"):
        before = read_rgb(pair.input)
        figures.append(ssim(mean_matched(bench.retinex(before), before), before))
    yield {"ssim_matched_median": round(statistics.median(figures), 4), "least": round(min(figures), 4)}


PARTS = {"sets": sets, "hue": hue, "backlit": backlit, "clipped": clipped, "tones": tones, "harm": harm}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--parts", nargs="*", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--no-baselines", action="store_true", help="retinex alone")
    arguments = parser.parse_args()
    bench = Bench(arguments.data, arguments.out, not arguments.no_baselines)
    for part in arguments.parts:
        for row in PARTS[part](bench):
            print(json.dumps({"part": part, **row}), flush=True)


if __name__ == "__main__":
    main()
