"""A before/after sheet: every photo above its enhanced copy, labelled with what was measured.

    python examples/sheet.py INPUTS OUTPUTS SHEET            of a folder that enhance has written
    python examples/sheet.py --enhance INPUTS SHEET          enhances into a temporary folder first, with the defaults

Nothing is chosen or retouched: all photos of the folder are shown, in order of name.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

HEIGHT, GAP, BAND = 250, 10, 40
INK, PALE, PAPER = (30, 30, 30), (110, 110, 110), (255, 255, 255)


def thumbnail(path: Path, height: int = HEIGHT) -> Image.Image:
    """An image of any depth as 8-bit RGB of one height."""
    codes = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if codes is None:
        sys.exit(f"{path} cannot be read")
    eight_bit = codes if codes.dtype == np.uint8 else np.round(codes / 257.0).astype(np.uint8)
    width = round(codes.shape[1] * height / codes.shape[0])
    smooth = cv2.INTER_AREA if codes.shape[0] > height else cv2.INTER_CUBIC
    return Image.fromarray(cv2.resize(eight_bit, (width, height), interpolation=smooth)[..., ::-1])


def column(line: dict, inputs: Path, outputs: Path) -> Image.Image:
    """One photo: name, input, output, and the change of its luma."""
    name = Path(line["output"]).name
    before, after = thumbnail(inputs / Path(line["source"]).name), thumbnail(outputs / name)
    cell = Image.new("RGB", (before.width, BAND + 2 * HEIGHT + GAP), PAPER)
    draw = ImageDraw.Draw(cell)
    draw.text((2, 0), name, INK, ImageFont.load_default(15))
    exposure = line["exposure"]
    contrast = [exposure[when]["p99"] - exposure[when]["p01"] for when in ("before", "after")]
    means = [exposure[when]["mean"] for when in ("before", "after")]
    facts = f"mean luma {means[0]:.2f} to {means[1]:.2f}, range {contrast[0]:.2f} to {contrast[1]:.2f}"
    draw.text((2, 20), facts, PALE, ImageFont.load_default(12))
    cell.paste(before, (0, BAND))
    cell.paste(after, (0, BAND + HEIGHT + GAP))
    return cell


def sheet(inputs: Path, outputs: Path, per_row: int) -> Image.Image:
    """All photos of a report, in rows."""
    lines = [json.loads(line) for line in (outputs / "enhance-report.jsonl").read_text().splitlines()]
    lines = sorted((line for line in lines if line["status"] == "done"), key=lambda line: line["source"])
    cells = [column(line, inputs, outputs) for line in lines]
    rows = [cells[start : start + per_row] for start in range(0, len(cells), per_row)]
    width = max(sum(cell.width + GAP for cell in row) for row in rows) + GAP
    whole = Image.new("RGB", (width, sum(row[0].height + 2 * GAP for row in rows)), PAPER)
    top = GAP
    for row in rows:
        left = GAP
        for cell in row:
            whole.paste(cell, (left, top))
            left += cell.width + GAP
        top += row[0].height + 2 * GAP
    return whole


def main() -> None:
    """Read the command line and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--enhance", action="store_true", help="enhance INPUTS first; then OUTPUTS is left out")
    parser.add_argument("--per-row", type=int, default=3)
    parser.add_argument("paths", nargs="+", type=Path, metavar="INPUTS [OUTPUTS] SHEET")
    options = parser.parse_args()
    if len(options.paths) != (2 if options.enhance else 3):
        parser.error("give INPUTS OUTPUTS SHEET, or --enhance INPUTS SHEET")
    inputs, target = options.paths[0], options.paths[-1]
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        outputs = Path(folder) if options.enhance else options.paths[1]
        if options.enhance:
            command = [sys.executable, "-m", "enhance_cli", "clahe-adaptive", str(inputs), folder, "--quiet"]
            subprocess.run(command, check=True)
        made = sheet(inputs, outputs, options.per_row)
    made.save(target, **({"quality": 85} if target.suffix.lower() in (".jpg", ".jpeg") else {}))
    print(f"{target}: input above, output below")


if __name__ == "__main__":
    main()
