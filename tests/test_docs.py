"""The documents say what the program does: help, commands, options, links, samples and snippets."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest
import typer.main

from benchmarks.lib import tables
from enhance_cli import methods
from enhance_cli.cli.app import build

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    path for where in ("*", "docs/**/*", "examples/**/*", "enhance_cli/**/*") for path in ROOT.glob(f"{where}.md")
)
README = (ROOT / "README.md").read_text(encoding="utf-8")
BUILT = {"gain", "gamma"}
"""Methods that docs/adding-a-method.md builds; tests/test_pages.py builds them too."""


@pytest.fixture(scope="module")
def commands() -> dict[str, Any]:
    """Every command by name, as the parser sees it; those of a group by both words."""
    found: dict[str, Any] = {}
    for name, command in typer.main.get_command(build()).commands.items():
        inside = getattr(command, "commands", None)
        found |= {name: command} if inside is None else {f"{name} {word}": one for word, one in inside.items()}
    return found


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of a document in one language."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```$", text, flags=re.MULTILINE | re.DOTALL)


def options_of(command: Any) -> set[str]:
    names = {name for item in command.params for name in (*item.opts, *item.secondary_opts)}
    return {name for name in names if name.startswith("-")} | {"-h", "--help"}


def test_every_command_and_option_has_help(commands: dict[str, Any]) -> None:
    assert {*methods.names(), "evaluate", "train", "doctor", "report merge"} <= set(commands)
    for name, command in commands.items():
        assert command.help, name
        for parameter in command.params:
            assert parameter.help, f"{name} {parameter.name}"


def test_every_command_is_mentioned_in_the_readme(commands: dict[str, Any]) -> None:
    for name in commands:
        assert f"enhance {name}" in README


def test_every_option_is_in_the_pages_of_help(commands: dict[str, Any]) -> None:
    pages = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for command in commands.values():
        for option in options_of(command):
            assert option in pages, option


def test_the_pages_of_help_are_what_help_says(generate: ModuleType) -> None:
    written = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert written == generate.help_pages(), "run `make docs`"


def test_the_pages_of_methods_are_those_of_their_folders(generate: ModuleType) -> None:
    pages = generate.method_pages()
    assert len(pages) == len(methods.names()), "every method that is shipped has a page"
    for page, text in pages.items():
        assert page.read_text(encoding="utf-8") == text, "run `make docs`"


@pytest.mark.parametrize("path", tables.SECTIONS)
def test_the_tables_of_benchmarks_are_what_was_stored(generate: ModuleType, path: str) -> None:
    assert tables.written(path, generate.replaced) == (ROOT / path).read_text(encoding="utf-8"), "run `make docs`"


def test_the_first_two_commands_of_the_readme() -> None:
    lines = [line.split("#")[0].strip() for block in blocks(README, "sh") for line in block.splitlines()]
    assert lines[:2] == ["make demo", "make test"]


def test_commands_in_documents_exist(commands: dict[str, Any]) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    for document in DOCUMENTS:
        for block in blocks(document.read_text(encoding="utf-8"), "sh"):
            for line in block.splitlines():
                ours = line.startswith(("enhance ", "make "))
                words = shlex.split(line.partition(" | ")[0], comments=True) if ours else []
                if not words:
                    continue
                if words[0] == "make":
                    assert set(words[1:]) <= targets, f"{document}: {line}"
                    continue
                if words[1].startswith("--"):
                    continue
                name = " ".join(words[1:3]) if " ".join(words[1:3]) in commands else words[1]
                if name in BUILT:
                    continue
                assert name in commands, f"{document}: {line}"
                given = {word.split("=")[0] for word in words[2:] if word.startswith("-") and word != "-"}
                assert given <= options_of(commands[name]), f"{document}: {line}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), f"{document}: {target}"


def test_files_named_in_documents_exist() -> None:
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for name in re.findall(
            r"\b((?:enhance_cli|benchmarks|docs|tests|examples)/[\w/.-]+\.(?:py|md|json|sh))\b", text
        ):
            assert (ROOT / name).exists() or Path(name).parts[2] in BUILT, f"{document}: {name}"


def test_samples_of_reports_are_valid() -> None:
    schema = json.loads((ROOT / "docs" / "report.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    found = [json.loads(block) for block in blocks((ROOT / "docs" / "report.md").read_text(encoding="utf-8"), "json")]
    for sample in found:
        jsonschema.validate(sample, schema)
    assert (ROOT / found[0]["source"]).exists(), "the sample is of a photo that is shipped"


def test_plans_are_documented_as_they_are_declared(generate: ModuleType) -> None:
    written = (ROOT / "docs" / "report.schema.json").read_text(encoding="utf-8")
    schema = generate.report_schema(json.loads(written))
    assert generate.compact(schema) + "\n" == written, "run `make docs`"
    text = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
    assert generate.replaced(text, "plans", generate.plan_tables(schema)) == text, "run `make docs`"


def test_every_field_of_a_report_is_explained() -> None:
    schema = json.loads((ROOT / "docs" / "report.schema.json").read_text(encoding="utf-8"))
    text = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
    plans = [name for method in methods.names() for name in schema["$defs"][method]["properties"]]
    for name in (*schema["properties"], *plans, *schema["$defs"]["exposure"]["properties"]):
        assert f"`{name}`" in text, name


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(ROOT / "examples" / "photos" / "rocket-dusk.jpg", tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    for snippet in blocks(README, "python"):
        assert len([line for line in snippet.splitlines() if line.strip()]) <= 5
        exec(compile(snippet, "README.md", "exec"), {})


def test_the_python_of_the_reference_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    for name in ("photo.jpg", "in/a.jpg"):
        shutil.copy(ROOT / "examples" / "photos" / "rocket-dusk.jpg", tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for snippet in blocks((ROOT / "docs" / "python.md").read_text(encoding="utf-8"), "python"):
        exec(compile(snippet, "docs/python.md", "exec"), {})
    assert (tmp_path / "out" / "a.jpg").exists()
    assert (tmp_path / "enhanced.jpg").exists()


def test_decisions_are_short() -> None:
    for path in (ROOT / "docs" / "decisions").glob("*.md"):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 40
        assert [part in text for part in ("**Context.**", "**Decision.**", "**Consequences.**")] == [True] * 3


def test_nothing_refers_to_what_the_repository_does_not_hold() -> None:
    """Documents, folders and acceptance figures that only some people have say nothing to everybody else."""
    words = ("METH" + "ODS ", "PE" + "ERS", "../sha" + "red", "sha" + "red/data", '"sha' + 'red"', "miss" + "ed by")
    tags = re.compile(r"[\w.)] \[[PCFRV]\](?![(\[])")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    paths = [ROOT / name for name in listed] or [path for path in ROOT.rglob("*") if ".venv" not in path.parts]
    for path in paths:
        if path.suffix in (".py", ".md", ".toml", ".json") and path.is_file():
            text = path.read_text(encoding="utf-8")
            found = [word for word in words if word in text] + tags.findall(text)
            assert not found, f"{path.relative_to(ROOT)}: {found}"


def test_labels_of_equations_are_on_the_page_of_papers() -> None:
    page = (ROOT / "docs" / "papers.md").read_text(encoding="utf-8")
    labels = set(re.findall(r"- \*\*([A-Z]\d+)\*\*", page))
    assert len(labels) > 40
    for path in [*(ROOT / "enhance_cli").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]:
        for cited in re.findall(r"papers\.md,((?:[\s,#]+(?:to |and )?[A-Z]\d+)+)", path.read_text(encoding="utf-8")):
            assert set(re.findall(r"[A-Z]\d+", cited)) <= labels, path
