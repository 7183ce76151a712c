"""Facts about writing: a file is whole or absent, whatever fails on the way."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from enhance_cli.errors import OutputError
from enhance_cli.imaging import atomic


def test_bytes_arrive(tmp_path):
    target = tmp_path / "a.jpg"
    atomic.write_atomically(target, b"\0abc" * 1000)
    assert target.read_bytes() == b"\0abc" * 1000
    assert names(tmp_path) == ["a.jpg"]


def test_what_is_no_file_is_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OutputError, match="pipe cannot be written: it is a device, a pipe or a socket, not a file"):
        atomic.write_atomically(pipe, b"new")
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    target = tmp_path / "a.jpg"
    with atomic.Staged(target, b"new") as staged:
        pipe.rename(target)  # put there meanwhile
        with pytest.raises(OutputError, match="it is a device"):
            staged.place()
    assert names(tmp_path) == ["a.jpg"]
    assert stat.S_ISFIFO(target.lstat().st_mode)


def test_an_older_file_is_replaced(tmp_path):
    target = tmp_path / "a.jpg"
    target.write_bytes(b"old and longer")
    atomic.write_atomically(target, b"new")
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize("failure", ["fsync", "replace", "write", "chmod"])
@pytest.mark.parametrize("older", [None, b"old"])
def test_a_failure_leaves_nothing_half(tmp_path, monkeypatch, failure, older):
    target = tmp_path / "a.jpg"
    if older is not None:
        target.write_bytes(older)

    def fail(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*((Path, failure) if failure == "replace" else (os, failure)), fail)
    with pytest.raises(OutputError, match=r"a\.jpg cannot be written: No space left on device\."):
        atomic.write_atomically(target, b"new")
    monkeypatch.undo()
    assert names(tmp_path) == ([] if older is None else ["a.jpg"])
    assert older is None or target.read_bytes() == older


def test_a_short_write_is_gone_on_with(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:3]))
    atomic.write_atomically(tmp_path / "a.jpg", b"0123456789")
    assert (tmp_path / "a.jpg").read_bytes() == b"0123456789"


def test_bytes_that_did_not_arrive_are_an_error(tmp_path, monkeypatch):
    """A disk that claims to have written: the size is looked at before the file gets its name."""
    monkeypatch.setattr(os, "write", lambda descriptor, data: len(data))
    with pytest.raises(OutputError, match="did not keep all of it"):
        atomic.write_atomically(tmp_path / "a.jpg", b"0123456789")
    assert names(tmp_path) == []


def test_staged_is_whole_and_unplaced_is_removed(tmp_path):
    with atomic.Staged(tmp_path / "a.jpg", b"new") as staged:
        assert staged.path.read_bytes() == b"new"
        assert not (tmp_path / "a.jpg").exists()
    assert names(tmp_path) == []


def test_a_folder_that_moved_keeps_nothing(tmp_path):
    (tmp_path / "out").mkdir()
    with atomic.Staged(tmp_path / "out" / "a.jpg", b"new") as staged:
        (tmp_path / "out").rename(tmp_path / "gone")
        with pytest.raises(OutputError, match="No such file"):
            staged.place()
    assert names(tmp_path / "gone") == []


def test_a_sweep_takes_what_is_dead_and_leaves_what_lives(tmp_path):
    (tmp_path / ".enhance-dead.tmp").write_bytes(b"half")
    (tmp_path / ".enhance-other").write_bytes(b"not ours")
    with atomic.Staged(tmp_path / "a.jpg", b"new") as staged:
        assert atomic.sweep(tmp_path) == 1
        staged.place()
    assert names(tmp_path) == [".enhance-other", "a.jpg"]
    assert atomic.sweep(tmp_path / "nowhere") == 0


def test_a_file_swept_before_its_lock_is_made_again(tmp_path, monkeypatch):
    real, taken = tempfile.mkstemp, []

    def made_and_taken(**details):
        descriptor, name = real(**details)
        if not taken:
            taken.append(name)
            Path(name).unlink()
        return descriptor, name

    monkeypatch.setattr(tempfile, "mkstemp", made_and_taken)
    atomic.write_atomically(tmp_path / "a.jpg", b"new")
    assert (tmp_path / "a.jpg").read_bytes() == b"new"
    assert len(taken) == 1


def test_a_probe_leaves_nothing(tmp_path):
    atomic.probe(tmp_path / "a.jpg", 1000)
    assert names(tmp_path) == []
    with pytest.raises(OutputError, match="cannot be written"):
        atomic.probe(tmp_path / "gone" / "a.jpg", 1)


def test_an_interrupt_leaves_no_temporary_file(tmp_path, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        atomic.write_atomically(tmp_path / "a.jpg", b"new")
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["x" * 251 + ".jpg", "é" * 125 + ".jpg", "a\nb'\"%o{}.jpg", "-rf.jpg", "😀.jpg"])
def test_names_of_every_kind(tmp_path, name):
    atomic.write_atomically(tmp_path / name, b"new")
    assert names(tmp_path) == [name]


def test_a_name_too_long_is_our_error(tmp_path):
    with pytest.raises(OutputError):
        atomic.write_atomically(tmp_path / ("x" * 256), b"new")
    assert names(tmp_path) == []


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_mode_honours_the_umask_and_leaves_it(tmp_path, umask, mode):
    target = tmp_path / "a.jpg"
    writing = (
        "import os, pathlib, sys; from enhance_cli.imaging import atomic; "
        "atomic.write_atomically(pathlib.Path(sys.argv[1]), b'new'); print(os.umask(0))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", writing, target], umask=umask, capture_output=True, text=True, check=True
    )
    assert stat.S_IMODE(target.stat().st_mode) == mode
    assert int(ran.stdout) == umask


def test_a_folder_in_the_way_is_our_error(tmp_path):
    (tmp_path / "a.jpg").mkdir()
    with pytest.raises(OutputError):
        atomic.write_atomically(tmp_path / "a.jpg", b"new")
    assert names(tmp_path) == ["a.jpg"]


def test_a_missing_folder_is_our_error(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        atomic.write_atomically(tmp_path / "gone" / "a.jpg", b"new")


def test_folders_are_made_with_their_parents(tmp_path):
    atomic.make_folder(tmp_path / "a" / "b")
    atomic.make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be made"):
        atomic.make_folder(tmp_path / "file" / "b")


def names(folder):
    return sorted(item.name for item in folder.iterdir())
