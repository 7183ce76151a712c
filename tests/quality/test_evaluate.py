"""Folders of outputs against folders of references: matching, rows, failures, JSON and tables."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from enhance_cli.errors import CorruptPicture, MissingSource, UsageError
from enhance_cli.quality.evaluate import COLUMNS, evaluate, table_rows
from enhance_cli.quality.faults import veil
from enhance_cli.quality.pictures import read_rgb
from enhance_cli.quality.reference import delta_e_2000, mean_matched, psnr, ssim
from tests.pictures import noise

TONES = {"black_point", "contrast_ratio", "chroma_ratio"}
REFERENCE_FIGURES = {"psnr", "ssim", "psnr_mean_matched", "ssim_mean_matched", "delta_e_2000"} | TONES
FAULT_FIGURES = {key for key in COLUMNS if key.startswith(("shade_", "highlight_", "skin_", "dark_"))}
SHADE_FIGURES = {"shade_regained", "shade_bright"}
BLIND_FIGURES = {"entropy", "contrast", "clipped_low", "clipped_high"}


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels[..., ::-1])
    return path


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    outputs, references, inputs = (tmp_path / name for name in ("out", "ref", "in"))
    for index, name in enumerate(("a", "sub/b", "sub/c.v2")):
        save(outputs / f"{name}.png", noise(24, 32, 3, seed=index))
        save(references / f"{name}.bmp", noise(24, 32, 3, seed=index + 10))
        save(inputs / f"{name}.png", noise(24, 32, 3, seed=index + 20))
    (outputs / "enhance-report.jsonl").write_text("{}\n")
    return outputs, references, inputs


def no_constant(name: str) -> None:
    raise AssertionError(f"JSON holds {name}")


def test_pictures_are_matched_by_path_without_suffix(folders):
    outputs, references, _ = folders
    evaluation = evaluate(outputs, references)
    assert [row.name for row in evaluation.rows] == ["a.png", "sub/b.png", "sub/c.v2.png"]
    assert [row.reference for row in evaluation.rows] == [
        str(references / name) for name in ("a.bmp", "sub/b.bmp", "sub/c.v2.bmp")
    ]
    assert (evaluation.judged, evaluation.failed, evaluation.all_failed) == (3, 0, False)
    assert not any(evaluation.unmatched.values())


def test_figures_are_those_of_the_functions(folders):
    evaluation = evaluate(*folders[:2])
    output, reference = noise(24, 32, 3, seed=0), noise(24, 32, 3, seed=10)
    matched = mean_matched(output, reference)
    assert evaluation.rows[0].figures == {
        "psnr": psnr(output, reference),
        "ssim": ssim(output, reference),
        "psnr_mean_matched": psnr(matched, reference),
        "ssim_mean_matched": ssim(matched, reference),
        "delta_e_2000": delta_e_2000(output, reference),
        **dict(zip(("black_point", "contrast_ratio", "chroma_ratio"), veil(output, reference), strict=True)),
    }
    values = [row.figures["psnr"] for row in evaluation.rows]
    assert evaluation.mean["psnr"] == pytest.approx(sum(values) / 3)


def test_which_figures_there_are(folders):
    outputs, references, inputs = folders
    assert set(evaluate(outputs, references).mean) == REFERENCE_FIGURES
    assert set(evaluate(outputs, None).mean) == BLIND_FIGURES
    assert set(evaluate(outputs, None, inputs).mean) == BLIND_FIGURES | {"loe"}
    assert set(evaluate(outputs, references, inputs).mean) == set(COLUMNS) - FAULT_FIGURES


def test_figures_of_faults_are_there_where_a_photo_has_such_areas(tmp_path):
    before = np.full((96, 64, 3), 12, np.uint8)
    before[:32], before[32:64] = 255, (200, 150, 120)
    save(tmp_path / "in" / "a.png", before)
    save(tmp_path / "out" / "a.png", before // 2 + 40)
    mean = evaluate(tmp_path / "out", None, tmp_path / "in").mean
    assert set(mean) == BLIND_FIGURES | FAULT_FIGURES - SHADE_FIGURES | {"loe"}
    assert mean["highlight_level"] == 167.0
    assert mean["dark_lifted"] == 1.0
    assert mean["skin_luma"] == pytest.approx((0.299 * 140 + 0.587 * 115 + 0.114 * 100) / 255)


def test_light_in_the_shade_is_judged_with_references_and_inputs(tmp_path):
    before = np.full((40, 40, 3), 180, np.uint8)
    before[:20] = 20
    save(tmp_path / "in" / "a.png", before)
    save(tmp_path / "out" / "a.png", before // 2)
    save(tmp_path / "ref" / "a.png", np.full_like(before, 180))
    mean = evaluate(tmp_path / "out", tmp_path / "ref", tmp_path / "in").mean
    assert mean["shade_regained"] < 0.0
    assert mean["shade_bright"] == 90.0


def test_single_files_need_no_common_name(folders):
    outputs, references, _ = folders
    evaluation = evaluate(outputs / "a.png", references / "sub" / "b.bmp")
    assert [(row.name, row.error) for row in evaluation.rows] == [("a.png", None)]
    evaluation = evaluate(outputs, references / "a.bmp")
    assert {row.reference for row in evaluation.rows} == {str(references / "a.bmp")}
    evaluation = evaluate(outputs / "a.png", references)
    assert evaluation.rows[0].reference == str(references / "a.bmp")


def test_the_unmatched_are_listed(folders):
    outputs, references, inputs = folders
    extra = save(outputs / "lonely.png", noise(24, 32, 3, seed=1))
    (references / "sub" / "b.bmp").rename(references / "sub" / "other.bmp")
    (inputs / "a.png").unlink()
    evaluation = evaluate(outputs, references, inputs)
    assert [row.name for row in evaluation.rows] == ["a.png", "sub/c.v2.png"]
    assert set(evaluation.unmatched["outputs"]) == {
        str(extra),
        str(outputs / "sub" / "b.png"),
        str(outputs / "a.png"),
    }
    assert evaluation.unmatched["references"] == (str(references / "sub" / "other.bmp"),)
    assert evaluation.unmatched["inputs"] == ()
    assert "loe" not in evaluation.rows[0].figures
    assert "psnr" in evaluation.rows[0].figures


def test_the_same_suffix_wins_among_partners(folders):
    outputs, references, _ = folders
    save(references / "a.png", noise(24, 32, 3, seed=0))
    evaluation = evaluate(outputs, references)
    assert evaluation.rows[0].reference == str(references / "a.png")
    assert not evaluation.unmatched["references"]


def test_a_picture_that_fails_is_a_row_with_its_reason(folders):
    outputs, references, _ = folders
    save(references / "a.bmp", noise(30, 32, 3, seed=3))
    (outputs / "sub" / "b.png").write_bytes(b"\x89PNG but no more")
    evaluation = evaluate(outputs, references)
    wrong_size, broken, fine = evaluation.rows
    assert wrong_size.error == "it has 32x24 pixels, its reference 32x30"
    assert "cannot be decoded" in (broken.error or "")
    assert not wrong_size.figures
    assert not broken.figures
    assert fine.error is None
    assert (evaluation.judged, evaluation.failed, evaluation.all_failed) == (1, 2, False)
    assert evaluation.mean == pytest.approx(fine.figures)


def test_all_failed(folders, tmp_path):
    outputs, references, _ = folders
    for path in references.rglob("*.bmp"):
        path.write_bytes(b"")
    assert evaluate(outputs, references).all_failed
    (tmp_path / "empty").mkdir()
    nothing_matched = evaluate(outputs, tmp_path / "empty")
    assert nothing_matched.all_failed
    assert nothing_matched.mean == {}
    assert not evaluate(tmp_path / "empty", references).all_failed


def test_tiny_pictures_fail_in_their_row(tmp_path):
    save(tmp_path / "out" / "a.png", noise(8, 8, 3, seed=0))
    save(tmp_path / "ref" / "a.png", noise(8, 8, 3, seed=1))
    assert "11x11" in (evaluate(tmp_path / "out", tmp_path / "ref").rows[0].error or "")


def test_json_holds_no_infinity(folders):
    outputs, *_ = folders
    evaluation = evaluate(outputs, outputs, outputs)
    document = json.loads(json.dumps(evaluation.to_json()), parse_constant=no_constant)
    assert document["schema"] == "enhance-evaluation/1"
    assert document["mean"]["psnr"] == 100.0
    assert document["mean"]["loe"] == 0.0
    first = document["pictures"][0]
    assert list(first)[:5] == ["name", "output", "reference", "input", "error"]
    assert set(COLUMNS) - FAULT_FIGURES <= set(first)
    assert all(math.isfinite(value) for value in document["mean"].values())


def test_table(folders):
    outputs, references, _ = folders
    (outputs / "sub" / "b.png").write_bytes(b"nothing")
    headings, cells = table_rows(evaluate(outputs, references))
    assert headings == [
        *("photo", "PSNR dB", "SSIM", "PSNR matched", "SSIM matched", "delta E 2000"),
        *("black point", "contrast ratio", "chroma ratio"),
    ]
    assert [row[0] for row in cells] == ["a.png", "sub/b.png", "sub/c.v2.png", "mean of 2"]
    assert [len(row) for row in cells] == [9, 2, 9, 9]
    assert cells[0][1] == f"{psnr(noise(24, 32, 3, seed=0), noise(24, 32, 3, seed=10)):.2f}"


def test_table_of_nothing(tmp_path):
    assert table_rows(evaluate(tmp_path, None)) == (["photo"], [])


def test_another_decoder_can_be_used(folders):
    outputs, references, _ = folders
    evaluation = evaluate(outputs, references, read=lambda path: noise(24, 32, 3, seed=7))
    assert evaluation.mean["psnr"] == 100.0


def test_paths_that_are_not_there(tmp_path):
    with pytest.raises(UsageError, match="no file or folder"):
        evaluate(tmp_path / "nowhere", None)
    with pytest.raises(UsageError, match="no file or folder"):
        evaluate(tmp_path, tmp_path / "nowhere")


def test_reading(tmp_path):
    pixels = noise(24, 32, 3, seed=0)
    assert np.array_equal(read_rgb(save(tmp_path / "a.png", pixels)), pixels)
    sixteen = pixels.astype(np.uint16) * 257
    assert np.array_equal(read_rgb(save(tmp_path / "b.png", sixteen)), sixteen)
    cv2.imwrite(str(tmp_path / "grey.png"), pixels[..., 0])
    assert np.array_equal(read_rgb(tmp_path / "grey.png"), np.repeat(pixels[..., :1], 3, axis=2))
    with pytest.raises(MissingSource):
        read_rgb(tmp_path / "nowhere.png")
    (tmp_path / "empty.png").write_bytes(b"")
    with pytest.raises(CorruptPicture):
        read_rgb(tmp_path / "empty.png")
