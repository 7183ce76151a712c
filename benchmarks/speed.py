"""Measure speed: what a start takes, how many photos a second a folder gets, and the stages of one photo.

    python -m benchmarks.speed [--parts startup stream photo] [--methods clode ...] [--photograph PHOTO.jpg]
                               [--rounds 5] [--store FILE]

Printed is a JSON line for each row of:

    startup    whole processes in turn: the bare interpreter, helps, one 640x480 JPEG by each method with the kernels
               already compiled, and OpenCV's CLAHE on the same file; `ratio` is to the bare interpreter
    stream     12-megapixel JPEGs a second as whole processes, start-up subtracted: the time of a long folder (--long)
               minus that of a short one (--short), by each method's first timed case; beside a plain OpenCV loop,
               the same in a pool of two threads, and decoding and encoding alone. `ratios` are within rounds
    photo      one JPEG in a warm process, from bytes to bytes, by each timed case and --sizes: seconds (median and
               least), of the processor, and of each stage in the quickest round

Speeds are compared within one run: seconds alone say more about the machine than about the program.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import cv2

import enhance_cli
from benchmarks.lib import opencv_loop, program, scenes, timing
from benchmarks.lib.program import Asked, Row
from enhance_cli import methods
from enhance_cli.imaging import codecs
from enhance_cli.methods.cases import options_of

LOOP = (sys.executable, str(Path(opencv_loop.__file__)))
FRAMES = (720, 1280)
"""Height and width of the frames whose fusion is timed."""


def startup(asked: Asked) -> Iterator[Row]:
    """Whole processes with little to do."""
    with tempfile.TemporaryDirectory() as text:
        source, target = Path(text) / "in.jpg", Path(text) / "out.jpg"
        source.write_bytes(scenes.jpeg(scenes.photo(asked.photograph, 480, 640)))
        commands = {
            ("python", "pass"): [sys.executable, "-c", "pass"],
            ("enhance", "--help"): [*timing.ENHANCE, "--help"],
            ("enhance", "--version"): [*timing.ENHANCE, "--version"],
        }
        for name in asked.methods:
            commands[name, "--help"] = [*timing.ENHANCE, name, "--help"]
            given = options_of(dict(methods.get(name).example))
            commands[name, "one small JPEG"] = [*timing.enhance(name, *given), str(source), str(target)]
        commands["OpenCV CLAHE", "one small JPEG"] = [*LOOP, "one", str(source), str(target)]
        works = {about: timing.process(command) for about, command in commands.items()}
        seconds = timing.in_turn(works, asked.rounds)
    bare = median(seconds["python", "pass"])
    for (method, case), values in seconds.items():
        figures = {"seconds": median(values), "least": min(values), "ratio": median(values) / bare}
        yield {"method": method, "case": case, "rounds": asked.rounds, **figures}


def stream(asked: Asked) -> Iterator[Row]:
    """Folders of JPEGs of 12 megapixels."""
    counts = {"long": asked.long, "short": asked.short}
    commands: dict[tuple[str, str], list[str]] = {}
    for name in asked.methods:
        for case in program.chosen(asked, name, timed=True)[: None if asked.cases else 1]:
            commands[name, case.name] = timing.enhance(name, *options_of(case.controls))
    others = {way: ("simplejpeg" if way == "codec" else "OpenCV CLAHE", way) for way in ("loop", "pool", "codec")}
    commands |= {who: [*LOOP, way] for way, who in others.items()}
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        data = scenes.jpeg(scenes.photo(asked.photograph, 3000, 4000))
        for size, count in counts.items():
            scenes.folder(folder / size, data, count)

        def work(words: Sequence[str], size: str) -> Any:
            run = timing.process([*words, str(folder / size), str(folder / "out")], asked.cores)
            return lambda: (run(), shutil.rmtree(folder / "out"))

        works = {(who, size): work(words, size) for who, words in commands.items() for size in counts}
        seconds = timing.in_turn(works, asked.rounds)

    def rate(long: float, short: float) -> float:
        return (asked.long - asked.short) / max(long - short, 1e-9)

    rates = {who: list(map(rate, seconds[who, "long"], seconds[who, "short"])) for who in commands}
    for who in commands:
        medians = {size: median(seconds[who, size]) for size in counts}
        compared = others.items() if who[0] in methods.names() else ()
        ratios = {way: median(a / b for a, b in zip(rates[who], rates[other], strict=True)) for way, other in compared}
        about = {"method": who[0], "case": who[1], "size": "12 MP", "photos": counts, "rounds": asked.rounds}
        yield about | {"cores": asked.cores, "rate": rate(**medians), "seconds": medians, "ratios": ratios}


def photo(asked: Asked) -> Iterator[Row]:
    """Stages of one photo; and for methods that fuse, three frames from arrays to an array."""
    for name in asked.methods:
        with enhance_cli.open(name, device="cpu", threads=asked.threads) as method:
            for size in asked.sizes:
                width, height = map(int, size.split("x"))
                data = scenes.jpeg(scenes.photo(asked.photograph, height, width))
                for case in program.chosen(asked, name, timed=True):
                    about = {"method": name, "case": case.name, "size": size, "threads": asked.threads}
                    yield about | {"rounds": asked.rounds} | stages(method, data, case.controls, asked.rounds)
            if methods.get(name).fuses and not asked.cases:
                bright = scenes.photo(asked.photograph, *FRAMES)
                found = timing.warm(lambda: method.fuse([bright // 4, bright // 2, bright]), asked.rounds)  # noqa: B023
                yield {"method": name, "case": "three frames fused", "size": "1280x720", **found}


def stages(method: Any, data: bytes, controls: Any, count: int) -> Row:
    """Seconds from bytes to bytes, of the quickest round by stage."""
    rounds: list[Row] = []

    def once() -> None:
        marks = [time.perf_counter()]
        image = codecs.decode(data, source="photo.jpg")
        marks.append(time.perf_counter())
        result = method.enhance(image, **controls)
        marks.append(time.perf_counter())
        codecs.encode(result.image, "jpeg")
        marks.append(time.perf_counter())
        row = {"all": marks[3] - marks[0], "decode": marks[1] - marks[0], "encode": marks[3] - marks[2]}
        rounds.append(row | {stage: result.report["ms"][stage] / 1e3 for stage in ("estimate", "render")})

    found: Row = timing.warm(once, count)
    found["stages"] = min(rounds[1:], key=lambda row: row["all"])
    return found


PARTS = {"startup": startup, "stream": stream, "photo": photo}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts."""
    parser = program.parser(__doc__, list(PARTS), rounds=5)
    parser.add_argument("--photograph", type=Path, help="of 12 megapixels or more; else a scene is made")
    parser.add_argument("--long", type=int, default=60, help="photos of the long folder (60)")
    parser.add_argument("--short", type=int, default=12, help="and of the short one (12)")
    parser.add_argument("--cores", type=int, default=2, help="of a stream's processes (2)")
    parser.add_argument("--sizes", nargs="+", default=["1250x800", "4000x3000"], metavar="WIDTHxHEIGHT")
    parser.add_argument("--threads", type=int, default=2, help="of one photo (2)")
    asked = parser.parse_args(arguments)
    if asked.long <= asked.short:
        parser.error("--long must be more than --short")
    cv2.setNumThreads(asked.threads)
    program.run(asked, PARTS)


if __name__ == "__main__":
    main()
