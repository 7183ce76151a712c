"""The public names: listed, sorted, resolved on first use, and cheap until then."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import enhance_cli


def test_all_is_sorted_and_resolves() -> None:
    assert list(enhance_cli.__all__) == sorted(enhance_cli.__all__)
    for name in enhance_cli.__all__:
        assert getattr(enhance_cli, name) is not None


def test_no_other_name_is_public() -> None:
    public = {name for name in vars(enhance_cli) if not name.startswith("_")}
    modules = {path.stem for path in Path(enhance_cli.__file__).parent.iterdir()}
    assert public - modules - {"annotations", "Any", "TYPE_CHECKING"} <= set(enhance_cli.__all__)


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        enhance_cli.nothing  # noqa: B018


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert enhance_cli.__version__ == version("enhance-cli")


def test_importing_the_package_loads_nothing_of_it() -> None:
    code = "import sys, enhance_cli; print([m for m in sys.modules if m.startswith('enhance_cli.') or m == 'numpy'])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
