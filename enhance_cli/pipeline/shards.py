"""Splits a run over machines that do not communicate: `--shard 2/3` is the second of three parts."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from enhance_cli.pipeline.names import natural

_REPORT = re.compile(r"enhance-report(?:\.([0-9]{1,6})-of-([0-9]{1,6}))?\.jsonl")


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` parts, numbered from 1.

    A photo belongs to a part by the hash of its name below the output folder: machines agree wherever their
    folders are mounted, and still do when photos are added between their scans.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, value: str | Shard) -> Shard:
        """Read `2/3`."""
        if isinstance(value, Shard):
            return value
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", value.strip())
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise ValueError(f"a shard is I/N with I from 1 to N, such as 2/3, not {value!r}.")
        return cls(int(match[1]), int(match[2]))

    def holds(self, relative: Path) -> bool:
        """Whether a photo belongs to this part, by its name below the output folder."""
        digest = hashlib.blake2b(os.fsencode(relative.as_posix()), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.count == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def report_name(shard: Shard | None) -> str:
    """The name of the report in the output folder; each part has its own, so that parts may share a folder."""
    return "enhance-report.jsonl" if shard is None else f"enhance-report.{shard.number}-of-{shard.count}.jsonl"


def reports_in(folder: Path) -> list[Path]:
    """The reports in an output folder, of whole runs and of parts, in order of name; only regular files count."""
    try:
        found = (path for path in folder.iterdir() if _REPORT.fullmatch(path.name) and path.is_file())
        return sorted(found, key=lambda path: natural(path.name))
    except OSError:
        return []


def shard_of(report: Path) -> Shard | None:
    """The part that a report in an output folder belongs to; None for that of a whole run, or any other file."""
    match = _REPORT.fullmatch(report.name)
    return Shard(int(match[1]), int(match[2])) if match and match[1] else None
