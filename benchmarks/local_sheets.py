"""Sheets of what `local` does, to be looked at: portraits, shapes that training never showed, degrees.

    python benchmarks/local_sheets.py DATA OUT [--sheets portraits shapes degrees] [--backbone deepupe] [--runs RUNS]

DATA is a folder with `portraits/image` and `portraits/mask` (same stems) and `train/unpaired_dark`; portraits are taken
two stops down. OUT receives a PNG per sheet, a photograph per row: the input, the regions, the output. With RUNS, what
`enhance train local` left, there is one more sheet, `variants`: a disc of light by each of a backbone's trained parts,
nothing locked, and below each output the stops that it gained, black for none and white for as many as the most.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import enhance_cli
from enhance_cli.methods.local.overlay import draw_regions
from enhance_cli.quality.pictures import luma, read_rgb
from enhance_cli.types import Image, Metadata

Picture = NDArray[np.uint8]

HEIGHT = 300
"""Of a row, in pixels."""


def darker(picture: Picture, stops: float = 2.0) -> Picture:
    """A picture with less light, by a gamma of 2.2."""
    light = (picture / 255.0) ** 2.2 * 2.0**-stops
    return np.rint(255.0 * light ** (1 / 2.2)).astype(np.uint8)


def cell(picture: Picture, label: str = "") -> Picture:
    """A picture at the height of a row, with a label."""
    width = max(1, round(picture.shape[1] * HEIGHT / picture.shape[0]))
    drawn: Any = cv2.resize(picture, (width, HEIGHT), interpolation=cv2.INTER_AREA)
    for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(drawn, label, (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, thickness, cv2.LINE_AA)
    return np.pad(drawn, ((0, 4), (0, 4), (0, 0)))


def row(method: Any, picture: Picture, label: str, source: str = "", **controls: Any) -> Picture:
    """Input, regions, output."""
    result = method.enhance(Image(picture, metadata=Metadata(source=source)), **controls)
    regions = draw_regions(Image(picture), result.plan.fall_off, (result.plan.top, result.plan.left))
    return np.hstack((cell(picture, label), cell(regions), cell(result.array)))


def portraits(method: Any, data: Path, **controls: Any) -> Iterator[Picture]:
    """Soft mattes, then hard masks: as the defaults have them, and eroded."""
    folder = data / "portraits"
    for path in sorted((folder / "image").glob("p3m_*")):
        yield row(method, darker(read_rgb(path)), path.stem, path.name, mask=folder / "mask", **controls)
    for path in sorted((folder / "image").glob("vikram_*"))[:6]:
        dark = darker(read_rgb(path))
        yield row(method, dark, path.stem, path.name, mask=folder / "mask", **controls)
        eroded = {"transition": "3%", "transition_mode": "erode"}
        yield row(method, dark, "erode 3%", path.name, mask=folder / "mask", **eroded, **controls)


def shapes(method: Any, data: Path, **controls: Any) -> Iterator[Picture]:
    """Strokes, text, tiny, full, empty and more."""
    paths = sorted((data / "train" / "unpaired_dark").glob("*.jpg"))
    for path in paths[5 :: len(paths) // 3]:
        picture = read_rgb(path)
        for label, mask in drawn(*picture.shape[:2]):
            yield row(method, picture, label, mask=mask, **controls)


def drawn(height: int, width: int) -> Iterator[tuple[str, Any]]:
    """Labels and masks."""
    random = np.random.default_rng(1)
    side = min(height, width)
    strokes, text = np.zeros((2, height, width), np.uint8)
    for _ in range(4):
        steps = random.integers(-side // 5, side // 4, (6, 2))
        line = (np.cumsum(steps, axis=0) + np.array((width // 4, height // 3))).astype(np.int32)
        cv2.polylines(strokes, [line], False, (255,), max(2, side // 50), cv2.LINE_AA)
    place = (width // 10, int(height * 0.65))
    cv2.putText(text, "LIGHT", place, cv2.FONT_HERSHEY_DUPLEX, width / 230, (255,), max(2, width // 50), cv2.LINE_AA)
    yield "strokes", strokes
    yield "text", text
    yield "tiny", "circle:50%,50%,2%"
    yield "full", "rect:0,0,100%,100%"
    yield "empty", np.zeros((height, width), np.uint8)
    yield "a gradient", np.repeat(np.linspace(0, 1, width)[None], height, axis=0)
    yield "luma<0.2", "luma<0.2"
    yield "two", "circle:25%,50%,15%+rect:60%,30%,25%,40%"


def degrees(method: Any, data: Path, **controls: Any) -> Iterator[Picture]:
    """The same light from .8 to 1.3."""
    paths = sorted((data / "train" / "unpaired_dark").glob("*.jpg"))
    for path in paths[3 :: len(paths) // 4]:
        picture = read_rgb(path)
        cells = [cell(picture, path.stem)]
        for degree in (0.8, 0.9, 1.0, 1.1, 1.2, 1.3):
            result = method.enhance(picture, mask="circle:50%,50%,30%", degree=degree, **controls)
            cells.append(cell(result.array, f"{degree:g}"))
        yield np.hstack(cells)


def variants(runs: Path, data: Path, backbone: str) -> Iterator[Picture]:
    """Each trained part of a backbone beside the shipped one, on dark photographs and on a flat tone."""
    import torch
    from local import disc, light  # the benchmark beside this file

    from enhance_cli.methods.local.training import train as training
    from enhance_cli.training.degradations import generator

    torch.set_num_threads(1)
    parts = [part for part in training.PARTS if part.startswith(backbone) and not part.endswith("global")]
    parts = [part for part in parts if training.weights_of(runs, part).exists()]
    paths = sorted((data / "train" / "unpaired_dark").glob("*.jpg"))
    pictures = [(path.stem, read_rgb(path)) for path in paths[7 :: len(paths) // 3]]
    for index, (label, picture) in enumerate((*pictures, ("flat", np.full((300, 400, 3), 25, np.uint8)))):
        scale = HEIGHT / min(picture.shape[:2])
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        mask = disc(*small.shape[:2], generator(5, index))
        outputs = [light(training.load(runs, part), small, mask) for part in parts]
        gains = [np.log2((luma(one) + 2.0) / (luma(small) + 2.0)) for one in outputs]
        most = max(float(np.quantile(gain, 0.99)) for gain in gains)
        shades = [np.rint(255.0 * np.clip(gain / max(most, 0.1), 0.0, 1.0)).astype(np.uint8) for gain in gains]
        yield np.hstack([cell(small, label), *(cell(one, part) for one, part in zip(outputs, parts, strict=True))])
        fall_off = np.rint(255.0 * mask[1]).astype(np.uint8)
        yield np.hstack([cell(np.repeat(shade[..., None], 3, axis=2)) for shade in (fall_off, *shades)])


SHEETS = {sheet.__name__: sheet for sheet in (portraits, shapes, degrees)}


def stacked(rows: Sequence[Picture]) -> Picture:
    """Rows one below the other."""
    width = max(one.shape[1] for one in rows)
    return np.vstack([np.pad(one, ((0, 0), (0, width - one.shape[1]), (0, 0))) for one in rows])


def main() -> None:
    """Write the sheets."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sheets", nargs="*", default=list(SHEETS), choices=SHEETS)
    parser.add_argument("--backbone", default="deepupe", choices=("deepupe", "star"))
    parser.add_argument("--runs", type=Path)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    with enhance_cli.open("local", device="cpu") as method:
        for name in asked.sheets:
            sheet = stacked(list(SHEETS[name](method, asked.data, backbone=asked.backbone)))
            cv2.imwrite(str(asked.out / f"{name}-{asked.backbone}.png"), sheet[..., ::-1])
    if asked.runs is not None:
        sheet = stacked(list(variants(asked.runs, asked.data, asked.backbone)))
        cv2.imwrite(str(asked.out / f"variants-{asked.backbone}.png"), sheet[..., ::-1])


if __name__ == "__main__":
    main()
