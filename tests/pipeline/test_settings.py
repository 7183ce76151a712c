"""What a restart compares: every control and option that decides pixels, and a new one until it says otherwise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from enhance_cli import methods
from enhance_cli.controls import Controls, knob
from enhance_cli.engines.weights import weights_folder
from enhance_cli.pipeline.options import RunOptions
from enhance_cli.pipeline.run import Run

DECIDING = {"format": "png", "quality": 50, "strip": "gps", "plan": "saved.plan.npz", "weights": "own"}
"""The options of a run that decide pixels or bytes of the output, each with another value than its default."""

REST = {
    **dict.fromkeys(("recursive", "overwrite", "skip_existing", "in_place", "again", "drop_extras"), True),
    **dict.fromkeys(("preserve_times", "verify", "fail_fast", "dry_run", "isolate"), True),
    **dict.fromkeys(("json", "quiet", "verbose", "debug", "gallery"), True),
    "backup": ".old",
    "report": "elsewhere.jsonl",
    "check": "hash",
    "save_plans": "plans",
    "shard": "1/2",
    "jobs": 3,
    "device": "cpu",
    "memory": "1G",
    "gpu_memory": "1G",
    "precision": "full",
    "codec": "gpu",
    "cluster": "local",
    "max_pixels": "9M",
    "timeout": 60.0,
}
"""All others."""


def run(**values: object) -> Run:
    return Run.of("clahe-adaptive", ["in", "out"], values)


def test_every_option_is_tried_here() -> None:
    """A new option belongs to one of the two: would another value of it make another image?"""
    assert DECIDING.keys() | REST.keys() == RunOptions.knobs().keys()
    assert not DECIDING.keys() & REST.keys()


@pytest.mark.parametrize("name", DECIDING)
def test_what_decides_pixels_changes_the_digest(name: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "saved.plan.npz").write_bytes(b"a plan")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "estimator.json").write_text("a manifest")
    assert run(**{name: DECIDING[name]}).settings != run().settings


@pytest.mark.parametrize("name", REST)
def test_what_decides_no_pixel_leaves_the_digest(name: str) -> None:
    assert run(**{name: REST[name]}).settings == run().settings


def test_a_plan_is_told_by_its_contents(tmp_path) -> None:
    plan = tmp_path / "saved.plan.npz"
    plan.write_bytes(b"a plan")
    first = run(plan=plan).settings
    assert run(plan=plan).settings == first
    plan.write_bytes(b"another")
    assert run(plan=plan).settings != first


def test_weights_are_told_by_their_manifests(tmp_path) -> None:
    shipped = weights_folder() / "clahe_adaptive"
    assert run(weights=shipped).settings == run().settings
    (tmp_path / "estimator.json").write_text("another manifest")
    assert run(weights=tmp_path).settings != run().settings


@pytest.mark.parametrize("name", methods.names())
def test_every_control_of_a_method_decides_pixels(name: str) -> None:
    method = methods.get(name)
    controls = method.controls(**dict(method.example))
    # `--decide` of auto names the file to write to.
    assert controls.deciding.keys() == controls.knobs().keys() - {"decide"}
    assert "amount" in controls.deciding
    asked = Run(name, controls, RunOptions(), ())
    assert replace(asked, controls=replace(controls, amount=0.5)).settings != asked.settings


def test_a_new_option_decides_until_it_says_otherwise() -> None:
    @dataclass(frozen=True)
    class Later(RunOptions):
        sharpen: float = knob(0.0, "An option of tomorrow.")

    asked = Run("clahe-adaptive", methods.get("clahe-adaptive").controls(), Later(), ())
    assert replace(asked, options=Later(sharpen=1.0)).settings != asked.settings


def test_the_shared_controls_come_after_the_methods_own() -> None:
    for name in methods.names():
        shared = list(Controls.knobs())
        assert list(methods.get(name).controls.knobs())[-len(shared) :] == shared
