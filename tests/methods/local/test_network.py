"""RANLEN: its layers, and the parts of both backbones, against slow and obvious oracles."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from enhance_cli.methods.local import (  # noqa: E402 - torch may be missing
    network,
    network_deepupe,
    network_layers,
    network_star,
)
from tests.pictures import noise_tensor  # noqa: E402

nn = torch.nn


def disc(side: int = 32, count: int = 1) -> torch.Tensor:
    """A disc with a linear fall-off, as a mask."""
    y, x = np.mgrid[:side, :side]
    away = np.hypot(y - side / 2, x - side / 2)
    fall_off = np.clip((side * 0.4 - away) / (side * 0.2), 0.0, 1.0)
    mask = np.stack([fall_off >= 1.0, fall_off]).astype(np.float32)
    return torch.from_numpy(np.repeat(mask[None], count, axis=0))


def test_the_layer_starts_as_plain_normalisation_under_any_mask() -> None:
    norm, plain = network_layers.RegionNorm(4), nn.BatchNorm2d(4)
    features = noise_tensor(4, 4, 9, 7)
    assert torch.allclose(norm(features, disc(count=4)), plain(features), atol=1e-6)
    assert not any(name.startswith("normalise") for name, _ in norm.named_parameters())


def test_the_layer_modulates_by_the_mask_once_it_has_learned() -> None:
    norm = network_layers.RegionNorm(4).eval()
    nn.init.normal_(norm.gamma.weight)
    features = noise_tensor(1, 4, 32, 32)
    nowhere, everywhere = norm(features, torch.zeros(1, 2, 32, 32)), norm(features, torch.ones(1, 2, 32, 32))
    somewhere = norm(features, disc())
    assert torch.allclose(somewhere[..., 14:18, 14:18], everywhere[..., 14:18, 14:18], atol=1e-5)
    assert torch.allclose(somewhere[..., :2, :2], nowhere[..., :2, :2], atol=1e-5)
    assert not torch.allclose(everywhere, nowhere, atol=1e-2)


def test_gamma_and_beta_follow_equation_1() -> None:
    norm = network_layers.RegionNorm(4).eval()
    for layer in (norm.gamma, norm.beta):
        nn.init.normal_(layer.weight)
    features, mask = noise_tensor(2, 4, 8, 8), disc(8, 2)
    norm.normalise.running_mean.copy_(torch.tensor([0.1, 0.2, 0.3, 0.4]))
    norm.normalise.running_var.copy_(torch.tensor([0.5, 1.0, 1.5, 2.0]))
    mean, deviation = (torch.tensor(v).reshape(1, 4, 1, 1) for v in ([0.1, 0.2, 0.3, 0.4], [0.5, 1.0, 1.5, 2.0]))
    hidden = network_layers.CALM * torch.relu(norm.shared(mask))
    expected = norm.gamma(hidden) * (features - mean) / torch.sqrt(deviation + 1e-5) + norm.beta(hidden)
    assert torch.allclose(norm(features, mask), expected, atol=1e-5)


def test_masks_are_made_small_by_means_so_that_thin_ones_stay() -> None:
    mask = torch.zeros(1, 2, 32, 32)
    mask[..., 5] = 1.0
    small, odd = network_layers.means(mask, 8, 8), network_layers.means(mask, 7, 5)
    assert torch.allclose(small[0, 0, :, 1], torch.full((8,), 0.25))
    assert small.sum().item() == pytest.approx(2 * 8 * 0.25)
    assert odd.shape == (1, 2, 7, 5)
    assert odd.max() > 0.1


def test_a_convolution_starts_as_the_one_it_was_and_reads_the_fall_off() -> None:
    layer = nn.Conv2d(3, 5, 1)
    reading = network_layers.FallOffConvolution(layer)
    image, mask = noise_tensor(2, 3, 32, 32), disc(count=2)
    assert torch.allclose(reading(image, mask), layer(image), atol=1e-6)
    nn.init.ones_(reading.layer.weight)
    inside = reading(torch.zeros_like(image), mask)
    assert (inside[:, :, 16, 16] > inside[:, :, 0, 0]).all()


def test_the_tail_starts_as_nothing() -> None:
    image = noise_tensor(1, 3, 32, 32)
    assert torch.equal(network_layers.Tail()(image, disc()), image)


@pytest.mark.parametrize("backbone", network.BACKBONES)
def test_every_normalisation_is_modulated(backbone: str) -> None:
    layers = list(network.assemble(backbone).network.modules())
    modulated = [layer.normalise for layer in layers if isinstance(layer, network_layers.RegionNorm)]
    assert modulated == [layer for layer in layers if isinstance(layer, nn.BatchNorm2d)] != []


@pytest.mark.parametrize("backbone", network.BACKBONES)
def test_every_parameter_learns(backbone: str) -> None:
    """A step along the gradient reaches every parameter that is not held back by a zero before it."""
    torch.manual_seed(0)
    module = network.assemble(backbone)
    for name, value in module.named_parameters():
        if value.ndim > 1 and not value.any():
            nn.init.normal_(value, 0.0, 0.05)
        assert value.isfinite().all(), name
    output, light = module(noise_tensor(2, 3, 96, 96), disc(96, 2))
    (output.square().mean() + light.square().mean()).backward()
    silent = [name for name, value in module.named_parameters() if value.grad is None or not value.grad.any()]
    assert silent == []


def test_unknown_networks_are_refused() -> None:
    with pytest.raises(ValueError, match="no network 'unet'"):
        network.assemble("unet")


# --- the parts of the backbones ----------------------------------------------------------------------------


def trilinear_by_loops(grid: np.ndarray, guide: np.ndarray) -> np.ndarray:
    """Between the centres of cells, and constant beyond the outermost."""
    channels, bins, rows, columns = grid.shape
    height, width = guide.shape
    out = np.zeros((channels, height, width))
    for y in range(height):
        for x in range(width):
            at = (guide[y, x] * bins - 0.5, (y + 0.5) * rows / height - 0.5, (x + 0.5) * columns / width - 0.5)
            for corner in np.ndindex(2, 2, 2):
                weight, index = 1.0, []
                for place, step, size in zip(at, corner, (bins, rows, columns), strict=True):
                    place = min(max(place, 0.0), size - 1.0)
                    node = min(int(place), size - 2) + step
                    weight *= 1.0 - abs(place - node)
                    index.append(node)
                out[:, y, x] += weight * grid[:, index[0], index[1], index[2]]
    return out


def test_the_slice_is_trilinear_between_the_centres_of_cells() -> None:
    grid, guide = noise_tensor(2, 12, 4, 3, 5), noise_tensor(2, 1, 10, 7, seed=1)
    sliced = network_deepupe.slice_grid(grid, guide)
    for index in range(2):
        expected = trilinear_by_loops(grid[index].numpy(), guide[index, 0].numpy())
        assert np.allclose(sliced[index].numpy(), expected, atol=1e-5)


def test_a_constant_grid_gives_constant_coefficients_and_the_identity_gives_the_picture() -> None:
    image, guide = noise_tensor(1, 3, 8, 9), noise_tensor(1, 1, 8, 9, seed=1)
    identity = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]).reshape(1, 12, 1, 1, 1)
    coefficients = network_deepupe.slice_grid(identity.expand(1, 12, 8, 4, 4), guide)
    assert torch.allclose(coefficients, identity[:, :, 0].expand(1, 12, 8, 9), atol=1e-6)
    assert torch.allclose(network_deepupe.affine(coefficients, image), image, atol=1e-6)


def test_illumination_lies_between_the_picture_and_one_so_that_nothing_clips() -> None:
    torch.manual_seed(0)
    image = noise_tensor(2, 3, 96, 96)
    image[:, :, :8] = 0.0
    image[:, :, 8:16] = 1.0
    lit, illumination = network_deepupe.DeepUpe().eval()(image, torch.ones(2, 2, 96, 96))
    assert (illumination >= image - 1e-6).all()
    assert illumination.max() <= 1.0
    assert lit.min() >= 0.0
    assert lit.max() <= 1.0 + 1e-6
    assert lit[:, :, :8].max() == 0.0
    assert torch.allclose(lit[:, :, 8:16], torch.ones(()))


def test_the_tied_illumination_has_the_logit_of_s_less_the_logarithm_of_t() -> None:
    """The oracle is the definition in logits, in double precision; the code has none."""
    image = noise_tensor(1, 3, 16, 16).double() * 0.5
    share = noise_tensor(1, 1, 16, 16, seed=1).double().clamp(min=0.01)
    illumination = image + (1.0 - image) * noise_tensor(1, 3, 16, 16, seed=2).double().clamp(0.01, 0.99)
    lit, tied = network_deepupe.tied(image, illumination, share)
    assert torch.allclose(tied, torch.sigmoid(torch.logit(illumination) - torch.log(share)))
    assert torch.allclose(lit, image / tied)
    for t, expected in ((0.0, image), (1.0, image / illumination), (0.25, 0.75 * image + 0.25 * image / illumination)):
        assert torch.allclose(network_deepupe.tied(image, illumination, torch.full_like(share, t))[0], expected)


def test_the_curve_is_eight_steps_of_its_formula() -> None:
    image, maps = noise_tensor(1, 3, 2, 2), noise_tensor(1, 24, 2, 2, seed=1) * 2.0 - 1.0
    expected = image.clone()
    for step in range(8):
        for channel in range(3):
            x = expected[0, channel]
            expected[0, channel] = x + maps[0, 3 * step + channel] * (x * x - x)
    assert torch.allclose(network_star.curve(image, maps), expected, atol=1e-6)
    assert torch.equal(network_star.curve(image, torch.zeros_like(maps)), image)


@pytest.mark.parametrize("backbone", network.BACKBONES)
def test_area_c_is_left_to_the_tail(backbone: str) -> None:
    torch.manual_seed(0)
    module = network.assemble(backbone).eval()
    image, mask = noise_tensor(1, 3, 64, 64), disc(64)
    output, light = module(image, mask)
    outside = mask[0, 1] == 0
    assert torch.equal(output[..., outside], image[..., outside])
    unlit = {"deepupe": 1.0, "star": 0.0}[backbone]  # the illumination, the rates of the curve
    assert (light[..., outside] == unlit).all()
    assert not torch.allclose(output, image, atol=1e-3)


def test_statistics_are_those_of_area_a() -> None:
    statistics = network_layers.Statistics()
    image = noise_tensor(1, 3, 32, 32)
    changed = torch.where(disc()[:, :1] == 1, image, 1.0 - image)
    assert torch.allclose(statistics(image, disc()), statistics(changed, disc()), atol=2e-3)
    whole = statistics(image, torch.ones(1, 2, 32, 32))
    assert not torch.allclose(whole, statistics(changed, torch.ones(1, 2, 32, 32)), atol=2e-2)
    assert torch.allclose(statistics(image, torch.zeros(1, 2, 32, 32)), whole, atol=1e-5)


# --- what is exported --------------------------------------------------------------------------------------


@pytest.mark.parametrize("backbone", network.BACKBONES)
def test_an_estimator_and_its_constants_make_the_networks_picture(backbone: str) -> None:
    """The contract of the kernels, in torch: nothing of the network is lost on the way through the exported arrays."""
    torch.manual_seed(0)
    module = network.assemble(backbone).eval()
    for value in module.parameters():
        if value.ndim > 1 and not value.any():
            nn.init.normal_(value, 0.0, 0.05)
    nn.init.normal_(module.tail.convolution.bias, 0.0, 0.05)
    side = network_layers.LOW
    image, mask = noise_tensor(1, 3, side, side), disc(side)
    estimator = network.estimator(module)
    out = dict(zip(estimator.outputs, estimator(image, mask), strict=True))
    if backbone == "deepupe":
        seen = torch.cat([torch.sqrt(image), mask[:, 1:]], dim=1)
        hidden = torch.relu(torch.einsum("hc,ncyx->nhyx", out["guide_weight"], seen) + out["guide_bias"][:, None, None])
        guide = torch.sigmoid(torch.einsum("h,nhyx->nyx", out["guide_out"], hidden) + out["guide_out_bias"])[:, None]
        affine = network_deepupe.affine(network_deepupe.slice_grid(out["grid"], guide), image)
        illumination = image + (1.0 - image) * torch.sigmoid(affine)
        lit = network_deepupe.tied(image, illumination, mask[:, 1:])[0]
    else:
        maps = nn.functional.interpolate(out["maps"], (side, side), mode="bilinear", align_corners=False)
        lit = network_star.curve(image, maps * mask[:, 1:])
    seen = nn.functional.pad(torch.cat([lit, mask[:, 1:]], dim=1), (1, 1, 1, 1), mode="replicate")
    refined = lit + nn.functional.conv2d(seen, out["tail"], out["tail_bias"])
    assert torch.allclose(refined, module(image, mask)[0], atol=1e-5)


def test_the_networks_are_small() -> None:
    sizes = {name: sum(p.numel() for p in network.build({"backbone": name}).parameters()) for name in network.BACKBONES}
    assert all(size < 100_000 for size in sizes.values()), sizes
