"""Faults, each tried for real: a full disk, a read-only one, folders removed, two runs, signals, a kill."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest

from benchmarks.reliability import killed_runs
from enhance_cli.errors import UnreadableSource
from enhance_cli.pipeline import files
from tests.commands import GATE, LIMIT, alive, command, contents, descendants, lines, until
from tests.pictures import scene


def hidden(folder="out"):
    return [path.name for path in Path(folder).rglob(".enhance-*")]


@pytest.fixture
def disk(tmp_path):
    """A file system of its own of 1 MB, mounted at `disk`."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


# --- disks and folders -------------------------------------------------------------------------------------


def test_a_full_disk_costs_every_photograph_its_line_and_the_same_command_goes_on(photographs, enhance, disk):
    photographs(12, 960, 1280)
    full = enhance("--jobs", "2", "in", disk)
    assert full.exit_code == 4
    assert "No space left on device" in full.stderr
    found = lines(disk / "enhance-report.jsonl")
    done = [line for line in found if line["status"] == "done"]
    assert len(found) == 12
    assert 0 < len(done) < 12
    assert {Path(line["output"]).name for line in done} == set(contents(disk))
    assert {line["error"]["kind"] for line in found if line["error"]} == {"output"}
    assert all(cv2.imread(str(disk / name)) is not None for name in contents(disk))
    assert hidden(disk) == []
    subprocess.run(["mount", "-o", "remount,size=16m", disk], check=True)
    again = enhance("in", disk)
    assert again.exit_code == 0, again.stderr
    assert f"{12 - len(done)} photos enhanced, {len(done)} done already" in again.stderr


def test_a_disk_without_room_for_a_line(photographs, enhance, disk):
    photographs(3)
    filler = disk / "filler"
    with filler.open("wb") as file, contextlib.suppress(OSError):
        while True:
            os.write(file.fileno(), bytes(4096))
    assert shutil.disk_usage(disk).free == 0
    result = enhance("in", disk)
    assert result.exit_code == 4
    assert "No space left on device" in result.stderr
    assert "Traceback" not in result.stderr
    for name in ("00", "01", "02"):  # where no report can hold it, stderr does
        assert f"{name}.jpg cannot be written" in result.stderr
    assert contents(disk).keys() == {"filler"}


def test_a_read_only_disk(photographs, enhance, disk):
    photographs(2)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    result = enhance("in", disk)
    assert result.exit_code == 4
    assert "Read-only file system" in result.stderr
    assert contents(disk) == {}


def test_a_read_only_disk_with_the_report_elsewhere(photographs, enhance, disk):
    photographs(3)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    result = enhance("--report", "lines.jsonl", "in", disk)
    assert result.exit_code == 4
    assert [line["status"] for line in lines("lines.jsonl")] == ["failed"] * 3
    assert "Read-only file system" in lines("lines.jsonl")[0]["error"]["message"]


def test_where_files_may_only_be_small(photographs):
    """Without a mount: the system refuses to let any file grow beyond 30 kB, the report excepted by its size."""
    photographs(4, 480, 640)
    running = command("in", "out", preexec_fn=lambda: limit_files(30_000))
    _, said = running.communicate(timeout=LIMIT)
    assert running.returncode == 4, said
    assert "File too large" in said
    assert len(lines()) == 4
    assert contents() == {}


def limit_files(size):
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("report", [None, "lines.jsonl"])
def test_a_folder_removed_during_the_run_is_not_made_again(photographs, report):
    photographs(60, 480, 640)
    running = command(*(["--report", report] if report else []), "in", "out", few=40)
    until(lambda: len(list(Path("out").glob("*.jpg"))) > 2)
    Path("out").rename("gone")  # what an unmounted disk looks like
    Path(GATE).touch()
    _, said = running.communicate(timeout=LIMIT)
    assert running.returncode == 4, said
    assert not Path("out").exists()
    assert "Traceback" not in said
    assert hidden("gone") == []
    done = len(contents("gone"))
    assert said.count("cannot be written") >= 60 - done - 2
    if report:
        # A photo that was recorded before its file could not be placed has a second line, which counts.
        last = {line["source"]: line["status"] for line in lines(report)}
        assert len(last) == 60
        assert sum(status == "done" for status in last.values()) == done


def test_a_folder_deleted_during_the_run(photographs):
    photographs(60, 480, 640)
    running = command("in", "out", few=40)
    until(lambda: len(list(Path("out").glob("*.jpg"))) > 2)
    while Path("out").exists():
        shutil.rmtree("out", ignore_errors=True)
    Path(GATE).touch()
    _, said = running.communicate(timeout=LIMIT)
    assert running.returncode == 4, said
    assert not Path("out").exists()
    assert "it was removed during the run" in said or "cannot be written" in said


def test_one_name_that_cannot_be_written_stops_nobody(photographs, enhance):
    photographs(3)
    Path("out/01.jpg").mkdir(parents=True)
    result = enhance("--overwrite", "in", "out")
    assert result.exit_code == 4
    last = {Path(line["source"]).name: line["status"] for line in lines()}
    assert last == {"00.jpg": "done", "01.jpg": "failed", "02.jpg": "done"}
    assert hidden() == []


# --- two runs ----------------------------------------------------------------------------------------------


def test_two_runs_on_one_folder(photographs, enhance):
    photographs(10)
    first = command("in", "out", few=3)
    until(lambda: Path("out/enhance-report.jsonl").exists() and Path("out/enhance-report.jsonl").stat().st_size)
    second = enhance("in", "out")
    part = enhance("--shard", "1/2", "in", "out")
    for refused in (second, part):
        assert refused.exit_code == 4
        assert "Another run is writing out/enhance-report.jsonl" in refused.stderr
    Path(GATE).touch()
    _, said = first.communicate(timeout=LIMIT)
    assert first.returncode == 0, said
    assert len(lines()) == 10
    assert sorted(path.name for path in Path("out").iterdir() if path.suffix != ".jpg") == ["enhance-report.jsonl"]
    assert enhance("in", "out").exit_code == 0


def test_parts_may_share_a_folder_at_once(photographs):
    photographs(20)
    runs = [command("--shard", f"{number}/2", "in", "out") for number in (1, 2)]
    for running in runs:
        _, said = running.communicate(timeout=LIMIT)
        assert running.returncode == 0, said
    assert len(contents()) == 20


# --- signals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_stopped_run_says_how_to_go_on(photographs, enhance, sent, code, jobs):
    photographs(60, 480, 640)
    running = command("--jobs", jobs, "in", "out", few=40)
    until(lambda: len(list(Path("out").glob("*.jpg"))) > 2)
    running.send_signal(sent)
    _, said = running.communicate(timeout=LIMIT)
    assert running.returncode == code, said
    assert "Traceback" not in said
    assert "of 60 photos done; the same command continues with the rest." in said
    assert hidden() == []
    done = len(contents())
    assert 0 < done < 60
    assert {Path(line["output"]).name for line in lines()} >= set(contents())
    again = enhance("in", "out")
    assert again.exit_code == 0
    assert f"{60 - done} photos enhanced, {done} done already" in again.stderr


def test_killed_runs_lose_nothing(tmp_path):
    """Three kills among thirty photos; `benchmarks.reliability` does ten among three hundred."""
    seen = killed_runs(tmp_path, count=30, kills=3, method="clahe-adaptive", jobs=2, seed=1)
    assert {name: seen[name] for name in ("whole", "complete", "again", "clean")} == {
        "whole": True, "complete": True, "again": True, "clean": True
    }, seen  # fmt: skip


def test_what_a_kill_left_staged_is_swept(photographs, enhance):
    photographs(1)
    Path("out").mkdir()
    Path("out/.enhance-abc.tmp").write_bytes(b"half a picture")
    assert enhance("in", "out").exit_code == 0
    assert hidden() == []


# --- what may lie in a folder ------------------------------------------------------------------------------


def test_everything_gets_a_line_and_nothing_hangs(photographs, enhance):
    photographs(2)
    Path("in/dangling.jpg").symlink_to("nowhere")
    Path("in/loop.jpg").symlink_to("loop.jpg")
    os.mkfifo("in/pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("in/socket.jpg")
    Path("in/folder.jpg").mkdir()
    Path("in/zero.jpg").touch()
    Path("in/text.png").write_text("hello")
    for name in ("new\nline.jpg", "quo'te\".jpg", "🌙.jpg", "é" * 125 + ".jpg", "-f.jpg"):
        shutil.copy("in/00.jpg", f"in/{name}")
    result = enhance("in", "out")
    assert result.exit_code == 1
    found = {Path(line["source"]).name: line for line in lines()}
    assert found.keys() == {path.name for path in Path("in").iterdir()} - {"folder.jpg"}
    kinds = {name: line["error"] and line["error"]["kind"] for name, line in found.items()}
    refused = {"dangling.jpg": "missing", "loop.jpg": "unreadable", "pipe.jpg": "missing", "socket.jpg": "missing"}
    refused |= {"zero.jpg": "corrupt", "text.png": "unsupported"}
    assert {name: kind for name, kind in kinds.items() if kind} == refused
    assert contents().keys() == found.keys() - refused.keys()
    assert "Nothing to do" not in enhance("in", "out").stderr  # failures are tried again


def test_sources_that_vanish_or_grow(photographs, enhance, monkeypatch):
    from enhance_cli.pipeline import process

    photographs(4)
    real = os.fstat

    def meddle(descriptor):
        if str(Path(f"/proc/self/fd/{descriptor}").readlink()).endswith("in/01.jpg"):
            with Path("in/01.jpg").open("ab") as file:
                file.write(b"more")
        return real(descriptor)

    read = process.read

    def vanish(source):
        if source.name == "02.jpg":
            source.unlink()
        return read(source)

    monkeypatch.setattr(os, "fstat", meddle)
    monkeypatch.setattr(process, "read", vanish)
    assert enhance("--jobs", "1", "in", "out").exit_code == 1
    kinds = {Path(line["source"]).name: line["error"] and line["error"]["kind"] for line in lines()}
    assert kinds == {"00.jpg": None, "01.jpg": "changed", "02.jpg": "missing", "03.jpg": None}
    monkeypatch.undo()


def test_in_place_names_a_link_that_leads_nowhere(photographs, enhance):
    photographs(1)
    Path("in/link.jpg").symlink_to("nowhere.jpg")
    assert "in/link.jpg is a dangling link." in enhance("--in-place", "in/link.jpg").stderr


def test_what_is_no_photo_is_not_read_to_its_end(photographs, enhance):
    photographs(1)
    with Path("in/video.jpg").open("wb") as file:
        file.truncate(2**40)  # 1 TiB, of which the disk holds nothing
    assert enhance("in", "out").exit_code == 1
    kinds = {Path(line["source"]).name: line["error"] and line["error"]["kind"] for line in lines()}
    assert kinds == {"00.jpg": None, "video.jpg": "unsupported"}


def test_a_stream_without_an_end(photographs, enhance, monkeypatch):
    photographs(1)
    photo = Path("in/00.jpg").read_bytes()

    def from_stdin(data):
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BufferedReader(data)))
        return files.read(None)

    monkeypatch.setattr(files, "LARGEST_STREAM", 2**21)
    assert from_stdin(io.BytesIO(photo)) == photo
    assert len(from_stdin(Endless(b"no photo"))) < 2**20, "the format is refused by its first bytes"
    with pytest.raises(UnreadableSource, match="stdin holds more than"):
        from_stdin(Endless(photo))


class Endless(io.RawIOBase):
    """A stream of some bytes and then zeros for ever."""

    def __init__(self, first):
        super().__init__()
        self._first = io.BytesIO(first)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self._first.readinto(buffer) or len(buffer)


def test_a_photo_for_which_there_is_no_memory(photographs, enhance, monkeypatch):
    from enhance_cli.methods.clahe_adaptive.enhancer import ClaheAdaptive

    def full(*arguments, **details):
        raise MemoryError

    photographs(1)
    monkeypatch.setattr(ClaheAdaptive, "estimate", full)
    result = enhance("in", "out")
    assert result.exit_code == 6
    assert "in/00.jpg needs more memory than the system gives; close other programs" in result.stderr
    assert lines()[-1]["error"]["kind"] == "memory"


def test_a_file_that_may_not_be_read(photographs, enhance, monkeypatch):
    photographs(2)
    real = Path.open

    def refuse(self, *arguments, **details):
        if self.name == "01.jpg":
            raise PermissionError(13, "Permission denied")
        return real(self, *arguments, **details)

    monkeypatch.setattr(Path, "open", refuse)
    assert enhance("in", "out").exit_code == 1
    failure = next(line for line in lines() if line["error"])
    assert failure["error"] == {"kind": "unreadable", "message": "in/01.jpg cannot be read: Permission denied."}


# --- failing on purpose ------------------------------------------------------------------------------------


def test_fail_fast_stops_at_the_first(photographs, enhance):
    photographs(12)
    Path("in/00.jpg").write_bytes(b"no image")
    assert enhance("--fail-fast", "--jobs", "1", "in", "out").exit_code == 6
    assert [line["status"] for line in lines()] == ["failed"]
    enhance("--fail-fast", "--jobs", "2", "in", "out")
    assert len(lines()) < 12


def test_an_enhancer_that_fails_costs_one(photographs, enhance, monkeypatch):
    from enhance_cli.methods.clahe_adaptive.enhancer import ClaheAdaptive

    photographs(3)
    real = ClaheAdaptive.estimate

    def fail(self, image, controls):
        if image.metadata.source.endswith("01.jpg"):
            raise ZeroDivisionError("no more")
        return real(self, image, controls)

    monkeypatch.setattr(ClaheAdaptive, "estimate", fail)
    assert enhance("in", "out").exit_code == 1
    failure = next(line for line in lines() if line["error"])
    assert failure["error"]["kind"] == "bug"
    assert "ZeroDivisionError: no more" in failure["error"]["message"]
    assert sorted(contents()) == ["00.jpg", "02.jpg"]


def test_isolated_is_the_same(photographs, enhance):
    photographs(4)
    cv2.imwrite("in/small.png", scene(40, 30))
    Path("in/text.png").write_text("hello")
    assert enhance("in", "out").exit_code == 1
    assert enhance("--timeout", "200", "in", "apart").exit_code == 1
    assert contents() == contents("apart")

    def said(folder):
        """The lines by source, but for what differs between any two runs."""
        found = lines(f"{folder}/enhance-report.jsonl")
        return {line["source"]: {**line, "ms": None, "output": None, "written": None} for line in found}

    assert said("out") == said("apart")
    assert "Nothing to do" not in enhance("--isolate", "in", "out").stderr
    assert "isolate" in enhance("--isolate", "-", "out/x.jpg").stderr


def test_a_child_of_a_killed_run_ends_too(photographs):
    photographs(40, 480, 640)
    running = command("--isolate", "in", "out", few=30)
    until(lambda: len(list(Path("out").glob("*.jpg"))) > 1)
    children = list(descendants(running.pid))
    assert children
    running.kill()
    running.communicate(timeout=LIMIT)
    until(lambda: not any(map(alive, children)))
    assert {path.name for path in Path("out").glob("*.jpg")} <= {Path(line["output"]).name for line in lines()}


def test_many_photographs_leave_the_process_as_large_as_few(photographs):
    """Peak memory after 400 small images within a few megabytes of that after 100."""
    photographs(1)
    for number in range(1, 400):
        os.link("in/00.jpg", f"in/{number:03d}.jpg")
    listing = sorted(str(path) for path in Path("in").iterdir())
    peaks = []
    for count in (100, 400):
        Path("list").write_text("\n".join(listing[:count]))
        script = (
            "import resource, sys; from enhance_cli.cli.app import build\n"
            "try: build()(prog_name='enhance')\n"
            "except SystemExit as end: print(end.code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        words = ["clahe-adaptive", "--clip-limit", "2", "--device", "cpu", "-q", "@list", f"out{count}"]
        ran = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=True)
        code, peak = ran.stdout.split()
        assert code == "0", ran.stderr
        peaks.append(int(peak) / 1e3)
        assert len(lines(f"out{count}/enhance-report.jsonl")) == count
    assert peaks[1] - peaks[0] < 20, json.dumps(peaks)
