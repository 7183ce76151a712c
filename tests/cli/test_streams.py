"""stdin, stdout and stderr closed, full, or without a reader: an exit code and a sentence, and no image spoiled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from tests.commands import LIMIT, contents

ENHANCE = f'"{sys.executable}" -m enhance_cli'
METHOD = f"{ENHANCE} clahe-adaptive --clip-limit 2 --device cpu --overwrite"


def shell(line, stdout=subprocess.PIPE, **details):
    """A line of a shell, pipelines failing by their first command."""
    words = ["bash", "-o", "pipefail", "-c", line]
    streams = {"stdout": stdout, "stderr": subprocess.PIPE}
    return subprocess.run(words, **streams, text=True, errors="replace", timeout=LIMIT, check=False, **details)


@pytest.fixture
def abandoned():
    """The writing end of a pipe whose reader has gone."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


TALKING = [
    f"{METHOD} in/00.jpg -",
    f"{METHOD} --json in out",
    f"{METHOD} --report - in out",
    f"{ENHANCE} doctor",
    f"{ENHANCE} evaluate in",
    f"{ENHANCE} evaluate --json in",
    f"{ENHANCE} report merge --json reports joined.jsonl",
    f"{ENHANCE} --help",
    f"{ENHANCE} report --help",
    f"{ENHANCE} --version",
]


@pytest.fixture(autouse=True)
def pictures(photographs):
    photographs(2)
    Path("reports").mkdir()
    Path("reports/enhance-report.jsonl").touch()


def name_of(line):
    return line.replace(ENHANCE, "enhance").replace(" --clip-limit 2 --device cpu --overwrite", "")


@pytest.mark.parametrize("line", TALKING, ids=name_of)
def test_a_reader_that_goes_a_full_disk_and_a_closed_stdout(line, abandoned):
    gone = shell(line, stdout=abandoned)
    assert (gone.returncode, "Traceback" in gone.stderr, "enhance:" in gone.stderr) == (141, False, False), gone.stderr
    for where, why in ((">/dev/full", "No space left on device"), (">&-", "it is closed")):
        lost = shell(f"{line} {where}")
        assert (lost.returncode, "Traceback" in lost.stderr, "bug" in lost.stderr) == (4, False, False), lost.stderr
        assert f"stdout cannot be written: {why}." in lost.stderr


@pytest.mark.parametrize("line", TALKING, ids=name_of)
def test_a_closed_stderr_is_no_loss(line):
    shell(f"{METHOD} in out")
    assert shell(f"{line} 2>&- >/dev/null").returncode in (0, 1)  # a merge of nothing is not complete
    assert shell(f"{line} 2>/dev/full >/dev/null").returncode in (0, 1)


@pytest.mark.parametrize("options", ["", "--isolate"])
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_pictures_in_files_need_no_stream(closed, options):
    done = shell(f"{METHOD} -v {options} in out {closed}")
    assert done.returncode == 0, done.stderr
    assert contents().keys() == {"00.jpg", "01.jpg"}
    assert all(cv2.imread(f"out/{name}") is not None for name in contents())


def test_a_closed_stdin_is_a_sentence():
    picture = shell(f"{METHOD} - - <&- >out.jpg")
    assert (picture.returncode, "stdin cannot be read" in picture.stderr) == (6, True)
    listed = shell(f"{METHOD} @- out <&-")
    assert (listed.returncode, "The list - cannot be read" in listed.stderr) == (2, True)


def test_nothing_but_the_picture_goes_to_stdout():
    """Not what libraries print either, in Python's buffers or past them."""
    shell(f"{METHOD} in/00.jpg expected.jpg")
    code = (
        "import ctypes, os, sys\n"
        "from enhance_cli import __main__\n"
        "from enhance_cli.imaging import codecs\n"
        "decode = codecs.decode\n"
        "def noisy(*given, **named):\n"
        "    ctypes.CDLL(None).puts(b'a warning of a library')\n"
        "    ctypes.CDLL(None).fflush(None)\n"
        "    os.write(1, b'another')\n"
        "    return decode(*given, **named)\n"
        "codecs.decode = noisy\n"
        "sys.argv[1:] = 'clahe-adaptive --clip-limit 2 --device cpu -v in/00.jpg -'.split()\n"
        "__main__.run()\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert ran.stdout == Path("expected.jpg").read_bytes()
    assert b"a warning of a library" in ran.stderr
    assert b"another" in ran.stderr
    closed = shell(f"{METHOD} in/00.jpg - 2>&- >closed.jpg")
    assert (closed.returncode, Path("closed.jpg").read_bytes()) == (0, ran.stdout)


def test_a_pipe_that_does_not_wait_is_waited_for(tmp_path):
    code = (
        "import os, sys; os.set_blocking(1, False)\n"
        "from enhance_cli.cli import streams\n"
        "streams.claim()\n"
        "sys.stdout.buffer.write(bytes(1_000_000)); sys.stdout.flush()\n"
    )
    done = shell(f"{sys.executable} -c '{code}' | (sleep 0.3; wc -c)")
    assert (done.returncode, done.stdout.strip()) == (0, "1000000"), done.stderr


def test_a_working_folder_that_is_gone(tmp_path):
    for line in (f"{METHOD} ../in ../out", f"{ENHANCE} evaluate ../in", f"{ENHANCE} report merge ../reports ../x"):
        (tmp_path / "gone").mkdir()
        done = shell(f"cd gone && rmdir ../gone && {line}", cwd=tmp_path)
        assert (done.returncode, "the current folder no longer exists" in done.stderr) == (4, True), done.stderr
        assert "Traceback" not in done.stderr
