"""What IRLE learns from: references in dark photographs themselves, each loss blind to what it must not ask.

Structure without place or light (SISC), features without light (IAP), colours and exposure without detail (pseudo
ground truth), texture from one shot and colour from another (decoupled), and a pixel from its neighbours (blind
spot). docs/papers.md, I3 to I9. Pictures are N×3×H×W in 0..1; every function gives the mean over the batch as a
scalar and has a gradient in its first argument.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from enhance_cli.methods.irle.flatness import box, flatness, luma

Features = Callable[[Tensor], Sequence[Tensor]]
"""A frozen feature extractor: N×3×H×W to maps."""


def low_pass(image: Tensor) -> Tensor:
    """Colours and light without texture and noise: quarter size, a box of 5 twice. Sides are multiples of 4."""
    return box(box(functional.avg_pool2d(image, 4), 5), 5)


# --- stage 2: the denoiser -----------------------------------------------------------------------------------


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


def blind_spot(blind: Tensor, noisy: Tensor) -> Tensor:
    """The distance of a blind prediction from the noisy pixels themselves: nothing else than the picture is needed.

    A squared distance: its minimum is the mean of the noisy pixels, and tone curves keep means better than medians.
    """
    return (flatness(blind) * (blind - noisy).square()).mean()


# --- stage 1: illumination and reflectance -------------------------------------------------------------------


def sub_images(image: Tensor) -> tuple[Tensor, Tensor]:
    """The two checker-pattern views: the upper left and the lower right pixel of every 2×2 block."""
    return image[:, :, ::2, ::2], image[:, :, 1::2, 1::2]


def reconstruction(illumination: Tensor, reflectance: Tensor, image: Tensor) -> Tensor:
    """L R is to be I: the mean distance, relative to the picture's own mean, so that dark pictures count as much."""
    scale = image.mean(dim=(1, 2, 3), keepdim=True) + 0.02
    return ((illumination * reflectance - image).abs() / scale).mean()


def pseudo_ground_truth(reflectance: Tensor, reference: Tensor) -> Tensor:
    """Low-passes are to agree with those of the physical reference, and so is the mean colour."""
    near = (low_pass(reflectance) - low_pass(reference)).abs().mean()
    shares = [mean / mean.sum(dim=1, keepdim=True).clamp(min=1e-3) for mean in (_means(reflectance), _means(reference))]
    return near + 0.2 * (shares[0] - shares[1]).abs().mean()


def illumination_prior(illumination: Tensor, prior: Tensor, image: Tensor) -> Tensor:
    """L stays near the one that the curve gives, and is smooth where the picture is: total variation by its edges."""
    guide = luma(box(image, 5))
    total = (illumination - prior).abs().mean()
    for axis in (2, 3):
        edges = torch.exp(-10.0 * guide.diff(dim=axis).abs())
        total = total + (illumination.diff(dim=axis).abs() * edges).mean()
    return total


def exposure(reflectance: Tensor, target: float) -> Tensor:
    """Squared distance of every picture's mean from the target."""
    return (reflectance.mean(dim=(1, 2, 3)) - target).square().mean()


BANDS = 8
"""Rings of equal width from 0 to Nyquist; the corners of the plane beyond it are dropped."""

KEPT = (2, 6)
"""Of the rings, 2 to 5 are compared: below lies illumination, above noise; as in the paper's figure."""


def spectral_profile(image: Tensor) -> Tensor:
    """The mean log magnitude of luma's spectrum in eight rings, standardised over the rings: N×8.

    Hann window after the mean is removed. Phases are dropped, so that a shift changes nothing but the border; the
    standardisation drops the scale, so that exposure changes nothing.
    """
    grey = luma(image)[:, 0].float()
    height, width = grey.shape[1:]
    window = torch.hann_window(height, periodic=False, device=grey.device)[:, None] * torch.hann_window(
        width, periodic=False, device=grey.device
    )
    spectrum = torch.fft.rfft2((grey - grey.mean(dim=(1, 2), keepdim=True)) * window)
    log_magnitude = 0.5 * torch.log(spectrum.real.square() + spectrum.imag.square() + 1e-6)
    rings = _rings(height, width).to(grey.device)
    energies = torch.einsum("nyx,kyx->nk", log_magnitude, rings)
    centred = energies - energies.mean(dim=1, keepdim=True)
    return centred / (centred.square().mean(dim=1, keepdim=True).sqrt() + 1e-4)


@lru_cache(maxsize=8)
def _rings(height: int, width: int) -> Tensor:
    """Weights of a real spectrum's bins for each ring's mean: 8×height×(width / 2 + 1)."""
    radius = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None])
    # All but the first and (at even widths) the last column stand for two bins of the whole plane.
    count = torch.full((width // 2 + 1,), 2.0)
    count[0] = 1.0
    if width % 2 == 0:
        count[-1] = 1.0
    index = (radius / 0.5 * BANDS).long()
    rings = torch.stack([torch.where(index == ring, count, 0.0) for ring in range(BANDS)])
    return rings / rings.sum(dim=(1, 2), keepdim=True).clamp(min=1.0)


def spectral_correlation(image: Tensor) -> Tensor:
    """C = z zᵀ of the profile, in rings 2 to 5: N×4×4, the figure's correlation of frequency components."""
    profile = spectral_profile(image)[:, KEPT[0] : KEPT[1]]
    return profile[:, :, None] * profile[:, None, :]


def sisc(first: Tensor, second: Tensor, patch: int = 64, noise: float = 0.02) -> Tensor:
    """Shift-invariant spectral correlation: the distance of C on windowed patches and on the whole (I3).

    Patches of 64 pixels at every 32: on smaller ones a shift is no longer nothing. Flat patches, where the spectrum
    is that of noise, count by their contrast's share in contrast and noise.

    Args:
        first: N×3×H×W.
        second: the same size; which of both is noisier does not matter to the value.
        patch: side of the patches; a picture smaller than that is only taken whole.
        noise: standard deviation of noise to which contrast is compared.
    """
    whole = (spectral_correlation(first) - spectral_correlation(second)).abs().mean()
    if min(first.shape[2:]) < patch:
        return whole
    pieces, others = _patches(first, patch), _patches(second, patch)
    distance = (spectral_correlation(pieces) - spectral_correlation(others)).abs().mean(dim=(1, 2))
    contrast = luma(others).flatten(1).std(dim=1)
    weight = (contrast / (contrast + noise)).detach()
    return (distance * weight).sum() / weight.sum().clamp(min=1e-6) + whole


def _patches(image: Tensor, side: int) -> Tensor:
    channels = image.shape[1]
    tiles = image.unfold(2, side, side // 2).unfold(3, side, side // 2)
    return tiles.permute(0, 2, 3, 1, 4, 5).reshape(-1, channels, side, side)


def aligned(image: Tensor, output: Tensor) -> Tensor:
    """The input under the output's light: I times the ratio of their local means, which carries no gradient."""
    ratio = box(luma(output), 19) / (box(luma(image), 19) + 1e-3)
    return (image * ratio.detach()).clamp(0.0, 1.0)


def iap(output: Tensor, image: Tensor, features: Features) -> Tensor:
    """Illumination-aligned perceptual distance: features of the output against those of the aligned input.

    Instance normalisation drops what light is left; a slight blur of both keeps the input's noise from being asked
    for (docs/papers.md, I4).
    """
    total = torch.zeros((), dtype=output.dtype, device=output.device)
    for ours, theirs in zip(features(_blurred(output)), features(_blurred(aligned(image, output))), strict=True):
        total = total + (_standardised(ours) - _standardised(theirs)).abs().mean()
    return total


class Gabor:
    """Fixed features in place of a pretrained network: magnitudes of Gabor filters, 8 directions on 3 scales.

    Nothing to fetch, nothing whose licence or data would have to be known (docs/papers.md, S3).
    """

    def __init__(self, directions: int = 8, scales: int = 3, side: int = 9) -> None:
        """Build the filters: even and odd, wave length 4 pixels, zero mean, unit norm."""
        y, x = torch.meshgrid(*(torch.arange(side) - side // 2 for _ in range(2)), indexing="ij")
        self.scales = scales
        filters = []
        for index in range(directions):
            angle = torch.tensor(torch.pi * index / directions)
            along = x * torch.cos(angle) + y * torch.sin(angle)
            envelope = torch.exp(-(x**2 + y**2) / (2.0 * 2.0**2))
            for wave in (torch.cos(torch.pi * along / 2.0), torch.sin(torch.pi * along / 2.0)):
                kernel = envelope * wave
                kernel = kernel - envelope * (kernel.sum() / envelope.sum())
                filters.append(kernel / kernel.norm())
        self.filters = torch.stack(filters)[:, None]

    def __call__(self, image: Tensor) -> list[Tensor]:
        """N×3×H×W to one N×directions×h×w map for each scale, in luma; sides of at least 32."""
        grey, maps = luma(image), []
        filters = self.filters.to(image)
        for scale in range(self.scales):
            if scale:
                grey = functional.avg_pool2d(grey, 2)
            answer = functional.conv2d(grey, filters)
            energy = answer[:, ::2].square() + answer[:, 1::2].square()
            maps.append(torch.log1p(10.0 * torch.sqrt(energy + 1e-8)))
        return maps


def _blurred(image: Tensor, sigma: float = 0.7) -> Tensor:
    taps = torch.exp(-0.5 * (torch.arange(-2, 3) / sigma) ** 2).to(image)
    taps = taps / taps.sum()
    channels = image.shape[1]
    padded = functional.pad(image, (2, 2, 2, 2), mode="replicate")
    rows = functional.conv2d(padded, taps.reshape(1, 1, 5, 1).repeat(channels, 1, 1, 1), groups=channels)
    return functional.conv2d(rows, taps.reshape(1, 1, 1, 5).repeat(channels, 1, 1, 1), groups=channels)


def _standardised(maps: Tensor) -> Tensor:
    mean = maps.mean(dim=(2, 3), keepdim=True)
    deviation = maps.var(dim=(2, 3), keepdim=True, correction=0).add(1e-6).sqrt()
    return (maps - mean) / deviation


def _means(image: Tensor) -> Tensor:
    return image.mean(dim=(2, 3))
