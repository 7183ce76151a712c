"""Runs of small photos for the gallery, made without networks, and reports written by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
from typer.testing import CliRunner

from enhance_cli.cli.app import build as application
from enhance_cli.gallery.build import Built
from tests.pictures import dark, gradient


def jpeg(path: Path, pixels: Any) -> Path:
    """Write a JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), 90, "RGB", "420"))
    return path


def state(path: Path, name: str) -> dict[str, Any]:
    """A file as a report line tells of it."""
    status = path.stat()
    return {"path": name, "bytes": status.st_size, "modified_ns": status.st_mtime_ns, "sha256": None}


def a_line(source: Path, output: Path, root: Path, **changes: Any) -> dict[str, Any]:
    """A report line of a photo that is there, as a run would write it."""
    exposure = {"mean": 0.2, "median": 0.2, "p01": 0.0, "p99": 0.9, "dark": 0.0, "bright": 0.0, "entropy": 6.0}
    line = {
        "schema": "enhance-report/1",
        "source": str(source),
        "frames": [],
        "output": str(output),
        "status": "done",
        "error": None,
        "method": "clahe-adaptive",
        "controls": {"grid": [8, 8], "strength": 1.0, "clip_limit": None, "clip_map": None, "chroma": "follow"}
        | {"heatmap": False, "amount": 1.0},
        "weights": None,
        "device": "cpu",
        "size": [128, 96],
        "notes": [],
        "ms": {"decode": 1.0, "estimate": 2.0, "render": 3.0, "encode": 4.0},
        "exposure": {"before": exposure, "after": exposure | {"mean": 0.4, "bright": 0.01}},
        "plan": {"grid": [8, 8], "global_factor": 2.5},
        "read": [state(source, str(source))] if source.exists() else [],
        "written": [state(output, str(output.relative_to(root)))] if output.exists() else [],
        "backup": None,
        "settings": "0123456789abcdef",
        "shard": None,
    }
    return line | changes


def write_report(folder: Path, lines: list[dict[str, Any]]) -> Path:
    """Write a report."""
    path = folder / "enhance-report.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def shoot(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder `out` with a report of photos that are in `in`; returns `out`. Arguments: names."""

    def make(*names: str, **changes: Any) -> Path:
        lines = []
        for number, name in enumerate(names):
            source = jpeg(tmp_path / "in" / name, dark(96, 128, seed=number))
            output = jpeg(tmp_path / "out" / name, gradient(96, 128))
            lines.append(a_line(source, output, tmp_path / "out", **changes))
        write_report(tmp_path / "out", lines)
        return tmp_path / "out"

    return make


def records(built: Built | Path) -> dict[str, dict[str, Any]]:
    """What the page knows of each photo, by its name."""
    return {record["name"]: record for record in page_data(built)["photos"]}


def page_data(built: Built | Path) -> dict[str, Any]:
    """The JSON of a page."""
    page = (built if isinstance(built, Path) else built.page).read_text(encoding="utf-8")
    return json.loads(page.partition('id="data">')[2].partition("</script>")[0])


@pytest.fixture
def enhance() -> Callable[..., Any]:
    """Run `enhance ARGUMENTS` in this process."""
    app, runner = application(), CliRunner()
    return lambda *arguments: runner.invoke(app, [str(item) for item in arguments])
