"""Replay a report's clip limits, then edit them by hand: no contrast added in the top row of tiles (a noisy sky).

python examples/04_clip_map.py photo.jpg folder
"""

import json
import subprocess
import sys
from pathlib import Path

photo, folder = map(Path, sys.argv[1:])
enhance = [sys.executable, "-m", "enhance_cli", "clahe-adaptive", "--quiet", "--overwrite"]

# As the network decides; the report keeps the clip limit of every tile.
subprocess.run([*enhance, "--grid", "6x6", photo, folder / "predicted"], check=True)
report = folder / "predicted" / "enhance-report.jsonl"

# The same again from the report alone, without the network: the same picture, on any machine and as often as wanted.
subprocess.run([*enhance, "--clip-map", report, photo, folder / "replayed"], check=True)
same = (folder / "predicted" / photo.name).read_bytes() == (folder / "replayed" / photo.name).read_bytes()
print("replayed:", "the same bytes" if same else "another picture")

# Edited: a matrix of limits, rows from the top. A small limit leaves the tile nearly as it was.
limits = json.loads(report.read_text().splitlines()[-1])["plan"]["clip_limits"]
limits[0] = [0.05] * len(limits[0])
(folder / "edited.json").write_text(json.dumps(limits))
subprocess.run([*enhance, "--clip-map", folder / "edited.json", photo, folder / "edited"], check=True)
print("edited:", folder / "edited" / photo.name)
