"""The photos of a report as the gallery shows them: the last line of every output, with the files that it names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from enhance_cli.errors import UnreadableSource, UsageError
from enhance_cli.gallery import values
from enhance_cli.imaging.codecs import format_of_suffix
from enhance_cli.pipeline import shards
from enhance_cli.pipeline.journal import path_of_report
from enhance_cli.pipeline.lines import fault_of, is_report, whole_lines


@dataclass(slots=True)
class Photo:
    """One output, as described by its last report line."""

    key: str
    """A digest of the output's path and state in sixteen digits; it changes if the photo is enhanced again."""

    line: dict[str, Any]
    report: Path
    name: str
    """The output's path below the report's folder, or the source's file name."""

    source: Path | None
    output: Path | None
    maps: list[tuple[str, Path]] = field(default_factory=list)
    """The illustrations that the method drew for it: names and files."""

    def value_of(self, name: str) -> Any:
        """The verdict, its reason or its certainty, from the line or else from its plan."""
        said = self.line.get(name)
        return values.mapping(self.line.get("plan")).get(name) if said is None else said

    @property
    def settings(self) -> str:
        """The digest of its settings; empty if unknown."""
        return values.text(self.line.get("settings"), 64)

    @property
    def state(self) -> dict[str, str]:
        """Size and time of the output when it was written, as text: times in ns exceed JavaScript's exact integers."""
        written = _first(self.line.get("written"))
        found = {name: values.whole(written.get(name)) for name in ("bytes", "modified_ns")}
        return {name: str(value) for name, value in found.items() if value is not None}


def reports_of(place: Path) -> list[Path]:
    """The reports that a folder or a path names.

    Raises:
        UsageError: there is none, or the file is none.
    """
    if place.is_dir():
        found = shards.reports_in(place)
        if not found:
            raise UsageError(f"{place} has no enhance-report.jsonl; name the OUTPUT folder of a run, or its report.")
        return found
    try:
        with place.open("rb") as file:
            ours = is_report(file)
    except FileNotFoundError:
        raise UsageError(f"{place} does not exist; name the OUTPUT folder of a run, or its report.") from None
    except OSError as error:
        raise UnreadableSource(f"{place} cannot be read: {error.strerror}.") from error
    if not ours:
        raise UsageError(f"{place} is not an enhance report; name the OUTPUT folder of a run, or its report.")
    return [place]


def read(reports: Iterable[Path]) -> list[Photo]:
    """The last line of every output, in order of first mention; anything that is not a report line is skipped.

    Raises:
        UnreadableSource: a report cannot be read.
    """
    found: dict[str, tuple[dict[str, Any], Path]] = {}
    for report in reports:
        try:
            for line in whole_lines(report):
                if fault_of(line) is not None:
                    continue
                name = str(_output_of(line, report) or os.path.abspath(line["source"]))  # noqa: PTH100
                if line["status"] != "skipped" or name not in found:  # it says nothing new about the image
                    found[name] = line, report
        except OSError as error:
            raise UnreadableSource(f"The report {report} cannot be read: {error.strerror}.") from error
    return [_photo(name, line, report) for name, (line, report) in found.items()]


def _photo(name: str, line: dict[str, Any], report: Path) -> Photo:
    output = _output_of(line, report)
    source = _located(line["source"], _first(line.get("read")), report)
    written = line.get("written") or []
    drawn = [Path(path_of_report(item["path"], report)) for item in written[1:]]
    stem = "" if output is None else output.stem
    maps = [
        (path.stem.removeprefix(output.name if output else "").removeprefix(stem).strip("_") or path.stem, path)
        for path in drawn
        if format_of_suffix(path) is not None
    ]
    photo = Photo("", line, report, _shown_name(line, output, report), source, output, maps)
    told = name.encode(errors="surrogatepass") + repr(sorted(photo.state.items())).encode()
    photo.key = hashlib.blake2b(told, digest_size=8).hexdigest()
    return photo


def _output_of(line: dict[str, Any], report: Path) -> Path | None:
    written = line.get("written")
    if written:
        return Path(path_of_report(written[0]["path"], report))
    removed = values.text(values.mapping(line.get("review")).get("removed"))
    if removed:
        return Path(path_of_report(removed, report))
    output = line.get("output")
    if not output or output == "-" or "\0" in output:
        return None
    return Path(os.path.abspath(output))  # noqa: PTH100 - keeps links as they are


def _located(text: str, state: dict[str, Any], report: Path) -> Path | None:
    """Locate a source. A relative path starts where the run was started, which may be here or above its report."""
    if text in ("", "-") or "\0" in text:
        return None
    here = Path(os.path.abspath(text))  # noqa: PTH100
    if os.path.isabs(text) or _exists(here):  # noqa: PTH117
        return here
    for folder in report.absolute().parents:
        there = Path(os.path.normpath(folder / text))
        if _exists(there) and there.stat().st_size == state.get("bytes"):
            return there
    return here


def _exists(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - False for names that are too long


def _shown_name(line: dict[str, Any], output: Path | None, report: Path) -> str:
    folder = str(report.absolute().parent) + os.sep
    if output is not None and str(output).startswith(folder):
        return str(output).removeprefix(folder)
    path = output or Path(line["source"])
    return path.name or values.text(line["source"]) or "photo"


def _first(items: Any) -> dict[str, Any]:
    return items[0] if isinstance(items, list) and items and isinstance(items[0], dict) else {}


def record_of(photo: Photo, page: Path) -> dict[str, Any]:
    """The page's data about a photo: JSON with every text as it is in the report.

    Args:
        photo: a photo.
        page: the folder of the page, to which links are relative.
    """
    line = photo.line
    error, exposure = values.mapping(line.get("error")), values.mapping(line.get("exposure"))
    before, after = (values.numbers(exposure.get(when)) for when in ("before", "after"))
    ms = values.numbers(line.get("ms"))
    certainty = values.number(photo.value_of("certainty"))
    size = line.get("size")
    sized = isinstance(size, list) and len(size) == 2 and all(values.number(side) for side in size)
    return {
        "key": photo.key,
        "name": photo.name,
        "status": values.text(line.get("status"), 40),
        "review": values.text(values.mapping(line.get("review")).get("decision"), 40),
        "error": {name: values.text(error.get(name)) for name in ("kind", "message")} if error else None,
        "method": values.text(line.get("method"), 60),
        "chosen": values.text(values.mapping(line.get("plan")).get("method"), 60),
        "verdict": values.text(photo.value_of("verdict"), 60),
        "reason": values.text(photo.value_of("reason")),
        "certainty": certainty,
        "controls": [[_option(name), values.shown(value)] for name, value in _items(line.get("controls"))],
        "decided": [
            [name.replace("_", " "), values.shown(value)]
            for name, value in _items(line.get("plan"))
            if not isinstance(value, list | dict) and name not in ("verdict", "reason", "certainty", "method")
        ],
        "notes": values.texts(line.get("notes")),
        "frames": values.texts(line.get("frames")),
        "exposure": {"before": before, "after": after} if before and after else None,
        "clipped": _newly_clipped(before, after),
        "change": None,
        "ms": ms or None,
        "size": size if sized else None,
        "source": _in_text(photo.source),
        "output": _in_text(photo.output),
        "sourceFile": link(photo.source, page),
        "outputFile": link(photo.output, page),
        "state": photo.state,
    }


def _items(value: object) -> list[tuple[str, Any]]:
    return [(values.text(name, 60), item) for name, item in list(values.mapping(value).items())[:60]]


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _newly_clipped(before: dict[str, float], after: dict[str, float]) -> float | None:
    """The share of pixels that became black or white, judging by the exposures."""
    if not before or not after:
        return None
    return sum(max(0.0, after.get(end, 0.0) - before.get(end, 0.0)) for end in ("dark", "bright"))


def _in_text(path: Path | None) -> str:
    return "" if path is None else str(path)


def link(path: Path | None, page: Path) -> str:
    """A relative link to a file; empty if browsers cannot show it or it does not exist."""
    if path is None or not _exists(path):
        return ""
    shown_by = format_of_suffix(path)
    return url(path, page) if shown_by is not None and shown_by.in_browsers else ""


def url(path: Path, page: Path) -> str:
    """The relative address of a file as seen from a folder, with every special byte of its name quoted."""
    relative = os.path.relpath(path, page).replace(os.sep, "/")
    return quote(os.fsencode(relative if relative.startswith("../") else f"./{relative}"))
