"""What is said of cards: by the driver, and why one is not used. No card is needed: the driver is a fake."""

from __future__ import annotations

import pytest

from enhance_cli.engines import cards, devices, open_engine
from enhance_cli.errors import DeviceError, UsageError
from tests.engines.fake_cards import GB, NEW, OLD, SMALL, Libcuda, Management, install


def test_the_driver_tells_of_its_cards():
    driver = cards.driver(Libcuda(OLD, NEW, cuda=12040))
    assert driver.cuda == (12, 4)
    assert driver.cards == (cards.Card(0, *OLD), cards.Card(1, *NEW))
    assert driver.trouble is None


@pytest.mark.parametrize(("failure", "trouble"), [(100, None), (34, None), (803, "error 803 of cuInit")])
def test_a_driver_that_does_not_start_is_told_from_one_without_cards(failure, trouble):
    driver = cards.driver(Libcuda(NEW, failure=failure))
    assert driver.cards == ()
    assert driver.trouble is None if trouble is None else trouble in driver.trouble


def test_the_release_of_the_driver():
    assert cards.driver_release(Management("550.54.15")) == "550.54.15"


@pytest.mark.parametrize(
    ("text", "expected"), [("auto", ("auto",)), ("cuda", ("cuda",)), ("cuda:0, cuda:1", ("cuda:0", "cuda:1"))]
)
def test_devices_are_named_with_commas_between_them(text, expected):
    assert devices(text) == expected


@pytest.mark.parametrize("text", ["cuda,cuda:0", "cuda:1,cuda:01", "cpu,cuda:0", "auto,cuda:1", "cuda:0,", "cuda:0;1"])
def test_what_names_no_devices_is_refused(text):
    with pytest.raises(UsageError, match="--device"):
        devices(text)


torch = pytest.importorskip("torch")


def remarks_of(device="auto"):
    remarks = []
    engine = open_engine(device, remark=remarks.append)
    return engine.device, remarks


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        ({"built": None}, "built without CUDA"),
        ({"cuda": 11040}, "its driver is too old: it runs CUDA 11.4"),
        ({"architectures": ("sm_90", "sm_100")}, "its compute capability 8.9 is not supported"),
        ({"free": [GB // 2]}, "it has 0.5 GB free of 24.0 GB"),
    ],
)
def test_auto_says_why_it_leaves_a_card_aside(monkeypatch, machine, reason):
    install(monkeypatch, NEW, **machine)
    device, remarks = remarks_of()
    assert device == "cpu"
    [said] = remarks
    assert said.startswith("Not used: The device cuda:0 (NVIDIA L4)")
    assert reason in said
    assert said.endswith(".")


def test_auto_says_that_the_driver_does_not_start(monkeypatch):
    install(monkeypatch, NEW, failure=999)
    assert remarks_of() == ("cpu", ["Using the CPU: the NVIDIA driver does not start (error 999 of cuInit)."])


def test_auto_says_nothing_where_there_is_no_card(monkeypatch):
    install(monkeypatch)
    assert remarks_of() == ("cpu", [])


def test_auto_takes_the_first_card_that_can_be_used(monkeypatch):
    install(monkeypatch, OLD, NEW)
    device, remarks = remarks_of()
    assert device == "cuda:1 (NVIDIA L4)"
    assert [said.partition(" cannot")[0] for said in remarks] == ["Not used: The device cuda:0 (GeForce GTX 1080)"]


@pytest.mark.parametrize(
    ("architectures", "used"),
    [
        (("sm_80",), True),
        (("sm_86",), True),
        (("sm_90",), False),
        (("compute_75",), True),
        (("compute_90",), False),
        (("sm_89a",), True),
        (("sm_80a",), False),
        ((), True),
    ],
)
def test_code_runs_on_later_cards_of_its_generation(monkeypatch, architectures, used):
    install(monkeypatch, NEW, architectures=architectures)
    assert remarks_of()[0].startswith("cuda") == used


def test_a_named_card_that_cannot_be_used_is_an_error_with_the_reason(monkeypatch):
    install(monkeypatch, OLD)
    with pytest.raises(DeviceError, match=r"cuda:0 \(GeForce GTX 1080\) cannot be used: its compute capability 6\.1"):
        open_engine("cuda:0")


def test_a_named_card_is_used_though_it_has_little_memory(monkeypatch):
    install(monkeypatch, SMALL, free=[GB // 4])
    assert open_engine("cuda:0").device == "cuda:0 (NVIDIA T400)"


def test_one_device_is_opened_at_a_time():
    with pytest.raises(UsageError, match="one device"):
        open_engine("cuda:0,cuda:1")
