"""Add a lamp to a photo: a soft mask drawn in Python, with two degrees of light.

python examples/06_lamp.py photo.jpg folder 0.5 0.6     # where it hangs: shares of width and height
"""

import sys
from pathlib import Path

import cv2
import numpy as np

import enhance_cli as enhance

source, folder, across, down = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
folder.mkdir(parents=True, exist_ok=True)

# A mask may have any size; this one is 200 pixels wide, has the photo's proportions, and is soft from the middle.
height, width = cv2.imread(str(source)).shape[:2]
y, x = np.mgrid[: round(200 * height / width), :200] / 200
distance = np.hypot(x - across, y - down * height / width)
lamp = np.clip(1.2 - distance / 0.3, 0, 1)

with enhance.open("local") as method:
    for degree in (0.8, 1.2):
        result = method.enhance(source, mask=lamp, degree=degree)
        result.save(folder / f"{source.stem}_{degree}.png")
        areas = result.report["plan"]["areas"]
        lit = areas["A"]
        print(
            f"degree {degree}: luma of the lit {lit['share']:.0%} {lit['luma_before']:.3f} -> {lit['luma_after']:.3f}, "
            f"{areas['C']['share']:.0%} unchanged"
        )
