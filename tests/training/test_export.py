"""Exported weights rebuild their network, and ONNX says what the network says, or nothing is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from enhance_cli.errors import WeightsError
from enhance_cli.training import export as exporting
from enhance_cli.training.export import export, read_configuration, read_weights, sha256_of
from enhance_cli.training.sheet import sheet, write_sheet

pytest.importorskip("onnx")


class Doubling(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(width, 1, 1)

    def forward(self, field: Tensor) -> tuple[Tensor]:
        return (2 * self.mix(field),)


def exported(folder: Path) -> tuple[Doubling, exporting.Exported]:
    torch.manual_seed(0)
    network = Doubling(3)
    samples = [{"field": np.random.default_rng(n).random((1, 3, n, 5), np.float32)} for n in (4, 7)]
    result = export(
        network,
        folder,
        "doubling",
        identity="doubling-1",
        configuration={"width": 3},
        samples=samples,
        outputs=("doubled",),
        dynamic_axes={"field": {2: "rows"}, "doubled": {2: "rows"}},
    )
    return network, result


def test_the_files_rebuild_the_network(tmp_path: Path) -> None:
    network, result = exported(tmp_path)
    assert result.parity < 1e-5
    manifest = json.loads(result.manifest.read_text())
    assert manifest == {"id": "doubling-1", "sha256": dict(result.sha256)}
    assert manifest["sha256"]["onnx"] == sha256_of(result.onnx)
    rebuilt = Doubling(**read_configuration(result.safetensors))
    read_weights(rebuilt, result.safetensors)
    assert torch.equal(rebuilt.mix.weight, network.mix.weight)
    assert result.safetensors.stat().st_mode & 0o044 == 0o044
    with pytest.raises(WeightsError, match="does not fit"):
        read_weights(Doubling(4), result.safetensors)


def test_the_same_network_gives_the_same_files(tmp_path: Path) -> None:
    assert exported(tmp_path / "a")[1].sha256 == exported(tmp_path / "b")[1].sha256


def test_a_disagreement_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "compare", lambda network, path, sample: 0.5)
    with pytest.raises(WeightsError, match="differs"):
        exported(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_sheet_holds_every_picture(tmp_path: Path) -> None:
    grey, colour = np.full((50, 80), 90, np.uint8), np.full((40, 40, 3), (200, 10, 10), np.uint8)
    rows = [[("grey", grey), ("colour", colour)], [("only", colour)]]
    page = sheet(rows, height=60)
    assert page.dtype == np.uint8
    assert (page == (200, 10, 10)).all(axis=-1).sum() == 2 * 60 * 60
    write_sheet(tmp_path / "new" / "page.png", rows, height=60)
    assert (tmp_path / "new" / "page.png").stat().st_size > 100
