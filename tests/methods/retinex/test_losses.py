"""Each loss of retinex against what it is said to be."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from enhance_cli.methods.retinex.training import losses
from enhance_cli.quality.reference import ssim


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    target = torch.rand(2, 3, 24, 32, generator=generator)
    return (target + 0.2 * torch.randn(target.shape, generator=generator)).clamp(0, 1), target


def test_root_huber_counts_pictures_alike() -> None:
    target = torch.zeros(2, 3, 4, 4)
    output = torch.stack([target[0] + 0.1, target[1] + 0.4])
    expected = ((0.01 + 1e-4) ** 0.5 + (0.16 + 1e-4) ** 0.5) / 2
    assert losses.root_huber(output, target).item() == pytest.approx(expected, rel=1e-5)


def test_dissimilarity_is_one_less_the_ssim_of_the_quality_figures(pair) -> None:
    output, target = (torch.round(one * 255) / 255 for one in pair)
    figures = [
        ssim(*((one[i].numpy().transpose(1, 2, 0) * 255).round().astype(np.uint8) for one in (output, target)))
        for i in range(2)
    ]
    assert losses.dissimilarity(output, target).item() == pytest.approx(1.0 - np.mean(figures), abs=1e-4)
    assert losses.dissimilarity(target, target).item() == pytest.approx(0.0, abs=1e-6)


def test_illumination_may_step_where_the_picture_does() -> None:
    step = torch.zeros(1, 1, 8, 8)
    step[..., 4:] = 1.0
    flat, same = torch.full((1, 3, 8, 8), 0.5), step.expand(1, 3, 8, 8)
    on_flat = losses.illumination_smoothness(step, flat).item()
    assert on_flat == pytest.approx(1.0 / 7.0)
    assert losses.illumination_smoothness(step, same).item() == pytest.approx(on_flat * np.exp(-10.0), rel=1e-4)
    assert losses.illumination_smoothness(flat[:, :1], same).item() == 0.0


def test_total_variation_is_the_mean_step() -> None:
    ramp = torch.arange(5.0).reshape(1, 1, 1, 5).expand(1, 3, 5, 5) * 0.1
    assert losses.total_variation(ramp).item() == pytest.approx(0.1)


def test_chroma_sees_colour_and_neither_light_nor_grain() -> None:
    target = torch.full((1, 3, 32, 32), 0.4)
    assert losses.chroma(target + 0.2, target).item() == pytest.approx(0.0, abs=1e-6)
    grain = torch.tensor([[0.1, -0.1], [-0.1, 0.1]]).repeat(16, 16)
    coloured = target + grain * torch.tensor([1.0, 0.0, -1.0]).reshape(1, 3, 1, 1)
    assert losses.chroma(coloured, target).item() == pytest.approx(0.0, abs=1e-6)
    red = target + torch.tensor([0.2, 0.0, 0.0]).reshape(1, 3, 1, 1)
    y = 0.2 * 0.299
    assert losses.chroma(red, target).item() == pytest.approx((y / 1.772 + (0.2 - y) / 1.402) / 2, rel=1e-4)


def test_two_tone_is_zero_for_flat_tones_and_grows_with_a_halo() -> None:
    bright = torch.zeros(1, 1, 16, 16)
    bright[..., 8:] = 1.0
    flat = (0.2 + 0.5 * bright).expand(1, 3, 16, 16)
    assert losses.two_tone(flat, bright).item() == pytest.approx(0.0, abs=1e-10)
    x = torch.arange(16.0) - 7.5
    halo = 0.1 * torch.sign(x) * torch.exp(-x.abs() / 3.0)
    one, two = (losses.two_tone(flat + share * halo, bright).item() for share in (0.5, 1.0))
    assert 0.0 < one < two


def test_channels_that_are_0_everywhere_are_pulled_back() -> None:
    inputs = torch.tensor([-1.0, 0.05, 2.0]).reshape(1, 3, 1, 1).expand(2, 3, 4, 4).clone().requires_grad_()
    value = losses.inactivity([inputs, inputs.detach()])
    assert value.item() == pytest.approx(2.0 * (1.1 + 0.05))
    value.backward()
    assert inputs.grad is not None
    assert (inputs.grad[:, :2] < 0.0).all()
    assert not inputs.grad[:, 2].any()
