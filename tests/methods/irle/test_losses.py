"""Every loss of irle against a value worked out by hand, and the invariances that they promise."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from enhance_cli.methods.irle.flatness import box, flatness, luma  # noqa: E402 - torch may be missing
from enhance_cli.methods.irle.training import losses  # noqa: E402
from tests.pictures import natural_tensor, noise_tensor  # noqa: E402

# --- SISC --------------------------------------------------------------------------------------------------


def test_sisc_does_not_see_a_shift() -> None:
    one, other = natural_tensor(seed=1), natural_tensor(seed=2, falloff=1.6)
    apart = losses.sisc(one, other)
    assert losses.sisc(one, one.roll((1, 1), (2, 3))) < 0.1 * apart


def test_sisc_does_not_see_which_half_of_the_checker_pattern() -> None:
    """Of pictures as lenses give them: what half the pixels alias into is no structure of the scene."""
    scenes = (natural_tensor(512, seed=1), natural_tensor(512, seed=2, falloff=1.8))
    one, other = (losses.sub_images(box(box(scene, 3), 3)) for scene in scenes)
    assert losses.sisc(one[0], one[1]) < 0.4 * losses.sisc(one[0], other[0])


def test_sisc_does_not_see_exposure() -> None:
    one = natural_tensor()
    assert losses.sisc(one, 0.5 * one) < 1e-3


def test_sisc_minds_blur_more_than_noise_of_a_twentieth() -> None:
    one = natural_tensor(falloff=1.0)
    noisy = one + 0.05 * torch.from_numpy(np.random.default_rng(3).normal(size=one.shape).astype(np.float32))
    assert losses.sisc(box(one, 3), one) > losses.sisc(noisy, one) > 0.01


def test_a_spectral_profile_is_standardised_and_falls() -> None:
    profile = losses.spectral_profile(natural_tensor())
    assert profile.shape == (1, 8)
    assert profile.mean().item() == pytest.approx(0.0, abs=1e-5)
    assert profile.square().mean().item() == pytest.approx(1.0, abs=1e-2)
    assert (profile.diff(dim=1) < 0).all()


def test_rings_equal_those_of_the_full_transform() -> None:
    """The real transform counts its columns twice; the slow way is the full transform, ring by ring."""
    image = noise_tensor(1, 3, 32, 40)
    grey = luma(image)[0, 0].numpy().astype(np.float64)
    window = np.outer(np.hanning(32), np.hanning(40))
    magnitude = 0.5 * np.log(np.abs(np.fft.fft2((grey - grey.mean()) * window)) ** 2 + 1e-6)
    radius = np.hypot(np.fft.fftfreq(32)[:, None], np.fft.fftfreq(40)[None])
    energies = np.array([magnitude[(radius / 0.5 * 8).astype(int) == ring].mean() for ring in range(8)])
    expected = (energies - energies.mean()) / (energies.std() + 1e-4)
    np.testing.assert_allclose(losses.spectral_profile(image)[0].numpy(), expected, atol=2e-3)


def test_sisc_of_a_picture_smaller_than_a_patch_is_that_of_the_whole() -> None:
    one, other = noise_tensor(1, 3, 40, 48), noise_tensor(1, 3, 40, 48, seed=1)
    expected = (losses.spectral_correlation(one) - losses.spectral_correlation(other)).abs().mean()
    assert losses.sisc(one, other).item() == pytest.approx(expected.item())


# --- IAP ---------------------------------------------------------------------------------------------------


def test_iap_does_not_see_exposure() -> None:
    image, features = natural_tensor(), losses.Gabor()
    other = losses.iap(natural_tensor(seed=1), image, features)
    assert losses.iap(0.4 * image, 0.8 * image, features) < 0.01 * other
    assert losses.iap(0.8 * image, 0.4 * image, features) < 0.01 * other


def test_iap_minds_blur_and_other_pictures() -> None:
    image, features = natural_tensor(falloff=1.0), losses.Gabor()
    assert losses.iap(box(image, 5), image, features) > 0.1
    assert losses.iap(natural_tensor(seed=1), image, features) > losses.iap(box(image, 5), image, features)


def test_alignment_brings_the_input_to_the_outputs_light_without_gradient() -> None:
    image = 0.2 * natural_tensor()
    output = (4.0 * image).requires_grad_()
    found = losses.aligned(image, output)
    assert not found.requires_grad
    assert (found - output).abs().mean() < 0.02


def test_gabor_features_are_of_light_and_dark_alike() -> None:
    """The mean has no answer, and both phases count: a picture and its negative have the same features."""
    features, image = losses.Gabor(), natural_tensor(96)
    assert all(found.max() < 1e-2 for found in features(torch.full((1, 3, 96, 96), 0.6)))
    for one, other in zip(features(image), features(1.0 - image), strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)


# --- the others --------------------------------------------------------------------------------------------


def test_the_checker_pattern_takes_two_corners_of_every_block() -> None:
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    first, second = losses.sub_images(image)
    assert first.flatten().tolist() == [0, 2, 8, 10]
    assert second.flatten().tolist() == [5, 7, 13, 15]


def test_a_box_is_the_mean_of_what_lies_inside() -> None:
    image = noise_tensor(1, 1, 7, 9)
    found = box(image, 3)
    assert found[0, 0, 3, 4].item() == pytest.approx(image[0, 0, 2:5, 3:6].mean().item(), rel=1e-5)
    assert found[0, 0, 0, 0].item() == pytest.approx(image[0, 0, :2, :2].mean().item(), rel=1e-5)


def test_reconstruction_is_zero_where_the_product_is_the_picture() -> None:
    light, reflectance = noise_tensor(2, 1, 8, 8), noise_tensor(2, 3, 8, 8, seed=1)
    assert losses.reconstruction(light, reflectance, light * reflectance).item() == pytest.approx(0.0, abs=1e-7)
    image = torch.full((1, 3, 4, 4), 0.08)
    found = losses.reconstruction(torch.ones(1, 1, 4, 4), image + 0.01, image)
    assert found.item() == pytest.approx(0.01 / 0.1, rel=1e-4)


def test_pseudo_ground_truth_asks_for_light_and_colour_not_for_detail() -> None:
    reference = natural_tensor()
    grain = torch.from_numpy(np.random.default_rng(0).normal(0.0, 0.1, reference.shape).astype(np.float32))
    fine = losses.pseudo_ground_truth(reference + grain, reference)
    assert fine < 0.1 * losses.pseudo_ground_truth(reference * torch.tensor([1.2, 1.0, 0.9])[:, None, None], reference)
    assert fine < 0.1 * losses.pseudo_ground_truth(0.8 * reference, reference)


def test_the_illumination_prior_allows_steps_where_the_picture_has_them() -> None:
    step = torch.cat([torch.full((1, 1, 32, 16), 0.2), torch.full((1, 1, 32, 16), 0.8)], dim=3)
    flat = torch.full((1, 3, 32, 32), 0.5)
    with_edge, without = (losses.illumination_prior(step, step, image) for image in (step.repeat(1, 3, 1, 1), flat))
    assert with_edge < without
    assert losses.illumination_prior(flat[:, :1], flat[:, :1], flat).item() == 0.0


def test_exposure_is_the_squared_distance_of_means() -> None:
    image = torch.stack([torch.full((3, 4, 4), 0.3), torch.full((3, 4, 4), 0.7)])
    assert losses.exposure(image, 0.5).item() == pytest.approx(0.04, rel=1e-4)


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


def test_the_blind_spot_loss_by_hand() -> None:
    one, other = torch.full((1, 3, 2, 2), 0.5), torch.full((1, 3, 2, 2), 0.3)
    assert losses.blind_spot(one, other).item() == pytest.approx(0.04, rel=1e-5)
