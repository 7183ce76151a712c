"""Tables of the documents, from stored results: `make docs` writes them between the markers that `SECTIONS` names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from benchmarks.lib.baselines import BASELINES
from benchmarks.lib.results import ROOT, Row, latest
from enhance_cli import methods
from enhance_cli.methods.cases import PAIRED, cases_of

Contender = tuple[str, str]
"""Method and case."""

Text = Callable[[Row], str]
"""Formats one cell of a row."""


# --- cells ---------------------------------------------------------------------------------------------------


def figures(spec: str, *names: str, inside: str | None = None, between: str = ", ") -> Text:
    """A cell of figures of a row, or of a dictionary inside it; those that are not there are left out."""

    def text(row: Row) -> str:
        found = row if inside is None else row.get(inside) or {}
        return between.join(format(found[name], spec) for name in names if found.get(name) is not None)

    return text


def likeness(row: Row) -> str:
    """PSNR/SSIM, and the same mean-matched."""
    plain, matched = (
        "/".join((figures(".2f", f"psnr{kind}")(row), figures(".3f", f"ssim{kind}")(row))) for kind in ("", "_matched")
    )
    return plain if matched == "/" else f"{plain} · {matched}"


def named(one: Contender) -> str:
    """Method and case, ours as code."""
    method, case = one
    return f"`{method}` {case}".strip() if method in methods.names() else f"{method} {case}".strip()


def briefly(one: Contender) -> str:
    """For our methods, the case alone."""
    method, case = one
    return (case or "the defaults") if method in methods.names() else method


def title(row: Row) -> str:
    """`named`, of a row."""
    return named((row.get("method", ""), row["case"]))


# --- tables --------------------------------------------------------------------------------------------------


def table(head: Sequence[str], rows: Iterable[Sequence[str]], measured: Sequence[Row]) -> str:
    """A Markdown table, with the dates, commits and machines of what is in it below."""
    if not measured:
        return "*Not measured yet.*"
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, "", f"*Measured {'; '.join(dict.fromkeys(map(origin, measured)))}.*"])


def origin(row: Row) -> str:
    """Date, machine and commit of a row."""
    machine = row["machine"]
    processor = f"{machine['cpu']}, " if machine["cpu"] else ""
    commit = f", commit {row['commit']}" if row["commit"] else ""
    return f"{row['date']} ({processor}{machine['cores']} cores{commit})"


def by_contender(
    contenders: Sequence[Contender],
    label: Callable[[Contender], str],
    columns: Sequence[tuple[str, str, Text]],
    name: str = "quality",
    part: str = "sets",
) -> str:
    """A row for each contender with stored results; columns are heading, set and cell format."""
    found = latest(name)
    rows, measured = [], []
    for one in contenders:
        cells = [found.get((part, *one, of_set, None)) for _, of_set, _ in columns]
        texts = [text(cell) if cell else "" for cell, (*_, text) in zip(cells, columns, strict=True)]
        if any(texts):
            measured += [cell for cell in cells if cell]
            rows.append([label(one), *texts])
    return table(["", *(heading for heading, *_ in columns)], rows, measured)


def by_row(name: str, part: str, columns: Sequence[tuple[str, Text]], of_set: str | None = None) -> str:
    """A line for each stored row of a part (and set); columns are heading and cell format."""
    found = [row for row in latest(name).values() if (row["part"], row.get("set")) == (part, of_set)]
    return table([heading for heading, _ in columns], [[text(row) for _, text in columns] for row in found], found)


def on_pairs() -> list[tuple[str, str, Text]]:
    """Likeness to the references of each set."""
    photos = {row["set"]: row["photos"] for row in reversed(latest("quality").values()) if "photos" in row}
    return [(f"{name} ({photos.get(name, 0)})", name, likeness) for name in PAIRED]


TONES = tuple(
    (f"{name}: ΔE; black, contrast, chroma", name, figures(".2f", "delta_e", "black_point", "contrast", "chroma"))
    for name in PAIRED
)
"""Colour differences from the references, and tones relative to theirs."""

HARM = (
    ("good photos: SSIM matched, least", "clean", figures(".3f", "ssim_matched", "ssim_matched_least")),
    ("PSNR", "clean", figures(".1f", "psnr")),
    ("two tones: median, worst", "two-tone", figures(".3f", "median", "worst")),
    ("shade: regained, beside it", "shade", figures(".2f", "regained", "bright")),
    ("highlights: white, least", "highlights", figures(".0f", "white", "white_least")),
    ("contours, worst", "highlights", figures(".2%", "contours", "contours_worst")),
    ("skin: turn, worst", "skin", figures(".1f", "turn", "turn_worst")),
    ("chroma, worst", "skin", figures(".2f", "chroma", "chroma_worst")),
    ("empty dark: noise, worst", "empty-dark", figures(".1f", "noise", "noise_worst")),
    ("lifted, worst", "empty-dark", figures(".1%", "lifted", "lifted_worst")),
)
"""What happens to good photos, flat tones, shade, highlights, skin and empty dark areas."""

HUES = (
    *((f"hue, {name}", name, figures(".1f", "hue", "hue_blurred")) for name in PAIRED[:4]),
    *((f"LOE, {name}", name, figures(".0f", "loe")) for name in PAIRED[:4]),
)
"""Change of hue, and order of lightness; frames are the same whatever they are compared with."""

PORTRAITS = (
    ("", title),
    ("background near the person, levels", figures(".1f", "spilt")),
    ("light inside, least", figures(".2f", "inside", "inside_least")),
)
STACKS = (
    ("", title),
    ("MEF-SSIM against the frames", figures(".3f", "mef_ssim")),
    ("PSNR/SSIM to the best frame", likeness),
)
STARTUP = (
    ("", lambda row: f"{row['method']} {row['case']}"),
    ("seconds, median", figures(".3f", "seconds")),
    ("least", figures(".3f", "least")),
)
STREAM = (
    ("", title),
    ("photos a second", figures(".1f", "rate")),
    *((f"times {way}", figures(".2f", way, inside="ratios")) for way in ("loop", "pool", "codec")),
)
PHOTO = (
    ("", title),
    ("size", lambda row: row["size"]),
    ("seconds, median", figures(".2f", "seconds")),
    ("least", figures(".2f", "least")),
    ("processor", figures(".2f", "processor")),
    ("estimate", figures(".2f", "estimate", inside="stages")),
    ("render", figures(".2f", "render", inside="stages")),
)
RECOGNITION = (
    ("", title),
    ("right, %", figures(".1f", "top1")),
    *((f"{stops} stops", figures(".1f", f"top1_{stops}")) for stops in ("2", "3.5", "5")),
)
TEXT = (("", title), ("lines read", figures("d", "lines")), ("of", figures("d", "of")))
MEMORY = (
    ("run", lambda row: row["size"]),
    ("", title),
    ("peak, MB", figures(".0f", "peak_mb")),
    ("bound, MB", figures(".0f", "bound_mb")),
)


# --- documents -----------------------------------------------------------------------------------------------


def shown() -> list[Contender]:
    """The baselines, and the cases of each method that are shown."""
    ours = [(name, case.name) for name in methods.names() for case in cases_of(name) if case.shown]
    return [*((name, "") for name in BASELINES), *ours]


def published() -> str:
    """Public methods on the same photos."""
    contenders = dict.fromkeys((row["method"], "") for row in latest("published").values())
    columns = [(name, name, likeness) for name in ("lol", "under", "over")]
    return by_contender(list(contenders), named, columns, "published", "published")


def card(name: str) -> str:
    """The measured part of a method's card: its cases next to the unchanged input and OpenCV's CLAHE."""
    contenders = [*((one, "") for one in list(BASELINES)[:2]), *((name, case.name) for case in cases_of(name))]
    return "\n\n".join(by_contender(contenders, briefly, columns) for columns in (on_pairs(), TONES, HARM, HUES))


CARDS = {name: f"weights/{name.replace('-', '_')}/card.md" for name in ("clahe-adaptive", "clode", "retinex", "irle")}

SECTIONS: dict[str, dict[str, Callable[[], str]]] = {
    "docs/benchmarks.md": {
        "quality": lambda: by_contender([*shown(), ("best per photo", "")], named, on_pairs()),
        "tones": lambda: by_contender(shown(), named, TONES),
        "other": lambda: by_contender(shown(), named, HARM),
        "hues": lambda: by_contender(shown(), named, HUES),
        "portraits": lambda: by_row("quality", "sets", PORTRAITS, "portraits"),
        "stacks": lambda: by_row("quality", "sets", STACKS, "stacks"),
        "published": published,
        "startup": lambda: by_row("speed", "startup", STARTUP),
        "stream": lambda: by_row("speed", "stream", STREAM),
        "photo": lambda: by_row("speed", "photo", PHOTO),
        "recognition": lambda: by_row("recognition", "photos", RECOGNITION),
        "text": lambda: by_row("recognition", "text", TEXT),
    },
    "docs/reliability.md": {"memory": lambda: by_row("reliability", "memory", MEMORY)},
    **{path: {"measured": partial(card, name)} for name, path in CARDS.items()},
}


def written(path: str, replaced: Callable[[str, str, str], str]) -> str:
    """A document with its tables as the results have them; `replaced(text, marker, content)` exchanges one."""
    text = (ROOT / path).read_text(encoding="utf-8")
    for marker, make in SECTIONS[path].items():
        text = replaced(text, marker, make())
    return text
