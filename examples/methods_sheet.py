"""A sheet of every method on the same photos, with the settings of its first shown case and nothing chosen.

    python examples/methods_sheet.py INPUTS SHEET

Good for the question which method a folder needs: all photos of INPUTS are shown, in order of name.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from sheet import GAP, INK, PAPER, thumbnail

from enhance_cli import methods
from enhance_cli.methods.cases import cases_of, options_of

BAND, HEIGHT = 40, 170


def columns(inputs: Path, folder: Path) -> dict[str, Path]:
    """The folder of every column, by its label of two lines; a method's images are made first."""
    found = {"input": inputs}
    for name in methods.names():
        case = next(case for case in cases_of(name) if case.shown)
        words = [name, *options_of(case.controls)]
        output = folder / name
        command = [sys.executable, "-m", "enhance_cli", *words, str(inputs), str(output), "--quiet"]
        subprocess.run(command, check=True)
        found[f"{name}\n{' '.join(words[1:])}"] = output
    return found


def sheet(inputs: Path, folder: Path) -> Image.Image:
    """A row for every photo, a column for every method, each photo as wide as its widest column."""
    found = columns(inputs, folder)
    names = sorted(path.name for path in inputs.iterdir() if path.suffix in (".jpg", ".png", ".webp"))
    rows = [[thumbnail(column / name, HEIGHT) for column in found.values()] for name in names]
    width = max(cell.width for row in rows for cell in row)
    whole = Image.new("RGB", (GAP + len(found) * (width + GAP), BAND + len(rows) * (HEIGHT + GAP) + GAP), PAPER)
    draw = ImageDraw.Draw(whole)
    for place, label in enumerate(found):
        left = GAP + place * (width + GAP)
        draw.text((left, 4), label, INK, ImageFont.load_default(11))
        for index, row in enumerate(rows):
            top = BAND + GAP + index * (HEIGHT + GAP)
            whole.paste(row[place], (left + (width - row[place].width) // 2, top))
    return whole


def main() -> None:
    """Read the command line and write the sheet."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    inputs, target = Path(sys.argv[1]), Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        made = sheet(inputs, Path(folder))
    made.save(target, **({"quality": 85} if target.suffix.lower() in (".jpg", ".jpeg") else {}))
    print(f"{target}: {len(methods.names())} methods")


if __name__ == "__main__":
    main()
