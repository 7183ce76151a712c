"""Which part of a split run this process is, read from a scheduler's job array: `--shard auto`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from enhance_cli.pipeline.shards import Shard

OWN, COUNT, FIRST = "ENHANCE_SHARD", "ENHANCE_SHARDS", "ENHANCE_SHARD_FIRST"
"""Our own variables: the part as I/N; the number of parts, for schedulers that do not give it; the number of the first
part in `ENHANCE_SHARD`, 0 or 1."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What one scheduler says."""

    variables: str
    position: int
    """From 0."""

    count: int | None
    """None if it does not say."""


def parse(value: str | Shard, environment: Mapping[str, str] | None = None) -> Shard:
    """Read `2/3`, `auto`, or `auto/3` (the number of parts, for a scheduler that does not give it).

    Args:
        value: of `--shard`.
        environment: by default that of the process.

    Raises:
        ValueError: it is none of these, or the environment has no part or contradicts itself.
    """
    if isinstance(value, Shard):
        return value
    match = re.fullmatch(r"auto(?:/(\d{1,6}))?", value.strip())
    if match is None:
        return Shard.parse(value)
    variables = os.environ if environment is None else environment
    counts = [] if match[1] is None else [(value.strip(), int(match[1]))]
    if variables.get(COUNT):
        counts.append((f"{COUNT}={variables[COUNT]}", _number(variables, COUNT)))
    said = list(_said(variables))
    if not said:
        raise ValueError(
            "auto found no part: set one of SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX, AWS_BATCH_JOB_ARRAY_INDEX and "
            f"{OWN}=I/N, as a job array does, or give I/N."
        )
    counts += [(one.variables, one.count) for one in said if one.count is not None]
    if not counts:
        raise ValueError(f"auto knows from {said[0].variables} no number of parts; give auto/N, or set {COUNT}=N.")
    (name, count), *others = counts
    for other, number in others:
        if number != count:
            raise ValueError(f"{name} and {other} contradict each other: {count} parts or {number}?")
    for one in said:
        if one.position != said[0].position:
            raise ValueError(
                f"{said[0].variables} and {one.variables} contradict each other: part {said[0].position + 1} or "
                f"{one.position + 1}? Unset one of them, or give I/N."
            )
        if not 0 <= one.position < count:
            raise ValueError(f"{one.variables} is not one of the {count} parts that {name} says.")
    return Shard(said[0].position + 1, count)


def _said(variables: Mapping[str, str]) -> Iterator[_Said]:
    """What every scheduler that is there says."""
    if text := variables.get(OWN):
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
        if match is None:
            raise ValueError(f"{OWN} is I/N, such as 2/3, not {text!r}.")
        first = _number(variables, FIRST) if variables.get(FIRST) else 1
        if first not in (0, 1):
            raise ValueError(f"{FIRST} is 0 or 1, the number of the first part, not {first}.")
        yield _Said(f"{OWN}={text}", int(match[1]) - first, int(match[2]))
    if variables.get("SLURM_ARRAY_TASK_ID"):
        yield _slurm(variables)
    for index, size in (("JOB_COMPLETION_INDEX", ""), ("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE")):
        if variables.get(index):
            count = _number(variables, size) if variables.get(size) else None
            told = f" and {size}={count}" if count is not None else ""
            yield _Said(f"{index}={variables[index]}{told}", _number(variables, index), count)


def _slurm(variables: Mapping[str, str]) -> _Said:
    """An array counted from any number, in steps: `--array=0-7`, `1-8` or `10-80:10`."""
    prefix = "SLURM_ARRAY_TASK_"
    told = {
        name: _number(variables, prefix + name)
        for name in ("ID", "COUNT", "MIN", "MAX", "STEP")
        if variables.get(prefix + name)
    }
    if "MIN" not in told:
        raise ValueError(f"{prefix}ID is set and {prefix}MIN is not, so that the first part is not known; give I/N.")
    step = max(1, told.get("STEP", 1))
    count = told.get("COUNT")
    shown = " and ".join(f"{prefix}{name}={number}" for name, number in told.items())
    if "MAX" in told:
        regular = (told["MAX"] - told["MIN"]) // step + 1
        if count is not None and count != regular:
            raise ValueError(f"{shown} do not say the part: the array has gaps; number it without, or give I/N.")
        count = regular
    if (told["ID"] - told["MIN"]) % step:
        raise ValueError(f"{shown} do not say the part: the number lies between two steps; give I/N.")
    return _Said(shown, (told["ID"] - told["MIN"]) // step, count)


def _number(variables: Mapping[str, str], name: str) -> int:
    text = variables[name].strip()
    if not re.fullmatch(r"\d{1,9}", text):
        raise ValueError(f"{name} is a number, not {text!r}.")
    return int(text)
