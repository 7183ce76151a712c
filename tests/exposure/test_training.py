"""What the predictor's training draws, and a training of a few steps end to end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from enhance_cli.errors import UsageError  # noqa: E402 - torch may be missing
from enhance_cli.exposure.features import SIDE, figures, luma_of  # noqa: E402
from enhance_cli.exposure.training import data as training_data  # noqa: E402
from enhance_cli.exposure.training import train as training  # noqa: E402
from enhance_cli.exposure.training.recipe import Recipe  # noqa: E402
from enhance_cli.training.degradations import generator  # noqa: E402
from enhance_cli.training.options import TrainOptions  # noqa: E402
from tests.pictures import codes, soft  # noqa: E402


def write(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture[..., ::-1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few scenes of every kind."""
    data = tmp_path_factory.mktemp("data")
    for index in range(4):
        picture = codes(soft(50, 60, seed=index), white=230)
        write(data / "clean" / f"c{index}.png", picture)
        write(data / "paired_lowlight" / "low" / f"p{index}.png", picture // 6)
        write(data / "paired_lowlight" / "high" / f"p{index}.png", picture)
        for frame, gain in enumerate((0.4, 1.0, 1.7)):
            name = f"sice_{index:03d}_e{frame}{'_ref' if frame == 1 else ''}.png"
            write(data / "exposure" / "sice512" / name, (picture * gain).clip(0, 255).astype(np.uint8))
    return data


@pytest.fixture(autouse=True)
def _hold_out_every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_data, "HELD_OUT_EVERY", 2)


def tiny() -> Recipe:
    recipe = Recipe()
    schedule = replace(recipe.schedule, iterations=6, warm_up=2, validate_every=6, checkpoint_every=3)
    return replace(recipe, draws=40, width=8, batch=8, schedule=schedule)


def test_every_kind_is_drawn_and_each_sample_depends_on_its_number_alone(folder: Path) -> None:
    album = training_data.Album.read(folder, tiny(), lambda sentence: None)
    assert set(album.photos) == set(Recipe().kinds)
    assert {"lowlight", "under", "over", "as they are", "-3 stops"} <= set(album.held_out)
    many, few = album.draw(tiny(), 0), album.draw(replace(tiny(), draws=7), 0)
    assert np.array_equal(many.statistics[:7], few.statistics)
    assert np.array_equal(many.figures[:7], few.figures)
    assert not np.array_equal(many.statistics, album.draw(tiny(), 1).statistics)


def test_photos_alone_are_clean_ones(tmp_path: Path) -> None:
    for index in range(3):
        write(tmp_path / f"{index}.png", codes(soft(50, 60, seed=index)))
    album = training_data.Album.read(tmp_path, tiny(), lambda sentence: None)
    assert set(album.photos) == {"clean"}
    assert np.isfinite(album.draw(tiny(), 0).statistics).all()


def test_wrong_exposures_are_darker_and_brighter() -> None:
    light = np.moveaxis(soft(SIDE, SIDE, low=0.2, high=0.7), 2, 0).clip(0, 1).astype(np.float32)
    means = [luma_of(training_data.wrongly_exposed(light, generator(0, index))).mean() for index in range(60)]
    darker = sum(mean < luma_of(light).mean() for mean in means)
    assert 25 < darker < 55
    assert min(means) < 0.15
    assert max(means) > 0.7


def test_the_wanted_figures_are_those_before_the_fault(folder: Path) -> None:
    album = training_data.Album.read(folder, tiny(), lambda sentence: None)
    held_out = album.held_out
    assert np.allclose(held_out["as they are"].figures, held_out["-3 stops"].figures)
    (photo, _), *_ = album.photos["clean"]
    assert 0.2 < figures(np.moveaxis(cv2.resize(photo, (SIDE, SIDE)) / 255.0, 2, 0))[0] < 0.8


def test_training_again_or_resumed_gives_the_same_files(folder: Path, tmp_path: Path) -> None:
    def trained(name: str, **more: object) -> dict[str, str]:
        options = TrainOptions(data=folder, out=tmp_path / name, **more)  # type: ignore[arg-type]
        return dict(training.train(options, recipe=tiny()).exported["predictor"].sha256)

    first = trained("a")
    assert trained("b") == first
    assert trained("a", resume=True) == first
    assert trained("c", seed=1) != first
    assert (tmp_path / "a" / "predictor.onnx").exists()


def test_it_has_no_parts(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no part 'x'"):
        training.train(TrainOptions(data=folder, out=tmp_path / "x", parts=("x",)))
