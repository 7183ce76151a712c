"""What the chooser's training tries, and a training of a few steps end to end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.numpy import load_file  # noqa: E402 - torch may be missing

from enhance_cli.errors import UsageError  # noqa: E402
from enhance_cli.exposure.training import data as exposure_data  # noqa: E402
from enhance_cli.methods.auto.candidates import OPTIONS  # noqa: E402
from enhance_cli.methods.auto.chooser import NOTHING  # noqa: E402
from enhance_cli.methods.auto.features import COUNT  # noqa: E402
from enhance_cli.methods.auto.scores import forward  # noqa: E402
from enhance_cli.methods.auto.training import data, trials  # noqa: E402
from enhance_cli.methods.auto.training import train as training  # noqa: E402
from enhance_cli.methods.auto.training.network import ChoiceNetwork  # noqa: E402
from enhance_cli.methods.auto.training.recipe import Recipe  # noqa: E402
from enhance_cli.training.degradations import generator  # noqa: E402
from enhance_cli.training.options import TrainOptions  # noqa: E402
from tests.pictures import codes, soft  # noqa: E402


def write(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture[..., ::-1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few scenes of every kind, some of them in either fold."""
    root = tmp_path_factory.mktemp("data")
    for index in range(4):
        picture = codes(soft(50, 60, seed=index), white=230)
        write(root / "clean" / f"c{index}.png", picture)
        write(root / "paired_lowlight" / "low" / f"p_{10 * index}.png", picture // 6)
        write(root / "paired_lowlight" / "high" / f"p_{10 * index}.png", picture)
        for frame, gain in enumerate((0.4, 1.0, 1.7)):
            name = f"sice_{index:03d}_e{frame}{'_ref' if frame == 1 else ''}.png"
            write(root / "exposure" / "sice512" / name, (picture * gain).clip(0, 255).astype(np.uint8))
    return root


@pytest.fixture(autouse=True)
def _hold_out_every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposure_data, "HELD_OUT_EVERY", 2)
    monkeypatch.setattr(training, "HELD_OUT_EVERY", 2)


def tiny() -> Recipe:
    recipe = Recipe(frames=2, every_pair=2, members=2, hidden=3, batch=4)
    exposure = replace(recipe.exposure, draws=20, batch=4, schedule=_short(recipe.exposure.schedule))
    return replace(recipe, exposure=exposure, schedule=_short(recipe.schedule))


def _short(schedule):
    return replace(schedule, iterations=6, warm_up=2, validate_every=6, checkpoint_every=3)


def test_samples_are_of_every_kind_and_scenes_stay_together(folder: Path) -> None:
    found = data.read(folder, tiny(), 0)
    assert {sample.kind for sample in found} == {"under", "over", "dark pair", "clean", "faulty", "dull"}
    assert {len(sample.references) for sample in found if sample.kind in ("under", "over")} == {2}
    clean = {sample.scene: sample for sample in found if sample.kind == "clean"}
    faulty = [sample for sample in found if sample.kind == "faulty"]
    assert len(faulty) == len(clean)
    for sample in faulty:
        assert not np.array_equal(sample.codes, clean[sample.scene].codes)
        assert np.array_equal(sample.references[0], clean[sample.scene].codes)
    dull = [sample for sample in found if sample.kind == "dull"]
    assert len(dull) == len(clean) + 4, "of clean photos and of the best frames of stacks"
    assert all(not np.array_equal(sample.codes, sample.references[0]) for sample in dull)


def test_a_dull_photo_is_darker_flatter_and_paler_in_the_mean_and_depends_on_the_draw_alone() -> None:
    photo = soft(40, 50, seed=3, dtype=np.float32).clip(0.0, 1.0)
    made = [data.dulled(photo, generator(0, index)) for index in range(40)]
    assert np.array_equal(made[7], data.dulled(photo, generator(0, 7)))
    assert len({one.tobytes() for one in made}) > 35
    means, spreads, chromas = (
        np.mean([of(one / 255.0) for one in made]) / of(photo)
        for of in (np.mean, np.std, lambda one: np.ptp(one, axis=2).mean())
    )
    assert means < 0.95
    assert spreads < 0.9
    assert chromas < 0.9


def test_a_fold_is_tried_by_a_predictor_that_has_not_seen_it(folder: Path, tmp_path: Path, monkeypatch) -> None:
    seen: list[set[str]] = []
    read = exposure_data.Sources.only

    def spy(sources, scenes):
        kept = read(sources, scenes)
        seen.append({*kept.clean, *(data.scene_of(pair.name) for pair in kept.stacks)})
        return kept

    monkeypatch.setattr(exposure_data.Sources, "only", spy)
    recipe = tiny()
    samples = [sample for sample in data.read(folder, recipe, 0) if sample.kind == "clean"]
    made = trials.make(samples, TrainOptions(data=folder, out=tmp_path), recipe, lambda sentence: None)
    assert len(seen) == recipe.folds
    for fold, scenes in enumerate(seen):
        assert scenes.isdisjoint(s.scene for s in samples if trials.fold_of(s.scene, recipe) == fold)
    assert made.features.shape == (len(samples), len(OPTIONS), COUNT)
    assert (made.psnr[:, NOTHING] == trials.LARGEST).all(), "a good photo is its own reference"


def test_scores_on_arrays_are_those_of_the_network() -> None:
    torch.manual_seed(0)
    network = ChoiceNetwork(COUNT, 3, 4).eval()
    network.mean.normal_()
    network.deviation.uniform_(0.5, 2.0)
    rows = np.random.default_rng(0).normal(0, 2, (7, COUNT)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(rows))[0].numpy()
        members = network.of_members(network.standardised(torch.from_numpy(rows)).expand(3, 1, -1, -1))
    tensors = {name: value.detach().numpy() for name, value in network.state_dict().items()}
    assert np.allclose(forward(tensors, rows), expected, atol=1e-5)
    assert np.allclose(members.mean(dim=0)[0].numpy(), expected, atol=1e-5), "it is the mean of its members"


def test_training_again_or_resumed_gives_the_same_files(folder: Path, tmp_path: Path) -> None:
    def trained(name: str, **more: object) -> dict[str, str]:
        options = TrainOptions(data=folder, out=tmp_path / name, **more)  # type: ignore[arg-type]
        return dict(training.train(options, recipe=tiny()).exported["chooser"].sha256)

    first = trained("a")
    assert trained("b") == first
    assert trained("a", resume=True) == first
    spread = load_file(tmp_path / "a" / "chooser.safetensors")["spread"]
    assert 0.1 <= float(spread) <= 20.0


def test_the_spread_says_how_often_the_lead_is_right() -> None:
    """With scores that are the truth and noise, a narrow one; with scores that are noise alone, the widest."""
    random = np.random.default_rng(0)
    goals = random.normal(0, 3, (400, len(OPTIONS))).astype(np.float32)
    made = np.zeros((400, len(OPTIONS), COUNT), np.float32)
    made[..., 0] = goals

    class First(torch.nn.Module):
        def __init__(self, share: float) -> None:
            super().__init__()
            self.share = torch.nn.Parameter(torch.tensor(share))

        def forward(self, rows):
            return (self.share * rows[:, 0],)

    kinds = np.array(["under"] * 400)
    exact = training._spread(First(1.0), trials.Trials(kinds, kinds, made, goals, goals))
    others = random.normal(0, 3, goals.shape).astype(np.float32)
    unrelated = trials.Trials(kinds, kinds, made, others, others)
    assert exact < 0.2
    assert training._spread(First(1.0), unrelated) > 5.0


def test_it_has_no_parts_and_needs_two_scenes(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no part 'x'"):
        training.train(TrainOptions(data=folder, out=tmp_path / "x", parts=("x",)))
    write(tmp_path / "one" / "a.png", codes(soft(50, 60)))
    with pytest.raises(UsageError, match="fewer than two scenes"):
        training.train(TrainOptions(data=tmp_path / "one", out=tmp_path / "y"))
