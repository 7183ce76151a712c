"""The networks of irle: exactly blind, modulated by the gain, and looking no further than they declare."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from enhance_cli.methods.irle import network  # noqa: E402 - torch may be missing
from enhance_cli.methods.irle.training import train as training  # noqa: E402 - torch may be missing
from enhance_cli.methods.irle.training.growth import grow  # noqa: E402 - torch may be missing

BLIND: dict[str, dict[str, Any]] = {
    "lite": training.LITE,
    "full": training.FULL,
}
SMALL = {"kind": "blind", "widths": [6, 8], "blocks": [1, 2], "gain": 3, "first": 4}


def speaking(configuration: dict[str, Any]) -> network.Network:
    """A network in float64 whose layers that start at zero have something to say."""
    torch.manual_seed(0)
    module = network.build(configuration).double().eval()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.1)
    return module


def inputs(side: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    random = np.random.default_rng(seed)
    image = torch.from_numpy(random.random((1, 3, side, side))).requires_grad_()
    return image, torch.from_numpy(3.0 * random.random((1, 1, side, side))).requires_grad_()


# --- blindness ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BLIND)
def test_a_prediction_does_not_depend_on_its_own_pixel(name: str) -> None:
    """The gradient at the pixel itself is exactly zero, at a fixed gain, and not elsewhere."""
    module = speaking(BLIND[name])
    image, gain = inputs(4 * module.multiple)
    blind = module(image, gain)[1]
    for y, x in ((17, 22), (18, 23), (25, 16), (24, 24)):  # every phase
        for channel in range(3):
            (gradient,) = torch.autograd.grad(blind[0, channel, y, x], image, retain_graph=True)
            assert torch.all(gradient[0, :, y, x] == 0.0)
            assert torch.all(gradient[0, :, y - 1 : y + 2, x - 1 : x + 2].abs().sum(dim=0).flatten()[[0, 1, 3, 5]] > 0)


def test_changing_one_pixel_changes_every_prediction_around_it_but_its_own() -> None:
    module = speaking(SMALL)
    with torch.no_grad():
        image, gain = inputs(32)
        before = module(image, gain)[1]
        changed = image.clone()
        changed[0, :, 13, 14] = 1.0 - changed[0, :, 13, 14]
        difference = (module(changed, gain)[1] - before).abs().sum(dim=1)[0]
    assert difference[13, 14] == 0.0
    assert torch.all(difference[12:15, 13:16].flatten()[[0, 1, 2, 3, 5, 6, 7, 8]] > 0.0)


def test_the_shares_of_the_own_pixel_are_blind_too() -> None:
    """clean = blind + share (pixel - blind), one share for luma and one for colour, both in 0..1."""
    module = speaking(SMALL)
    image, gain = inputs(32)
    clean, blind = module(image, gain)
    rows = [torch.autograd.grad(clean[0, channel, 13, 14], image, retain_graph=True)[0] for channel in range(3)]
    matrix = torch.stack([row[0, :, 13, 14] for row in rows])
    here = (..., 13, 14)
    expected = blind[0][here] + matrix @ (image - blind)[0][here]
    torch.testing.assert_close(clean[0][here], expected, rtol=0, atol=1e-12)
    luma = matrix.sum(dim=1)  # of a grey difference
    colour = torch.stack([matrix[channel, channel] - matrix[channel - 1, channel] for channel in range(3)])
    for share in (luma, colour):
        assert share.min() > 0.0
        assert share.max() < 1.0
        assert share.max() - share.min() < 1e-12
    assert abs(luma[0] - colour[0]) > 1e-4


def test_acutance_lifts_the_band_of_structure_and_not_of_grain_nor_in_training() -> None:
    module, plain = speaking({**SMALL, "acutance": 0.5}), speaking(SMALL)
    plain.load_state_dict(module.state_dict())
    with torch.no_grad():
        image, gain = inputs(32)
        before, blind = plain(image, gain)
        after, its_blind = module(image, gain)
        assert torch.equal(blind, its_blind)
        added = after - before
        # Luma alone, by the difference of two Gaussians where there is structure.
        assert (added - added[:, :1]).abs().max() < 1e-12
        grey = (before * torch.tensor(network.LUMA).double()[:, None, None]).sum(dim=1)[0].numpy()
        fine, coarse = (cv2.GaussianBlur(grey, (13, 13), sigma) for sigma in network.BAND)
        mean = cv2.blur(grey, (7, 7))
        variance = cv2.blur(grey * grey, (7, 7)) - mean * mean
        expected = 0.5 * (fine - coarse) * variance / (variance + network.STRUCTURE)
        inside = np.s_[6:-6, 6:-6]
        np.testing.assert_allclose(added[0, 0].numpy()[inside], expected[inside], atol=1e-6)
        grain = module.crispness(torch.from_numpy(np.random.default_rng(0).normal(0.5, 0.01, (1, 1, 64, 64))))
        assert grain[0, 0][inside].std() < 0.001
        module.train()
        assert torch.equal(module(image, gain)[0], before)


# --- the gain ----------------------------------------------------------------------------------------------


def test_modulation_is_the_identity_before_training() -> None:
    """A modulation that starts with zeros changes nothing."""
    modulation = network.GainModulation(6, 3)
    features = torch.rand(2, 6, 5, 4)
    assert torch.equal(modulation(features, torch.rand(2, 3, 5, 4)), features)


def test_modulation_scales_and_shifts() -> None:
    modulation = network.GainModulation(1, 1)
    torch.nn.init.constant_(modulation.adapt.bias, 0.5)  # scale .5, shift .5
    found = modulation(torch.full((1, 1, 1, 1), 2.0), torch.zeros(1, 1, 1, 1))
    assert found.item() == pytest.approx(2.0 * 1.5 + 0.5)


@pytest.mark.parametrize("gain", [0, 3])
def test_the_gain_is_heard_with_and_without_modulation(gain: int) -> None:
    module = speaking({**SMALL, "gain": gain})
    with torch.no_grad():
        image, log_gain = inputs(32)
        assert (module(image, log_gain)[0] - module(image, log_gain + 1.0)[0]).abs().max() > 1e-6


def test_before_training_the_blind_picture_is_the_mean_of_the_surroundings() -> None:
    module = network.build(SMALL)
    image, gain = (plane.detach().double() for plane in inputs(32))
    blind = module.double()(image, gain)[1]
    y, x = np.mgrid[-6:7, -6:7]
    expected = np.zeros(3)
    for weight in (np.hypot(y, x) < 1.5, *(np.exp(-0.5 * (y**2 + x**2) / sigma**2) for sigma in (1.2, 2.2))):
        weight = np.where((y == 0) & (x == 0), 0.0, weight)
        window = image[0, :, 10:23, 9:22].numpy()
        expected += (window * weight).sum(axis=(1, 2)) / weight.sum() / 3.0
    np.testing.assert_allclose(blind[0, :, 16, 15].detach().numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("larger", [{"widths": [9, 12]}, {"blocks": [2, 3]}, {"widths": [7, 11], "blocks": [1, 3]}])
def test_a_grown_network_says_what_the_small_one_says_and_can_learn(larger: dict[str, Any]) -> None:
    small = speaking(SMALL)
    torch.manual_seed(1)
    large = network.build({**SMALL, **larger}).double().eval()
    grow(small, large)
    image, gain = inputs(32)
    torch.testing.assert_close(large(image, gain), small(image, gain), rtol=0, atol=1e-10)
    large(image, gain)[0].square().sum().backward()
    silent = [name for name, value in large.named_parameters() if value.grad is None or not value.grad.any()]
    # A new block is the identity, and what lies before its zeros hears nothing until the first step has been made.
    assert all(".first." in name or ".modulation." in name for name in silent)
    assert bool(silent) == ("blocks" in larger)


def test_a_network_without_room_is_not_grown_into() -> None:
    with pytest.raises(ValueError, match="no room"):
        grow(speaking(SMALL), speaking({**SMALL, "widths": [4, 8]}))


# --- sizes -------------------------------------------------------------------------------------------------


def test_parameters() -> None:
    def count(configuration: dict[str, Any]) -> int:
        return sum(parameter.numel() for parameter in network.build(configuration).parameters())

    assert 0.15e6 < count(training.LITE) < 0.31e6
    assert 1.2e6 < count(training.FULL) < 1.4e6  # the paper's stage 2 has 1.317 M


@pytest.mark.parametrize("configuration", [SMALL, {**SMALL, "widths": [4, 6, 8], "blocks": [1, 1, 1]}])
def test_no_network_looks_further_than_its_halo(configuration: dict[str, Any]) -> None:
    module = speaking(configuration)
    assert module.halo % module.multiple == 0
    centre = -(-module.halo // module.multiple) * module.multiple + module.multiple
    image, gain = inputs(2 * centre)
    output = module(image, gain)[0]
    furthest = 0
    for y, x in ((centre, centre), (centre + module.multiple - 1, centre + module.multiple - 1)):
        gradients = torch.autograd.grad(output[0, 0, y, x], (image, gain), retain_graph=True)
        for gradient in gradients:
            rows, columns = torch.nonzero(gradient[0].abs().sum(dim=0), as_tuple=True)
            furthest = max(furthest, int((rows - y).abs().max()), int((columns - x).abs().max()))
    assert module.halo // 2 < furthest <= module.halo


def test_what_is_unknown_is_refused() -> None:
    with pytest.raises(ValueError, match="no network of irle"):
        network.build({"kind": "deaf"})
