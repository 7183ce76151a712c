"""Detects outputs that would overwrite one another, or a source, before any work begins."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from enhance_cli.errors import UsageError
from enhance_cli.pipeline.jobs import Jobs, Paths, named_alike, same_name
from enhance_cli.pipeline.targets import illustration_paths, output_paths
from enhance_cli.types import Job


class Clashes:
    """No two outputs may share a path, nor may an output be a source. Case is ignored, as on some file systems."""

    def __init__(
        self,
        jobs: Jobs,
        beside: Sequence[str],
        endings: Sequence[str],
        in_place: bool,
        kept_plan: Callable[[Path], Path] | None,
    ) -> None:
        self._jobs, self._beside, self._endings, self._in_place = jobs, beside, endings, in_place
        self._kept_plan = kept_plan
        self._written, self._read = Paths(), Paths()
        self.shared_stems: frozenset[Path] = frozenset()

    def watch(self, job: Job) -> None:
        """Note what a job reads and writes."""
        for path in self._paths(job):
            self._written.add(path)
            for source in job.sources if not self._in_place else ():
                if _same_file(source, path):
                    raise UsageError(f"{path} would replace its own source {source}; give another folder as OUTPUT.")
        for source in job.sources if not self._in_place else ():
            self._read.add(source)

    def refuse(self) -> None:
        """Raise for the first clash among all jobs added.

        Raises:
            UsageError: there is one.
        """
        self.shared_stems = self._find_shared_stems()
        repeated = self._written.repeated()
        if self.shared_stems:  # illustrations have other names now
            self._written = Paths()
            for path, _ in self._outputs():
                self._written.add(path)
            repeated = self._written.repeated()
        for path, first, second in named_alike(repeated, self._outputs()):
            raise UsageError(
                f"{first} and {second} would both be written to {path}; give them different names or run them apart."
            )
        shared = self._written.shared_with(self._read)
        if shared:
            sources = ((source, source) for job in self._jobs for source in job.sources)
            for path, over, source in named_alike(shared, itertools.chain(sources, self._outputs())):
                raise UsageError(f"{source} would be written to {path}, over the source {over}; give another OUTPUT.")

    def _outputs(self) -> Iterator[tuple[Path, Path | None]]:
        return ((path, job.source) for job in self._jobs for path in self._paths(job))

    def _paths(self, job: Job) -> Iterator[Path]:
        """The files a job writes; in place, without the photo itself, whose path is its own source."""
        if self._in_place and job.target is not None:
            yield from illustration_paths(job.target, self._beside, self.shared_stems)
        else:
            yield from output_paths(job, self._endings, self._beside, self.shared_stems)
        if self._kept_plan is not None:
            yield from map(self._kept_plan, output_paths(job, self._endings, ()))

    def _find_shared_stems(self) -> frozenset[Path]:
        """Illustrations whose names several outputs would share: `a_heatmap.png` of `a.jpg` and of `a.png`."""
        repeated = self._written.repeated() if self._beside else None
        if not repeated:
            return frozenset()
        drawn = [
            (path, job.source)
            for job in self._jobs
            if job.target is not None
            for ending in self._endings
            for path in illustration_paths(job.target_with(ending), self._beside)
            if hash(same_name(path)) in repeated
        ]
        alike = {same_name(path) for path, _, _ in named_alike(repeated, drawn)}
        return frozenset(path for path, _ in drawn if same_name(path) in alike)


def _same_file(source: Path, target: Path) -> bool:
    try:
        return target.samefile(source)
    except OSError:
        return False
