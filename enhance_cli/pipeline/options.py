"""The options that every method's command shares; the command line and Python build the same value."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from enhance_cli.imaging.codecs import MAX_PIXELS, format_named, format_of_suffix, writable_formats
from enhance_cli.pipeline.shards import Shard
from enhance_cli.types import Controls, knob

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


def parse_size(value: str | float) -> int:
    """Read `300M`, `2G`, `1.5Gi` or a plain number."""
    if isinstance(value, int | float):
        return int(value)
    match = re.fullmatch(r"\s*([\d.]+)\s*([kmg]i?)?b?\s*", value.lower())
    try:
        if match is None:
            raise ValueError
        return int(float(match[1]) * _UNITS[match[2] or ""])
    except ValueError:
        raise ValueError(f"a size is a number with an optional K, M or G, such as 300M, not {value!r}.") from None


def _parse_format(value: str) -> str:
    return format_named(value).name


BACKUP_SUFFIX = ".orig"


def _parse_backup(value: str) -> str:
    """Check a suffix for the names of kept originals; one that makes a picture's name would be a later run's input."""
    if not value or "/" in value or "\0" in value or len(os.fsencode(value)) > 64:
        raise ValueError(f"a suffix is a few characters without /, such as {BACKUP_SUFFIX}, not {value!r}.")
    if format_of_suffix(Path(f"a.jpg{value}")) is not None:
        raise ValueError(
            f"{value} would make a picture's name, which a later run would enhance; give another, such as "
            f"{BACKUP_SUFFIX}."
        )
    return value


@dataclass(frozen=True)
class RunOptions(Controls):
    """How a run reads, writes, reports and talks, whatever the method."""

    recursive: bool = knob(False, "Also enhance pictures in subfolders.", short="-r", decides_pixels=False)
    amount: float = knob(1.0, "Blend of input (0) and result (1), for every method.", minimum=0.0, maximum=1.0)
    format: str | None = knob(
        None,
        f"Write this format ({', '.join(writable_formats())}); by default the source's own.",
        parse=_parse_format,
        metavar="NAME",
        short="-f",
    )
    quality: int | None = knob(
        None, "JPEG and WebP quality; by default the source's.", minimum=1, maximum=100, short="-Q"
    )
    report: str | None = knob(
        None,
        "Where a JSON line per photograph is appended: a path, - for stdout, or none. "
        "By default enhance-report.jsonl in the output folder, which is also what a restart knows of this run.",
        metavar="PATH|-|none",
        decides_pixels=False,
    )
    overwrite: bool = knob(
        False, "Do everything again, replacing existing pictures, whoever wrote them.", decides_pixels=False
    )
    skip_existing: bool = knob(False, "Leave pictures alone whose output exists.", decides_pixels=False)
    in_place: bool = knob(
        False,
        "Replace the inputs themselves; every argument is an INPUT, and there is no OUTPUT.",
        decides_pixels=False,
    )
    again: bool = knob(False, "With --in-place: enhance photographs again that enhance made.", decides_pixels=False)
    backup: str | None = knob(
        None,
        "With --in-place: keep each original beside its photograph, by default as NAME.orig; see `enhance restore`.",
        parse=_parse_backup,
        metavar="[=SUFFIX]",
        alone=BACKUP_SUFFIX,
        decides_pixels=False,
    )
    drop_extras: bool = knob(
        False,
        "With --in-place, also replace files that hold what cannot be kept (gain map, frames, pages, signature).",
        decides_pixels=False,
    )
    check: Literal["time", "hash"] = knob(
        "time",
        "How a restart tells that a source is the same: by size and time, or by the hash of its bytes.",
        choices=("time", "hash"),
        decides_pixels=False,
    )
    verify: bool = knob(False, "Read every picture back and decode it before it is put in place.", decides_pixels=False)
    strip: Literal["gps", "all"] | None = knob(
        None,
        "Leave out where a picture was taken, or all that is known of it but its colour profile.",
        choices=("gps", "all"),
    )
    preserve_times: bool = knob(False, "Give outputs the times of their sources.", decides_pixels=False)
    save_plans: Path | None = knob(
        None,
        "Keep what was decided for each picture in this folder.",
        parse=Path,
        metavar="DIR",
        decides_pixels=False,
    )
    plan: Path | None = knob(
        None, "Apply this kept plan to every picture instead of deciding for each.", parse=Path, metavar="FILE"
    )
    shard: Shard | None = knob(
        None,
        "Do the I-th of N parts, the same part on every machine; see `enhance report merge`.",
        parse=Shard.parse,
        metavar="I/N",
        decides_pixels=False,
    )
    jobs: int | None = knob(
        None,
        "Photographs worked on at once; by default one per core.",
        minimum=1,
        maximum=1024,
        short="-j",
        decides_pixels=False,
    )
    device: str = knob(
        "auto",
        "auto, cpu, cuda or cuda:N; a named device that is missing is an error.",
        metavar="NAME",
        decides_pixels=False,
    )
    memory: int | None = knob(
        None,
        "Bound on decoded pictures held at once; a larger picture is worked on alone. By default 2G, or half of the "
        "machine's memory (of the container's) where that is less.",
        parse=parse_size,
        minimum=1,
        metavar="SIZE",
        decides_pixels=False,
    )
    max_pixels: int = knob(
        MAX_PIXELS,
        "Refuse pictures of more pixels before decoding them.",
        parse=parse_size,
        minimum=1,
        metavar="SIZE",
        decides_pixels=False,
    )
    timeout: float | None = knob(
        None,
        "Give a photograph up after so many seconds; implies --isolate.",
        minimum=0.1,
        maximum=86400.0,
        decides_pixels=False,
    )
    isolate: bool = knob(
        False, "Work in child processes, so that a crashing decoder costs one photograph.", decides_pixels=False
    )
    fail_fast: bool = knob(False, "Stop at the first photograph that fails.", decides_pixels=False)
    dry_run: bool = knob(False, "Say what would be done, do nothing.", short="-n", decides_pixels=False)
    json: bool = knob(False, "Print one JSON object about the run to stdout.", decides_pixels=False)
    quiet: bool = knob(False, "Say nothing but errors.", short="-q", decides_pixels=False)
    verbose: bool = knob(False, "Say more: a line for every photograph.", short="-v", decides_pixels=False)
    debug: bool = knob(False, "Show tracebacks.", decides_pixels=False)
