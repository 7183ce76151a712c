"""The summary of a report: counts, times, exposure before and after, and failures with their messages."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from enhance_cli.gallery import values

BINS = 24
"""Of the distributions of mean luma from 0 to 1."""

_SENTENCES = 50
"""Failures that are named for each kind."""

_MEANINGS = {
    "mean": "mean luma",
    "median": "median luma",
    "p01": "1st percentile of luma",
    "p99": "99th percentile of luma",
    "dark": "share of black pixels",
    "bright": "share of white pixels",
    "entropy": "entropy (bits)",
}


@dataclass(slots=True)
class Failures:
    """Photos that failed for one kind of reason."""

    kind: str
    count: int = 0
    sentences: list[tuple[str, str]] = field(default_factory=list)
    """(photo, sentence)."""

    @property
    def more(self) -> int:
        """How many are not named."""
        return self.count - len(self.sentences)


@dataclass(slots=True)
class Summary:
    """The summary of a report."""

    photos: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    methods: dict[str, int] = field(default_factory=dict)
    verdicts: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    """Of work, summed over photos and stages."""

    stages: list[tuple[str, float, float, float]] = field(default_factory=list)
    """(stage, median, 95th percentile and longest of its milliseconds)."""

    exposures: list[tuple[str, float, float]] = field(default_factory=list)
    """(measure, mean before, mean after)."""

    before: list[int] = field(default_factory=list)
    after: list[int] = field(default_factory=list)
    """How many photos have each mean luma, in `BINS` steps from 0 to 1."""

    failures: list[Failures] = field(default_factory=list)


def summarise(lines: Iterable[tuple[str, Mapping[str, Any]]]) -> Summary:
    """Summarise report lines.

    Args:
        lines: the name of each photo and its line.
    """
    found = Summary(before=[0] * BINS, after=[0] * BINS)
    statuses, methods, verdicts = Counter[str](), Counter[str](), Counter[str]()
    times: dict[str, list[float]] = {}
    measured: dict[str, list[tuple[float, float]]] = {}
    failures: dict[str, Failures] = {}
    for name, line in lines:
        found.photos += 1
        statuses[values.text(line.get("status"), 40)] += 1
        methods[values.text(line.get("method"), 60) or "unknown"] += 1
        if verdict := values.text(line.get("verdict"), 60):
            verdicts[verdict] += 1
        for stage, taken in values.numbers(line.get("ms")).items():
            times.setdefault(stage, []).append(taken)
        exposure = values.mapping(line.get("exposure"))
        before, after = (values.numbers(exposure.get(when)) for when in ("before", "after"))
        for measure in _MEANINGS:
            if measure in before and measure in after:
                measured.setdefault(measure, []).append((before[measure], after[measure]))
        error = values.mapping(line.get("error"))
        if line.get("status") == "failed":
            kind = values.text(error.get("kind"), 40) or "unknown"
            failed = failures.setdefault(kind, Failures(kind))
            failed.count += 1
            if len(failed.sentences) < _SENTENCES:
                failed.sentences.append((name, values.text(error.get("message"))))
    found.statuses, found.methods, found.verdicts = (dict(item.most_common()) for item in (statuses, methods, verdicts))
    found.seconds = sum(map(sum, times.values())) / 1000
    found.stages = [(stage, statistics.median(ms), _share(ms, 0.95), max(ms)) for stage, ms in times.items()]
    for measure, pairs in measured.items():
        first, second = zip(*pairs, strict=True)
        found.exposures.append((_MEANINGS[measure], statistics.fmean(first), statistics.fmean(second)))
        if measure == "mean":
            for counts, means in ((found.before, first), (found.after, second)):
                for mean in means:
                    counts[min(BINS - 1, max(0, int(mean * BINS)))] += 1
    found.failures = sorted(failures.values(), key=lambda item: -item.count)
    return found


def _share(sample: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of a sample does not exceed."""
    return sorted(sample)[max(0, -(-len(sample) * int(share * 100) // 100) - 1)]
