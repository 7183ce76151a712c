"""The networks of retinex: what they may cost, what their formulas promise, and the exchange of their files."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch.nn import functional

from enhance_cli.methods.retinex import formulas, network
from enhance_cli.methods.retinex import formulas_torch as torch_formulas
from enhance_cli.methods.retinex.training import mending as stage_one
from enhance_cli.training.export import export, read_configuration, read_weights


@pytest.fixture
def pictures() -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    coarse = torch.rand(3, 3, 6, 6, generator=generator)
    fine = 0.1 * torch.rand(3, 3, formulas.PROXY, formulas.PROXY, generator=generator)
    whole = functional.interpolate(coarse, size=(formulas.PROXY, formulas.PROXY), mode="bilinear") * 0.9 + fine
    return whole * torch.tensor([0.1, 0.6, 1.0]).reshape(3, 1, 1, 1)


def shaken(module: torch.nn.Module, seed: int = 1) -> torch.nn.Module:
    """Weights moved from their start, so that layers that start at zero do something."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in module.parameters():
            value.add_(0.3 * torch.randn(value.shape, generator=generator))
    return module.eval()


def test_the_three_networks_have_at_most_5000_parameters() -> None:
    networks = (network.Illumination(), network.Fusion(), network.Restoration())
    counts = [sum(value.numel() for value in one.parameters()) for one in networks]
    assert counts == [1248, 352, 3396]
    assert sum(counts) <= 5000


def test_the_large_illumination_has_at_most_60000_parameters_and_the_same_grids(pictures: torch.Tensor) -> None:
    large = network.SceneIllumination()
    assert 50_000 < sum(value.numel() for value in large.parameters()) <= 60_000
    for found, expected in zip(large(pictures), network.Illumination()(pictures), strict=True):
        assert found.shape == expected.shape
        # Both start where dividing changes nearly nothing.
        assert torch.allclose(found, expected)


def test_the_large_illumination_sees_places(pictures: torch.Tensor) -> None:
    """The same pixels in another order have the same statistics, and other curves."""
    large = shaken(network.SceneIllumination((4, 6, 8)))
    upside_down = large(pictures.flip(2))[0].flip(1)
    assert not torch.allclose(large(pictures)[0], upside_down, atol=1e-2)


def test_one_network_serves_the_picture_and_its_negative(pictures: torch.Tensor) -> None:
    illumination = shaken(network.Illumination())
    forward, inverse = illumination(pictures)
    of_negative, of_negative_inverse = illumination(1.0 - pictures)
    assert torch.allclose(forward, of_negative_inverse, atol=1e-5)
    assert torch.allclose(inverse, of_negative, atol=1e-5)
    assert forward.shape == (3, 16, 16, 12, 2)


def test_statistics_are_quantiles_of_every_second_pixel(pictures: torch.Tensor) -> None:
    channel = torch_formulas.bright_channel(pictures)
    values = np.log2(channel[1, 0, ::2, ::2].numpy().ravel() + 0.02) / 2.8 + 1.0
    found = network.describe(channel)[1].numpy()
    ordered = np.sort(values)
    expected = [ordered[round(share * (values.size - 1))] for share in network.BRIGHT_QUANTILES]
    assert np.allclose(found[:9], expected, atol=1e-6)
    assert found[9] == pytest.approx(values.mean(), abs=1e-5)
    assert found[10] == pytest.approx(values.std(), abs=1e-3)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (5, 7), (1, 4)])
def test_the_slice_is_trilinear(rows: int, columns: int) -> None:
    generator = torch.Generator().manual_seed(2)
    grid = torch.randn(2, rows, columns, 12, 2, generator=generator)
    channel = torch.rand(2, 1, 9, 11, generator=generator)
    channel[0, 0, 0, :2] = torch.tensor([0.0, 1.0])
    found = stage_one.illumination(grid, channel)
    for n, y, x in ((0, 0, 0), (0, 0, 1), (1, 4, 7), (0, 8, 10), (1, 0, 3)):
        b = float(channel[n, 0, y, x])
        places = ((y + 0.5) / 9 * (rows - 1), (x + 0.5) / 11 * (columns - 1), b**0.5 * 11)
        k = o = 0.0
        for corner in np.ndindex(2, 2, 2):
            nodes = [
                min(int(at) + step, size - 1)
                for at, step, size in zip(places, corner, (rows, columns, 12), strict=True)
            ]
            shares = [at - int(at) if step else 1.0 - (at - int(at)) for at, step in zip(places, corner, strict=True)]
            weight = shares[0] * shares[1] * shares[2]
            k += weight * float(grid[n, nodes[0], nodes[1], nodes[2], 0])
            o += weight * float(grid[n, nodes[0], nodes[1], nodes[2], 1])
        light = b + (1.0 - b) / (1.0 + np.exp(-(k * b**0.5 + o)))
        assert float(found[n, 0, y, x]) == pytest.approx(light, abs=1e-5)


def test_illumination_is_never_below_the_channel(pictures: torch.Tensor) -> None:
    channel = torch_formulas.bright_channel(pictures)
    light = stage_one.illumination(shaken(network.Illumination())(pictures)[0], channel)
    assert (light >= channel).all()
    assert (light <= 1.0).all()
    assert (torch_formulas.divided(pictures, light) >= pictures - 1e-6).all()
    assert (torch_formulas.divided_negative(1.0 - pictures, light) <= 1.0 - pictures + 1e-6).all()


def test_full_light_changes_nothing_and_white_stays_bright() -> None:
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    ones = torch.ones(1, 1, 8, 8)
    assert torch.equal(torch_formulas.divided(image, ones), image)
    assert torch.allclose(torch_formulas.divided_negative(image, ones), image, atol=1e-7)
    white = torch.ones(1, 3, 1, 100)
    light = torch.linspace(0.01, 1.0, 100).reshape(1, 1, 1, 100)
    assert float(torch_formulas.divided_negative(white, light).min()) >= 1.0 / (1.0 + formulas.OFFSET)


def test_colour_beside_white_is_held(pictures: torch.Tensor) -> None:
    """The darkened candidate is nowhere brighter than the picture, and no difference of channels grows by more."""
    bright = 1.0 - 0.4 * pictures
    channel = torch_formulas.bright_channel(1.0 - bright)
    light = stage_one.illumination(shaken(network.Illumination())(bright)[1], channel)
    for inverse in (light, torch.full_like(light, 0.01), torch.full_like(light, 0.5)):
        inverse = torch.maximum(inverse, channel)  # as every illumination is
        darkened = torch_formulas.divided_negative(bright, inverse)
        assert (darkened <= bright + 1e-6).all()
        before, after = (one.amax(dim=1) - one.amin(dim=1) for one in (bright, darkened))
        assert (after <= formulas.SATURATION * before + 1e-6).all()
        assert after.mean() > 0.5 * before.mean()
    nearly_white = torch.full((1, 3, 1, 1), 250.0 / 255.0)
    assert float(torch_formulas.divided_negative(nearly_white, torch.full((1, 1, 1, 1), 0.02)).min()) > 0.8


def fused(fusion: torch.nn.Module, candidates: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Any number of candidates 1×3×H×W by their weights, which come too."""
    together = torch.cat(candidates)
    scores = fusion(together, torch_formulas.luma_statistics(torch_formulas.thinned(together)))[0]
    weights = torch.softmax(scores, dim=0)
    return (weights * together).sum(dim=0), weights


def test_fusion_scores_each_picture_alone(pictures: torch.Tensor) -> None:
    fusion = shaken(network.Fusion())
    three = [pictures[i : i + 1] for i in range(3)]
    found, weights = fused(fusion, three)
    again, turned = fused(fusion, three[::-1])
    assert torch.allclose(found, again, atol=1e-5)
    assert torch.allclose(weights, turned.flip(0), atol=1e-5)


def test_restoration_starts_at_nothing_and_looks_three_blocks_far() -> None:
    fresh = network.Restoration()
    image = torch.rand(1, 4, 40, 40, generator=torch.Generator().manual_seed(4))
    assert not fresh(image)[0].any()
    trained = shaken(fresh)
    before = trained(image)[0]
    image[0, :, 20:22, 20:22] += 0.5
    changed = (trained(image)[0] != before).any(dim=1)[0].nonzero()
    assert changed.min() >= 20 - 2 * network.Restoration.reach
    assert changed.max() <= 21 + 2 * network.Restoration.reach


def test_restoration_leaks_in_training_alone() -> None:
    module = shaken(network.Restoration())
    image = torch.rand(1, 4, 20, 20, generator=torch.Generator().manual_seed(4))
    plain, inputs = module.traced(image)
    assert [tuple(one.shape[1:]) for one in inputs] == [(10, 12, 12), (10, 10, 10)]
    module.slope = 0.2
    assert torch.equal(module(image)[0], plain)
    assert not torch.allclose(module.train()(image)[0], plain)


def test_what_training_mends_is_what_the_formulas_give(pictures: torch.Tensor) -> None:
    mending = stage_one.Mending(shaken(network.Illumination()), shaken(network.Fusion()))
    mended, weights, light, of_negative = mending(pictures)
    grid, grid_of_negative = mending.illumination(pictures)
    seen = torch_formulas.thinned(pictures)
    assert torch.equal(light, stage_one.illumination(grid, torch_formulas.bright_channel(seen)))
    assert torch.equal(of_negative, stage_one.illumination(grid_of_negative, torch_formulas.bright_channel(1.0 - seen)))
    parts = (torch_formulas.divided(seen, light), seen, torch_formulas.divided_negative(seen, of_negative))
    by_hand = sum(weights[:, i : i + 1] * part for i, part in enumerate(parts))
    assert torch.allclose(mended, by_hand, atol=1e-6)
    mending.highlight = formulas.HIGHLIGHT
    assert torch.allclose(mending(pictures)[0], torch_formulas.kept_white(by_hand, seen), atol=1e-6)
    assert torch.allclose(weights.sum(dim=1), torch.ones_like(weights[:, 0]), atol=1e-6)


def test_a_weights_file_rebuilds_its_network(tmp_path, pictures: torch.Tensor) -> None:
    illumination = shaken(network.Illumination(hidden=8, scales=(3, 5)))
    # Of many tones: deviations of flat images are differences that rounding changes.
    image = torch.rand(1, 3, formulas.PROXY, formulas.PROXY, generator=torch.Generator().manual_seed(3))
    configuration = {"part": "illumination", "hidden": 8, "scales": [3, 5]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sizes are asked for while tracing; this network has one
        exported = export(
            illumination,
            tmp_path,
            "illumination",
            identity="test/illumination",
            configuration=configuration,
            samples=[{"image": image.numpy()}],
            outputs=illumination.outputs,
            dynamic_axes={},
        )
    rebuilt = network.build(read_configuration(exported.safetensors))
    read_weights(rebuilt, exported.safetensors)
    assert all(torch.equal(a, b) for a, b in zip(rebuilt(pictures), illumination(pictures), strict=True))


def test_no_other_network_is_built() -> None:
    with pytest.raises(ValueError, match="no network of retinex"):
        network.build({"part": "colour"})
