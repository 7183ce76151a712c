"""Regenerate what the documents show of the program itself: `make docs`, or python docs/generate.py.

docs/cli.md is the output of every `--help`, and docs/METHOD.md is the `page.md` of that method. The sample and the
tables of plans in docs/report.md, the table in docs/formats.md, and the tables of benchmarks (from benchmarks/results)
in docs and cards lie between markers; docs/report.schema.json gets the part of every method. tests/test_docs.py fails
when a document no longer says what the program says.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

from benchmarks.lib import tables
from enhance_cli import methods
from enhance_cli.cli.app import default_text as default_text
from enhance_cli.controls import Controls, Knobs, option_name
from enhance_cli.imaging import codecs
from enhance_cli.pipeline.options import RunOptions
from enhance_cli.report_fields import report_of, schema_of

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 116
"""Of a line of the schema."""

PLAN_OF = "plan of "
"""Begins the titles of the schema's parts that are generated."""

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
        ["apply"],
        ["evaluate"],
        ["train"],
        ["restore"],
        ["gallery"],
        ["compare"],
        ["review", "apply"],
        ["report", "merge"],
        ["report", "show"],
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


def report_schema(written: dict[str, Any]) -> dict[str, Any]:
    """The schema of a report line, with what the plans of all methods say of themselves in place of what it said."""
    plans = {name: report_of(methods.plan_kind(methods.get(name))) for name in methods.names()}
    shared = {name: part for name, part in written["$defs"].items() if not part.get("title", "").startswith(PLAN_OF)}
    parts = {name: {"title": PLAN_OF + name} | schema_of(kind) for name, kind in plans.items()}
    conditions = [
        {
            "if": {"properties": {"status": {"const": "done"}, "method": {"const": name}}},
            "then": {"properties": {"plan": {"$ref": f"#/$defs/{name}"}}},
        }
        for name in plans
    ]
    of_all = [item for item in written["allOf"] if "method" not in item["if"]["properties"]]
    return written | {"allOf": of_all + conditions, "$defs": shared | parts}


def compact(value: Any, indent: int = 0) -> str:
    """JSON with everything on one line that fits there."""
    text = json.dumps(value, ensure_ascii=False)
    if len(text) + indent <= WIDTH or not isinstance(value, dict | list) or not value:
        return text
    inner = " " * (indent + 2)
    if isinstance(value, list):
        lines = [inner + compact(item, indent + 2) for item in value]
    else:
        lines = [f"{inner}{json.dumps(key)}: {compact(item, indent + 2)}" for key, item in value.items()]
    first, last = "[]" if isinstance(value, list) else "{}"
    return first + "\n" + ",\n".join(lines) + "\n" + " " * indent + last


def plan_tables(schema: dict[str, Any]) -> str:
    """A section for every method: what its plan tells the report."""
    parts = []
    for name in methods.names():
        plan = schema["$defs"][name]
        rows = [f"| `{field}` | {value} | {escaped(text)} |" for field, value, text in field_rows(plan)]
        head = [f"### {name}", "", plan["description"], "", "| field | value | meaning |", "|---|---|---|"]
        parts.append("\n".join([*head, *rows]))
    return "\n\n".join(parts)


def field_rows(schema: dict[str, Any], above: str = "") -> Iterator[tuple[str, str, str]]:
    """Name, value and meaning of every field of an object, and of the objects within it."""
    for name, inner in schema.get("properties", {}).items():
        yield above + name, in_words(inner), inner["description"]
        inner = inner["oneOf"][1] if "oneOf" in inner else inner
        if "items" in inner:
            yield from field_rows(inner["items"], f"{above}{name}[].")
        elif "additionalProperties" in inner:
            yield from field_rows(inner["additionalProperties"], f"{above}{name}.*.")
        else:
            yield from field_rows(inner, f"{above}{name}.")


def in_words(schema: dict[str, Any], ending: str = "") -> str:
    """The values that a schema allows, such as `list of 3 numbers of at least 0`; `ending` s is the plural."""
    if "oneOf" in schema:
        _, other = schema["oneOf"]
        if "enum" in other:
            return listed([*other["enum"], "null"], "or")
        return in_words(other, ending) + (", or null" if other["type"] in ("array", "object") else " or null")
    if "enum" in schema:
        return listed(schema["enum"], "or")
    if "prefixItems" in schema:
        return f"[{', '.join(map(in_words, schema['prefixItems']))}]"
    if "items" in schema:
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        count = "" if not least else f"{least} " if least == most else f"at least {least} "
        return f"list{ending} of {count}{in_words(schema['items'], 's')}"
    if "additionalProperties" in schema:
        return f"{in_words(schema['additionalProperties'])} for each of {listed(schema['required'], 'and')}"
    word = {"boolean": "true or false", "string": f"text{ending}"}.get(schema["type"], schema["type"] + ending)
    low, above, high = (schema.get(name) for name in ("minimum", "exclusiveMinimum", "maximum"))
    bounds = [f" above {above}" if above is not None else "", "" if low is None else f" from {low}"]
    if high is None:
        return word + bounds[0] + ("" if low is None else f" of at least {low}")
    return word + "".join(bounds) + f" to {high}"


def listed(words: list[str], last: str) -> str:
    """Words as code: `a`, `b` or `c`."""
    *first, end = (f"`{word}`" for word in words)
    return f"{', '.join(first)} {last} {end}" if first else end


def method_pages() -> dict[Path, str]:
    """The explanation of every method that has one: its page.md, with links as they are seen from docs/."""
    sources = {
        (ROOT / "enhance_cli" / "methods" / name.replace("-", "_") / "page.md"): ROOT / "docs" / f"{name}.md"
        for name in methods.names()
    }
    pages = {}
    for source, page in sources.items():
        if not source.exists():
            continue

        def seen_from_docs(link: re.Match[str], folder: Path = source.parent) -> str:
            path, mark, anchor = link[1].partition("#")
            target = (folder / path).resolve()
            return f"]({os.path.relpath(sources.get(target, target), ROOT / 'docs')}{mark}{anchor})"

        text = re.sub(r"\]\((\.[^)]+)\)", seen_from_docs, source.read_text(encoding="utf-8"))
        pages[page] = f"<!-- Generated from {source.relative_to(ROOT)} by `make docs`. -->\n\n{text}"
    return pages


def shell_of(page: Path) -> str:
    """The commands of a page, in order: what a reader runs who copies all of its shell blocks."""
    found = re.findall(r"^ *```sh\n(.*?)^ *```$", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return "\n".join(textwrap.dedent(block) for block in found)


def report_sample() -> str:
    """A real report line of one of the example photos, with a small grid and air between its parts."""
    with tempfile.TemporaryDirectory() as folder:
        # Of two photos in turn the second: the first loads the kernels, and its timings would be about that.
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
    path = ROOT / "docs" / "report.schema.json"
    schema = report_schema(json.loads(path.read_text(encoding="utf-8")))
    path.write_text(compact(schema) + "\n", encoding="utf-8")

    for page, text in method_pages().items():
        page.write_text(text, encoding="utf-8")
    report = ROOT / "docs" / "report.md"
    text = replaced(report.read_text(encoding="utf-8"), "plans", plan_tables(schema))
    report.write_text(replaced(text, "report", report_sample()), encoding="utf-8")
    formats = ROOT / "docs" / "formats.md"
    formats.write_text(replaced(formats.read_text(encoding="utf-8"), "formats", format_table()), encoding="utf-8")
    for path in tables.SECTIONS:
        (ROOT / path).write_text(tables.written(path, replaced), encoding="utf-8")


if __name__ == "__main__":
    main()
