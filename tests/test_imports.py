"""Importing any module of the package makes no folder and no file: what a user did not ask for is not done."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import enhance_cli

PACKAGE = Path(enhance_cli.__file__).parent
IMPORT_ALL = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def every_module() -> list[str]:
    """Dotted names of all modules of the package but `__main__`, whose import is the program."""
    parts = (path.relative_to(PACKAGE.parent).with_suffix("").parts for path in sorted(PACKAGE.rglob("*.py")))
    names = [".".join(part for part in of_path if part != "__init__") for of_path in parts]
    return [name for name in names if not name.endswith("__main__")]


def test_importing_every_module_makes_no_folder_and_no_file(tmp_path: Path) -> None:
    folders = {name: tmp_path / name.lower() for name in ("HOME", "ENHANCE_CACHE_DIR", "NUMBA_CACHE_DIR", "TMPDIR")}
    here = tmp_path / "here"
    for folder in (here, *folders.values()):
        folder.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    environment |= {name: str(folder) for name, folder in folders.items()} | {"PYTHONPATH": str(PACKAGE.parent)}
    assert len(every_module()) > 150
    command = [sys.executable, "-B", "-c", IMPORT_ALL, *every_module()]
    subprocess.run(command, cwd=here, env=environment, check=True)
    assert {path for path in tmp_path.rglob("*") if path not in (here, *folders.values())} == set()
