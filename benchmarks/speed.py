"""Measures speed: start-up time, photos per second for a folder, and the stages of one photo.

    python -m benchmarks.speed [--parts startup stream photo] [--methods clode ...] [--photograph PHOTO.jpg]
                               [--rounds 5] [--store FILE]
    python -m benchmarks.speed --device cuda [--parts card-stream card-photo parity] [--photographs FOLDER] [...]

The program prints a JSON line for each row of:

    startup    whole processes in turn: the bare interpreter, helps, one 640x480 JPEG by each method with the kernels
               already compiled, and OpenCV's CLAHE on the same file; `ratio` is to the bare interpreter
    stream     12-megapixel JPEGs a second as whole processes, start-up subtracted: the time of a long folder (--long)
               minus that of a short one (--short), by each method's first timed case; beside a plain OpenCV loop,
               the same in a pool of two threads, and decoding and encoding alone. `ratios` are within rounds
    photo      one JPEG in a warm process, from bytes to bytes, by each timed case and --sizes: seconds (median and
               least), of the processor, and of each stage in the quickest round

and with --device cuda of:

    card-stream   as `stream`, on the card, beside decoding and encoding alone on as many --cores
    card-photo    as `photo`, one photo at a time on the card, with the share of estimating and rendering that its
                  copies take, what it copied, and the peak of its memory
    parity        --photos (30) photos of --photographs, or made ones, on the card and on the CPU: the largest
                  difference in levels, the share of samples that differ, and PSNR

Speeds are compared within one run: absolute times say more about the machine than about the program.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import cv2

import enhance_cli
from benchmarks.lib import on_card, opencv_loop, program, scenes, timing
from benchmarks.lib.program import Asked, Row
from enhance_cli import methods
from enhance_cli.imaging import codecs
from enhance_cli.methods.cases import options_of
from enhance_cli.types import Image

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
        cases = on_card.cases(asked, name) if asked.device != "cpu" else program.chosen(asked, name, timed=True)
        for case in cases if asked.cases or asked.device != "cpu" else cases[:1]:
            commands[name, case.name] = timing.enhance(name, *options_of(case.controls), device=asked.device)
    ways = ("loop", "pool", "codec") if asked.device == "cpu" else ("codec",)
    others = {way: ("simplejpeg" if way == "codec" else "OpenCV CLAHE", way) for way in ways}
    commands |= {who: [*LOOP, way] for way, who in others.items()}
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        height, width = asked.stream_size
        data = scenes.jpeg(scenes.photo(asked.photograph, height, width))
        for size, count in counts.items():
            scenes.folder(folder / size, data, count)

        def work(words: Sequence[str], size: str) -> Any:
            threads = [str(asked.cores)] if words[: len(LOOP)] == [*LOOP] else []
            run = timing.process([*words, str(folder / size), str(folder / "out"), *threads], asked.cores)
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
        megapixels = f"{height * width / 1e6:.3g} MP"
        about = {"method": who[0], "case": who[1], "size": megapixels, "photos": counts, "rounds": asked.rounds}
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
                    enhance = partial(enhanced, method, dict(case.controls))
                    yield about | {"rounds": asked.rounds} | stages(enhance, data, asked.rounds)
            if methods.get(name).fuses and not asked.cases:
                bright = scenes.photo(asked.photograph, *FRAMES)
                found = timing.warm(lambda: method.fuse([bright // 4, bright // 2, bright]), asked.rounds)  # noqa: B023
                yield {"method": name, "case": "three frames fused", "size": "1280x720", **found}


def card_stream(asked: Asked) -> Iterator[Row]:
    """`stream` on a card."""
    said = on_card.about(asked.device)
    for row in stream(asked):
        yield row | said


def card_photo(asked: Asked) -> Iterator[Row]:
    """Stages of one photo on a card."""
    said = on_card.about(asked.device)
    for name in asked.methods:
        engine = on_card.watched(asked.device)
        for size in asked.sizes:
            width, height = map(int, size.split("x"))
            data = scenes.jpeg(scenes.photo(asked.photograph, height, width))
            for case in on_card.cases(asked, name):
                enhance, copies = on_card.copying(engine, on_card.recipe_of(engine, name, case))
                about = {"method": name, "case": case.name, "size": size, "rounds": asked.rounds}
                on_card.peak_mb(engine.device, reset=True)
                found = stages(enhance, data, asked.rounds)
                middle = sorted(copies[1:], key=lambda copy: float(copy["share"]))[(len(copies) - 1) // 2]
                yield about | said | found | {"transfers": middle, "peak_mb": on_card.peak_mb(engine.device)}


def enhanced(method: Any, controls: dict[str, Any], image: Image) -> tuple[Image, dict[str, float]]:
    """A photo by an opened method, and its milliseconds."""
    result = method.enhance(image, **controls)
    return result.image, result.report["ms"]


def stages(enhance: Callable[[Image], tuple[Image, dict[str, float]]], data: bytes, count: int) -> Row:
    """Seconds from bytes to bytes, of the quickest round by stage."""
    rounds: list[Row] = []

    def once() -> None:
        marks = [time.perf_counter()]
        image = codecs.decode(data, source="photo.jpg")
        marks.append(time.perf_counter())
        made, ms = enhance(image)
        marks.append(time.perf_counter())
        codecs.encode(made, "jpeg")
        marks.append(time.perf_counter())
        row = {"all": marks[3] - marks[0], "decode": marks[1] - marks[0], "encode": marks[3] - marks[2]}
        rounds.append(row | {stage: ms[stage] / 1e3 for stage in ("estimate", "render")})

    found: Row = timing.warm(once, count)
    found["stages"] = min(rounds[1:], key=lambda row: row["all"])
    return found


PARTS = {"startup": startup, "stream": stream, "photo": photo}
CARD_PARTS = {"card-stream": card_stream, "card-photo": card_photo, "parity": on_card.parity}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts."""
    parser = program.parser(__doc__, [*PARTS, *CARD_PARTS], rounds=5)
    parser.add_argument("--device", default="cpu", help="cpu, or one card, such as cuda:0 (cpu)")
    parser.add_argument("--photograph", type=Path, help="of 12 megapixels or more; else a scene is made")
    parser.add_argument("--long", type=int, default=60, help="photos of the long folder (60)")
    parser.add_argument("--short", type=int, default=12, help="and of the short one (12)")
    parser.add_argument("--cores", type=int, default=2, help="of a stream's processes (2)")
    parser.add_argument("--sizes", nargs="+", default=["1250x800", "4000x3000"], metavar="WIDTHxHEIGHT")
    parser.add_argument("--threads", type=int, default=2, help="of one photo on the CPU (2)")
    parser.add_argument("--photographs", type=Path, help="folder of the photos of parity; else they are made")
    parser.add_argument("--parity-side", type=int, default=1200, help="long side of these at most, in pixels (1200)")
    parser.add_argument("--stream-size", default="4000x3000", metavar="WIDTHxHEIGHT", help="of a stream's photos")
    asked = parser.parse_args(arguments)
    asked.stream_size = tuple(map(int, reversed(asked.stream_size.split("x"))))
    parts = PARTS if asked.device == "cpu" else CARD_PARTS
    asked.parts = [name for name in asked.parts if name in parts]
    if not asked.parts:
        parser.error(f"with --device {asked.device} the parts are {', '.join(parts)}")
    if asked.device != "cpu" and (said := on_card.refusal(asked.device)):
        raise SystemExit(said)
    if asked.long <= asked.short:
        parser.error("--long must be more than --short")
    cv2.setNumThreads(asked.threads)
    program.run(asked, parts)


if __name__ == "__main__":
    main()
