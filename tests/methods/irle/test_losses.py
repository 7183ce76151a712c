"""The loss of irle against a value worked out by hand, and the invariances that it promises."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from enhance_cli.methods.irle.flatness import box, flatness  # noqa: E402 - torch may be missing
from enhance_cli.methods.irle.training import losses  # noqa: E402
from tests.pictures import natural_tensor  # noqa: E402


def test_decoupled_takes_texture_from_a_twin_of_any_colour() -> None:
    clean = natural_tensor()
    tinted = (clean * torch.tensor([1.1, 1.0, 0.8])[:, None, None]).clamp(0, 1)
    texture, colour = losses.decoupled(clean, tinted, clean, torch.ones(1))
    plain = (clean - tinted).square().mean()
    assert texture < 0.05 * plain
    assert colour.item() == pytest.approx(0.0, abs=1e-7)


def test_decoupled_takes_no_colour_from_a_darker_twin() -> None:
    output, brighter = natural_tensor(), 0.7 * natural_tensor()
    texture, colour = losses.decoupled(output, output, brighter, torch.zeros(1))
    assert colour.item() == 0.0
    assert losses.decoupled(output, output, brighter, torch.ones(1))[1] > 0.01
    assert texture.item() == pytest.approx(0.0, abs=1e-5)


def test_decoupled_is_lowest_at_the_mean_of_noisy_twins() -> None:
    """Noise2Noise: over many twins the clean picture costs less than either a noisy or a blurred one."""
    clean, random = natural_tensor(64), np.random.default_rng(1)

    def cost(output: torch.Tensor) -> float:
        total = 0.0
        for _ in range(30):
            twin = clean + torch.from_numpy(random.normal(0.0, 0.1, clean.shape).astype(np.float32))
            total += losses.decoupled(output, twin, clean, torch.ones(1))[0].item()
        return total / 30

    grain = torch.from_numpy(random.normal(0.0, 0.03, clean.shape).astype(np.float32))
    assert cost(clean) < min(cost(clean + grain), cost(box(clean, 5)))


def test_flat_places_weigh_more_without_gradient() -> None:
    image = torch.full((1, 3, 32, 64), 0.4)
    image[..., 32:] += 0.2 * torch.sign(torch.randn(32, 32, generator=torch.Generator().manual_seed(0)))
    weights = flatness(image.requires_grad_())
    assert weights.shape == (1, 1, 32, 64)
    assert not weights.requires_grad
    assert weights.mean().item() == pytest.approx(1.0, abs=1e-5)
    flat, busy = weights[0, 0, 8:-8, 4:24].mean(), weights[0, 0, 8:-8, 40:-4].mean()
    # By hand: variances of 0 and of about .04 against a CONTRAST of .001.
    assert (flat / busy).item() == pytest.approx(41.0, rel=0.1)


def test_no_gradient_through_the_ratio_of_low_passes() -> None:
    """The gradient is that of a fixed target, so fading an output does not make its twin's texture cheap."""
    output, twin = natural_tensor(64).requires_grad_(), 0.5 * natural_tensor(64, seed=1)
    texture, _ = losses.decoupled(output, twin, twin, torch.zeros(1))
    texture.backward()
    assert output.grad is not None
    # Of w (output - target)² with w and target fixed: 2 w (output - target) / samples, so the loss follows from it.
    weights = flatness(output)
    distance = output.grad * output.numel() / (2.0 * weights)
    assert (weights * distance.square()).mean().item() == pytest.approx(texture.item(), rel=1e-4)
