"""The cache of compiled kernels, damaged in every way: it costs time, never a result."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enhance_cli.engines import compiled, kernel_cache
from enhance_cli.engines.kernel_cache import Damaged, KernelStore

PACKAGE = Path(compiled.__file__).parents[1]


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An empty store that kernels of this process use, and no trouble yet."""
    made = KernelStore(tmp_path / "kernels", "0" * 24)
    monkeypatch.setattr(compiled, "kernel_store", lambda: made)
    monkeypatch.setattr(compiled, "_TROUBLE", {})
    return made


def doubled():
    """A fresh kernel, as a new process would have it; its machine code comes from the store or the compiler."""

    def double(values):
        total = 0.0
        for value in values:
            total += 2.0 * value
        return total

    return compiled.kernel(double)


def files(store):
    return sorted(store.folder.iterdir())


# --- files -------------------------------------------------------------------------------------------------


def test_what_was_kept_comes_back(store):
    assert store.read("name", b"key") is None
    store.write("name", b"key", b"machine code")
    assert store.read("name", b"key") == b"machine code"
    assert store.read("name", b"other key") is None
    assert store.holds_any()


@settings(max_examples=200)
@given(place=st.integers(0, 10**6), change=st.integers(1, 255), cut=st.booleans())
def test_a_changed_byte_or_a_cut_is_seen(tmp_path_factory, place, change, cut):
    store = KernelStore(tmp_path_factory.mktemp("cache"), "0" * 24)
    store.write("name", b"key", bytes(range(100)))
    (path,) = files(store)
    data = bytearray(path.read_bytes())
    place %= len(data)
    if cut:
        del data[place:]
    else:
        data[place] ^= change
    path.write_bytes(data)
    with pytest.raises(Damaged):
        store.read("name", b"key")
    assert store.read("name", b"key") is None  # it is out of the way


def test_a_file_under_the_name_of_another_is_seen(store):
    store.write("name", b"one", b"machine code of one")
    store.write("name", b"two", b"machine code of two")
    first, second = files(store)
    shutil.copy(first, second)
    seen = []
    for key in (b"one", b"two"):
        try:
            seen.append(store.read("name", key))
        except Damaged:
            seen.append(None)
    assert None in seen
    assert set(seen) <= {None, b"machine code of one", b"machine code of two"}
    assert seen.count(None) == 1


def test_a_write_that_fails_leaves_nothing(store, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        store.write("name", b"key", b"machine code")
    assert files(store) == []


def test_the_latest_states_are_kept(store, tmp_path):
    states = tmp_path / "kernels"
    now = time.time()
    for age in range(1, 9):
        folder = states / f"{age:024x}"
        folder.mkdir(parents=True)
        (folder / "a.nbi").touch()
        os.utime(folder, (now - 1000 * age, now - 1000 * age))
    (states / "somebody's").mkdir()
    os.utime(states / "somebody's", (0, 0))
    store.write("name", b"key", b"machine code")
    kept = {path.name for path in states.iterdir()}
    assert kept == {store.state, f"{1:024x}", f"{2:024x}", f"{3:024x}", "somebody's"}


def test_what_killed_processes_left_is_swept(store):
    store.write("name", b"key", b"machine code")
    for name, age in (("old.tmp", 7200), ("new.tmp", 0)):
        (store.folder / name).touch()
        os.utime(store.folder / name, (time.time() - age,) * 2)
    store.repair()
    assert [path.name for path in files(store) if path.suffix == ".tmp"] == ["new.tmp"]


def test_repair_removes_damaged_files(store):
    for number in range(5):
        store.write("name", bytes([number]), b"machine code")
    first, second, third, *_ = files(store)
    first.write_bytes(b"")
    second.write_bytes(b"\x80garbage")
    third.unlink()
    third.mkdir()
    assert store.repair() == (2, 3)
    assert store.repair() == (2, 0)


# --- kernels -----------------------------------------------------------------------------------------------


def emptied(path):
    path.write_bytes(b"")


def cut(path):
    path.write_bytes(path.read_bytes()[:1000])


def flipped(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


def a_folder(path):
    path.unlink()
    path.mkdir()


def garbage_of_ours(path):
    """A whole file whose content Numba cannot take: the checksum alone is no promise."""
    data = path.read_bytes()
    key = data[len(kernel_cache._MAGIC) + 36 :][: int.from_bytes(data[len(kernel_cache._MAGIC) + 32 :][:4], "little")]
    name = path.name.rsplit("-", 1)[0]
    KernelStore(path.parents[1], path.parent.name).write(name, key, b"\x80\x05K\x01.")


@pytest.mark.parametrize("damage", [emptied, cut, flipped, a_folder, garbage_of_ours])
def test_a_damaged_kernel_is_compiled_anew(store, damage):
    values = np.arange(5.0)
    assert doubled()(values) == 20.0
    (path,) = files(store)
    damage(path)
    again = doubled()
    assert again(values) == 20.0
    assert sum(again.stats.cache_hits.values()) == 0
    assert again(np.arange(5, dtype=np.float32)) == 20.0
    assert ("damaged" in compiled.trouble()) == (damage is not a_folder)
    repaired = doubled()
    repaired(values)
    assert sum(repaired.stats.cache_hits.values()) == (damage is not a_folder)
    assert all(text.startswith("Compiled kernels") for text in compiled.trouble().values())


def test_a_store_that_cannot_be_read_or_written_is_done_without(store, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(KernelStore, "read", refuse)
    monkeypatch.setattr(KernelStore, "write", refuse)
    for _ in range(2):
        assert doubled()(np.arange(5.0)) == 20.0
    assert set(compiled.trouble()) == {"unreadable", "unwritable"}
    assert all("Permission denied" in text for text in compiled.trouble().values())


def test_the_cache_is_used(store):
    doubled()(np.arange(5.0))
    again = doubled()
    assert again(np.arange(5.0)) == 20.0
    assert sum(again.stats.cache_hits.values()) == 1
    assert compiled.trouble() == {}


FACTOR = 2.0


def _scaled(values):
    return FACTOR * values[0]


def test_a_constant_of_the_module_is_part_of_the_key(store, monkeypatch):
    inner = compiled.kernel(_scaled)
    monkeypatch.setitem(globals(), "inner", inner)
    values = np.ones(1)
    assert compiled.kernel(_calls_inner)(values) == 2.0
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    monkeypatch.setitem(globals(), "inner", compiled.kernel(_scaled))
    assert compiled.kernel(_calls_inner)(values) == 3.0


def _calls_inner(values):
    return inner(values)  # noqa: F821 - put here by the test


def test_ten_processes_at_once(tmp_path):
    code = (
        "import sys; from pathlib import Path; from enhance_cli.engines.kernel_cache import KernelStore\n"
        "store = KernelStore(Path(sys.argv[1]), '0' * 24)\n"
        "for turn in range(30):\n"
        "    for key in (b'a', b'b'):\n"
        "        found = store.read('name', key)\n"
        "        assert found in (None, key * 50_000), 'half a file'\n"
        "        store.write('name', key, key * 50_000)\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, tmp_path / "kernels"]) for _ in range(10)]
    assert [process.wait(60) for process in running] == [0] * 10
    names = sorted(path.suffix for path in (tmp_path / "kernels" / ("0" * 24)).iterdir())
    assert names == [".kernel", ".kernel"]


# --- folders -----------------------------------------------------------------------------------------------


def test_the_cache_goes_where_it_can_be_written(tmp_path, monkeypatch):
    for name in ("ENHANCE_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert kernel_cache.cache_folder() == tmp_path / ".cache" / "enhance"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert kernel_cache.cache_folder() == tmp_path / "xdg" / "enhance"
    monkeypatch.setenv("ENHANCE_CACHE_DIR", str(tmp_path / "named"))
    assert kernel_cache.cache_folder() == tmp_path / "named"


def test_a_shared_temporary_folder_is_trusted_only_when_it_is_ours_alone(tmp_path, monkeypatch):
    for name in ("ENHANCE_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/proc/nowhere")
    monkeypatch.setattr(kernel_cache.tempfile, "gettempdir", lambda: str(tmp_path))
    private = kernel_cache.cache_folder()
    assert private is not None
    assert private.stat().st_mode & 0o022 == 0
    private.chmod(0o777)
    assert kernel_cache.cache_folder() is None


def test_somebody_elses_folder_is_passed_over(tmp_path, monkeypatch):
    for name in ("ENHANCE_CACHE_DIR", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    theirs = tmp_path / ".cache" / "enhance"
    theirs.mkdir(parents=True, mode=0o700)
    assert kernel_cache.cache_folder() == theirs
    theirs.chmod(0o777)
    assert kernel_cache.cache_folder() != theirs
    theirs.chmod(0o700)
    monkeypatch.setattr(kernel_cache.os, "getuid", lambda: theirs.stat().st_uid + 1)
    assert kernel_cache.cache_folder() != theirs
    monkeypatch.setenv("ENHANCE_CACHE_DIR", str(theirs))  # unless it is named
    assert kernel_cache.cache_folder() == theirs


def test_importing_kernels_touches_no_folder(tmp_path):
    code = "import enhance_cli.methods.retinex.kernels_cpu, enhance_cli.imaging.luma, enhance_cli.engines.compiled"
    named = {"ENHANCE_CACHE_DIR": str(tmp_path / "one"), "NUMBA_CACHE_DIR": str(tmp_path / "two")}
    subprocess.run([sys.executable, "-B", "-c", code], check=True, env={**os.environ, **named})
    assert list(tmp_path.iterdir()) == []


# --- the state ---------------------------------------------------------------------------------------------


def state_of(package, **environment):
    """The state that a process of its own finds."""
    code = "from enhance_cli.engines import compiled; print(compiled.state())"
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    ran = subprocess.run(
        [sys.executable, "-c", code], check=True, env=env, cwd=package.parent, capture_output=True, text=True
    )
    return ran.stdout.strip()


def modules_of_kernels():
    """The files that define kernels, and those that they import at the top, directly or by way of others."""
    pending = [path for path in PACKAGE.rglob("*.py") if "engines.compiled import kernel" in path.read_text()]
    assert len(pending) > 5
    seen = set()
    while pending:
        path = pending.pop()
        if path in seen:
            continue
        seen.add(path)
        for node in ast.parse(path.read_text()).body:  # at the top: what a kernel names is there when it is compiled
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("enhance_cli"):
                there = PACKAGE.parent / node.module.replace(".", "/")
                named = (there.with_suffix(".py"), there / "__init__.py", *(there / f"{n.name}.py" for n in node.names))
                pending += [path for path in named if path.exists()]
    return seen


def with_another_constant(source):
    """The source of a module with one digit changed of the first number that a name at its top stands for."""
    for node in ast.parse(source).body:
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        for part in ast.walk(value) if value is not None else ():
            if isinstance(part, ast.Constant) and type(part.value) in (int, float):
                lines = source.splitlines(keepends=True)
                line = lines[part.lineno - 1].encode()
                digit = part.end_col_offset - 1
                if line[digit : digit + 1].isdigit():
                    other = str((int(line[digit : digit + 1]) + 1) % 10).encode()
                    lines[part.lineno - 1] = (line[:digit] + other + line[digit + 1 :]).decode()
                    return "".join(lines)
    return None


def test_a_constant_that_changes_in_any_module_of_kernels_changes_the_state(tmp_path):
    package = tmp_path / "enhance_cli"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    changed = {}
    for path in sorted(modules_of_kernels()):
        name = str(path.relative_to(PACKAGE))
        if name not in ("types.py", "errors.py") and (text := with_another_constant(path.read_text())):
            changed[name] = text
    assert any(name.endswith("/formulas.py") for name in changed)
    assert "imaging/luma.py" in changed
    found = states_of(package, changed)
    assert found.pop("") == compiled.state()  # wherever it is installed
    assert found.keys() == changed.keys()
    assert len({compiled.state(), *found.values()}) == 1 + len(changed)


def states_of(package, changed):
    """The state of a package as it is, under the empty name, and with each of these sources in turn."""
    code = (
        "import json, os, sys; from pathlib import Path; from enhance_cli.engines import compiled\n"
        "found = {'': compiled.state()}\n"
        "for name, text in json.load(sys.stdin).items():\n"
        "    path = Path(sys.argv[1], name)\n"
        "    status, before = path.stat(), path.read_bytes()\n"
        "    path.write_bytes(text.encode())\n"
        "    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # as an archive would leave it\n"
        "    assert path.stat().st_size == status.st_size\n"
        "    found[name] = compiled.state()\n"
        "    path.write_bytes(before)\n"
        "print(json.dumps(found))"
    )
    env = {**os.environ, "PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", code, str(package)]
    ran = subprocess.run(
        command, check=True, env=env, cwd=package.parent, capture_output=True, text=True, input=json.dumps(changed)
    )
    return json.loads(ran.stdout)


@pytest.mark.parametrize(
    ("name", "value", "same"),
    [
        ("NUMBA_BOUNDSCHECK", "1", False),
        ("NUMBA_OPT", "0", False),
        ("NUMBA_NUM_THREADS", "1", True),
        ("NUMBA_DEBUG_CACHE", "1", True),
    ],
)
def test_settings_that_change_code_change_the_state(name, value, same):
    assert (state_of(PACKAGE, **{name: value}) == compiled.state()) is same


def test_another_processor_finds_nothing(tmp_path):
    code = (
        "import numpy as np; from enhance_cli.imaging import area; import enhance_cli.imaging.vector_math as m\n"
        "m.exp_row(np.zeros(4, np.float32), np.zeros(4, np.int32)); print(sum(m.exp_row.stats.cache_hits.values()))"
    )

    def hits(**environment):
        env = {**os.environ, "ENHANCE_CACHE_DIR": str(tmp_path), **environment}
        ran = subprocess.run([sys.executable, "-c", code], check=True, env=env, capture_output=True, text=True)
        return int(ran.stdout)

    assert [hits(), hits(), hits(NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="")] == [0, 1, 0]


def test_the_state_covers_all_that_kernels_import():
    covered = {Path(path) for path in compiled.sources(PACKAGE)}
    beyond = {path.relative_to(PACKAGE) for path in modules_of_kernels() - covered}
    assert beyond <= {Path("__init__.py"), Path("types.py"), Path("errors.py")}
