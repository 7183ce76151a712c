"""The command line end to end, in this process and in its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest
from typer.testing import CliRunner

from enhance_cli.cli.app import build
from tests.commands import LIMIT
from tests.pictures import scene

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "report.schema.json").read_text())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """in/a.jpg, in/b.png, in/sub/c.webp, and the working directory around them."""
    monkeypatch.chdir(tmp_path)
    Path("in/sub").mkdir(parents=True)
    for name, seed in (("a.jpg", 0), ("b.png", 1), ("sub/c.webp", 2)):
        cv2.imwrite(f"in/{name}", scene(seed=seed))
    return tmp_path


@pytest.fixture
def enhance():
    """Run `enhance` in this process."""
    application = build()
    runner = CliRunner()

    def run(*arguments, **details):
        return runner.invoke(application, [str(item) for item in arguments], **details)

    return run


def lines(path="out/enhance-report.jsonl"):
    found = [json.loads(line) for line in Path(path).read_text().splitlines()]
    for line in found:
        jsonschema.validate(line, SCHEMA)
    return found


def test_a_folder(folder, enhance):
    result = enhance("clahe-adaptive", "in", "out")
    assert result.exit_code == 0, result.stderr
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.jpg", "b.png", "enhance-report.jsonl"]
    first = min(lines(), key=lambda line: line["source"])
    assert (first["source"], first["output"], first["status"]) == ("in/a.jpg", "out/a.jpg", "done")
    assert first["size"] == [128, 96]
    assert first["device"] == "cpu"
    assert first["weights"]["id"].startswith("clahe-adaptive/")
    assert set(first["ms"]) == {"decode", "estimate", "render", "encode"}
    assert first["exposure"]["after"]["entropy"] > 0
    assert "1 photo in subfolders of in left out; use -r" in result.stderr
    assert "2 photos enhanced" in result.stderr
    assert result.stdout == ""


def test_the_report_is_what_was_applied(folder, enhance):
    enhance("clahe-adaptive", "--grid", "4x6", "in/b.png", "out")
    plan = lines()[0]["plan"]
    assert plan["grid"] == [4, 6]
    assert plan["tile"] == [25, 22]  # 128 is no multiple of 6, so OpenCV pads both sides: 100x132
    area = plan["tile"][0] * plan["tile"][1]
    for row, integers in zip(plan["clip_limits"], plan["integer_limits"], strict=True):
        assert integers == [max(int(limit * area / 256), 1) for limit in row]
    assert plan["global_factor"] > 0


def test_a_grey_picture_stays_grey_and_equals_opencv(folder, enhance):
    grey = cv2.cvtColor(scene(200, 320), cv2.COLOR_BGR2GRAY)
    cv2.imwrite("grey.png", grey)
    enhance("clahe-adaptive", "--clip-limit", "3", "grey.png", "out")
    ours = cv2.imread("out/grey.png", cv2.IMREAD_UNCHANGED)
    theirs = cv2.createCLAHE(3.0, (8, 8)).apply(grey)
    assert ours.shape == grey.shape
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    assert lines()[0]["weights"] is None


def test_a_report_replays(folder, enhance):
    enhance("clahe-adaptive", "in/b.png", "out")
    enhance("clahe-adaptive", "--clip-map", "out/enhance-report.jsonl", "in/b.png", "again")
    first, again = lines()[0]["plan"], lines("again/enhance-report.jsonl")[0]["plan"]
    assert again["clip_limits"] == first["clip_limits"]
    assert again["global_factor"] is None
    one, two = (cv2.imread(f"{name}/b.png").astype(int) for name in ("out", "again"))
    assert np.array_equal(one, two)


def test_a_hand_edited_map(folder, enhance):
    Path("map.json").write_text("[[1, 2, 3], [4, 5, 6]]")
    assert enhance("clahe-adaptive", "--clip-map", "map.json", "in/a.jpg", "out").exit_code == 0
    assert lines()[0]["plan"]["clip_limits"] == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize("text", ["{", "[]", "[[1], [2, 3]]", "[[0]]", '{"plan": {}}', '[["x"]]'])
def test_a_bad_map_is_a_sentence(folder, enhance, text):
    Path("map.json").write_text(text)
    result = enhance("clahe-adaptive", "--clip-map", "map.json", "in/a.jpg", "out")
    assert result.exit_code == 2
    assert "--clip-map" in result.stderr
    assert "Traceback" not in result.stderr


def test_strength_multiplies_the_limits(folder, enhance):
    enhance("clahe-adaptive", "in/a.jpg", "one")
    enhance("clahe-adaptive", "--strength", "2", "in/a.jpg", "two")
    one, two = (np.array(lines(f"{name}/enhance-report.jsonl")[0]["plan"]["clip_limits"]) for name in ("one", "two"))
    np.testing.assert_allclose(two, np.clip(2 * one, 0.01, 256), rtol=1e-3)


def test_amount_zero_is_the_input_and_half_is_between(folder, enhance):
    for amount in ("0", "0.5", "1"):
        assert enhance("clahe-adaptive", "--amount", amount, "in/b.png", f"out{amount}").exit_code == 0
    names = ("in/b.png", "out0/b.png", "out0.5/b.png", "out1/b.png")
    source, zero, half, one = (cv2.imread(name).astype(int) for name in names)
    assert np.array_equal(zero, source)
    assert np.abs(half - (source + one) / 2).max() <= 1
    assert lines("out0.5/enhance-report.jsonl")[0]["controls"]["amount"] == 0.5


def test_options_may_stand_anywhere(folder, enhance):
    assert enhance("clahe-adaptive", "in/a.jpg", "--grid", "2x2", "out", "-q").exit_code == 0
    assert lines()[0]["controls"]["grid"] == [2, 2]


def test_a_grid_too_fine_is_reduced_with_a_sentence(folder, enhance):
    enhance("clahe-adaptive", "--grid", "64x64", "in/a.jpg", "out")
    line = lines()[0]
    assert line["plan"]["grid"] == [12, 16]
    assert line["notes"] == ["grid reduced from 64x64 to 12x16: tiles of a 128x96 photo would fall under 8 pixels"]


def test_a_heat_map_is_written_beside(folder, enhance):
    assert enhance("clahe-adaptive", "--heatmap", "in/a.jpg", "out").exit_code == 0
    assert cv2.imread("out/a_heatmap.png").shape[1] == 128


def test_one_bad_photograph_never_stops_the_run(folder, enhance):
    Path("in/broken.jpg").write_bytes(Path("in/a.jpg").read_bytes()[:500])
    Path("in/empty.png").write_bytes(b"")
    Path("in/text.png").write_text("hello")
    result = enhance("clahe-adaptive", "in", "out")
    assert result.exit_code == 1
    by_name = {Path(line["source"]).name: line for line in lines()}
    assert by_name["a.jpg"]["status"] == by_name["b.png"]["status"] == "done"
    assert by_name["broken.jpg"]["error"]["kind"] == "corrupt"
    assert by_name["empty.png"]["error"]["kind"] == "corrupt"
    assert by_name["text.png"]["error"]["kind"] == "unsupported"
    assert not Path("out/broken.jpg").exists()
    assert "3 failed" in result.stderr


def test_all_failed_is_six(folder, enhance):
    Path("text.png").write_text("hello")
    assert enhance("clahe-adaptive", "text.png", "out").exit_code == 6


def test_an_empty_folder_is_a_sentence_and_zero(folder, enhance):
    Path("empty").mkdir()
    result = enhance("clahe-adaptive", "empty", "out")
    assert result.exit_code == 0
    assert "empty holds no photos." in result.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--grid", "8", "in", "out"], "--grid: a grid is ROWSxCOLUMNS"),
        (["--grid", "0x8", "in", "out"], "--grid"),
        (["--strength=-1", "in", "out"], "--strength must lie between 0 and 100, not -1"),
        (["--amount", "1.5", "in", "out"], "--amount must lie between 0 and 1"),
        (["--amount", "nan", "in", "out"], "--amount must lie between"),
        (["--chroma", "drop", "in", "out"], "--chroma is one of follow, keep"),
        (["--format", "gif2", "in", "out"], "--format: a format is one of"),
        (["--device", "tpu", "in", "out"], "--device is auto, cpu, cuda or cuda:N"),
        (["--clip-limit", "2", "--clip-map", "map.json", "in", "out"], "--clip-map"),
        (["nowhere", "out"], "nowhere does not exist"),
        (["in"], "OUTPUT"),
        (["--overwrite", "--skip-existing", "in", "out"], "exclude each other"),
        (["--json", "--report", "-", "in", "out"], "Only one thing can go to stdout"),
    ],
)
def test_usage_errors_are_one_sentence_and_two(folder, enhance, arguments, sentence):
    result = enhance("clahe-adaptive", *arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(Path().glob("out/*.jpg"))


def test_a_missing_device_is_five(folder, enhance):
    result = enhance("clahe-adaptive", "--device", "cuda:7", "in", "out")
    if result.exit_code == 0:
        pytest.skip("this machine has eight GPUs")
    assert result.exit_code == 5
    assert "cuda:7" in result.stderr


def test_existing_pictures_are_not_replaced_unasked(folder, enhance):
    Path("out").mkdir()
    cv2.imwrite("out/a.jpg", scene(seed=9))
    before = Path("out/a.jpg").read_bytes()
    result = enhance("clahe-adaptive", "in", "out")
    assert result.exit_code == 2
    assert "out/a.jpg" in result.stderr
    assert Path("out/a.jpg").read_bytes() == before
    assert not Path("out/b.png").exists()
    assert enhance("clahe-adaptive", "--skip-existing", "in", "out").exit_code == 0
    assert Path("out/a.jpg").read_bytes() == before
    assert sorted(line["status"] for line in lines()) == ["done", "skipped"]
    assert enhance("clahe-adaptive", "--overwrite", "in", "out").exit_code == 0
    assert Path("out/a.jpg").read_bytes() != before


def test_our_own_outputs_are_redone(folder, enhance):
    assert enhance("clahe-adaptive", "in", "out").exit_code == 0
    assert enhance("clahe-adaptive", "--grid", "2x2", "in", "out").exit_code == 0
    assert len(lines()) == 4


def test_a_dry_run_touches_nothing(folder, enhance):
    result = enhance("clahe-adaptive", "--dry-run", "-r", "in", "out")
    assert result.exit_code == 0
    assert "would enhance in/sub/c.webp -> out/sub/c.webp" in result.stderr
    assert not Path("out").exists()


def test_json_is_the_only_thing_on_stdout(folder, enhance):
    result = enhance("clahe-adaptive", "--json", "in", "out")
    summary = json.loads(result.stdout)
    assert (summary["done"], summary["failed"], summary["exit_code"]) == (2, 0, 0)
    assert summary["report"] == "out/enhance-report.jsonl"


def test_reports_elsewhere_on_stdout_and_none(folder, enhance):
    enhance("clahe-adaptive", "--report", "log.jsonl", "in/a.jpg", "one")
    assert len(lines("log.jsonl")) == 1
    assert not Path("one/enhance-report.jsonl").exists()
    result = enhance("clahe-adaptive", "--report", "-", "in/a.jpg", "two")
    jsonschema.validate(json.loads(result.stdout), SCHEMA)
    enhance("clahe-adaptive", "--report", "none", "in/a.jpg", "three")
    assert [path.name for path in Path("three").iterdir()] == ["a.jpg"]


def test_quiet_says_nothing_and_verbose_says_more(folder, enhance):
    assert enhance("clahe-adaptive", "-q", "in/a.jpg", "one").stderr == ""
    assert "in/a.jpg -> two/a.jpg" in enhance("clahe-adaptive", "-v", "in/a.jpg", "two").stderr


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "tiff", "bmp"])
def test_formats(folder, enhance, name):
    assert enhance("clahe-adaptive", "--format", name, "-r", "in", "out").exit_code == 0
    suffix = {"jpeg": ".jpg", "tiff": ".tif"}.get(name, f".{name}")
    assert sorted(path.name for path in Path("out").rglob("*") if path.suffix == suffix) == [
        f"a{suffix}", f"b{suffix}", f"c{suffix}"
    ]  # fmt: skip
    assert cv2.imread(f"out/b{suffix}").shape == (96, 128, 3)


def test_the_suffix_of_a_named_file_decides(folder, enhance):
    enhance("clahe-adaptive", "in/a.jpg", "new.png")
    assert Path("new.png").read_bytes().startswith(b"\x89PNG")
    assert lines("enhance-report.jsonl")[0]["output"] == "new.png"


def test_sixteen_bits_stay_sixteen(folder, enhance):
    rng = np.random.default_rng(0)
    deep = np.clip(scene().astype(np.int64) * 257 + rng.integers(-128, 128, (96, 128, 3)), 0, 65535)
    cv2.imwrite("deep.png", deep.astype(np.uint16))
    assert enhance("clahe-adaptive", "deep.png", "out").exit_code == 0
    assert cv2.imread("out/deep.png", cv2.IMREAD_UNCHANGED).dtype == np.uint16


def test_alpha_is_untouched(folder, enhance):
    alpha = np.random.default_rng(0).integers(0, 256, (96, 128), dtype=np.uint8)
    cv2.imwrite("clear.png", np.dstack((scene(), alpha)))
    enhance("clahe-adaptive", "clear.png", "out")
    assert np.array_equal(cv2.imread("out/clear.png", cv2.IMREAD_UNCHANGED)[..., 3], alpha)


def command(*arguments, **details):
    environment = {**os.environ, **details.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-m", "enhance_cli", *arguments],
        capture_output=True,
        timeout=LIMIT,
        env=environment,
        check=False,
        **details,
    )


def test_a_pipe(folder):
    ran = command("clahe-adaptive", "-", "-", input=Path("in/a.jpg").read_bytes())
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(b"\xff\xd8\xff")
    assert cv2.imdecode(np.frombuffer(ran.stdout, np.uint8), 1).shape == (96, 128, 3)
    as_png = command("clahe-adaptive", "-", "-", "-f", "png", input=Path("in/a.jpg").read_bytes())
    assert as_png.stdout.startswith(b"\x89PNG")


def test_names_that_are_no_utf8(folder):
    name = os.fsdecode(b"in/\xff\xfe photo \xf0\x9f\x8c\x99.jpg")
    Path(name).write_bytes(Path("in/a.jpg").read_bytes())
    assert command("clahe-adaptive", name, "out", env={"LANG": "C"}).returncode == 0
    assert lines()[0]["source"] == name
    assert Path("out", Path(name).name).exists()


def test_the_kernel_cache_survives_a_read_only_home(folder, tmp_path):
    """Compiled once into the private temporary folder, and found there by the next start."""
    environment = {name: value for name, value in os.environ.items() if "CACHE" not in name}
    environment |= {"HOME": "/proc/nowhere", "TMPDIR": str(tmp_path)}
    arguments = [sys.executable, "-m", "enhance_cli", "clahe-adaptive", "--overwrite", "in/a.jpg", "out"]
    said = []
    for _ in range(2):
        ran = subprocess.run(arguments, capture_output=True, timeout=LIMIT, env=environment, check=True, text=True)
        said.append("Compiling" in ran.stderr)
    assert said == [True, False]


def test_a_closed_pipe_is_quiet(folder):
    listing = subprocess.run(
        f"{sys.executable} -m enhance_cli clahe-adaptive --report - -r in out | head -c 1",
        shell=True,
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )
    assert b"Traceback" not in listing.stderr


def test_a_bug_is_seventy_and_shows_its_traceback_only_on_request(folder, enhance, monkeypatch):
    import enhance_cli.pipeline.run as pipeline

    monkeypatch.setattr(pipeline, "scan", lambda *_, **__: 1 / 0)
    plain = enhance("clahe-adaptive", "in", "out")
    assert plain.exit_code == 70
    assert "Traceback" not in plain.stderr
    assert "Traceback" in enhance("clahe-adaptive", "--debug", "in", "out").stderr


def test_altered_weights_are_three(folder, enhance, monkeypatch, tmp_path):
    import shutil

    from enhance_cli.engines import weights

    copy = tmp_path / "weights"
    shutil.copytree(weights.weights_folder(), copy)
    with (copy / "clahe_adaptive" / "estimator.onnx").open("ab") as file:
        file.write(b"x")
    monkeypatch.setattr(weights, "weights_folder", lambda: copy)
    result = enhance("clahe-adaptive", "in", "out")
    assert result.exit_code == 3
    assert "sha256" in result.stderr
