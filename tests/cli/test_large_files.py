"""Files of options that are far too large: a video named by mistake, a device without an end."""

from __future__ import annotations

from pathlib import Path

import pytest

from enhance_cli import controls
from enhance_cli.errors import UsageError
from enhance_cli.gallery import review
from enhance_cli.methods import get
from enhance_cli.pipeline.inputs import _listed
from enhance_cli.pipeline.plans import load_plan

READERS = {
    "list": lambda path: list(_listed(str(path))),
    "plan": lambda path: load_plan(path, get("clode")),
    "decisions": controls.Listed.parse,
    "review": review.load,
}


@pytest.mark.parametrize("reader", READERS)
def test_they_are_refused_before_they_fill_the_memory(tmp_path: Path, monkeypatch, reader: str) -> None:
    monkeypatch.setattr(controls, "LARGEST", 5)
    large = tmp_path / "large"
    large.write_bytes(b"a.jpg\n")
    with pytest.raises((UsageError, ValueError), match=r"large cannot be read: File too large\."):
        READERS[reader](large)
