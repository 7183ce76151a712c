"""What retinex learns from: the paper's losses (docs/papers.md, R4 to R6), and those that its pictures needed.

Pictures are N×3×H×W in 0..1; every function gives a scalar, the mean over the batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from enhance_cli.methods.retinex.formulas_torch import luma


def root_huber(output: Tensor, target: Tensor, delta: float = 0.5, floor: float = 1e-4) -> Tensor:
    """The root of twice Huber's loss of each picture: about its RMS error, so that hard and easy pictures count alike.

    Args:
        output: what came out.
        target: what was wanted.
        delta: up to which error the loss is half its square, and linear beyond; the paper's.
        floor: added under the root; below an error of .01 a picture is left in peace.
    """
    each = functional.huber_loss(output, target, delta=delta, reduction="none").mean(dim=(1, 2, 3))
    return torch.sqrt(2.0 * each + floor).mean()


def dissimilarity(output: Tensor, target: Tensor) -> Tensor:
    """1 - SSIM, Gaussian 11×11 of sigma 1.5 on windows that fit, mean over channels: as `quality.reference.ssim`."""
    taps = torch.exp(-0.5 * (torch.arange(-5.0, 6.0, device=output.device, dtype=output.dtype) / 1.5) ** 2)
    taps = taps / taps.sum()

    def mean(maps: Tensor) -> Tensor:
        across = taps.reshape(1, 1, 1, 11).expand(maps.shape[1], 1, 1, 11)
        down = taps.reshape(1, 1, 11, 1).expand(maps.shape[1], 1, 11, 1)
        rows = functional.conv2d(maps, across, groups=maps.shape[1])
        return functional.conv2d(rows, down, groups=maps.shape[1])

    maps = mean(torch.cat([output, target, output * output + target * target, output * target], dim=1))
    mean_a, mean_b, squares, product = maps.chunk(4, dim=1)
    product_of_means, squares_of_means = mean_a * mean_b, mean_a * mean_a + mean_b * mean_b
    similarity = (2.0 * product_of_means + 1e-4) * (2.0 * (product - product_of_means) + 9e-4)
    similarity = similarity / ((squares_of_means + 1e-4) * (squares - squares_of_means + 9e-4))
    total: Tensor = 1.0 - similarity.mean()
    return total


def illumination_smoothness(light: Tensor, image: Tensor, steepness: float = 10.0) -> Tensor:
    """Structure-aware smoothness of an illumination map N×1×H×W: its steps, but where the picture has steps itself.

    |grad L| exp(-10 |grad I|) in both directions, I being luma (docs/papers.md, R5).
    """
    structure = luma(image)

    def along(dim: int) -> Tensor:
        step = torch.diff(light, dim=dim).abs()
        return (step * torch.exp(-steepness * torch.diff(structure, dim=dim).abs())).mean()

    return along(2) + along(3)


def total_variation(image: Tensor) -> Tensor:
    """Mean absolute step between neighbours, down and across: the paper's global ||grad R||_1."""
    return torch.diff(image, dim=2).abs().mean() + torch.diff(image, dim=3).abs().mean()


def chroma(output: Tensor, before: Tensor, pool: int = 32) -> Tensor:
    """Change of Cb and Cr in 32×32 means: colour must stay when noise goes, but not its grains.

    Noise of dark pictures has blotches: held in 8×8 means they stayed (SSIM of held-out dark pictures .53, not .64).
    """
    pool = min(pool, *output.shape[2:])
    after, before = (functional.avg_pool2d(_colour(picture), pool) for picture in (output, before))
    return (after - before).abs().mean()


def inactivity(inputs: Sequence[Tensor], margin: float = 0.1) -> Tensor:
    """How far the mean input of each channel's ReLU is below a margin, summed over channels and layers.

    A channel that is 0 on every image has no gradient and stays dead; this one brings it back.

    Args:
        inputs: what enters the ReLU of each layer, N×C×H×W.
        margin: the mean from which a channel costs nothing.
    """
    return torch.stack([(margin - one.mean(dim=(0, 2, 3))).clamp(min=0.0).sum() for one in inputs]).sum()


def two_tone(output: Tensor, bright: Tensor) -> Tensor:
    """The variance of luma inside each of the two tones of synthetic pictures, by the square of their step: halos.

    Args:
        output: N×3×H×W, what became of two flat tones.
        bright: N×1×H×W, 1 in the brighter tone and 0 in the darker.
    """
    grey = luma(output)
    means, variances = [], []
    for part in (bright, 1.0 - bright):
        count = part.sum(dim=(2, 3), keepdim=True).clamp(min=1.0)
        mean = (grey * part).sum(dim=(2, 3), keepdim=True) / count
        means.append(mean)
        variances.append(((grey - mean) ** 2 * part).sum(dim=(2, 3), keepdim=True) / count)
    # Without a floor two tones that fell together would be infinitely uneven.
    step = (means[0] - means[1]).abs().clamp(min=0.05)
    return ((variances[0] + variances[1]) / step**2).mean()


def _colour(image: Tensor) -> Tensor:
    """Cb and Cr, centred on 0, N×2×H×W."""
    y = luma(image)
    return torch.cat([(image[:, 2:] - y) / 1.772, (image[:, :1] - y) / 1.402], dim=1)
