"""In place: nothing is enhanced twice however it is met again, nothing that a file has is lost, originals come back."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import jsonschema
import pytest

from enhance_cli.errors import OutputError
from enhance_cli.pipeline.report import ReportFile
from tests.commands import LIMIT, command, contents, lines
from tests.pictures import scene

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "report.schema.json").read_text())


def only(run, *arguments):
    """Run, and expect it to have ended well."""
    ended = run(*arguments)
    assert ended.exit_code == 0, ended.stderr
    return ended


def touch(path):
    os.utime(path, ns=(1_000_000_000_123_456_789, 1_000_000_000_123_456_789))


def whole_seconds(path, step=1):
    seconds = path.stat().st_mtime_ns // (step * 10**9) * step
    os.utime(path, (seconds, seconds))


def copied(path, name):
    """The same content under another name, as a new file."""
    target = Path(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(path.read_bytes())
    return target


def moved(path, name):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    path.rename(name)
    return Path(name)


def linked(path, name):
    Path(name).symlink_to(path.resolve())


def restored(path):
    """Put back from a backup that keeps times to the second."""
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)
    whole_seconds(path)


def cut(report, keep):
    report.write_bytes(report.read_bytes()[:keep])


REPORT = Path("in/enhance-report.jsonl")

# How a photo is met again: what happened to it in between (returning what it is called now, if not in/sub/00),
# and the arguments of the second run. {} stands for the suffix.
WAYS = {
    "the same command": (None, ["-r", "in"]),
    "the subfolder after the album": (None, ["in/sub"]),
    "the file alone": (None, ["in/sub/00{}"]),
    "another spelling": (None, ["in/../in/sub/./00{}"]),
    "an absolute path": (None, ["ABSOLUTE/in/sub/00{}"]),
    "a glob": (None, ["in/**/*{}"]),
    "a list": (lambda path: Path("list").write_text(f"{path}\n") and None, ["@list"]),
    "touched": (touch, ["-r", "in"]),
    "touched, by hash": (touch, ["-r", "--check", "hash", "in"]),
    "whole seconds": (whole_seconds, ["-r", "in"]),
    "two seconds": (lambda path: whole_seconds(path, 2), ["-r", "in"]),
    "restored from a backup": (restored, ["-r", "in"]),
    "renamed": (lambda path: moved(path, f"in/sub/other{path.suffix}"), ["-r", "in"]),
    "moved to another album": (lambda path: moved(path, f"new/00{path.suffix}"), ["new"]),
    "copied beside": (lambda path: copied(path, f"in/sub/copy{path.suffix}"), ["-r", "in"]),
    "a link to the file": (lambda path: linked(path, f"in/link{path.suffix}"), ["in"]),
    "a link to the folder": (lambda path: linked(path.parent, "album"), ["album"]),
    "report elsewhere": (None, ["-r", "--report", "elsewhere.jsonl", "in"]),
    "another method": (None, ["METHOD", "-r", "in"]),
    "other settings": (None, ["-r", "--grid", "2x2", "--amount", "0.5", "in"]),
    "in processes of their own": (touch, ["-r", "--isolate", "in"]),
    "many at once": (touch, ["-r", "-j", "8", "in"]),
    "the last line of the report cut": (lambda path: cut(REPORT, REPORT.stat().st_size - 9), ["-r", "in"]),
}
WITHOUT_REPORT = {
    "report lost": (lambda path: REPORT.unlink(), ["-r", "in"]),
    "copied to another album": (lambda path: copied(path, f"new/00{path.suffix}"), ["new"]),
    "the report was elsewhere": (lambda path: moved(REPORT, "far/away.jsonl") and None, ["-r", "in"]),
}


@pytest.fixture
def clode_too(enhance):
    """As `enhance`, and with another method where the arguments say METHOD."""
    from typer.testing import CliRunner

    from enhance_cli.cli.app import build

    def run(*arguments):
        words = [str(item) for item in arguments]
        if "METHOD" not in words:
            return enhance(*words)
        words.remove("METHOD")
        return CliRunner().invoke(build(), ["clode", "--time", "1", "--denoise", "0", "--device", "cpu", *words])

    return run


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
@pytest.mark.parametrize("way", [*WAYS, *WITHOUT_REPORT])
def test_nothing_is_enhanced_twice(photographs, clode_too, way, suffix):
    if suffix == ".bmp" and way in WITHOUT_REPORT and way == "copied to another album":
        pytest.skip("a BMP holds no mark, and a copy takes no extended attributes with it")
    photographs(1, suffix=suffix, folder="in/sub")
    original = Path(f"in/sub/00{suffix}").read_bytes()
    only(clode_too, "--in-place", "-r", "in")
    photograph = Path(f"in/sub/00{suffix}")
    once = photograph.read_bytes()
    assert once != original
    happened, arguments = (WAYS | WITHOUT_REPORT)[way]
    again = happened(photograph) if happened else None
    arguments = [word.format(suffix).replace("ABSOLUTE", str(Path.cwd())) for word in arguments]
    ended = only(clode_too, "--in-place", *arguments)
    assert (again if isinstance(again, Path) else photograph).read_bytes() == once, ended.stderr
    if photograph.exists():
        assert photograph.read_bytes() == once


def test_what_was_left_alone_is_told_once_and_known_from_then_on(photographs, enhance):
    photographs(2)
    only(enhance, "--in-place", "in")
    touch("in/00.jpg")
    told = only(enhance, "--in-place", "in")
    assert "in/00.jpg was enhanced before (clahe-adaptive), left alone; --again enhances it again." in told.stderr
    assert "0 photos enhanced, 1 skipped, 1 done already" in told.stderr
    assert "Nothing to do: 2 photos" in only(enhance, "--in-place", "in").stderr
    for line in lines("in/enhance-report.jsonl"):
        jsonschema.validate(line, SCHEMA)


@pytest.mark.parametrize("option", ["--again", "--overwrite"])
def test_who_insists_enhances_again(photographs, enhance, option):
    photographs(1)
    only(enhance, "--in-place", "in")
    once = contents("in")
    only(enhance, "--in-place", option, "in")
    assert contents("in") != once


def test_an_output_is_known_when_its_folder_is_done_in_place(photographs, enhance):
    photographs(1)
    only(enhance, "in", "out")
    Path("out/enhance-report.jsonl").unlink()
    once = contents("out")
    assert "left alone" in only(enhance, "--in-place", "out").stderr
    assert contents("out") == once


def test_a_new_photograph_of_an_old_name_is_enhanced(photographs, enhance):
    photographs(1)
    only(enhance, "--in-place", "in")
    cv2.imwrite("in/00.jpg", scene(seed=9))
    assert "1 photo enhanced" in only(enhance, "--in-place", "in").stderr


def test_a_name_without_a_file_fails_beside_others(photographs, enhance):
    """It was taken for one that is done: no earlier state is known of it, and it has none now."""
    photographs(1)
    result = enhance("--in-place", "in", "missing.jpg")
    assert result.exit_code == 1, result.output
    assert "missing.jpg does not exist" in result.output


def test_a_link_beside_its_target_is_one_photograph(photographs, enhance):
    photographs(1)
    Path("in/link.jpg").symlink_to("00.jpg")
    Path("album").symlink_to("in")
    ended = only(enhance, "--in-place", "in", "album", "in/../in/00.jpg")
    assert "1 photo enhanced" in ended.stderr
    assert Path("in/link.jpg").is_symlink()
    assert len(lines("in/enhance-report.jsonl")) == 1


def test_with_illustrations_a_second_run_finds_nothing_to_do(photographs, enhance):
    photographs(2)
    only(enhance, "--in-place", "--heatmap", "in")
    once = contents("in")
    assert len(once) == 4
    assert "Nothing to do" in only(enhance, "--in-place", "--heatmap", "in").stderr
    only(enhance, "--in-place", "in")
    Path("in/enhance-report.jsonl").unlink()
    for _ in range(2):
        only(enhance, "--in-place", "--again", "--heatmap", "in")
    illustrations = {name for name in contents("in") if "heatmap" in name}
    assert illustrations == {"00_heatmap.png", "01_heatmap.png"}


def test_two_runs_at_once_do_each_photograph_once(photographs, enhance):
    photographs(6, folder="in/sub")
    (Path("alone") / "sub").mkdir(parents=True)
    for path in Path("in/sub").iterdir():
        shutil.copy(path, Path("alone/sub") / path.name)
    only(enhance, "--in-place", "-r", "alone")
    runs = [command("--in-place", "-r", "in"), command("--in-place", "in/sub"), command("--in-place", "in/sub/00.jpg")]
    ended = [run.communicate(timeout=LIMIT)[1] for run in runs]
    assert [run.returncode for run in runs if "Another run is writing" not in ended[runs.index(run)]][:2] == [0, 0]
    assert contents("in") == contents("alone")


# --- what a file has ---------------------------------------------------------------------------------------


def test_mode_attributes_and_owner_stay(photographs, enhance):
    photographs(1)
    path = Path("in/00.jpg")
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 1234, 2345)
    try:
        os.setxattr(path, "user.rating", b"five")
    except OSError:
        pytest.skip("no extended attributes here")
    before = path.stat()
    only(enhance, "--in-place", "in")
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert os.getxattr(path, "user.rating") == b"five"


def test_what_is_read_only_is_left_alone(photographs, enhance):
    photographs(2)
    Path("in/00.jpg").chmod(0o444)
    before = Path("in/00.jpg").read_bytes()
    ended = enhance("--in-place", "in")
    assert ended.exit_code == 1
    assert "in/00.jpg is read-only; make it writable, or give an OUTPUT" in ended.stderr
    assert Path("in/00.jpg").read_bytes() == before


# --- originals ---------------------------------------------------------------------------------------------


def test_a_backup_is_kept_and_restored(photographs, enhance, restore):
    photographs(2)
    before = contents("in")
    only(enhance, "--in-place", "--backup", "in")
    assert Path("in/00.jpg.orig").read_bytes() == before["00.jpg"]
    only(enhance, "--in-place", "--backup", "--again", "in")
    assert Path("in/00.jpg.orig").read_bytes() == before["00.jpg"]  # the true original
    only(enhance, "--in-place", *map(str, sorted(Path("in").glob("*.jpg*"))))  # as a shell would spell in/*
    assert Path("in/00.jpg.orig").read_bytes() == before["00.jpg"]
    assert "2 photos to restore" in only(restore, "-n", "in").stderr
    assert Path("in/00.jpg.orig").exists()
    assert "2 photos restored" in only(restore, "in").stderr
    assert contents("in") == before
    for line in lines("in/enhance-report.jsonl"):
        jsonschema.validate(line, SCHEMA)
    assert "2 restored before" in only(restore, "in").stderr
    assert "2 photos enhanced" in only(enhance, "--in-place", "--backup=.bak", "in").stderr
    assert Path("in/00.jpg.bak").read_bytes() == before["00.jpg"]


def test_restore_refuses_what_was_changed_since(photographs, enhance, restore):
    photographs(2, folder="in/sub")
    before = contents("in")
    only(enhance, "--in-place", "--backup", "-r", "in")
    cv2.imwrite("in/sub/00.jpg", scene(seed=9))
    edited = Path("in/sub/00.jpg").read_bytes()
    assert "Nothing to restore" in only(restore, "in").stderr
    refused = restore("-r", "in")
    assert refused.exit_code == 1
    assert "00.jpg was changed since enhance wrote it" in refused.stderr
    assert Path("in/sub/00.jpg").read_bytes() == edited
    assert Path("in/sub/01.jpg").read_bytes() == before["sub/01.jpg"]
    only(restore, "--force", "in/sub/00.jpg")
    assert contents("in") == before


def test_originals_come_back_where_no_line_fits_the_disk(photographs, enhance, restore):
    photographs(2)
    before = contents("in")
    only(enhance, "--in-place", "--backup", "in")
    limit = REPORT.stat().st_size  # a rename needs no space, a line does
    full = subprocess.run(
        [sys.executable, "-m", "enhance_cli", "restore", "in"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
    )
    assert full.returncode == 0, full.stderr
    assert contents("in") == before
    assert "in/00.jpg is restored, but: The report" in full.stderr
    assert REPORT.stat().st_size == limit
    assert "2 restored before" in only(restore, "in").stderr
    assert "2 photos enhanced" in only(enhance, "--in-place", "in").stderr


def test_a_line_is_written_in_the_space_that_an_original_makes(photographs, enhance, restore, monkeypatch):
    photographs(1)
    only(enhance, "--in-place", "--backup", "in")
    append = ReportFile.append

    def append_if_there_is_space(report, line):
        if Path("in/00.jpg.orig").exists():
            raise OutputError("No space left on device.")
        append(report, line)

    monkeypatch.setattr(ReportFile, "append", append_if_there_is_space)
    only(restore, "in")
    assert [line["status"] for line in lines(REPORT)] == ["done", "restored"]


@pytest.mark.parametrize("place", ["in", "in/00.jpg"])
def test_originals_whose_report_is_lost_are_named(photographs, enhance, restore, place):
    photographs(2)
    only(enhance, "--in-place", "--backup", "in")
    Path("in/enhance-report.jsonl").unlink()
    Path("in/01.jpg.xmp").write_text("a sidecar")
    result = restore(place)
    assert result.exit_code == 6
    assert "00.jpg.orig" in result.stderr
    assert ("and 1 more" in result.stderr) == (place == "in")
    assert Path("in/00.jpg.orig").exists()


def test_a_strangers_backup_is_never_replaced(photographs, enhance):
    photographs(2)
    Path("in/00.jpg.orig").write_text("mine")
    before = Path("in/00.jpg").read_bytes()
    ended = enhance("--in-place", "--backup", "in")
    assert ended.exit_code == 1
    assert "in/00.jpg.orig exists and is not known to be the original of in/00.jpg" in ended.stderr
    assert (Path("in/00.jpg").read_bytes(), Path("in/00.jpg.orig").read_text()) == (before, "mine")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--backup=_old.jpg", "--in-place", "in"], "would have the name of a photo"),
        (["--backup=a/b", "--in-place", "in"], "without /"),
        (["--backup", "in", "out"], "--backup needs --in-place"),
        (["--again", "in", "out"], "--again needs --in-place"),
    ],
)
def test_options_that_make_no_sense(photographs, enhance, options, sentence):
    photographs(1)
    before = contents("in")
    refused = enhance(*options)
    assert refused.exit_code == 2
    assert sentence in refused.stderr
    assert contents("in") == before


KILL = """
import os, sys
from enhance_cli.pipeline import in_place, report
from enhance_cli.imaging import atomic
step = sys.argv.pop(1)
def die(*_): os.kill(os.getpid(), 9)
def before(owner, name):
    setattr(owner, name, die)
def after(owner, name):
    real = getattr(owner, name)
    def call(*values, **named):
        real(*values, **named)
        die()
    setattr(owner, name, call)
{"staged": lambda: before(in_place, "_keep"), "backed up": lambda: after(in_place, "_keep"),
 "recorded": lambda: before(atomic.Staged, "place"), "placed": lambda: after(atomic.Staged, "place"),
 "restore recorded": lambda: before(__import__("enhance_cli.pipeline.restore").pipeline.restore, "_put_back"),
 "restored": lambda: after(__import__("enhance_cli.pipeline.restore").pipeline.restore, "_put_back")}[step]()
from enhance_cli.cli.app import build
build()()
"""


@pytest.mark.parametrize("step", ["staged", "backed up", "recorded", "placed"])
def test_killed_at_any_step_the_same_command_goes_on(photographs, enhance, restore, step):
    photographs(1)
    before = contents("in")
    words = ["clahe-adaptive", "--clip-limit", "2", "--device", "cpu", "--in-place", "--backup", "in"]
    killed = subprocess.run([sys.executable, "-c", KILL, step, *words], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    shutil.copytree("in", "other")
    only(enhance, "--in-place", "--backup", "in")
    assert set(contents("in")) == {"00.jpg", "00.jpg.orig"}
    assert contents("in")["00.jpg.orig"] == before["00.jpg"]
    only(restore, "in")
    assert contents("in") == before
    if step in ("recorded", "placed"):  # restoring at once is as good
        only(restore, "other")
        assert contents("other")["00.jpg"] == before["00.jpg"]


@pytest.mark.parametrize("step", ["restore recorded", "restored"])
def test_a_restore_that_was_killed_goes_on(photographs, enhance, restore, step):
    photographs(2)
    before = contents("in")
    only(enhance, "--in-place", "--backup", "in")
    killed = subprocess.run([sys.executable, "-c", KILL, step, "restore", "in"], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    only(restore, "in")
    assert contents("in") == before
