"""Enhance one photo from Python, and read what was decided.

python examples/01_one_photograph.py photo.jpg enhanced.png
"""

import sys

import enhance_cli as enhance

source, target = sys.argv[1:]

with enhance.open("clahe-adaptive") as method:
    result = method.enhance(source, grid=(8, 8))  # a path, or an RGB array of uint8, uint16 or floats

result.save(target)  # with the depth, profile and metadata of the source

before, after = (result.report["exposure"][when] for when in ("before", "after"))
print(
    f"mean luma {before['mean']:.3f} -> {after['mean']:.3f}, entropy {before['entropy']:.2f} -> {after['entropy']:.2f}"
)
print("clip limits of the first row of tiles:", result.report["plan"]["clip_limits"][0])
