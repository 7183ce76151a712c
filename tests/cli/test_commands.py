"""`evaluate`, `doctor` and `train` as commands."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from enhance_cli.cli.app import build

RUN = CliRunner()


@pytest.fixture
def folders(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("outputs", "references", "inputs"):
        (tmp_path / name).mkdir()
    reference = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "references" / "a.png"), reference)
    cv2.imwrite(str(tmp_path / "outputs" / "a.png"), np.clip(reference.astype(int) + 8, 0, 255).astype(np.uint8))
    cv2.imwrite(str(tmp_path / "inputs" / "a.png"), reference // 3)
    return tmp_path


def run(*arguments):
    return RUN.invoke(build(), [str(item) for item in arguments])


def test_evaluate_against_references(folders):
    result = run("evaluate", folders / "outputs", folders / "references", "--json")
    assert result.exit_code == 0, result.stderr
    judged = json.loads(result.stdout)
    assert 29 < judged["mean"]["psnr"] < 32
    assert set(judged["mean"]) == {
        *("psnr", "ssim", "psnr_mean_matched", "ssim_mean_matched", "delta_e_2000"),
        *("black_point", "contrast_ratio", "chroma_ratio"),
    }


def test_evaluate_prints_a_table(folders):
    result = run("evaluate", folders / "outputs", folders / "references")
    assert result.stdout.splitlines()[0].split() == [
        "photo", "PSNR", "dB", "SSIM", "PSNR", "matched", "SSIM", "matched", "delta", "E", "2000",
        "black", "point", "contrast", "ratio", "chroma", "ratio",
    ]  # fmt: skip
    assert result.stdout.splitlines()[-1].startswith("mean of 1")


def test_evaluate_without_references(folders):
    result = run("evaluate", folders / "outputs", "--inputs", folders / "inputs", "--json")
    found = set(json.loads(result.stdout)["mean"])
    assert {"loe", "entropy", "contrast", "clipped_low", "clipped_high", "skin_luma"} <= found
    assert "psnr" not in found


def test_evaluate_codes(folders):
    assert run("evaluate", folders / "nowhere", folders / "references").exit_code == 2
    (folders / "outputs" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    cv2.imwrite(str(folders / "references" / "broken.png"), np.zeros((4, 4, 3), np.uint8))
    assert run("evaluate", folders / "outputs", folders / "references").exit_code == 1
    (folders / "outputs" / "a.png").unlink()
    assert run("evaluate", folders / "outputs", folders / "references").exit_code == 6


def test_doctor():
    result = run("doctor", "--device", "cpu", "--json")
    assert result.exit_code == 0, result.stdout
    found = json.loads(result.stdout)
    assert found["device"]["got"] == "cpu"
    assert found["onnxruntime"]["session got"] == "CPUExecutionProvider"
    assert found["problems"] == []
    assert all("verified" in text for name, text in found["weights"].items() if name != "folder")
    assert "No problems found." in run("doctor", "--device", "cpu").stdout


def test_doctor_of_a_device_that_is_missing():
    result = run("doctor", "--device", "cuda:99")
    assert result.exit_code == 5
    assert "problem: The device cuda:99" in result.stdout


def test_train_refuses_in_a_sentence(tmp_path):
    assert "sharpen" in run("train", "sharpen", tmp_path).stderr
    result = run("train", "clahe-adaptive", tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "nowhere does not exist" in result.stderr


def test_version():
    assert run("--version").stdout.startswith("enhance 0.")


def test_a_beginning_that_one_command_has_is_enough():
    assert "enhance clahe [OPTIONS]" in run("clahe", "--help").stdout
    assert run("c", "--help").exit_code == 2  # clahe-adaptive and clode
    assert run("", "--help").exit_code == 2


def test_help_groups_its_options():
    shown = run("local", "--help").stdout
    headings = [line.rstrip(":") for line in shown.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings == ["Arguments", "Method", "Files", "Output", "Restart", "Machine", "Messages"]
    assert "--lock / --no-lock" in shown  # on by default, so it can be switched off; others cannot
    assert "--no-overwrite" not in shown


def test_training_begins_in_an_empty_folder(tmp_path):
    kept = tmp_path / "runs" / "clahe_adaptive" / "card.md"
    kept.parent.mkdir(parents=True)
    kept.write_text("mine")
    result = run("train", "clahe-adaptive", tmp_path, "--out", tmp_path / "runs")
    assert result.exit_code == 2
    assert "card.md already exists; use --resume" in " ".join(result.stderr.split())
    assert kept.read_text() == "mine"
