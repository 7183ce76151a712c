"""What IRLE's denoisers learn from: two shots of one scene, whose noise is independent.

Texture from one shot and colour from another (decoupled; docs/papers.md, I9). Pictures are N×3×H×W in 0..1; every
function gives the mean over the batch as a scalar and has a gradient in its first argument.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from enhance_cli.methods.irle.flatness import box, flatness


def low_pass(image: Tensor) -> Tensor:
    """Colours and light without texture and noise: quarter size, a box of 5 twice. Sides are multiples of 4."""
    return box(box(functional.avg_pool2d(image, 4), 5), 5)


def decoupled(output: Tensor, twin: Tensor, brighter: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Texture from a noisy twin whatever its colours, and colours from a twin that is not darker (docs/papers.md, I9).

    Texture: the squared distance to the twin after its low-pass has been brought to the output's. The noise of a twin
    is independent of the input's, so its mean, the clean picture, is what lowers the loss (Noise2Noise). It weighs most
    where the output is flat, see `flatness`. Colours: the squared distance of low-passes alone.

    Args:
        output: the cleaned picture of one exposure.
        twin: another exposure under the curve of the first.
        brighter: the twin under its own curve.
        weight: N; 1 where the twin is not darker, 0 where it has no colours to teach.

    Returns:
        texture and colour terms.
    """
    wanted, around = low_pass(twin), low_pass(output)
    # No gradient through the ratio: a picture must not fade to make its twin's texture small.
    ratio = (around.detach() + 1e-3) / (wanted + 1e-3)
    ratio = functional.interpolate(ratio, scale_factor=4.0, mode="bilinear", align_corners=False)
    texture = (flatness(output) * (output - twin * ratio).square()).mean()
    colours = (around - low_pass(brighter)).square().mean(dim=(1, 2, 3))
    return texture, (colours * weight).mean()
