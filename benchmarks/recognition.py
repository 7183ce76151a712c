"""Measures whether a classifier and a text reader recognise more in dark photos after each method than before.

    pip install --no-deps -r benchmarks/requirements-recognition.txt
    python -m benchmarks.recognition DATA [--parts photos text] [--methods clode ...] [--photos 20] [--store FILE]

DATA is a folder with `train/` and `test/`. The program prints a JSON line for each baseline and each case of each
method that is shown in tables:

    photos    ImageNet photos (clean/imagenet_<synset>_*) darkened by 2, 3.5 and 5 stops (benchmarks/lib/darkness.py):
              the percentage that MobileNetV2 classifies correctly, for each exposure and their mean
    text      real dark photos (paired_lowlight): how many lines of text are read as in the bright photos; marks.json
              lists the photos with text

Baselines are the dark photo, the good one, and the dark photo scaled to a mean luma of 0.45.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import enhance_cli  # noqa: F401 # isort: skip  # before OpenCV: it chooses where compiled kernels are cached

import cv2
import numpy as np

from benchmarks.lib import program
from benchmarks.lib.darkness import darkened
from benchmarks.lib.program import Asked, Row, each, spread
from benchmarks.lib.sets import MARKS
from benchmarks.quality import opened
from enhance_cli.quality.pictures import Picture, luma, read_rgb

STOPS = (2.0, 3.5, 5.0)
ALIKE = 0.8
"""Share of matching characters from which a line of text counts as read."""

SURE = 0.8
"""Confidence that a line in a bright photo needs to be expected in a dark one."""


class Contender(NamedTuple):
    """Who is judged: of a dark photo and the good one, what is shown to the network."""

    method: str
    case: str
    output: Callable[[Picture, Picture], Picture]


def contenders(asked: Asked) -> Iterator[Contender]:
    """The baselines, and the shown cases of methods that need no mask."""
    yield Contender("good photo", "", lambda dark, good: good)
    yield Contender("input", "", lambda dark, good: dark)
    yield Contender("scaled to mean 0.45", "", lambda dark, good: scaled(dark))
    for name in (name for name in asked.methods if name != "local"):
        for case in (case for case in program.chosen(asked, name) if case.shown or asked.cases):
            run = partial(opened(name).enhance, **case.controls)
            yield Contender(name, case.name, lambda dark, good, run=run: run(dark).array)


def scaled(picture: Picture, mean: float = 0.45) -> Picture:
    """The encoded samples times one factor, clipped."""
    factor = 255.0 * mean / max(float(luma(picture).mean()), 1.0)
    return np.clip(np.rint(picture * factor), 0, 255).astype(np.uint8)


def photos(asked: Asked) -> Iterator[Row]:
    """Top-1 of the classifier."""
    from benchmarks.lib import imagenet

    paths = [path for part in ("train", "test") for path in sorted((asked.data / part / "clean").glob("imagenet_*"))]
    good = {path.stem: read_rgb(path) for path in spread(paths, asked.photos)}
    labels = {name: imagenet.label(name.split("_")[1]) for name in good}
    work = [(name, stops) for stops in STOPS for name in good]
    dark = dict(zip(work, each(lambda one: darkened(good[one[0]], one[1], one[0]), work, asked.jobs), strict=True))
    classify = imagenet.classifier()

    def right(contender: Contender, one: tuple[str, float]) -> bool:
        name, stops = one
        return classify(contender.output(dark[name, stops], good[name])) == labels[name]

    for contender in contenders(asked):
        found = dict(zip(work, each(partial(right, contender), work, asked.jobs), strict=True))
        shares = {f"top1_{stops:g}": 100.0 * fmean(found[name, stops] for name in good) for stops in STOPS}
        about = {"method": contender.method, "case": contender.case, "photos": len(good)}
        yield about | {"top1": fmean(shares.values())} | shares


def text(asked: Asked) -> Iterator[Row]:
    """Lines read as in the bright photos."""
    from rapidocr_onnxruntime import RapidOCR

    reader = RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)

    def lines(picture: Picture) -> list[tuple[str, float]]:
        found, _ = reader(np.ascontiguousarray(picture[..., ::-1]), use_cls=False)
        return [(words, float(sure)) for _, words, sure in found or ()]

    marks = json.loads(MARKS.read_text(encoding="utf-8"))["text"]
    lows = [path for path in sorted(asked.data.glob("t*/paired_lowlight/low/*")) if path.stem in marks]
    pairs = [(read_rgb(low), read_rgb(next(low.parent.with_name("high").glob(f"{low.stem}.*")))) for low in lows]
    pairs = spread(pairs, asked.photos)
    wanted = [[words for words, sure in lines(good) if sure >= SURE and is_text(words)] for _, good in pairs]
    for contender in contenders(asked):
        outputs = each(lambda pair, contender=contender: contender.output(*pair), pairs, asked.jobs)
        found = [[words for words, _ in lines(output)] for output in outputs]
        read = sum(among(line, its) for asked_for, its in zip(wanted, found, strict=True) for line in asked_for)
        about = {"method": contender.method, "case": contender.case, "photos": len(pairs)}
        yield about | {"lines": read, "of": sum(map(len, wanted))}


def is_text(words: str) -> bool:
    """Whether there are two characters and a letter: digits and single characters are often false detections."""
    return len(words) > 1 and any(map(str.isalpha, words))


def among(line: str, found: Sequence[str]) -> bool:
    """Whether a line is among those found, ignoring case and a few characters."""
    return any(difflib.SequenceMatcher(None, line.lower(), other.lower()).ratio() >= ALIKE for other in found)


PARTS: dict[str, Any] = {"photos": photos, "text": text}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure."""
    parser = program.parser(__doc__, list(PARTS))
    parser.add_argument("data", type=Path, help="folder with train/ and test/")
    asked = parser.parse_args(arguments)
    cv2.setNumThreads(1)  # the pool has the cores
    program.run(asked, PARTS)


if __name__ == "__main__":
    main()
