"""Who may import whom (docs/architecture.md): read from the source, so that no import is too lazy to be seen."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "enhance_cli"
FILES = sorted(PACKAGE.rglob("*.py"))

LAYERS = {
    "errors": set(),
    "types": set(),
    "controls": {"errors", "types"},
    "plan_values": set(),
    "plan": {"errors", "plan_values"},
    "report_fields": set(),
    # Kernels of imaging are compiled by engines/compiled.py; it imports nothing of ours.
    "engines": {"errors", "types"},
    "imaging": {"errors", "types", "engines.compiled"},
    "quality": {"errors", "types"},
    "storage": {"errors", "engines.abandon"},
    "exposure": {"errors", "types", "report_fields", "engines", "imaging"},
    "methods": {
        "exposure",
        "errors",
        "types",
        "controls",
        "plan",
        "plan_values",
        "report_fields",
        "engines",
        "imaging",
        "quality",
    },
    "pipeline": {"errors", "types", "controls", "plan", "engines", "imaging", "quality", "methods", "storage"},
    "gallery": {"errors", "types", "controls", "engines", "imaging", "methods", "pipeline"},
    "training": {"errors", "types", "engines", "imaging", "quality"},
    "exposure/training": {"errors", "types", "imaging", "exposure", "training"},
    "methods/*/training": {  # recipes use the loop; that of auto tries methods, with predictors of its own
        "errors",
        "types",
        "engines",
        "exposure",
        "exposure/training",
        "imaging",
        "quality",
        "methods",
        "training",
    },
    "cli": {
        "errors",
        "types",
        "controls",
        "engines",
        "exposure",
        "imaging",
        "quality",
        "methods",
        "pipeline",
        "gallery",
        "training",
        "",
    },
    "": {"errors", "types", "methods", "pipeline", "gallery"},  # enhance_cli/__init__.py: the lazy public names
    "__main__": {"cli"},
}

# Where third-party packages may be imported, and within a function only (`lazily`) or anywhere in the file.
TORCH = (
    *(
        f"methods/*/{name}.py"
        for name in ("network*", "formulas_torch", "kernels_cuda", "flatness", "adapt", "training/*")
    ),
    "training/*",
    "imaging/finish_torch.py",
    "imaging/kernels_cuda.py",
    "imaging/blocks_torch.py",
    "engines/cuda.py",
    "engines/fitness.py",
)
HOMES = {
    "torch": TORCH,
    "safetensors": (*TORCH, "methods/*/network*.py"),
    # The doctor must see a real session, and an export is compared with what will run it.
    "onnxruntime": ("engines/cpu.py", "cli/doctor.py", "training/export.py"),
    "onnx": ("training/export.py",),
    "scipy": ("methods/*/kernels_cpu.py",),
    "torchdiffeq": ("methods/*/kernels_cuda.py",),
    "typer": ("cli/*",),
    "rich": ("cli/console.py",),
    "tqdm": ("cli/console.py",),
    "jinja2": ("gallery/page.py",),
    "simplejpeg": ("imaging/codecs/jpeg/*",),
    "PIL": tuple(f"imaging/{name}" for name in ("codecs/*.py", "codecs/*/*.py", "icc.py")),
    "pylibjxl": ("imaging/codecs/jxl.py",),
    "rawpy": ("imaging/codecs/raw.py",),
    "obstore": ("storage/buckets.py",),
    "ray": ("pipeline/cluster/session.py",),
    "numba": ("engines/compiled.py", "imaging/*", "methods/*/kernels_cpu.py"),
}
LAZY_ONLY = {
    "jinja2",
    "obstore",
    "onnxruntime",
    "onnx",
    "pylibjxl",
    "rawpy",
    "ray",
    "rich",
    "scipy",
    "torchdiffeq",
    "tqdm",
}


class Import(NamedTuple):
    """One imported module, where, and whether a function or `if TYPE_CHECKING` postpones it."""

    file: Path
    line: int
    module: str
    lazily: bool
    for_types: bool

    def __str__(self) -> str:
        return f"{self.file.relative_to(PACKAGE)}:{self.line} imports {self.module}"


def imports_of(path: Path) -> Iterator[Import]:
    """Every import of a file, in functions and under TYPE_CHECKING too."""

    def walk(node: ast.AST, lazily: bool, for_types: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            yield from (Import(path, node.lineno, alias.name, lazily, for_types) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute here"
            module = node.module or ""
            for alias in node.names:
                inner = PACKAGE.parent / module.replace(".", "/") / alias.name
                is_module = module.startswith("enhance_cli") and (inner.is_dir() or inner.with_suffix(".py").exists())
                yield Import(path, node.lineno, f"{module}.{alias.name}" if is_module else module, lazily, for_types)
        inside = lazily or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        typed = for_types or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        for child in ast.iter_child_nodes(node):
            yield from walk(child, inside, typed)

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), False, False)


IMPORTS = [found for path in FILES for found in imports_of(path)]


def layer_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    if parts[0] == "methods" and parts[2:3] == ("training",):
        return "methods/*/training"
    if parts[:2] == ("exposure", "training"):
        return "exposure/training"
    return "" if parts == ("__init__",) else parts[0]


def matches(path: Path, patterns: tuple[str, ...]) -> bool:
    return any(path.relative_to(PACKAGE).match(pattern) for pattern in patterns)


def dynamic_imports(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
            yield node


def test_every_layer_is_known() -> None:
    assert {layer_of(path) for path in FILES} <= set(LAYERS)


def test_layers_import_one_way() -> None:
    wrong = []
    for found in IMPORTS:
        if not found.module.startswith("enhance_cli") or found.for_types:
            continue
        inside = found.module.removeprefix("enhance_cli").removeprefix(".")
        layer, target = layer_of(found.file), inside.split(".")[0]
        if layer != target and target not in LAYERS[layer] and inside not in LAYERS[layer]:
            wrong.append(str(found))
    assert not wrong


def test_imports_for_types_never_climb_to_the_command_line() -> None:
    assert not [
        str(found)
        for found in IMPORTS
        if found.for_types and found.module.startswith("enhance_cli.cli") and layer_of(found.file) != "cli"
    ]


@pytest.mark.parametrize("package", HOMES)
def test_packages_are_imported_only_in_their_layers(package: str) -> None:
    users = [found for found in IMPORTS if found.module.split(".")[0] == package and not found.for_types]
    assert not [str(found) for found in users if not matches(found.file, HOMES[package])]
    if package in LAZY_ONLY:
        assert not [str(found) for found in users if not found.lazily], "only inside functions"


def test_only_the_console_prints() -> None:
    printing = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in FILES
        if path != PACKAGE / "cli" / "console.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.stdout.write", "sys.stderr.write")
    ]
    assert not printing


def test_declarations_of_methods_need_the_standard_library_only() -> None:
    light = {"enhance_cli.types", "enhance_cli.controls", "enhance_cli.errors"}
    wrong = [
        str(found)
        for found in IMPORTS
        if found.file.match("methods/*/__init__.py") and not found.for_types
        if found.module not in light and found.module.split(".")[0] not in sys.stdlib_module_names
    ]
    assert not wrong


def test_plans_know_neither_engines_nor_kernels() -> None:
    banned = re.compile(r"enhance_cli\.(engines|methods\.\w+\.(enhancer|kernels_\w+|network|training))\b")
    plans = [found for found in IMPORTS if found.file.match("methods/*/plan.py")]
    assert plans
    assert not [str(found) for found in plans if banned.match(found.module) and not found.for_types]


def test_shared_values_are_light() -> None:
    for found in IMPORTS:
        light = ("errors.py", "types.py", "controls.py", "plan.py", "report_fields.py")
        if found.file.name in light and found.file.parent == PACKAGE and not found.lazily:
            assert found.for_types or found.module.split(".")[0] in (*sys.stdlib_module_names, "enhance_cli"), found


def test_no_layer_below_the_command_line_names_a_method() -> None:
    layers = ("pipeline", "gallery", "engines", "imaging", "quality", "training", "cli", "")
    names = [folder.parent.name for folder in PACKAGE.glob("methods/*/__init__.py")]
    concrete = tuple(f"enhance_cli.methods.{name}" for name in names)
    assert not [str(found) for found in IMPORTS if layer_of(found.file) in layers and found.module.startswith(concrete)]


def module_of(path: Path) -> str:
    """The dotted name of a file, a package's own for its `__init__.py`."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def circles_of(imports: Iterable[Import]) -> list[list[str]]:
    """The groups of modules that import one another, directly or by way of others."""
    graph: dict[str, set[str]] = {}
    for found in imports:
        graph.setdefault(module_of(found.file), set()).add(found.module)
    reached: dict[str, set[str]] = {}
    for start in graph:
        seen, pending = set(), list(graph[start])
        while pending:
            if (current := pending.pop()) not in seen:
                seen.add(current)
                pending += graph.get(current, ())
        reached[start] = seen
    circles = {frozenset(other for other in seen if start in reached.get(other, ())) for start, seen in reached.items()}
    return sorted(sorted(circle) for circle in circles if circle)


def test_no_modules_import_one_another() -> None:
    """Not even when a function postpones one of the imports: whoever reads either must read both."""
    assert not circles_of(found for found in IMPORTS if not found.for_types)
    assert not circles_of(found for found in IMPORTS if layer_of(found.file) == "methods"), "nor for annotations"


def test_a_circle_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "enhance_cli"
    package.mkdir()
    (package / "a.py").write_text("import enhance_cli.b\n")
    (package / "b.py").write_text("def f():\n    from enhance_cli import c\n")
    (package / "c.py").write_text("from enhance_cli.a import it\nimport os\n")
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", package)
    imports = [found for path in package.glob("*.py") for found in imports_of(path)]
    assert circles_of(imports) == [["enhance_cli.a", "enhance_cli.b", "enhance_cli.c"]]
    assert circles_of(found for found in imports if not found.lazily) == []


def test_nothing_that_enhances_imports_a_training() -> None:
    training = re.compile(r"enhance_cli\.(methods\.\w+|exposure)\.training")
    outside = [found for found in IMPORTS if not layer_of(found.file).endswith("/training")]
    assert not [str(found) for found in outside if training.match(found.module)]


def test_methods_do_not_know_each_other() -> None:
    names = [folder.parent.name for folder in PACKAGE.glob("methods/*/__init__.py")]
    for found in IMPORTS:
        parts = found.file.relative_to(PACKAGE).parts
        if parts[0] == "methods" and len(parts) > 2:
            others = tuple(f"enhance_cli.methods.{name}" for name in names if name != parts[1])
            assert not found.module.startswith(others), found


def test_enhancers_know_nothing_of_devices() -> None:
    """They name kernels and give them arrays (`engines/base.py`); where these have to be is the engine's concern."""
    device = re.compile(r"cuda|\.device|upload|download")
    enhancers = list(PACKAGE.glob("methods/*/enhancer.py"))
    assert enhancers
    assert not [path for path in enhancers if device.search(path.read_text(encoding="utf-8"))]


def test_methods_know_nothing_of_files() -> None:
    """They get images and give images; codecs and the stream are not theirs (a recipe reads its own data)."""
    banned = ("enhance_cli.imaging.codecs", "enhance_cli.imaging.atomic")
    for found in IMPORTS:
        if layer_of(found.file).startswith("methods"):
            assert not found.module.startswith(banned), found


def test_modules_found_by_name_are_found_in_known_places() -> None:
    """`import_module` could climb unseen, so the files that may use it are listed."""
    allowed = {
        "__init__.py",
        "engines/cpu.py",
        "engines/cuda.py",
        "methods/__init__.py",
        "methods/cases.py",
        "cli/train.py",
    }
    users = {str(path.relative_to(PACKAGE)) for path in FILES if any(dynamic_imports(path))}
    assert users <= allowed


def test_the_reader_sees_every_kind_of_import(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        "import torch\nif TYPE_CHECKING:\n    import rich\ndef f():\n    from enhance_cli import methods\n"
        "    from enhance_cli.types import Image\n"
    )
    seen = [(found.module, found.lazily, found.for_types) for found in imports_of(path)]
    assert seen == [
        ("torch", False, False),
        ("rich", False, True),
        ("enhance_cli.methods", True, False),
        ("enhance_cli.types", True, False),
    ]
