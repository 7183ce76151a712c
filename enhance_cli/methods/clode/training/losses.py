"""What CLODE learns from: no reference anywhere, only what a good exposure looks like.

Of the paper's five losses (docs/papers.md, O4 to O8) these are spatial consistency, exposure, curve regularisation and
noise removal; its pictures were found to need others too: the input's own chromaticity
instead of grey, light that grows with time, and flat tones that stay flat. Pictures are N×3×H×W in 0..1; every
function gives the mean over the batch as a scalar.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional


def spatial_consistency(output: Tensor, image: Tensor, pool: int = 4) -> Tensor:
    """Differences between neighbouring 4×4 means are to stay what they were, sign included (O4)."""
    after, before = (functional.avg_pool2d(picture.mean(dim=1, keepdim=True), pool) for picture in (output, image))
    change = after - before
    down = (change[:, :, 1:] - change[:, :, :-1]) ** 2
    right = (change[:, :, :, 1:] - change[:, :, :, :-1]) ** 2
    # Each cell meets four neighbours, so every difference counts for both of its cells.
    return 2.0 * (down.sum(dim=(1, 2, 3)) + right.sum(dim=(1, 2, 3))).mean() / (change.shape[2] * change.shape[3])


def exposure(output: Tensor, target: Tensor | float, pool: int | None = 16) -> Tensor:
    """Squared distance of local means of 16×16 pixels from the wanted exposure; of the picture's mean without pool."""
    grey = output.mean(dim=1, keepdim=True)
    means = grey.mean(dim=(2, 3), keepdim=True) if pool is None else functional.avg_pool2d(grey, pool)
    wanted = torch.as_tensor(target, dtype=output.dtype, device=output.device).reshape(-1, 1, 1, 1)
    return ((means - wanted) ** 2).mean()


def variation(rates: Sequence[Tensor]) -> Tensor:
    """Curve regularisation: squared differences of neighbouring rates, as a mean over the times of a solve (O7)."""
    total = torch.zeros((), dtype=rates[0].dtype, device=rates[0].device)
    for rate in rates:
        total = total + (rate[:, :, 1:] - rate[:, :, :-1]).square().mean()
        total = total + (rate[:, :, :, 1:] - rate[:, :, :, :-1]).square().mean()
    return 2.0 * total / len(rates)


def unevenness(shift: Tensor) -> Tensor:
    """The variance of a logit shift over its picture: equal tones of one light ask for one exposure.

    A shift that is the same everywhere keeps every order and every edge; what a local one gains in exposure it
    must be worth.
    """
    return shift.var(dim=(2, 3), correction=0).mean()


def channel_deviation(shift: Tensor) -> Tensor:
    """The variance of a logit shift between red, green and blue: what turns hues beyond the curve itself."""
    return shift.var(dim=1, correction=0).mean()


def noise_removal(noise_of: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    """ZS-N2N: two half-size pictures of one noisy picture, each cleaned, are to agree with the other.

    Residual term, and a consistency term: cleaning and halving are to be the same in either order (O8).

    Args:
        noise_of: the denoiser, which gives the noise of a picture.
        image: noisy pictures with even sides.
    """
    first, second = halves(image)
    first_clean, second_clean = first - noise_of(first), second - noise_of(second)
    residual = functional.mse_loss(second_clean, first) + functional.mse_loss(first_clean, second)
    whole_first, whole_second = halves(image - noise_of(image))
    consistency = functional.mse_loss(first_clean, whole_first) + functional.mse_loss(second_clean, whole_second)
    return 0.5 * (residual + consistency)


def halves(image: Tensor) -> tuple[Tensor, Tensor]:
    """The two diagonal means of every 2×2 block: two pictures of half the size with independent noise."""
    first = 0.5 * (image[:, :, ::2, 1::2] + image[:, :, 1::2, ::2])
    second = 0.5 * (image[:, :, ::2, ::2] + image[:, :, 1::2, 1::2])
    return first, second


def chromaticity(output: Tensor, image: Tensor, pool: int = 4) -> Tensor:
    """Shares of red, green and blue in 4×4 means are to stay the input's, the more the brighter the output.

    The grey-world loss pulls every sky to grey; this one lets a picture keep its colours.
    """
    after, before = (functional.avg_pool2d(picture, pool) for picture in (output, image))
    weight = after.mean(dim=1, keepdim=True).detach()
    # Half a grey level is added to the input's sums: the colour of almost black is noise.
    shares_after = after / (after.sum(dim=1, keepdim=True) + 1e-3)
    shares_before = (before + 2e-3) / (before + 2e-3).sum(dim=1, keepdim=True)
    return (weight * (shares_after - shares_before) ** 2).sum(dim=1).mean()


def brightness_order(means: Sequence[Tensor], step: float = 0.0) -> Tensor:
    """A hinge on mean luma over growing times: each must exceed the one before by at least `step`.

    Args:
        means: N means each, in order of time.
        step: the least growth.
    """
    falls = [torch.relu(before + step - after) for before, after in pairwise(means)]
    return torch.stack(falls).mean()


def two_tone(shift: Tensor, bright: Tensor) -> Tensor:
    """The variance of a logit shift inside each of the two flat tones of synthetic pictures: halos, measured.

    Args:
        shift: N×3×H×W.
        bright: N×1×H×W, 1 in the brighter tone and 0 in the darker.
    """
    total = torch.zeros((), dtype=shift.dtype, device=shift.device)
    for part in (bright, 1.0 - bright):
        count = part.sum(dim=(2, 3), keepdim=True).clamp(min=1.0)
        mean = (shift * part).sum(dim=(2, 3), keepdim=True) / count
        total = total + (((shift - mean) ** 2 * part).sum(dim=(2, 3), keepdim=True) / count).mean()
    return total
