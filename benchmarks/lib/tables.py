"""Tables of the documents, from stored results: `make docs` writes them between the markers that `SECTIONS` names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from benchmarks.lib.baselines import BASELINES
from benchmarks.lib.results import ROOT, Row, latest
from enhance_cli import methods
from enhance_cli.methods.cases import PAIRED, cases_of

Contender = tuple[str, str]
"""Method and case."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]], measured: Sequence[Row]) -> str:
    """A Markdown table, with the dates, commits and machines of what is in it below."""
    if not measured:
        return "*Not measured yet.*"
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, "", f"*Measured {'; '.join(dict.fromkeys(map(origin, measured)))}.*"])


def origin(row: Row) -> str:
    """When, on what and from which commit a row is."""
    machine = row["machine"]
    processor = f"{machine['cpu']}, " if machine["cpu"] else ""
    commit = f", commit {row['commit']}" if row["commit"] else ""
    return f"{row['date']} ({processor}{machine['cores']} cores{commit})"


def number(row: Row | None, figure: str, spec: str) -> str:
    """A figure of a row, or nothing where there is none."""
    value = None if row is None else row.get(figure)
    return "" if value is None else format(value, spec)


def quality(contenders: Sequence[Contender], label: Callable[[Contender], str]) -> str:
    """Likeness to the references of each set."""
    found = latest("quality")
    head, rows, measured = [""], [], []
    for name in PAIRED:
        count = next((row["photos"] for row in found.values() if row["set"] == name and "photos" in row), 0)
        head.append(f"{name} ({count})")
    for one in contenders:
        cells = [found.get(("sets", *one, name, None)) for name in PAIRED]
        if any(cells):
            measured += [cell for cell in cells if cell]
            rows.append([label(one), *map(likeness, cells)])
    return table(head, rows, measured)


def likeness(row: Row | None) -> str:
    """PSNR/SSIM, and the same mean-matched."""
    if row is None:
        return ""
    text = f"{number(row, 'psnr', '.2f')}/{number(row, 'ssim', '.3f')}"
    matched = f"{number(row, 'psnr_matched', '.2f')}/{number(row, 'ssim_matched', '.3f')}"
    return text if matched == "/" else f"{text} · {matched}"


OTHER = (
    ("clean", "good photos: SSIM matched, least", lambda r: joined(r, "ssim_matched", "ssim_matched_least", ".3f")),
    ("clean", "PSNR", lambda r: number(r, "psnr", ".1f")),
    ("two-tone", "two tones: median, worst", lambda r: joined(r, "median", "worst", ".3f")),
    ("backlit", "backlit: regained, moved", lambda r: joined(r, "regained", "moved", ".2f")),
    ("clipped", "clipped: white, chroma", lambda r: joined(r, "white_least", "chroma", ".2f")),
)


def joined(row: Row | None, first: str, second: str, spec: str) -> str:
    """Two figures in a cell."""
    return ", ".join(text for text in (number(row, first, spec), number(row, second, spec)) if text)


def other(contenders: Sequence[Contender], label: Callable[[Contender], str]) -> str:
    """What happens to good photos, flat tones, backlit and clipped photos."""
    found = latest("quality")
    rows, measured = [], []
    for one in contenders:
        cells = [(found.get(("sets", *one, name, None)), text) for name, _, text in OTHER]
        if any(row for row, _ in cells):
            measured += [row for row, _ in cells if row]
            rows.append([label(one), *(text(row) for row, text in cells)])
    return table(["", *(title for _, title, _ in OTHER)], rows, measured)


def hues(contenders: Sequence[Contender], label: Callable[[Contender], str]) -> str:
    """Change of hue and order of lightness."""
    found = latest("quality")
    rows, measured = [], []
    for one in contenders:
        cells = [found.get(("sets", *one, name, None)) for name in PAIRED]
        if any(cell and cell.get("hue") is not None for cell in cells):
            measured += [cell for cell in cells if cell]
            hue = [joined(cell, "hue", "hue_blurred", ".1f") for cell in cells]
            rows.append([label(one), *hue, *(number(cell, "loe", ".0f") for cell in cells)])
    return table(["", *(f"hue, {name}" for name in PAIRED), *(f"LOE, {name}" for name in PAIRED)], rows, measured)


def stacks() -> str:
    """Fusing exposures."""
    found = {key: row for key, row in latest("quality").items() if row["set"] == "stacks"}
    rows = [
        [named((row["method"], row["case"])), number(row, "mef_ssim", ".3f"), likeness(row)] for row in found.values()
    ]
    return table(["", "MEF-SSIM against the frames", "PSNR/SSIM to the best frame"], rows, list(found.values()))


def published() -> str:
    """Public methods on the same photos."""
    found = list(latest("published").values())
    names = ("lol", "under", "over")
    rows = [
        [method, *(likeness(next((r for r in found if r["method"] == method and r["set"] == n), None)) for n in names)]
        for method in dict.fromkeys(row["method"] for row in found)
    ]
    return table(["", *names], rows, found)


def startup() -> str:
    """Whole processes."""
    found = [row for row in latest("speed").values() if row["part"] == "startup"]
    rows = [[f"{r['method']} {r['case']}", number(r, "seconds", ".3f"), number(r, "least", ".3f")] for r in found]
    return table(["", "seconds, median", "least"], rows, found)


def stream() -> str:
    """Photos a second, and the ratios to what is compared."""
    found = [row for row in latest("speed").values() if row["part"] == "stream"]
    ratios = list(dict.fromkeys(way for row in found for way in row.get("ratios", {})))
    rows = [
        [named((r["method"], r["case"])), number(r, "rate", ".1f")]
        + [number(r.get("ratios"), way, ".2f") for way in ratios]
        for r in found
    ]
    return table(["", "photos a second", *(f"times {way}" for way in ratios)], rows, found)


def photo() -> str:
    """One photo in a warm process."""
    found = [row for row in latest("speed").values() if row["part"] == "photo"]
    rows = [
        [
            named((r["method"], r["case"])),
            r["size"],
            *(number(r, figure, ".2f") for figure in ("seconds", "least", "processor")),
            *(number(r.get("stages"), stage, ".2f") for stage in ("estimate", "render")),
        ]
        for r in found
    ]
    return table(["", "size", "seconds, median", "least", "processor", "estimate", "render"], rows, found)


def kernels() -> str:
    """Kernels of clahe-adaptive beside OpenCV's."""
    found = [row for row in latest("speed").values() if row["part"] == "kernels"]
    rows = [[r["case"], *(number(r, figure, ".1f") for figure in ("ours_ms", "opencv_ms", "ratio"))] for r in found]
    return table(["", "ours, ms", "OpenCV, ms", "ratio"], rows, found)


def memory() -> str:
    """Peaks of whole runs."""
    found = [row for row in latest("reliability").values() if row["part"] == "memory"]
    rows = [
        [r["size"], named((r.get("method", ""), r["case"])), number(r, "peak_mb", ".0f"), number(r, "bound_mb", ".0f")]
        for r in found
    ]
    return table(["run", "", "peak, MB", "bound, MB"], rows, found)


def shown() -> list[Contender]:
    """The baselines, and of each method the cases that are for showing."""
    ours = [(name, case.name) for name in methods.names() for case in cases_of(name) if case.shown]
    return [*((name, "") for name in BASELINES), *ours]


def of_method(name: str) -> list[Contender]:
    """Doing nothing, OpenCV's CLAHE, and every case of a method."""
    return [*((one, "") for one in list(BASELINES)[:2]), *((name, case.name) for case in cases_of(name))]


def named(one: Contender) -> str:
    """Ours as code."""
    method, case = one
    return f"`{method}` {case}".strip() if method in methods.names() else f"{method} {case}".strip()


def briefly(one: Contender) -> str:
    """Of ours, the case alone."""
    method, case = one
    return (case or "the defaults") if method in methods.names() else method


def card(name: str) -> str:
    """The measured part of a method's card."""
    contenders = of_method(name)
    parts = [quality(contenders, briefly), other(contenders, briefly), hues(contenders, briefly)]
    return "\n\n".join(parts)


SECTIONS: dict[str, dict[str, Callable[[], str]]] = {
    "docs/benchmarks.md": {
        "quality": lambda: quality(shown(), named),
        "other": lambda: other(shown(), named),
        "hues": lambda: hues(shown(), named),
        "stacks": stacks,
        "published": published,
        "startup": startup,
        "stream": stream,
        "photo": photo,
        "kernels": kernels,
    },
    "docs/reliability.md": {"memory": memory},
    **{
        f"weights/{name.replace('-', '_')}/card.md": {"measured": lambda name=name: card(name)}  # type: ignore[misc]
        for name in ("clahe-adaptive", "clode", "retinex", "irle")
    },
}


def written(path: str, replaced: Callable[[str, str, str], str]) -> str:
    """A document with its tables as the results have them; `replaced(text, marker, content)` exchanges one."""
    text = (ROOT / path).read_text(encoding="utf-8")
    for marker, make in SECTIONS[path].items():
        text = replaced(text, marker, make())
    return text
