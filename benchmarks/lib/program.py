"""The command line that all benchmark programs share: parts, numbers of photos and rounds, where results go."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.lib import results
from enhance_cli import methods

Asked = argparse.Namespace
Row = dict[str, Any]
Part = Callable[[Asked], Iterator[Row]]
Item = TypeVar("Item")


def parser(
    description: str | None, parts: Sequence[str], *, photos: int | None, rounds: int
) -> argparse.ArgumentParser:
    """The options of every program.

    Args:
        description: the program's docstring.
        parts: their names.
        photos: of each set, by default; None is all of them.
        rounds: by default.
    """
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--parts", nargs="+", default=list(parts), choices=parts, help="what to measure (everything)")
    names = methods.names()
    made.add_argument(
        "--methods", nargs="*", default=list(names), choices=names, help="(all; none for baselines alone)"
    )
    made.add_argument("--cases", nargs="+", help="names of cases, where not all of a method's are wanted")
    made.add_argument("--photos", type=int, default=photos, help=f"at most, of each set ({photos or 'all'})")
    made.add_argument("--rounds", type=int, default=rounds, help=f"of each measurement of time ({rounds})")
    made.add_argument("--jobs", "-j", type=int, default=2, help="photos at once, one thread each (2)")
    made.add_argument("--out", type=Path, help="folder for sheets and for what was found")
    made.add_argument("--store", type=Path, metavar="FILE", help="append rows, with date, commit and machine")
    return made


def run(asked: Asked, parts: Mapping[str, Part]) -> list[Row]:
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


def chosen(asked: Asked, name: str) -> list[Any]:
    """The cases of a method that were asked for."""
    from enhance_cli.methods.cases import cases_of

    return [case for case in cases_of(name) if not asked.cases or case.name in asked.cases]
