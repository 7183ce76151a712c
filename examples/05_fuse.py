"""Fuse exposures of one scene, and print the contribution of each.

python examples/05_fuse.py dark.jpg middle.jpg bright.jpg fused.png
"""

import sys

import enhance_cli as enhance

*frames, target = sys.argv[1:]

with enhance.open("retinex", device="cpu") as retinex:
    result = retinex.fuse(frames)

for candidate in result.report["plan"]["candidates"]:
    print(f"{candidate['name']}: weight {candidate['weight']:.2f}, strongest on {candidate['wins']:.0%} of the image")
result.save(target)
