"""The command line that all benchmark programs share, and the loop over their parts."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.lib import results
from enhance_cli import methods
from enhance_cli.methods.cases import Case, cases_of

Asked = argparse.Namespace
Row = dict[str, Any]
Item = TypeVar("Item")


def parser(description: str | None, parts: Sequence[str], *, rounds: int = 1) -> argparse.ArgumentParser:
    """The options of every program: its docstring, the names of its parts, rounds of timings by default."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--parts", nargs="+", default=list(parts), choices=parts, help="what to measure (everything)")
    names = list(methods.names())
    made.add_argument("--methods", nargs="*", default=names, choices=names, help="(all; none for baselines alone)")
    made.add_argument("--cases", nargs="+", help="names of cases, where not all of a method's are wanted")
    made.add_argument("--photos", type=int, help="at most, of each set (all)")
    made.add_argument("--rounds", type=int, default=rounds, help=f"of each measurement of time ({rounds})")
    made.add_argument("--jobs", "-j", type=int, default=2, help="photos at once, one thread each (2)")
    made.add_argument("--store", type=Path, metavar="FILE", help="append rows, with date, commit and machine")
    return made


def run(asked: Asked, parts: Mapping[str, Callable[[Asked], Iterator[Row]]]) -> list[Row]:
    """Run the parts asked for; every row is printed and stored as soon as it is there. Returns the rows."""
    made = []
    for name in asked.parts:
        for row in parts[name](asked):
            made.append({"part": name, **row})
            results.report(made[-1], asked.store)
    return made


def spread(items: Sequence[Item], count: int | None) -> list[Item]:
    """At most `count` of the items, evenly spread, the first and the last among them."""
    if count is None or count >= len(items):
        return list(items)
    return [items[round(index * (len(items) - 1) / max(count - 1, 1))] for index in range(count)]


def each(work: Callable[[Any], Any], items: Sequence[Any], jobs: int) -> list[Any]:
    """Work on items, some at once; results in order."""
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(work, items))


def chosen(asked: Asked, name: str, *, timed: bool = False) -> list[Case]:
    """The cases of a method that were asked for by name; without names all, or all whose speed is measured."""
    wanted = asked.cases
    return [case for case in cases_of(name) if (case.name in wanted if wanted else case.timed or not timed)]
