"""MEF-SSIM knows a good fusion from a bad one."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.lib.fusion import mef_ssim


@pytest.fixture
def bracket(rng):
    """Three exposures of one texture, the outer ones clipped, and the scene as it is."""
    y, x = np.mgrid[:96, :128]
    scene = 110 + 60 * np.sin(x / 6.0) * np.cos(y / 9.0) + rng.normal(0, 6, (96, 128))
    scene = np.repeat(scene[..., None], 3, axis=2)
    return [(scene * gain).clip(0, 255).astype(np.uint8) for gain in (0.25, 1.0, 3.0)], scene.astype(np.uint8)


def test_the_scene_itself_is_better_than_any_wrong_exposure(bracket):
    frames, scene = bracket
    scores = [mef_ssim(frames, frame) for frame in frames]
    assert mef_ssim(frames, scene) > max(scores[0], scores[2]) + 0.1
    assert mef_ssim(frames, np.full_like(scene, 128)) < 0.2


def test_equal_frames_are_judged_as_by_ssim(bracket):
    _, scene = bracket
    assert mef_ssim([scene, scene], scene) == pytest.approx(1.0, abs=1e-6)
    assert mef_ssim([scene, scene], scene // 2 + 40) < 0.9
    assert mef_ssim([scene, scene], scene + np.uint8(20)) == pytest.approx(1.0, abs=1e-6)  # means are not judged


def test_sizes_must_agree(bracket):
    frames, scene = bracket
    with pytest.raises(ValueError, match="same size"):
        mef_ssim(frames, scene[:-1])
    with pytest.raises(ValueError, match="two or more"):
        mef_ssim(frames[:1], scene)
