"""The options that every method's command shares; the command line and Python build the same value."""

from __future__ import annotations

import re
from dataclasses import dataclass

from enhance_cli.imaging.codecs import MAX_PIXELS, format_named, writable_formats
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


@dataclass(frozen=True)
class RunOptions(Controls):
    """How a run reads, writes, reports and talks, whatever the method."""

    recursive: bool = knob(False, "Also enhance pictures in subfolders.", short="-r")
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
        "By default enhance-report.jsonl in the output folder.",
        metavar="PATH|-|none",
    )
    overwrite: bool = knob(False, "Replace existing pictures that enhance did not write.")
    skip_existing: bool = knob(False, "Leave pictures alone whose output exists.")
    jobs: int | None = knob(
        None, "Photographs worked on at once; by default one per core.", minimum=1, maximum=1024, short="-j"
    )
    device: str = knob("auto", "auto, cpu, cuda or cuda:N; a named device that is missing is an error.", metavar="NAME")
    memory: int = knob(
        2 * 10**9,
        "Bound on decoded pictures held at once, such as 2G; a larger picture is worked on alone.",
        parse=parse_size,
        minimum=1,
        metavar="SIZE",
    )
    max_pixels: int = knob(
        MAX_PIXELS,
        "Refuse pictures of more pixels before decoding them.",
        parse=parse_size,
        minimum=1,
        metavar="SIZE",
    )
    dry_run: bool = knob(False, "Say what would be done, do nothing.", short="-n")
    json: bool = knob(False, "Print one JSON object about the run to stdout.")
    quiet: bool = knob(False, "Say nothing but errors.", short="-q")
    verbose: bool = knob(False, "Say more: a line for every photograph.", short="-v")
    debug: bool = knob(False, "Show tracebacks.")
