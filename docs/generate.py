"""Regenerate what the documents show of the program itself: `make docs`, or python docs/generate.py.

docs/cli.md is the output of every `--help`; the README's table of options and its sample of a report, and the table in
docs/formats.md, lie between markers, and so do the tables of benchmarks in docs and cards, which come from
benchmarks/results. tests/test_docs.py fails when a document no longer says what the program says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Container
from pathlib import Path

from benchmarks.lib import tables
from enhance_cli import methods
from enhance_cli.cli.app import default_text as default_text
from enhance_cli.imaging import codecs
from enhance_cli.pipeline.options import RunOptions
from enhance_cli.types import Controls, Knobs, option_name

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "examples" / "photos" / "china-underexposed.jpg"


def help_pages() -> str:
    """docs/cli.md: a table of all options, and every command's help, word for word."""
    pages = [
        "# The command line",
        "",
        "Generated from the source by `make docs`.",
        "",
        "## Options",
        "",
        option_tables(),
        "",
    ]
    for command in (
        [],
        *([name] for name in methods.names()),
        ["evaluate"],
        ["train"],
        ["restore"],
        ["report", "merge"],
        ["doctor"],
    ):
        environment = {**os.environ, "COLUMNS": "80", "TERM": "dumb", "NO_COLOR": "1"}
        shown = subprocess.run(
            [sys.executable, "-m", "enhance_cli", *command, "--help"],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        ).stdout
        text = "\n".join(line.rstrip() for line in shown.strip().splitlines())
        pages += [f"## {' '.join(['enhance', *command])}", "", "```text", text, "```", ""]
    return "\n".join(pages)


def escaped(text: str) -> str:
    """Text as a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def option_rows(controls: type[Knobs], *, without: Container[str] = ()) -> list[str]:
    """A table row per knob: option, default, meaning."""
    defaults = controls.defaults()
    rows = []
    for name, spec in controls.knobs().items():
        if name in without:
            continue
        shown = f"`{option_name(name)}`" + (f", `{spec.short}`" if spec.short else "")
        default = default_text(defaults[name], spec).strip(" []").removeprefix("default: ")
        rows.append(f"| {shown} | {default} | {escaped(spec.help)} |")
    return rows


def option_tables() -> str:
    """The options of every method, then those that all share."""
    lines, shared = [], Controls.knobs()
    for name in methods.names():
        own = option_rows(methods.get(name).controls, without=shared)
        lines += [f"| `{name}` | default | |", "|---|---|---|", *own, ""]
    every = [*option_rows(Controls), *option_rows(RunOptions)]
    return "\n".join([*lines, "| every method | default | |", "|---|---|---|", *every])


def format_table() -> str:
    """What each format carries, from the table that the codecs themselves follow."""
    columns = {"16 bits": "sixteen_bit", "alpha": "alpha"}
    head = ["format", "suffixes", "extra", *columns, *codecs.BLOCKS]
    rows = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for item in codecs.FORMATS.values():
        if not item.readable:
            continue
        cells = [f"`{item.name}`", " ".join(item.suffixes), f"`{item.extra}`" if item.extra else ""]
        if item.writable:
            cells += ["yes" if getattr(item, field) else "" for field in columns.values()]
            cells += ["yes" if name in item.carries else "" for name in codecs.BLOCKS]
        else:
            cells += [f"written as `{item.written_as}`", *[""] * (len(head) - 4)]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def report_sample() -> str:
    """A real report line of one of the example photographs, with a small grid and air between its parts."""
    with tempfile.TemporaryDirectory() as folder:
        # Of two photographs in turn the second: the first loads the kernels, and its timings would be about that.
        inputs = [str(path.relative_to(ROOT)) for path in (SAMPLE.with_name("rocket-dusk.jpg"), SAMPLE)]
        options = ["--device", "cpu", "--grid", "2x3", "--jobs", "1", "--quiet"]
        command = [sys.executable, "-m", "enhance_cli", "clahe-adaptive", *options, *inputs, folder]
        subprocess.run(command, check=True, cwd=ROOT)
        line = json.loads((Path(folder) / "enhance-report.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    line["output"] = f"enhanced/{SAMPLE.name}"
    inner = ",\n ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in line.items() if key != "exposure")
    before, after = (json.dumps(line["exposure"][when]) for when in ("before", "after"))
    exposure = f'"exposure": {{"before": {before},\n              "after": {after}}}'
    head, _, plan = inner.partition(',\n "plan"')
    plan = plan.replace(', "clip_limits"', ',\n          "clip_limits"').replace(', "integer', ',\n          "integer')
    return f'```json\n{{{head},\n {exposure},\n "plan"{plan}}}\n```'


def replaced(document: str, name: str, content: str) -> str:
    """A document with what lies between `<!-- NAME -->` and `<!-- end of NAME -->` exchanged."""
    start, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
    head, found, rest = document.partition(start)
    _, closed, tail = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"the document has no place for {name}")
    return head + start + content + end + tail


def main() -> None:
    """Write docs/cli.md and the generated parts of other documents and of cards."""
    (ROOT / "docs" / "cli.md").write_text(help_pages(), encoding="utf-8")
    report = ROOT / "docs" / "report.md"
    report.write_text(replaced(report.read_text(encoding="utf-8"), "report", report_sample()), encoding="utf-8")
    formats = ROOT / "docs" / "formats.md"
    formats.write_text(replaced(formats.read_text(encoding="utf-8"), "formats", format_table()), encoding="utf-8")
    for path in tables.SECTIONS:
        (ROOT / path).write_text(tables.written(path, replaced), encoding="utf-8")


if __name__ == "__main__":
    main()
