"""What the programs of one method's parts share: test pictures, the method, and a command line that runs parts."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from enhance_cli.quality.sets import pairs
from numpy.typing import NDArray

import enhance_cli
from enhance_cli.quality.pictures import read_rgb

Picture = NDArray[Any]
Row = dict[str, Any]


class Bench:
    """Photographs of `DATA/test` and a method, one thread for each picture."""

    def __init__(self, method: str, data: Path, count: int, model: str, jobs: int) -> None:
        self.data, self.count, self.model, self.jobs = data, count, model, jobs
        self.method = enhance_cli.open(method, device="cpu", threads=1)
        cv2.setNumThreads(1)

    def pairs(self, name: str) -> list[tuple[Picture, Picture]]:
        """At most `count` pairs of a set, evenly spread."""
        found = spread(pairs(self.data, name), self.count)
        return [(read_rgb(pair.input), read_rgb(pair.reference)) for pair in found]

    def enhance(self, picture: Any, **controls: Any) -> Any:
        """A Result, by the model asked for unless the controls name another."""
        return self.method.enhance(picture, **{"model": self.model, **controls})

    def each(self, work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """Work on items, some at once; results in order."""
        with ThreadPoolExecutor(self.jobs) as pool:
            return list(pool.map(work, items))


AnyBench = TypeVar("AnyBench", bound=Bench)


def spread(items: Sequence[Any], count: int) -> list[Any]:
    """At most `count` of the items, evenly spread, the first and the last among them."""
    return [items[i] for i in np.unique(np.linspace(0, len(items) - 1, count).round().astype(int))] if items else []


def run(
    description: str | None,
    parts: Mapping[str, Callable[[AnyBench], Iterator[Row]]],
    bench: Callable[[Path, int, str, int], AnyBench],
    pictures: int,
) -> None:
    """Read the command line, and print a JSON line for each row of each part asked for.

    Args:
        description: the program's docstring, of which the first line is shown.
        parts: name to what yields its rows.
        bench: made of data folder, pictures of each set, model and pictures at once.
        pictures: of each set, unless the command line says otherwise.
    """
    parser = argparse.ArgumentParser(description=(description or "").split("\n")[0])
    parser.add_argument("data", type=Path, help="folder with test/")
    parser.add_argument("--parts", nargs="*", default=list(parts), choices=parts)
    parser.add_argument("--pictures", type=int, default=pictures, help="of each set")
    parser.add_argument("--model", default="lite", choices=("lite", "full"))
    parser.add_argument("--jobs", type=int, default=2, help="pictures at once")
    asked = parser.parse_args()
    if not (asked.data / "test").is_dir():
        parser.error(f"{asked.data} has no folder test")
    made = bench(asked.data, asked.pictures, asked.model, asked.jobs)
    for name in asked.parts:
        for row in parts[name](made):
            print(json.dumps({"part": name, "model": asked.model, **row}), flush=True)
