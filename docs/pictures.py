"""Make the images of docs/tutorial.md by its own commands: `make sheet`, or python docs/pictures.py."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import cv2
import numpy as np
from generate import ROOT, shell_of
from numpy.typing import NDArray

WIDTH = 800
"""Pixels of an image on the page."""

PAGE = ROOT / "docs" / "tutorial.md"
BACKLIT = "examples/photos/astronaut-backlit.jpg"
DARK = "china-underexposed"
PICTURES = {
    "enhanced": [
        ["examples/photos/chelsea-flat-16bit.png", "examples/photos/coffee-hazy.webp"],
        ["tour/enhanced/chelsea-flat-16bit.png", "tour/enhanced/coffee-hazy.webp"],
    ],
    "times": [
        [f"examples/photos/{DARK}.jpg", f"tour/times/{DARK}_t1.jpg"],
        [f"tour/times/{DARK}_t2.jpg", f"tour/times/{DARK}_t3.jpg"],
    ],
    "backlit": [[BACKLIT, "tour/backlit.jpg"]],
    "lit": [[BACKLIT, "tour/lit.jpg"]],
}
"""By the end of its name, rows of the files that an image shows."""


def row(paths: list[Path]) -> NDArray[np.uint8]:
    """Photos side by side, of one height and together `WIDTH` wide, with a white gap."""
    photos = [cv2.imread(str(path)) for path in paths]
    height = (WIDTH - 8 * (len(photos) - 1)) / sum(photo.shape[1] / photo.shape[0] for photo in photos)
    scaled = [
        cv2.resize(
            photo, (round(height * photo.shape[1] / photo.shape[0]), round(height)), interpolation=cv2.INTER_AREA
        )
        for photo in photos
    ]
    gap = np.full((round(height), 8, 3), 255, np.uint8)
    line = np.hstack([piece for photo in scaled for piece in (photo, gap)][:-1])
    return cv2.copyMakeBorder(line, 0, 0, 0, max(WIDTH - line.shape[1], 0), cv2.BORDER_REPLICATE)[:, :WIDTH]


def main() -> None:
    """Run the commands of the page in a temporary folder, and write docs/images/tutorial-NAME.jpg."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "examples").symlink_to(ROOT / "examples")
        subprocess.run(["bash", "-euo", "pipefail", "-c", shell_of(PAGE)], cwd=folder, check=True)
        for name, lines in PICTURES.items():
            rows = [row([Path(folder) / path for path in paths]) for paths in lines]
            gap = np.full((8, WIDTH, 3), 255, np.uint8)
            picture = np.vstack([piece for line in rows for piece in (line, gap)][:-1])
            target = ROOT / "docs" / "images" / f"tutorial-{name}.jpg"
            cv2.imwrite(str(target), picture, [cv2.IMWRITE_JPEG_QUALITY, 82])


if __name__ == "__main__":
    main()
