"""`enhance doctor` where there are cards: a fake driver names them, and torch on the CPU stands in for them."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")

from enhance_cli.cli.app import build  # noqa: E402
from enhance_cli.engines import cuda  # noqa: E402
from tests.engines.fake_cards import GB, NEW, OLD, SMALL, install  # noqa: E402
from tests.stand_in import stand_in  # noqa: E402

RUN = CliRunner()


def doctor(*arguments):
    return RUN.invoke(build(), ["doctor", *arguments])


def test_every_card_is_named_and_tried(monkeypatch):
    ran = []
    for name in ("into", "network"):
        before = getattr(cuda.CudaEngine, name)

        def seen(self, *given, name=name, before=before, **named):
            ran.append((self.device, name))
            return before(self, *given, **named)

        monkeypatch.setattr(cuda.CudaEngine, name, seen)
    stand_in(monkeypatch, NEW, SMALL, free=[20 * GB, GB])
    result = doctor("--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["problems"]) == (0, [])
    told = found["cards"]
    assert (told["driver"], told["CUDA of the driver"]) == ("550.54.15", "12.8")
    assert told["cuda:0"]["name"] == "NVIDIA L4"
    assert told["cuda:0"]["compute capability"] == "8.9"
    assert (told["cuda:0"]["memory, GB"], told["cuda:0"]["free, GB"]) == (24.0, 20.0)
    assert told["cuda:1"]["name"] == "NVIDIA T400"
    for card in ("cuda:0", "cuda:1"):
        assert told[card]["kernel"].startswith("ran in ")
        assert told[card]["network"].endswith(("largest difference from the CPU 0", "from the CPU 1"))
    assert {device.partition(" ")[0] for device, _ in ran} == {"cuda:0", "cuda:1"}
    assert {name for _, name in ran} == {"into", "network"}


@pytest.mark.parametrize(
    ("installed", "answer", "told"),
    [
        (None, None, None),
        ("0.9.0.20", object(), "decoded by nvImageCodec"),
        ("0.9.0.20", "does not work here (no nvJPEG)", "nvImageCodec does not work here (no nvJPEG)"),
    ],
)
def test_the_codec_of_a_card_is_tried_where_it_is_installed(monkeypatch, installed, answer, told):
    from enhance_cli.cli import doctor as module
    from enhance_cli.imaging.codecs.jpeg import on_card

    before = module._version_of
    monkeypatch.setattr(module, "_version_of", lambda name: installed if "nvimgcodec" in name else before(name))
    monkeypatch.setattr(on_card, "opened", lambda number: answer)
    stand_in(monkeypatch, NEW)
    result = doctor("--json")
    found = json.loads(result.stdout)["cards"]
    assert result.exit_code == 0
    assert found["nvImageCodec"] == (installed or "not installed (the extra is gpu-codecs)")
    assert found["cuda:0"].get("JPEGs") == told


def test_the_same_as_text(monkeypatch):
    stand_in(monkeypatch, NEW)
    result = doctor("--device", "cuda:0")
    assert result.exit_code == 0
    for line in (
        "  driver: 550.54.15",
        "  cuda:0:",
        "    name: NVIDIA L4",
        "    compute capability: 8.9",
        "    kernel: ran in ",
    ):
        assert line in result.stdout
    assert "No problems found." in result.stdout


FAULTS = {
    "into": (RuntimeError("CUDA error: no kernel image is available\nfor execution on the device"), "a kernel"),
    "network": (torch.OutOfMemoryError("CUDA out of memory."), "a network"),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_what_fails_on_a_card_is_a_sentence(monkeypatch, name, form):
    stand_in(monkeypatch, NEW)
    error, what = FAULTS[name]

    def failing(self, *given, **named):
        raise error

    monkeypatch.setattr(cuda.CudaEngine, name, failing)
    result = doctor(*form)
    said = " ".join(str(error).split()).rstrip(".")
    sentence = f"cuda:0 (NVIDIA L4) cannot run {what} ({said}); update its driver, or use --device cpu."
    assert result.exit_code == 5
    assert "Traceback" not in result.stdout + result.stderr
    if form:
        found = json.loads(result.stdout)
        assert found["problems"] == [sentence]
        assert found["cards"]["cuda:0"][name.replace("into", "kernel")] == f"failed: {said}"
    else:
        assert f"problem: {sentence}" in result.stdout


def test_a_card_that_computes_something_else_is_a_problem(monkeypatch):
    stand_in(monkeypatch, NEW)
    into = cuda.CudaEngine.into

    def wrong(self, out, *given, **named):
        into(self, out, *given, **named)
        out[0, 0] += 3
        return out

    monkeypatch.setattr(cuda.CudaEngine, "into", wrong)
    [problem] = json.loads(doctor("--json").stdout)["problems"]
    assert problem.startswith("cuda:0 (NVIDIA L4) runs a kernel, but its result differs from the CPU's by")


def test_a_card_that_cannot_be_opened_is_named_with_the_reason(monkeypatch):
    stand_in(monkeypatch, OLD)
    result = doctor("--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 5
    assert "compute capability 6.1 is not supported" in found["cards"]["cuda:0"]["not used"]
    assert ["compute capability 6.1" in problem for problem in found["problems"]] == [True]


def test_a_context_that_does_not_start_is_a_sentence(monkeypatch):
    install(monkeypatch, NEW)

    def full(self):
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(cuda.CudaEngine, "_free", full)
    result = doctor("--device", "cuda:0")
    assert result.exit_code == 5
    assert "problem: The device cuda:0 (NVIDIA L4) cannot be used: CUDA does not start there" in result.stdout


def test_without_cards_none_is_told(monkeypatch):
    install(monkeypatch)
    told = json.loads(doctor("--device", "cpu", "--json").stdout)["cards"]
    assert not any(name.startswith("cuda:") for name in told)
