"""What a start loads: `--help` reads declarations only, and a JPEG on the CPU needs neither torch nor Pillow.

Seconds differ from machine to machine (`benchmarks.speed` measures them); lists of modules do not.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import simplejpeg

from enhance_cli import methods
from tests.pictures import gradient

HEAVY = {
    "numpy",
    "cv2",
    "torch",
    "numba",
    "onnxruntime",
    "PIL",
    "rich",
    "tqdm",
    "scipy",
    "simplejpeg",
    "safetensors",
    "jinja2",
    "obstore",
    "ray",
    "sqlite3",  # of runs with URLs
}
RUN = """
import json, sys
sys.argv[0] = "enhance"
from enhance_cli.__main__ import main
try:
    main()
except SystemExit as end:
    code = end.code or 0
print("\\n" + json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def modules_after(*arguments: object) -> set[str]:
    """Top-level modules that `enhance ARGUMENTS` had imported when it ended well."""
    command = [sys.executable, "-W", "error", "-c", RUN, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    code, loaded = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done.stderr
    return set(loaded)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], []], ids=["help", "version", "nothing"])
def test_the_top_of_the_command_line_is_light(arguments: list[str]) -> None:
    if not arguments:  # shows the help too, and exits 2 as a usage error does
        done = subprocess.run([sys.executable, "-m", "enhance_cli"], capture_output=True, text=True, check=False)
        assert (done.returncode, "Commands:" in done.stdout + done.stderr) == (2, True)
        return
    # Typer's parameter adapters bring pydantic with them, so they are not for the first page of help.
    assert not modules_after(*arguments) & (HEAVY | {"pydantic"})


@pytest.mark.parametrize("command", [*methods.names(), "evaluate", "train", "doctor", "gallery", "compare"])
def test_the_help_of_every_command_is_light(command: str) -> None:
    assert not modules_after(command, "--help") & HEAVY


@pytest.fixture
def jpeg(tmp_path: Path, night) -> Path:
    path = tmp_path / "in.jpg"
    path.write_bytes(simplejpeg.encode_jpeg(night, quality=90, colorspace="RGB", colorsubsampling="420"))
    return path


def test_a_jpeg_needs_neither_torch_nor_pillow_nor_opencv(jpeg: Path, tmp_path: Path) -> None:
    loaded = modules_after("clahe-adaptive", "--device", "cpu", jpeg, tmp_path / "out")
    assert not loaded & {"torch", "PIL", "cv2", "rich", "tqdm", "safetensors", "obstore", "sqlite3", "ray"}
    assert "onnxruntime" in loaded
    assert (tmp_path / "out" / "in.jpg").exists()


def test_a_fixed_clip_limit_needs_no_network(jpeg: Path, tmp_path: Path) -> None:
    loaded = modules_after("clahe-adaptive", "--device", "cpu", "--clip-limit", "2", jpeg, tmp_path / "out")
    assert not loaded & {"torch", "onnxruntime", "PIL", "cv2"}


def test_a_dry_run_is_light(jpeg: Path, tmp_path: Path) -> None:
    assert not modules_after("clahe-adaptive", "--dry-run", jpeg, tmp_path / "out") & HEAVY


def test_nothing_to_do_is_light(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert not modules_after("clahe-adaptive", tmp_path / "empty", tmp_path / "out") & HEAVY


QUIET = ("CI", "GITHUB_ACTIONS", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS")
"""Variables that silence ONNX Runtime, or may: a user has none of them."""


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(["-m", "enhance_cli", "clahe-adaptive", "--device", "cpu", "photo.jpg", "out.jpg"], id="command"),
        pytest.param(["-c", "import enhance_cli, onnxruntime; onnxruntime.get_available_providers()"], id="Python"),
    ],
)
def test_networks_run_without_telemetry(tmp_path: Path, program: list[str]) -> None:
    """It would leave an identifier, and a database of what is to be sent, in the home folder."""
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "photo.jpg").write_bytes(simplejpeg.encode_jpeg(gradient(64, 96)))
    surroundings = {name: value for name, value in os.environ.items() if name not in QUIET and name[:4] != "XDG_"}
    surroundings["HOME"] = str(home)
    surroundings.setdefault("ENHANCE_CACHE_DIR", str(tmp_path / "cache"))
    subprocess.run([sys.executable, *program], cwd=tmp_path, env=surroundings, check=True, capture_output=True)
    assert not list(home.rglob("*"))
