"""A run with URLs among its arguments: refused if it needs a file system, otherwise done on a mirror (`mirror.py`)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enhance_cli.controls import option_name
from enhance_cli.errors import EnhanceError, UsageError
from enhance_cli.imaging.codecs import format_of_suffix
from enhance_cli.pipeline.inputs import GALLERY, Found, is_photo, photos_of
from enhance_cli.pipeline.jobs import SortedNames
from enhance_cli.pipeline.mirror import Mirror, ObjectStates, mirrored
from enhance_cli.storage import SCHEMES, Location, Opener, is_url, opened

if TYPE_CHECKING:
    from enhance_cli.pipeline.listener import Listener
    from enhance_cli.pipeline.options import RunOptions
    from enhance_cli.types import Job, Outcome


class Objects:
    """The objects that a run reads and writes: places for its arguments, and what is found there."""

    def __init__(self, mirror: Mirror, states: ObjectStates) -> None:
        """Start with no arguments.

        Args:
            mirror: has the places.
            states: receives what is listed.
        """
        self.mirror, self.states = mirror, states
        self._single: set[str] = set()
        self._folders: set[str] = set()

    def inputs(self, texts: list[str]) -> list[str]:
        """Inputs with places in place of URLs; what they name is listed.

        Raises:
            UsageError: nothing that they name exists.
            EnhanceError: a bucket cannot be listed.
        """
        return [self._input(text) if is_url(text) else text for text in texts]

    def output(self, text: str) -> str:
        """An output with a place in place of a URL."""
        if not is_url(text):
            return text
        place = str(self.mirror.place(Location.parse(text)))
        return place + "/" if text.endswith("/") or place.count("/") == str(self.mirror.root).count("/") + 2 else place

    def _input(self, text: str) -> str:
        location = Location.parse(text)
        place = self.mirror.place(location)
        store = self.mirror.store(location)
        there = store.head(location.key) if location.key and not text.endswith("/") else None
        if there is not None and format_of_suffix(Path(location.key)) is not None:
            self.states.add(location, iter([there]))
            self._single.add(str(place))
        elif self.states.look(location) or not location.key:
            self._folders.add(str(place))
            place.mkdir(parents=True, exist_ok=True)  # so that it counts as a folder
        elif there is not None:
            self.states.add(location, iter([there]))
            self._single.add(str(place))
        else:
            glob = "; in a bucket there are no globs, so name the prefix" if re.search(r"[*?\[]", text) else ""
            raise UsageError(f"{location} does not exist{glob}.")
        return str(place)

    def look_at_outputs(self, folder: Path | None, single: bool, jobs: Iterable[Job]) -> None:
        """List what is in the output folder, or look up the one output, if it is in a bucket.

        Raises:
            EnhanceError: it cannot be listed.
        """
        location = None if folder is None else self.mirror.location(folder)
        if location is None:
            return
        if not single:
            self.states.look(location)
            return
        for job in jobs:
            target = None if job.target is None else self.mirror.location(job.target)
            found = None if target is None else self.mirror.store(target).head(target.key)
            if target is not None and found is not None:
                self.states.add(target, iter([found]))

    def shown_report(self, path: Path | str) -> str:
        """A report as shown to users: in a bucket, the URL below which its parts are."""
        from enhance_cli.pipeline import parts

        if self.mirror.location(path) is None:
            return str(path)
        return f"{parts.folder_of(Path(path), self.mirror)}/"

    def fetch_report(self, path: Path | None) -> None:
        """Read the parts of earlier runs into the place of a report, if it is in a bucket.

        Raises:
            EnhanceError: they cannot be read.
        """
        if path is not None and self.mirror.location(path) is not None:
            from enhance_cli.pipeline import parts

            parts.fetch(path, self.mirror)

    def report(self, text: str) -> str:
        """A report to be joined: for a URL of an output or of a folder of parts, a file with all of its lines.

        Raises:
            UsageError: there are no parts.
            EnhanceError: they cannot be read.
        """
        if not is_url(text):
            return text
        from enhance_cli.pipeline import parts

        location = Location.parse(text)
        # Not under the name of a part's report, which `merge` would take for one that is still written.
        report = self.mirror.place(location) / "enhance-report.jsonl"
        if not parts.fetch(report, self.mirror):
            report = self.mirror.place(location).with_suffix(".jsonl")
            if not parts.fetch(report, self.mirror):
                raise UsageError(f"{location} holds no report.")
        folder = report.parent
        above = self.mirror.location(folder)
        assert above is not None
        self.states.look(above)
        return str(report)

    def find(self, text: str, output: Path | None, recursive: bool, remarks: list[str]) -> Iterator[Found] | None:
        """See `inputs.Elsewhere`."""
        if text in self._single:
            return iter([Found(Path(text), Path(Path(text).name))])
        return self._below(Path(text), output, recursive, remarks) if text in self._folders else None

    def _below(self, root: Path, output: Path | None, recursive: bool, remarks: list[str]) -> Iterator[Found]:
        """As `inputs._pictures_below`: in the same order, without hidden names, galleries and the output folder."""
        return photos_of(root, self._walk(root, output), recursive, remarks)

    def _walk(self, root: Path, output: Path | None) -> Iterator[tuple[SortedNames, Path]]:
        """Names of photos of each folder below, and its path, relative to `root`."""
        left_out = [] if output is None or output == root else [f"{output}/"]
        for folder in self.states.folders(root):
            relative = Path(folder).relative_to(root)
            if any(part.startswith(".") for part in relative.parts) or f"{folder}/".startswith(tuple(left_out)):
                continue
            names = SortedNames()
            for name in self.states.names(folder):
                if name == GALLERY:
                    left_out.append(f"{folder}/")
                    names = SortedNames()
                    break
                if not name.startswith(".") and is_photo(name):
                    names.append(name)
            yield names, relative


@contextmanager
def on_a_mirror(opener: Opener = opened) -> Iterator[Objects]:
    """Objects for one run; its errors name URLs.

    Raises:
        EnhanceError: of the run.
    """
    with mirrored(opener) as mirror, ObjectStates(mirror) as states:
        try:
            yield Objects(mirror, states)
        except EnhanceError as error:
            text = mirror.shown(str(error))
            if text == str(error):
                raise
            raise type(error)(text) from error


def refuse_what_needs_files(options: RunOptions, controls: Any, arguments: tuple[str, ...]) -> None:
    """Refuse what is not possible in a bucket.

    Raises:
        UsageError: the run asks for it.
    """
    urls = [text for text in arguments if is_url(text)]
    output = bool(arguments) and is_url(arguments[-1])
    if options.in_place and urls:
        raise UsageError(
            "--in-place locks and replaces files, which is impossible in a bucket; give an OUTPUT instead of "
            f"{urls[-1]} alone."
        )
    if options.gallery:
        raise UsageError("--gallery builds a page of local files; leave it out with URLs.")
    if options.preserve_times and output:
        raise UsageError("--preserve-times cannot set the time of an object in a bucket; leave it out.")
    if controls.looks_only is not None and urls:
        raise UsageError("--decide looks at files; copy the photos to a disk, or let the run itself decide.")
    if controls.listed is not None and any(is_url(text) for text in arguments[:-1]):
        raise UsageError("A file of decisions names its photos itself: give the OUTPUT and no INPUT.")
    for given in (options, controls):
        for name in given.knobs():
            if name != "report" and re.match(rf"({'|'.join(SCHEMES)}):/", str(getattr(given, name)), re.IGNORECASE):
                raise UsageError(f"{option_name(name)} takes local files; copy them from the bucket to a disk first.")


class Shown:
    """A listener that passes events on to another one, with URLs in place of paths."""

    def __init__(self, listener: Listener, mirror: Mirror) -> None:
        """Wrap one.

        Args:
            listener: receives the events.
            mirror: has the places.
        """
        self._listener, self._mirror = listener, mirror

    def remark(self, text: str) -> None:
        """See `Listener`."""
        self._listener.remark(self._mirror.shown(text))

    def trouble(self, text: str) -> None:
        """See `Listener`."""
        self._listener.trouble(self._mirror.shown(text))

    def planned(self, source: str, frames: list[str], output: str) -> None:
        """See `Listener`."""
        shown = self._mirror.shown
        self._listener.planned(shown(source), [shown(frame) for frame in frames], shown(output))

    def begins(self, total: int) -> None:
        """See `Listener`."""
        self._listener.begins(total)

    def finished(self, outcome: Outcome) -> None:
        """See `Listener`."""
        self._listener.finished(dataclasses.replace(outcome, report=self._mirror.shown_in(outcome.report)))
