"""What retinex costs, what a stack of exposures becomes, and what it decides, shown.

    python benchmarks/retinex.py DATA [--parts speed engines stacks] [--out DIR]

DATA is a folder with `test/` and, for speed, `large/`. Printed is a JSON line per row of:

    speed      1280x720 and 12 megapixels in a warm process, both cores: seconds of wall and processor, by control
    engines    the restoration of a 1024x1024 tile: ONNX Runtime against the cascade, one thread
    stacks     the exposure stacks of the test sets fused, and by OpenCV's Mertens: MEF-SSIM against all frames, and
               PSNR/SSIM against the frame `_ref`, which is left out of what is fused
    maps       nothing is printed: sheets of photographs | outputs | illuminations | weights, for --out

`--out` receives sheets of the stacks and of the maps.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from enhance_cli.quality.fusion import mef_ssim
from numpy.typing import NDArray

import enhance_cli
from enhance_cli.imaging import codecs
from enhance_cli.quality.pictures import read_rgb
from enhance_cli.quality.reference import psnr, ssim

Picture = NDArray[np.uint8]
Row = dict[str, Any]


class Bench:
    """The photographs, the method, and where sheets go."""

    def __init__(self, data: Path, out: Path | None) -> None:
        self.data, self.out = data, out
        self.method = enhance_cli.open("retinex", device="cpu", threads=2)

    def sheet(self, name: str, rows: Sequence[Sequence[Picture]]) -> None:
        """Pictures in rows, each fitted into 320x240."""
        if self.out is not None and rows:
            self.out.mkdir(parents=True, exist_ok=True)
            sheet = np.vstack([np.hstack([_fitted(picture) for picture in row]) for row in rows])
            cv2.imwrite(str(self.out / f"{name}.png"), sheet[..., ::-1])


def _fitted(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    scale = min(312 / width, 232 / height)
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    cell = np.full((240, 320, 3), 24, np.uint8)
    cell[4 : 4 + small.shape[0], 4 : 4 + small.shape[1]] = small
    return cell


def timed(work: Callable[[], Any], rounds: int) -> Row:
    """Medians and least of wall and processor seconds, the first call apart."""
    work()
    wall, processor = [], []
    for _ in range(rounds):
        began, used = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - began)
        processor.append(time.process_time() - used)
    return {
        "wall_median": round(statistics.median(wall), 4),
        "wall_least": round(min(wall), 4),
        "processor_median": round(statistics.median(processor), 4),
    }


def speed(bench: Bench) -> Iterator[Row]:
    """Estimate and render of decoded pictures."""
    photographs = sorted((bench.data / "large").glob("*12mp*.jpg"))
    if not photographs:
        return
    large = read_rgb(photographs[0])
    small = np.ascontiguousarray(cv2.resize(large, (1280, 960), interpolation=cv2.INTER_AREA)[:720])
    for name, picture, rounds in (("1280x720", small, 20), ("12 megapixels", large, 5)):
        for controls in ({}, {"denoise": 0.0}, {"denoise": 0.5}, {"under": 0.5, "over": 0.5}):
            row = timed(lambda picture=picture, controls=controls: bench.method.enhance(picture, **controls), rounds)
            stages = bench.method.enhance(picture, **controls).report["ms"]
            yield {"picture": name, "controls": controls, **row, "ms": stages}
    frames = [np.ascontiguousarray(small // divisor) for divisor in (4, 2, 1)]
    yield {"picture": "three frames of 1280x720", **timed(lambda: bench.method.fuse(frames), 10)}


def engines(bench: Bench) -> Iterator[Row]:
    """Why the restoration is not run by ONNX Runtime, as the other methods' networks are."""
    from enhance_cli.engines import weights
    from enhance_cli.engines.cpu import CpuEngine
    from enhance_cli.methods.retinex import METHOD, kernels_cpu
    from enhance_cli.methods.retinex.arrays import FusionWeights, Region, RestorationWeights

    run, _ = CpuEngine(1).network(METHOD, "restoration")
    rng = np.random.default_rng(0)
    given = rng.random((1, 4, 1024, 1024)).astype(np.float32)
    yield {"part_of": "restoration, ONNX Runtime", **timed(lambda: run(image=given), 5)}
    network = RestorationWeights.of(weights.read_arrays(weights.find(METHOD, "restoration", "safetensors")))
    tensors = weights.read_arrays(weights.find(METHOD, "fusion", "safetensors"))
    names = ("first.weight", "second.weight", "second.bias")
    first, second, second_bias = (tensors[name] for name in names)
    biases = np.tile(tensors["first.bias"], (3, 1))
    fusion = FusionWeights(first, biases, second, second_bias, tensors["third.weight"].reshape(-1))
    grids = tuple(np.zeros((1, 1, 12, 2), np.float32) for _ in range(2))
    picture = rng.integers(0, 256, (1024, 1024, 3)).astype(np.uint8)
    region = Region(1024, 1024, 0, 0, 0, 0, 1024, 1024)
    for label, restoration in (("all but the restoration", None), ("all in one cascade", network)):
        call = lambda it=restoration: kernels_cpu.render([picture], region, grids, (1.0, 1.0), fusion, it)  # noqa: E731
        yield {"part_of": label, **timed(call, 5)}


def stacks(bench: Bench) -> Iterator[Row]:
    """Fusing what cameras took."""
    rows, sheet = [], []
    for name, reference, paths in _stacks(bench.data):
        frames = [read_rgb(path) for path in paths]
        fused = {
            "ours": bench.method.fuse(frames).array,
            "ours, denoise 0": bench.method.fuse(frames, denoise=0.0).array,
            "OpenCV Mertens": mertens(frames),
        }
        good = read_rgb(reference)
        for label, picture in fused.items():
            figures = mef_ssim(frames, picture), psnr(picture, good), ssim(picture, good)
            rows.append((label, name, len(frames), *figures))
        sheet.append([frames[0], frames[-1], fused["OpenCV Mertens"], fused["ours"], good])
    for label in dict.fromkeys(row[0] for row in rows):
        figures = [row[3:] for row in rows if row[0] == label]
        means = [round(statistics.fmean(column), 4) for column in zip(*figures, strict=True)]
        yield {"fusion": label, "stacks": len(figures), **dict(zip(("mef_ssim", "psnr", "ssim"), means, strict=True))}
    bench.sheet("stacks", sheet)


def mertens(frames: Sequence[Picture]) -> Picture:
    """OpenCV's exposure fusion, with its own weights."""
    fused = cv2.createMergeMertens().process([frame[..., ::-1] for frame in frames])
    return (fused[..., ::-1].clip(0, 1) * 255 + 0.5).astype(np.uint8)


def _stacks(data: Path) -> Iterator[tuple[str, Path, list[Path]]]:
    """Name, reference, and the other frames of every stack that has three or more of them in all."""
    for folder in (data / "test" / "exposure" / "sice512", data / "test" / "exposure" / "brackets"):
        found: dict[str, list[Path]] = {}
        for path in sorted(folder.glob("*.jpg")):
            found.setdefault(path.stem.removesuffix("_ref").rpartition("_e")[0], []).append(path)
        for name, paths in found.items():
            references = [path for path in paths if path.stem.endswith("_ref")]
            others = [path for path in paths if path not in references]
            if len(references) == 1 and len(others) >= 2:
                yield name, references[0], others


def maps(bench: Bench) -> Iterator[Row]:
    """What was decided, to be looked at."""
    rows = []
    folders = [bench.data / "test" / name for name in ("unpaired_dark", "exposure_error_unpaired")]
    files = [sorted(path for path in folder.rglob("*") if codecs.format_of_suffix(path)) for folder in folders]
    for path in [path for found in files for path in _spread(found, 10)]:
        picture = read_rgb(path)
        scale = min(1.0, 640 / max(picture.shape[:2]))
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        rows.append([picture, *_with_maps(bench, picture)])
    half = len(rows) // 2
    bench.sheet("maps", [rows[i] + rows[half + i] for i in range(half)])
    yield from ()


def _spread(items: Sequence[Path], count: int) -> list[Path]:
    return [items[i] for i in np.unique(np.linspace(0, len(items) - 1, count).round().astype(int))] if items else []


def _with_maps(bench: Bench, picture: Picture) -> list[Picture]:
    from enhance_cli.methods.retinex.enhancer import Retinex
    from enhance_cli.types import Image

    result = bench.method.enhance(picture)
    enhancer = bench.method._enhancer
    assert isinstance(enhancer, Retinex)
    assert result.image is not None
    controls = bench.method.method.controls(maps=True)  # type: ignore[call-arg]
    drawn = enhancer.illustrations(Image(picture), result.plan, controls)["maps"]  # type: ignore[arg-type]
    return [result.array, drawn]


PARTS = {part.__name__: part for part in (speed, engines, stacks, maps)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with test/ and large/")
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=PARTS)
    parser.add_argument("--out", type=Path, help="folder for the sheets")
    asked = parser.parse_args(arguments)
    if not (asked.data / "test").is_dir():
        parser.error(f"{asked.data} has no folder test")
    bench = Bench(asked.data, asked.out)
    for name in asked.parts:
        for row in PARTS[name](bench):
            print(json.dumps({"part": name, **row}), flush=True)


if __name__ == "__main__":
    main()
