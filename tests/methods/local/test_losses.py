"""Every loss of local against plain loops or a value worked out by hand, and the direction it pulls to."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from enhance_cli.methods.local.training import losses  # noqa: E402 - torch may be missing
from tests.pictures import noise_tensor  # noqa: E402


def ramp_mask(side: int = 16, start: int = 4, end: int = 10) -> torch.Tensor:
    """A on the left, a transition from column `start` to `end`, C on the right."""
    x = np.arange(side, dtype=np.float32)
    fall_off = np.clip((end - x) / (end - start), 0.0, 1.0)
    planes = np.stack([fall_off >= 1.0, fall_off]).astype(np.float32)
    return torch.from_numpy(np.repeat(planes[None, :, None], side, axis=2))


def test_areas_are_disjoint_and_cover_the_picture() -> None:
    parts = losses.areas(ramp_mask())
    assert torch.equal(parts.lit + parts.transition + parts.unchanged, torch.ones(1, 1, 16, 16))
    columns = [set(part[0, 0, 0].nonzero()[:, 0].tolist()) for part in parts]
    assert columns == [set(range(5)), set(range(5, 10)), set(range(10, 16))]


def test_an_area_counts_alike_however_small_it_is() -> None:
    error = torch.full((1, 3, 16, 16), 0.25)
    for columns in (1, 5, 16):
        area = torch.zeros(1, 1, 16, 16)
        area[..., :columns] = 1.0
        assert losses.area_mean(error, area).item() == pytest.approx(0.25)


def test_the_mean_is_the_papers_sum_divided_by_the_share_of_the_area() -> None:
    output, reference = noise_tensor(1, 3, 16, 16), noise_tensor(1, 3, 16, 16, seed=1)
    area = losses.areas(ramp_mask()).lit
    share = area.mean().item()
    sums = (((output - reference) * area) ** 2).sum().item() / (3 * 16 * 16)
    assert losses.squared(output, reference, area).item() == pytest.approx(sums / share, rel=1e-5)


def test_a_picture_without_the_area_does_not_count_and_none_gives_zero() -> None:
    output = noise_tensor(2, 3, 8, 8).requires_grad_()
    area = torch.zeros(2, 1, 8, 8)
    for value in (losses.squared(output, output + 1.0, area), losses.distance(output, output + 1.0, area, 0.01)):
        assert value.item() == 0.0
        value.backward()
    area[0] = 1.0
    shifted = output.detach() + torch.tensor([0.5, 100.0]).reshape(2, 1, 1, 1)
    assert losses.squared(shifted, output, area).item() == pytest.approx(0.25, rel=1e-5)
    assert losses.absolute(shifted, output, area).item() == pytest.approx(0.5, rel=1e-5)
    assert losses.distance(shifted, output, area, 1e-6).item() == pytest.approx(0.5, rel=1e-4)


def test_what_lies_outside_an_area_has_no_gradient() -> None:
    output, parts = noise_tensor(1, 3, 16, 16).requires_grad_(), losses.areas(ramp_mask())
    total = losses.squared(output, noise_tensor(1, 3, 16, 16, seed=1), parts.lit)
    total = total + losses.colour_angle(output, noise_tensor(1, 3, 16, 16, seed=2), parts.lit)
    total.backward()
    assert output.grad[..., 5:].abs().max() == 0.0
    assert output.grad[..., :5].abs().min() > 0.0


def test_the_colour_angle_ignores_brightness_and_minds_hue() -> None:
    image, area = noise_tensor(1, 3, 8, 8) * 0.5 + 0.2, torch.ones(1, 1, 8, 8)
    assert losses.colour_angle(1.3 * image, image, area).item() == pytest.approx(0.0, abs=1e-4)
    red, green = (torch.eye(3)[i].reshape(1, 3, 1, 1).expand(1, 3, 8, 8) for i in (0, 1))
    assert losses.colour_angle(red, green, area).item() == pytest.approx(1.0, abs=1e-4)


def second_order_by_loops(light: np.ndarray, image: np.ndarray, area: np.ndarray) -> float:
    """Equations 2 and 3 of the paper, as they are written."""
    log = np.log(np.maximum(image, 1 / 255))
    channels, height, width = light.shape

    def derivative(maps: np.ndarray, u: str, v: str, c: int, y: int, x: int) -> float:
        if u == v == "y":
            return maps[c, y - 1, x] - 2 * maps[c, y, x] + maps[c, y + 1, x]
        if u == v == "x":
            return maps[c, y, x - 1] - 2 * maps[c, y, x] + maps[c, y, x + 1]
        return maps[c, y, x] - maps[c, y + 1, x] - maps[c, y, x + 1] + maps[c, y + 1, x + 1]

    total = 0.0
    for u in "xy":
        for v in "xy":
            values = []
            for c in range(channels):
                for y in range(height):
                    for x in range(width):
                        rows = range(1, height - 1) if u == v == "y" else range(height - (u != v))
                        columns = range(1, width - 1) if u == v == "x" else range(width - (u != v))
                        if area[y, x] and y in rows and x in columns:
                            weight = 1 / (abs(derivative(log, u, v, c, y, x)) ** 1.2 + 1e-4)
                            values.append(weight * derivative(light, u, v, c, y, x) ** 2)
            total += float(np.mean(values))
    return total


def test_the_second_order_loss_equals_the_papers_sums() -> None:
    light, image = noise_tensor(1, 3, 9, 11), noise_tensor(1, 3, 9, 11, seed=1)
    area = (noise_tensor(1, 1, 9, 11, seed=2) > 0.4).float()
    expected = second_order_by_loops(light[0].numpy(), image[0].numpy(), area[0, 0].numpy())
    assert losses.second_order_smooth(light, image, area).item() == pytest.approx(expected, rel=1e-3)


def ramps(*columns: float) -> torch.Tensor:
    return torch.tensor(columns).expand(1, 3, 8, len(columns))


def test_an_even_fall_costs_nothing_and_a_step_costs_most() -> None:
    image = torch.full((1, 3, 8, 7), 0.3)
    area = torch.zeros(1, 1, 8, 7)
    area[..., 1:6] = 1.0
    even = losses.second_order_smooth(ramps(1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4), image, area).item()
    bent = losses.second_order_smooth(ramps(1.0, 1.0, 0.9, 0.75, 0.6, 0.5, 0.4), image, area).item()
    step = losses.second_order_smooth(ramps(1.0, 1.0, 1.0, 0.4, 0.4, 0.4, 0.4), image, area).item()
    assert even == pytest.approx(0.0, abs=1e-5)
    assert even < bent < step


def test_a_step_at_the_border_of_the_area_is_seen() -> None:
    image = torch.full((1, 3, 8, 7), 0.3)
    area = torch.zeros(1, 1, 8, 7)
    area[..., 3:5] = 1.0
    outside = losses.second_order_smooth(ramps(1.0, 1.0, 1.0, 0.4, 0.4, 0.4, 0.4), image, area)
    assert outside > 1.0


def test_detail_of_the_input_excuses_detail_of_the_light() -> None:
    light, area = noise_tensor(1, 3, 12, 12), torch.ones(1, 1, 12, 12)
    flat, busy = torch.full((1, 3, 12, 12), 0.3), noise_tensor(1, 3, 12, 12, seed=1)
    assert losses.second_order_smooth(light, busy, area) < 0.01 * losses.second_order_smooth(light, flat, area)


def test_the_weights_carry_no_gradient() -> None:
    light, image = noise_tensor(1, 3, 8, 8).requires_grad_(), noise_tensor(1, 3, 8, 8, seed=1).requires_grad_()
    losses.second_order_smooth(light, image, torch.ones(1, 1, 8, 8)).backward()
    assert image.grad is None
    assert light.grad.abs().max() > 0.0


def test_noise_below_one_level_has_no_weight_of_its_own() -> None:
    light, area = noise_tensor(1, 3, 8, 8), torch.ones(1, 1, 8, 8)
    dark = noise_tensor(1, 3, 8, 8, seed=1) / 300.0
    black = torch.zeros(1, 3, 8, 8)
    assert losses.second_order_smooth(light, dark, area) == losses.second_order_smooth(light, black, area)


def test_the_first_order_loss_minds_a_slope_inside_the_area_alone() -> None:
    image, area = torch.full((1, 3, 8, 6), 0.3), torch.zeros(1, 1, 8, 6)
    area[..., :3] = 1.0
    assert losses.gradient_smooth(ramps(0.5, 0.5, 0.5, 0.9, 0.1, 0.9), image, area).item() == 0.0
    # A slope of .1 a pixel, in flat places: .01 / 1e-4 along x, nothing along y.
    sloped = losses.gradient_smooth(ramps(0.5, 0.6, 0.7, 0.8, 0.9, 1.0), image, area)
    assert sloped.item() == pytest.approx(100.0, rel=1e-3)


def test_flatness_is_the_spread_of_a_tone_as_a_share_of_the_step() -> None:
    bright = torch.zeros(1, 1, 8, 8)
    bright[..., 4:] = 1.0
    area = torch.ones(1, 1, 8, 8)
    flat = (0.2 + 0.6 * bright).expand(1, 3, 8, 8)
    assert losses.flatness(flat, bright, area).item() == pytest.approx(1e-3 / 0.6, rel=1e-3)
    uneven = flat.clone()
    uneven[..., :4, :] += 0.06
    uneven[..., 4:, :] -= 0.06
    assert losses.flatness(uneven, bright, area).item() == pytest.approx(0.1, rel=1e-2)
