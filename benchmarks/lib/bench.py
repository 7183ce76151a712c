"""What the programs of one method's parts share: test photos, the opened method, and the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
from numpy.typing import NDArray

import enhance_cli
from benchmarks.lib import program
from benchmarks.lib.sets import samples

Picture = NDArray[Any]
Row = dict[str, Any]


class Bench:
    """What was asked for, with a method that gives each photo one thread."""

    def __init__(self, method: str, asked: program.Asked) -> None:
        self.name, self.asked = method, asked
        self.data: Path = asked.data
        cv2.setNumThreads(1)

    @cached_property
    def method(self) -> Any:
        """The opened method."""
        return enhance_cli.open(self.name, device="cpu", threads=1)

    def pairs(self, name: str) -> list[tuple[Picture, Picture]]:
        """At most --photos of a set, evenly spread: inputs and references."""
        return [(one.pixels, one.reference) for one in samples(self.data, name, self.asked.photos)]

    def enhance(self, picture: Any, **controls: Any) -> Any:
        """A Result, by the model asked for unless the controls name another."""
        return self.method.enhance(picture, **{"model": self.asked.model, **controls})

    def each(self, work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """Work on items, some at once; results in order."""
        return program.each(work, items, self.asked.jobs)


Part = Callable[[Bench], Iterator[Row]]


def run(method: str, description: str | None, parts: Mapping[str, Part], photos: int = 12) -> None:
    """Read the command line, and print a JSON line for each row of each part asked for.

    Args:
        method: whose parts they are.
        description: the program's docstring.
        parts: name to what yields its rows.
        photos: of each set, by default.
    """
    parser = program.parser(description, list(parts), photos=photos, rounds=15)
    parser.add_argument("data", type=Path, help="folder with test/; for trainings also train/")
    parser.add_argument("--model", default="lite", choices=("lite", "full"))
    parser.add_argument("--runs", type=Path, help="folder of trainings: read, or written and taken up again")
    parser.add_argument("--iterations", type=int, help="of each training")
    parser.add_argument("--only", nargs="+", help="names of variants, where not all are wanted")
    bench = Bench(method, parser.parse_args())

    def of(name: str) -> Callable[[program.Asked], Iterator[Row]]:
        return lambda asked: ({"method": method, **row} for row in parts[name](bench))

    program.run(bench.asked, {name: of(name) for name in parts})
