"""Every loss of clode against a value worked out by hand or by plain loops, and the direction it pulls to."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from enhance_cli.methods.clode.training import losses  # noqa: E402 - torch may be missing
from tests.pictures import noise_tensor  # noqa: E402


def test_spatial_consistency_equals_the_sum_over_four_neighbours() -> None:
    output, image = noise_tensor(2, 3, 12, 16), noise_tensor(2, 3, 12, 16, seed=1)
    means = [p.mean(dim=1).numpy().reshape(2, 3, 4, 4, 4).mean(axis=(2, 4)) for p in (output, image)]
    total = 0.0
    for n in range(2):
        for y in range(3):
            for x in range(4):
                for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                    if 0 <= y + dy < 3 and 0 <= x + dx < 4:
                        after, before = (m[n, y, x] - m[n, y + dy, x + dx] for m in means)
                        total += (after - before) ** 2
    assert losses.spatial_consistency(output, image).item() == pytest.approx(total / (2 * 3 * 4), rel=1e-4)


def test_spatial_consistency_ignores_an_offset_and_minds_a_flip() -> None:
    image = noise_tensor(1, 3, 16, 16) * 0.5
    assert losses.spatial_consistency(image + 0.2, image).item() == pytest.approx(0.0, abs=1e-7)
    assert losses.spatial_consistency(1.0 - image, image) > losses.spatial_consistency(0.0 * image, image)


def test_exposure_of_pools_and_of_the_whole() -> None:
    image = torch.cat([torch.full((1, 3, 16, 16), 0.2), torch.full((1, 3, 16, 16), 0.8)], dim=3)
    assert losses.exposure(image, 0.5).item() == pytest.approx(0.09, rel=1e-4)
    assert losses.exposure(image, 0.5, pool=None).item() == pytest.approx(0.0, abs=1e-7)
    wanted = torch.tensor([0.1, 0.4])
    assert losses.exposure(torch.full((2, 3, 16, 16), 0.4), wanted).item() == pytest.approx(0.045, rel=1e-4)


def test_variation_is_a_mean_and_blind_to_constants() -> None:
    assert losses.variation([torch.full((1, 3, 8, 8), 0.7)]).item() == 0.0
    ramp = torch.arange(8.0).expand(1, 3, 8, 8) * 0.1
    once = losses.variation([ramp])
    assert once.item() == pytest.approx(2 * 0.01, rel=1e-4)
    assert losses.variation([ramp, ramp]).item() == pytest.approx(once.item())


def test_unevenness_is_the_variance_inside_each_picture() -> None:
    shift = torch.stack([torch.zeros(3, 4, 4), torch.ones(3, 4, 4)])
    assert losses.unevenness(shift).item() == 0.0
    shift[0, :, :2] = 2.0
    assert losses.unevenness(shift).item() == pytest.approx(0.5)


def test_channel_deviation_lets_all_channels_move_together() -> None:
    shift = noise_tensor(2, 1, 4, 4).expand(2, 3, 4, 4).clone()
    assert losses.channel_deviation(shift).item() == pytest.approx(0.0, abs=1e-7)
    shift[:, 0] += 3.0
    assert losses.channel_deviation(shift).item() == pytest.approx(2.0, rel=1e-4)


def test_noise_removal_wants_the_noise_and_nothing_else() -> None:
    clean = torch.full((2, 3, 32, 32), 0.5)
    noise = 0.05 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    noisy = clean + noise

    def all_of_it(image: torch.Tensor) -> torch.Tensor:
        return image - 0.5

    def nothing(image: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(image)

    # Cleaned perfectly, each half is still compared with the other's noise: .05² / 2 remains of each residual.
    assert losses.noise_removal(all_of_it, noisy).item() == pytest.approx(0.05**2 / 2, rel=0.1)
    assert losses.noise_removal(nothing, noisy).item() == pytest.approx(0.05**2, rel=0.1)
    assert losses.noise_removal(nothing, clean).item() == 0.0


def test_halves_are_the_diagonal_means() -> None:
    image = torch.tensor([[1.0, 2.0], [3.0, 5.0]]).reshape(1, 1, 2, 2)
    first, second = losses.halves(image)
    assert first.item() == 2.5
    assert second.item() == 3.0


def test_chromaticity_keeps_the_inputs_colour_not_grey() -> None:
    image = torch.tensor([0.2, 0.1, 0.05]).reshape(1, 3, 1, 1).expand(1, 3, 8, 8)
    kept, greyed = image * 2.5, torch.full((1, 3, 8, 8), 0.3)
    assert losses.chromaticity(kept, image).item() < 1e-4
    assert losses.chromaticity(greyed, image).item() > 1e-2


def test_brightness_order_is_a_hinge() -> None:
    means = [torch.tensor([0.1, 0.5]), torch.tensor([0.2, 0.4]), torch.tensor([0.3, 0.6])]
    assert losses.brightness_order(means).item() == pytest.approx(0.1 / 4)
    assert losses.brightness_order([torch.tensor([0.1]), torch.tensor([0.2])], step=0.05).item() == 0.0


def test_two_tone_sees_a_halo_and_not_the_step() -> None:
    bright = torch.zeros(1, 1, 8, 8)
    bright[..., 4:] = 1.0
    step = (2.0 - bright).expand(1, 3, 8, 8).clone()
    assert losses.two_tone(step, bright).item() == pytest.approx(0.0, abs=1e-7)
    step[..., 3] += 1.0
    assert losses.two_tone(step, bright).item() == pytest.approx(0.25 * 0.75, rel=1e-4)
