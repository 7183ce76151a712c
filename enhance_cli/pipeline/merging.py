"""`enhance report merge` as the user names things: reports, inputs and the joined report on disks or in buckets."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from enhance_cli.errors import UsageError
from enhance_cli.pipeline import merge as files
from enhance_cli.pipeline.lines import is_report
from enhance_cli.pipeline.merge import Merged
from enhance_cli.pipeline.scan import scan
from enhance_cli.storage import is_url, local_path


def merge(reports: Sequence[str], output: str, inputs: Sequence[str] = (), *, recursive: bool = False) -> Merged:
    """Join reports (see `merge.merge`).

    Args:
        reports: files, folders, and URLs of outputs or of folders of parts.
        output: the joined report: a file or an object.
        inputs: what was to be enhanced; photos without a line are listed.
        recursive: whether folders of inputs are read with their subfolders.

    Raises:
        EnhanceError: as `merge.merge`.
    """
    named, given = [local_path(text) or text for text in reports], [local_path(text) or text for text in inputs]
    output = local_path(output) or output
    if not any(map(is_url, (*named, *given, output))):
        # In place: inputs alone.
        jobs = scan(given, recursive=recursive, in_place=True).jobs if given else ()
        expected = (job.source for job in jobs if job.source is not None)
        return files.merge(files.reports_named(map(Path, named)), Path(output), expected)
    from enhance_cli.pipeline.objects import on_a_mirror

    with on_a_mirror() as objects:
        paths = [Path(objects.report(text)) for text in named]
        jobs = ()
        if given:
            places = objects.inputs(given)
            jobs = scan(places, recursive=recursive, in_place=True, elsewhere=objects.find).jobs
        target = Path(objects.output(output).removesuffix("/"))
        location = objects.mirror.location(target)
        if location is not None:
            store = objects.mirror.store(location)
            there = store.head(location.key)
            if there is not None and not is_report(io.BytesIO(store.get(location.key)[0])):
                raise UsageError(f"OUTPUT {output} exists and is not an enhance report; give another name.")
            target.parent.mkdir(parents=True, exist_ok=True)
        expected = (job.source for job in jobs if job.source is not None)
        merged = files.merge(files.reports_named(paths), target, expected, objects.states)
        if location is not None:
            store.put(location.key, target.read_bytes(), None if there is None else there.etag)
        shown = objects.mirror.shown_in
        merged.failed, merged.missing_outputs = shown(merged.failed), shown(merged.missing_outputs)
        merged.missing_sources, merged.remarks = shown(merged.missing_sources), shown(merged.remarks)
        return merged
