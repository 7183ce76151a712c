"""How many 12-megapixel JPEGs a second, as a whole process, start-up subtracted.

    python benchmarks/stream.py [--photograph PHOTO.jpg] [--long 60] [--short 12] [--rounds 3]
                                [--method clahe-adaptive] [--options="--grid 8x8"] [--folder DIR]

Four contenders run in turn on a long and on a short folder of distinct files, round after round:

    ours       enhance METHOD IN OUT --overwrite
    loop       (a) a plain OpenCV loop: imread, YCrCb, CLAHE on Y, back, imwrite at the source's quality
    pool       (b) the same in a pool of two threads, OpenCV itself single-threaded
    codec      (c) decoding and encoding alone by simplejpeg, in a pool of two

The rate is (long - short) / (time of long - time of short), with the median time over rounds: what a start costs
cancels. All are confined to the same cores (--cores, two by default). Printed are a JSON line per contender and
one with the ratios of rates, ours over each of the others, taken within each round and then the median.
Bars for clahe-adaptive: 2.3 (a), 1.4 (b), 0.54 (c); stretch 3.0, 1.7, 0.65.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HEIGHT, WIDTH, QUALITY = 3000, 4000, 90


# --- contenders that run in a process of their own: python benchmarks/stream.py --run NAME IN OUT --------------


def opencv_one(source: Path, target: Path) -> None:
    """What somebody would write by hand."""
    import cv2

    planes = cv2.cvtColor(cv2.imread(str(source)), cv2.COLOR_BGR2YCrCb)
    planes[..., 0] = cv2.createCLAHE(2.0, (8, 8)).apply(planes[..., 0])
    back = cv2.cvtColor(planes, cv2.COLOR_YCrCb2BGR)
    cv2.imwrite(str(target), back, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


def codec_one(source: Path, target: Path) -> None:
    """Decode and encode, nothing between."""
    import simplejpeg

    picture = simplejpeg.decode_jpeg(source.read_bytes(), "RGB")
    target.write_bytes(simplejpeg.encode_jpeg(picture, quality=QUALITY, colorsubsampling="420"))


def run_contender(name: str, source: Path, target: Path) -> None:
    """Work through a folder as one of the contenders."""
    work: Callable[[Path, Path], None] = codec_one if name == "codec" else opencv_one
    target.mkdir(parents=True, exist_ok=True)
    pairs = [(path, target / path.name) for path in sorted(source.iterdir())]
    if name == "loop":
        for pair in pairs:
            work(*pair)
        return
    if name == "pool":
        import cv2

        cv2.setNumThreads(1)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda pair: work(*pair), pairs))


# --- pictures --------------------------------------------------------------------------------------------------


def make_folders(folder: Path, photograph: Path | None, counts: dict[str, int]) -> None:
    """Folders of distinct files: the same scene with another brightness and noise in each."""
    import cv2
    import numpy as np
    import simplejpeg

    rng = np.random.default_rng(0)
    if photograph is not None:
        picture = cv2.imread(str(photograph))[..., ::-1]
        turned = picture if picture.shape[1] >= picture.shape[0] else np.rot90(picture)
        scene = cv2.resize(np.ascontiguousarray(turned), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    else:
        scene = synthesised(rng)
    fine = rng.normal(0, 2, (HEIGHT, WIDTH, 1)).astype(np.float32)
    made = []
    for number in range(min(6, max(counts.values()))):  # encoding is slow to prepare: six pictures, then byte edits
        gain = 0.6 + 0.08 * number
        codes = (scene * np.float32(gain) + np.roll(fine, 997 * number, axis=1)).clip(0, 255).astype(np.uint8)
        made.append(bytes(simplejpeg.encode_jpeg(codes, quality=QUALITY, colorsubsampling="420")))
    for name, count in counts.items():
        (folder / name).mkdir()
        for number in range(count):
            comment = f"copy {number}".encode()
            segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
            data = made[number % len(made)]
            (folder / name / f"{number:04d}.jpg").write_bytes(data[:2] + segment + data[2:])


def synthesised(rng):  # type: ignore[no-untyped-def]
    """Photograph-like: smooth light, structure at all scales falling off as 1/f, a few hard edges, some noise."""
    import cv2
    import numpy as np

    picture = np.full((HEIGHT, WIDTH, 3), 90.0, np.float32)
    for octave in range(1, 10):
        size = (min(WIDTH, 2**octave * 4), min(HEIGHT, 2**octave * 3))
        layer = rng.normal(0, 1, (size[1], size[0], 1)).astype(np.float32) * np.array([1, 0.95, 0.8], np.float32)
        picture += 45.0 / octave**1.6 * cv2.resize(layer, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    for _ in range(60):
        y, x = int(rng.integers(0, HEIGHT - 400)), int(rng.integers(0, WIDTH - 400))
        height, width = (int(side) for side in rng.integers(50, 400, 2))
        picture[y : y + height, x : x + width] += rng.normal(0, 35, 3).astype(np.float32)
    picture += rng.normal(0, 2.5, picture.shape).astype(np.float32)
    return picture.clip(0, 255).astype(np.uint8)


# --- measuring -------------------------------------------------------------------------------------------------


def timed(command: list[str], cores: set[int] | None) -> float:
    """Wall time of a process, confined to some cores."""

    def confine() -> None:
        if cores:
            os.sched_setaffinity(0, cores)

    started = time.perf_counter()
    subprocess.run(command, check=True, preexec_fn=confine)
    return time.perf_counter() - started


def main() -> None:
    """Measure and print, or be a contender."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", nargs=3, metavar=("NAME", "IN", "OUT"), help=argparse.SUPPRESS)
    parser.add_argument("--photograph", type=Path, help="of 12 megapixels or more; else a picture is synthesised")
    parser.add_argument("--long", type=int, default=60)
    parser.add_argument("--short", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--method", default="clahe-adaptive")
    parser.add_argument("--options", default="", help="more options for ours, in one word: --options='--grid 1x1'")
    parser.add_argument("--only", nargs="+", choices=("ours", "loop", "pool", "codec"), help="leave others out")
    parser.add_argument("--folder", type=Path, help="where pictures are made, such as a folder in memory")
    options = parser.parse_args()
    if options.run:
        run_contender(options.run[0], Path(options.run[1]), Path(options.run[2]))
        return
    if options.long <= options.short:
        parser.error("--long must be more than --short")

    names = options.only or ["ours", "loop", "pool", "codec"]
    cores = set(sorted(os.sched_getaffinity(0))[: options.cores])
    counts = {"long": options.long, "short": options.short}
    seconds: dict[str, dict[str, list[float]]] = {name: {"long": [], "short": []} for name in names}
    with tempfile.TemporaryDirectory(dir=options.folder) as text:
        folder = Path(text)
        make_folders(folder, options.photograph, counts)

        def command(name: str, size: str) -> list[str]:
            source, target = str(folder / size), str(folder / f"{name}-{size}")
            if name == "ours":
                more = shlex.split(options.options)
                enhance = [sys.executable, "-m", "enhance_cli", options.method, "--overwrite", "--quiet"]
                return [*enhance, "--device", "cpu", *more, source, target]
            return [sys.executable, str(Path(__file__).resolve()), "--run", name, source, target]

        for name in names:  # once for the disk and the kernels
            timed(command(name, "short"), cores)
        for _ in range(options.rounds):
            for size in ("short", "long"):
                for name in names:
                    seconds[name][size].append(timed(command(name, size), cores))
                    shutil.rmtree(folder / f"{name}-{size}")

    difference = options.long - options.short
    rates = {
        name: [difference / max(long - short, 1e-9) for long, short in zip(by["long"], by["short"], strict=True)]
        for name, by in seconds.items()
    }
    for name, by in seconds.items():
        steady = statistics.median(by["long"]) - statistics.median(by["short"])
        line = {"benchmark": "stream", "contender": name, "counts": counts, "rounds": options.rounds}
        line |= {"cores": len(cores), "rate_per_s": round(difference / steady, 3)}
        line |= {"long_s": round(statistics.median(by["long"]), 3), "short_s": round(statistics.median(by["short"]), 3)}
        print(json.dumps(line), flush=True)
    if "ours" in rates:
        ratios = {}
        for name in [name for name in names if name != "ours"]:
            in_rounds = [ours / theirs for ours, theirs in zip(rates["ours"], rates[name], strict=True)]
            ratios[f"ours/{name}"] = round(statistics.median(in_rounds), 3)
        print(json.dumps({"benchmark": "stream", "method": options.method, "options": options.options, **ratios}))


if __name__ == "__main__":
    main()
