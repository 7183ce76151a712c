"""The options that every method's command shares; the command line and Python build the same value."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from enhance_cli.controls import Knobs, knob
from enhance_cli.imaging.codecs import MAX_PIXELS, format_named, format_of_suffix, writable_formats
from enhance_cli.pipeline import arrays
from enhance_cli.pipeline.shards import Shard

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
    """Check a suffix for kept originals; a name with an image's suffix would be an input of a later run."""
    if not value or "/" in value or "\0" in value or len(os.fsencode(value)) > 64:
        raise ValueError(f"a suffix is a few characters without /, such as {BACKUP_SUFFIX}, not {value!r}.")
    if format_of_suffix(Path(f"a.jpg{value}")) is not None:
        raise ValueError(
            f"with {value} the backup would have the name of a photo, and a later run would enhance it; give another "
            f"suffix, such as {BACKUP_SUFFIX}."
        )
    return value


def _option(group: str, default: Any, help: str, **details: Any) -> Any:
    """A knob that changes no pixel."""
    return knob(default, help, group=group, decides_pixels=False, **details)


_files, _output, _restart, _machine, _messages = (
    partial(_option, group) for group in ("Files", "Output", "Restart", "Machine", "Messages")
)


def _parse_cluster(value: str) -> str:
    if value in ("auto", "local") or re.fullmatch(r"ray://[^/\s]+:\d{1,5}/?", value):
        return value
    raise ValueError(f"a cluster is auto, local or ray://HOST:PORT, such as ray://head:10001, not {value!r}.")


@dataclass(frozen=True)
class RunOptions(Knobs):
    """How a run finds, writes and reports photos, whatever the method."""

    weights: Path | None = knob(
        None,
        "Use the networks in this folder, which `enhance train` wrote (its --out), and the shipped ones for those that "
        "it lacks.",
        parse=Path,
        metavar="FOLDER",
    )

    recursive: bool = _files(False, "Include subfolders.", short="-r")
    overwrite: bool = _files(False, "Process everything again, replacing any existing files.")
    skip_existing: bool = _files(False, "Skip photos whose output already exists.")
    in_place: bool = _files(False, "Replace the input files; every argument is an INPUT, and there is no OUTPUT.")
    again: bool = _files(False, "With --in-place: enhance photos again that were enhanced before.")
    backup: str | None = _files(
        None,
        "With --in-place: keep each original beside its photo, by default as NAME.orig; see `enhance restore`.",
        parse=_parse_backup,
        metavar="[=SUFFIX]",
        alone=BACKUP_SUFFIX,
    )
    drop_extras: bool = _files(
        False,
        "With --in-place: also replace files whose extras cannot be kept (gain map, frames, pages, signature).",
    )

    format: str | None = knob(
        None,
        f"Output format ({', '.join(writable_formats())}); by default the source's.",
        parse=_parse_format,
        metavar="NAME",
        short="-f",
        group="Output",
    )
    quality: int | None = knob(
        None,
        "JPEG and WebP quality, 1 to 100; by default the source's.",
        minimum=1,
        maximum=100,
        short="-Q",
        group="Output",
    )
    strip: Literal["gps", "all"] | None = knob(
        None,
        "Remove metadata: gps removes the location, all removes EXIF, XMP and IPTC (the colour profile stays).",
        choices=("gps", "all"),
        group="Output",
    )
    preserve_times: bool = _output(False, "Copy the sources' time stamps to the outputs.")
    verify: bool = _output(False, "Read every output back and decode it before it is put in place.")

    gallery: bool = _output(
        False, "After the run, build a web page for reviewing the results, as `enhance gallery` does."
    )

    report: str | None = _restart(
        None,
        "Where to append a JSON line per photo: a path, - for stdout, or none. By default enhance-report.jsonl in the "
        "output folder, which is also what a restart reads.",
        metavar="PATH|-|none",
    )
    check: Literal["time", "hash"] = _restart(
        "time",
        "How to detect unchanged sources: by size and modification time, or by SHA-256.",
        choices=("time", "hash"),
    )
    save_plans: Path | None = _restart(
        None, "Save the plan of every photo (what the method decided) in this folder.", parse=Path, metavar="DIR"
    )
    plan: Path | None = knob(
        None,
        "Apply this saved plan to every photo instead of deciding for each.",
        parse=Path,
        metavar="FILE",
        group="Restart",
    )
    shard: Shard | None = _restart(
        None,
        "Process only part I of N, where all machines agree on the parts; auto reads I and N from the job array of "
        "Slurm, Kubernetes or AWS Batch, or from ENHANCE_SHARD; see `enhance report merge`.",
        parse=arrays.parse,
        metavar="I/N|auto[/N]",
    )
    fail_fast: bool = _restart(False, "Stop at the first photo that fails.")
    dry_run: bool = _restart(False, "Show what would be done, and do nothing.", short="-n")

    jobs: int | None = _machine(
        None,
        "Photos processed at once; by default one per core, plus two for each card.",
        minimum=1,
        maximum=1024,
        short="-j",
    )
    device: str = _machine(
        "auto",
        "auto, cpu, cuda or cuda:N, or several cards (cuda:0,cuda:1) that share the photos; a named device that is not "
        "available is an error.",
        metavar="NAME",
    )
    memory: int | None = _machine(
        None,
        "Memory budget for photos in flight; a photo that needs more is processed alone. By default 2G, or half of the "
        "machine's (or container's) memory if that is less.",
        parse=parse_size,
        minimum=1,
        metavar="SIZE",
    )
    gpu_memory: int | None = _machine(
        None,
        "Memory budget of each card; photos that need more, or for which memory runs out, are processed in tiles. By "
        "default three quarters of the card's free memory.",
        parse=parse_size,
        minimum=1,
        metavar="SIZE",
    )
    precision: Literal["auto", "full"] = _machine(
        "auto",
        "On a card: auto runs networks in half precision if that changes results by at most half a grey level, full "
        "runs all networks in single precision.",
        choices=("auto", "full"),
    )
    codec: Literal["cpu", "gpu"] = _machine(
        "cpu",
        "Decoder of JPEGs: with gpu the card decodes baseline JPEGs, whose pixels may then differ slightly. Needs the "
        "extra `gpu-codecs`; everything else is decoded on the CPU, where all outputs are encoded.",
        choices=("cpu", "gpu"),
    )
    max_pixels: int = _machine(
        MAX_PIXELS,
        "Refuse photos with more pixels before decoding them.",
        parse=parse_size,
        minimum=1,
        metavar="SIZE",
        show=lambda pixels: f"{pixels // 10**6}M",
    )
    cluster: str | None = _machine(
        None,
        "Process the photos on the workers of a Ray cluster: auto uses the cluster of this machine or of RAY_ADDRESS, "
        "ray://HOST:PORT another one, and local starts one for this run. --jobs then applies to all workers together, "
        "and --memory to each. Needs the extra `cluster`.",
        parse=_parse_cluster,
        metavar="ADDRESS",
    )
    timeout: float | None = _machine(
        None, "Give up on a photo after this many seconds; implies --isolate.", minimum=0.1, maximum=86400.0
    )
    isolate: bool = _machine(False, "Use child processes, so that a decoder that crashes fails only its photo.")

    json: bool = _messages(False, "Print a JSON summary of the run to stdout.")
    quiet: bool = _messages(False, "Print errors only.", short="-q")
    verbose: bool = _messages(False, "Print a line for every photo.", short="-v")
    debug: bool = _messages(False, "Show tracebacks.")
