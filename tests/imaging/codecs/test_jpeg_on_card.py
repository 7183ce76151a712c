"""JPEGs decoded by nvImageCodec, whose decoder for the CPU stands in for that of a card."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import simplejpeg
from PIL import Image as Pillow

import enhance_cli
from enhance_cli.errors import CorruptPicture
from enhance_cli.imaging import codecs
from enhance_cli.imaging.codecs.jpeg import on_card
from enhance_cli.imaging.codecs.jpeg.on_card import CardDecoder
from tests.commands import lines
from tests.pictures import dark, landscape

LONG = 60.0
SUBSAMPLINGS = ("444", "422", "420", "440", "411")


def photo(height=61, width=83):
    return cv2.resize(landscape(96, 128), (width, height), interpolation=cv2.INTER_AREA)


def coded(pixels=None, **options):
    packed = io.BytesIO()
    Pillow.fromarray(photo() if pixels is None else pixels).save(packed, "JPEG", quality=88, **options)
    return packed.getvalue()


@pytest.fixture(scope="module")
def card():
    pytest.importorskip("nvidia.nvimgcodec", reason="nvImageCodec is not installed (the extra gpu-codecs)")
    return CardDecoder(None)


class Counting:
    """A decoder that counts what it is asked for, and refuses everything."""

    def __init__(self):
        self.asked = 0

    def decode(self, data, header, end):
        self.asked += 1


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_pixels_are_those_of_the_cpu_in_every_subsampling(card, subsampling):
    """With this backend, which is libjpeg-turbo too; a card may differ."""
    data = simplejpeg.encode_jpeg(photo(), 88, "RGB", subsampling)
    found = codecs.decode(data, card=card)
    assert found.metadata.decoded_on_card
    assert np.array_equal(found.pixels, codecs.decode(data).pixels)
    assert found.pixels.flags.writeable
    assert found.pixels.flags.c_contiguous


def test_grey_stays_grey(card):
    data = coded(photo()[..., 1])
    found = codecs.decode(data, card=card)
    assert found.metadata.decoded_on_card
    assert np.array_equal(found.pixels, codecs.decode(data).pixels)


def test_all_but_the_pixels_is_read_as_always(card):
    exif = Pillow.Exif()
    exif[0x0112], exif[0x010F] = 6, "a maker"  # to be turned
    profile = bytes(range(128)) + bytes(400)
    data = coded(
        exif=exif, dpi=(300, 300), icc_profile=profile, comment=b"x", xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"
    )
    data += b"\0" * 8 + b"ftypmp42 a motion photo's video"
    found, expected = codecs.decode(data, source="a.jpg", card=card), codecs.decode(data, source="a.jpg")
    assert found.metadata == replace(expected.metadata, decoded_on_card=True)
    assert found.metadata.trailer is not None
    assert found.pixels.shape == (83, 61, 3)
    assert np.array_equal(found.pixels, expected.pixels)


def test_planes_are_not_what_a_card_gives(card):
    data = coded(subsampling="4:2:0")
    assert codecs.decode(data, planes=True).chroma is not None
    found = codecs.decode(data, planes=True, card=card)
    assert found.chroma is None
    assert np.array_equal(found.pixels, codecs.decode(data).pixels)
    assert found.metadata.jpeg.subsampling == "420"


OTHERS = {
    "progressive": lambda: coded(progressive=True),
    "CMYK": lambda: _cmyk(),
    "components R, G and B": lambda: coded(keep_rgb=True),
    "tiny": lambda: coded(photo(9, 12)),
    "PNG": lambda: cv2.imencode(".png", photo())[1].tobytes(),
    "16 bits": lambda: cv2.imencode(".png", photo().astype(np.uint16) * 257)[1].tobytes(),
}


def _cmyk():
    packed = io.BytesIO()
    Pillow.fromarray(photo()).convert("CMYK").save(packed, "JPEG", quality=88)
    return packed.getvalue()


@pytest.mark.parametrize("kind", OTHERS)
def test_everything_else_is_decoded_on_the_cpu(kind):
    data, asked = OTHERS[kind](), Counting()
    found, expected = codecs.decode(data, card=asked), codecs.decode(data)
    assert asked.asked == 0
    assert found.metadata == expected.metadata
    assert np.array_equal(found.pixels, expected.pixels)


def test_what_a_card_refuses_is_decoded_on_the_cpu_and_noted():
    asked = Counting()
    found, expected = codecs.decode(coded(), planes=True, card=asked), codecs.decode(coded(), planes=True)
    assert asked.asked == 1
    assert found.metadata.notes == ("the card did not decode it, so the CPU did",)
    assert not found.metadata.decoded_on_card
    assert np.array_equal(found.pixels, expected.pixels)
    assert all(map(np.array_equal, found.chroma, expected.chroma))


@pytest.mark.parametrize("left", [0.3, 0.9])
def test_a_file_that_is_cut_off_fails_as_always(left):
    data, asked = coded(), Counting()
    cut = data[: int(len(data) * left)]
    with pytest.raises(CorruptPicture) as expected:
        codecs.decode(cut, source="a.jpg")
    with pytest.raises(CorruptPicture) as found:
        codecs.decode(cut, source="a.jpg", card=asked)
    assert str(found.value) == str(expected.value)
    assert asked.asked == 0


def broken_library(answer):
    """nvImageCodec, of which nothing works after the trial."""

    class Decoder:
        def __init__(self, **options):
            self.tries = 0

        def decode(self, stream, params):
            self.tries += 1
            if self.tries == 1:
                return SimpleNamespace(cpu=lambda: np.zeros((16, 16, 3), np.uint8))
            return answer()

    kinds = SimpleNamespace(CPU_ONLY=1, GPU_ONLY=2, HYBRID_CPU_GPU=3)
    return SimpleNamespace(
        Decoder=Decoder,
        BackendKind=kinds,
        Backend=lambda kind: kind,
        CodeStream=lambda data: data,
        DecodeParams=lambda **options: options,
        ColorSpec=SimpleNamespace(GRAY=1, SRGB=2),
        NVIMGCODEC_DEVICE_CPU_ONLY=-99999,
    )


def failing():
    raise RuntimeError("out of memory")


def installed(monkeypatch, library):
    monkeypatch.setitem(sys.modules, "nvidia", SimpleNamespace(nvimgcodec=library))
    monkeypatch.setitem(sys.modules, "nvidia.nvimgcodec", library)


@pytest.mark.parametrize(
    "answer",
    [
        failing,
        lambda: None,
        lambda: SimpleNamespace(cpu=failing),
        lambda: SimpleNamespace(cpu=lambda: np.zeros((5, 5, 3), np.uint8)),
        lambda: SimpleNamespace(cpu=lambda: np.zeros((61, 83, 3), np.uint16)),
    ],
)
def test_a_library_that_fails_costs_no_photo(monkeypatch, answer):
    installed(monkeypatch, broken_library(answer))
    found = codecs.decode(coded(), card=CardDecoder(0))
    assert not found.metadata.decoded_on_card
    assert np.array_equal(found.pixels, codecs.decode(coded()).pixels)


def test_a_library_that_is_missing_or_does_not_work_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "nvidia.nvimgcodec", None)
    monkeypatch.setitem(sys.modules, "nvidia", None)
    assert on_card.opened(0) == "is not installed; install it with: pip install 'enhance-cli[gpu-codecs]'"
    library = broken_library(failing)
    installed(monkeypatch, library)
    library.Decoder = lambda **options: failing()
    assert on_card.opened(0) == "does not work here (out of memory)"
    library.Decoder = lambda **options: SimpleNamespace(decode=lambda stream, params: None)
    assert on_card.opened(0) == "does not work here (a trial image is not decoded)"


def test_a_card_has_two_decoders_each_for_one_thread_at_a_time(monkeypatch):
    together, made, tries = threading.Barrier(on_card.AT_ONCE), [], []
    library = broken_library(None)

    class Decoder:
        def __init__(self, **options):
            made.append(self)
            self.busy = threading.Lock()

        def decode(self, stream, params):
            assert self.busy.acquire(blocking=False)
            tries.append(stream)
            if 1 < len(tries) <= 1 + on_card.AT_ONCE:  # after the trial
                together.wait(LONG)
            self.busy.release()
            height = 16 if len(tries) == 1 else 61
            return SimpleNamespace(cpu=lambda: np.zeros((height, 16 if height == 16 else 83, 3), np.uint8))

    library.Decoder = Decoder
    installed(monkeypatch, library)
    card, data, done = CardDecoder(0), coded(), []

    def work():
        done.append(codecs.decode(data, card=card).metadata.decoded_on_card)

    threads = [threading.Thread(target=work) for _ in range(on_card.AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    work()
    assert done == [True] * (on_card.AT_ONCE + 1)
    assert len(made) == on_card.AT_ONCE


def test_the_library_is_loaded_where_it_is_asked_for_alone():
    program = (
        "import sys; from enhance_cli.imaging import codecs; from tests.imaging.codecs.test_jpeg_on_card import coded; "
        "codecs.decode(coded()); print('nvidia.nvimgcodec' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"


# --- runs ------------------------------------------------------------------------------------------------------


@pytest.fixture
def shoot(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "in"
    folder.mkdir()
    picture = dark(64, 96)
    (folder / "baseline.jpg").write_bytes(coded(picture, subsampling="4:2:0"))
    (folder / "progressive.jpg").write_bytes(coded(picture, progressive=True))
    (folder / "cut.jpg").write_bytes(coded(picture)[:900])
    (folder / "lossless.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    return folder


@pytest.mark.parametrize("method", ["clahe-adaptive", "retinex"])
def test_the_report_says_who_decoded_each_photo(shoot, monkeypatch, card, method):
    torch = pytest.importorskip("torch")
    from tests.engines.fake_cards import NEW
    from tests.stand_in import stand_in

    assert torch
    stand_in(monkeypatch, NEW)
    monkeypatch.setattr(on_card, "opened", lambda number: card)
    summary = enhance_cli.run(method, ["in", "out"], device="cuda:0", codec="gpu", jobs=1)
    assert (summary.done, summary.failed) == (3, 1)
    told = {line["source"]: (line["card"] or {}).get("decoder") for line in lines()}
    assert told == {
        "in/baseline.jpg": "gpu",
        "in/progressive.jpg": "cpu",
        "in/lossless.png": "cpu",
        "in/cut.jpg": None,
    }
    first = codecs.decode((shoot.parent / "out" / "baseline.jpg").read_bytes())
    assert first.metadata.jpeg == codecs.decode((shoot / "baseline.jpg").read_bytes()).metadata.jpeg


class Ear:
    """What a run remarks."""

    def __init__(self):
        self.remarks = []

    def __getattr__(self, name):
        return lambda *details: self.remarks.append(details[0]) if name == "remark" else None


@pytest.mark.parametrize("there", [False, True])
def test_a_run_that_cannot_have_it_says_so_and_decodes_on_the_cpu(shoot, monkeypatch, there):
    from enhance_cli.pipeline.run import Run, run

    device = "cpu"
    if there:
        pytest.importorskip("torch")
        from tests.engines.fake_cards import NEW
        from tests.stand_in import stand_in

        stand_in(monkeypatch, NEW)
        monkeypatch.setattr(on_card, "opened", lambda number: "is not installed; install it")
        device = "cuda:0"
    ear = Ear()
    (shoot / "cut.jpg").unlink()
    run(Run.of("clahe-adaptive", ["in", "out"], {"device": device, "codec": "gpu", "jobs": 1}), ear)
    assert len(lines()) == 3
    wanted = (
        "JPEGs are decoded on the CPU: nvImageCodec, which --codec gpu asks for, is not installed; install it."
        if there
        else "--codec gpu needs a card, and this run is on the CPU: JPEGs are decoded there."
    )
    assert wanted in ear.remarks
