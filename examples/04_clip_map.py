"""Replay a report's clip limits, then edit them by hand: no contrast added in the top row of tiles (a noisy sky).

python examples/04_clip_map.py photo.jpg folder
"""

import json
import subprocess
import sys
from pathlib import Path

import cv2

photo, folder = map(Path, sys.argv[1:])
enhanced = f"{photo.stem}.png"
command = [sys.executable, "-m", "enhance_cli", "clahe-adaptive", "--quiet", "--overwrite", "--format", "png"]

# As the network decides; the report keeps the clip limit of every tile.
subprocess.run([*command, "--grid", "6x6", photo, folder / "predicted"], check=True)
report = folder / "predicted" / "enhance-report.jsonl"

# The same again from the report alone, without the network, on any machine and as often as wanted.
subprocess.run([*command, "--clip-map", report, photo, folder / "replayed"], check=True)
predicted, replayed = (cv2.imread(str(folder / name / enhanced)) for name in ("predicted", "replayed"))
print("replayed: largest difference", cv2.absdiff(predicted, replayed).max(), "grey levels")

# Edited: the limits of the report's line, rows from the top. A small limit leaves the tile nearly as it was.
line = json.loads(report.read_text().splitlines()[-1])
line["plan"]["clip_limits"][0] = [0.05] * len(line["plan"]["clip_limits"][0])
(folder / "edited.jsonl").write_text(json.dumps(line) + "\n")
subprocess.run([*command, "--clip-map", folder / "edited.jsonl", photo, folder / "edited"], check=True)
print("edited:", folder / "edited" / enhanced)
