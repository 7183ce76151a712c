"""Masks and references: bounded, counted, decoded once, kept as one plane."""

from __future__ import annotations

import weakref

import cv2
import numpy as np
import pytest

from enhance_cli.errors import PictureTooLarge
from enhance_cli.imaging import codecs
from enhance_cli.methods.clode import ClodeControls
from enhance_cli.methods.local import LocalControls
from enhance_cli.pipeline.companions import Companions
from enhance_cli.types import SourceName


@pytest.fixture
def files(tmp_path):
    mask = np.zeros((60, 80, 3), np.uint8)
    mask[20:40, 20:50] = 255
    (tmp_path / "many").mkdir()
    for path in (tmp_path / "mask.png", tmp_path / "many" / "a.png", tmp_path / "many" / "b.png"):
        cv2.imwrite(str(path), mask)
    return tmp_path


def counting(monkeypatch):
    decoded = []
    real = codecs.decode

    def decode(data, **details):
        image = real(data, **details)  # asked for the header alone it does not come back
        decoded.append(details["source"])
        return image

    monkeypatch.setattr(codecs, "decode", decode)
    return decoded


def test_one_mask_for_all_is_decoded_once_and_kept_as_a_plane(files, monkeypatch):
    decoded = counting(monkeypatch)
    companions = Companions(LocalControls(mask=files / "mask.png"))
    pictures = [companions.beside(SourceName(name)).decode()["mask"] for name in ("a.jpg", "b.jpg", "c.jpg")]
    assert decoded == [str(files / "mask.png")]
    assert all(picture is pictures[0] for picture in pictures)
    assert pictures[0].pixels.shape == (60, 80)
    assert pictures[0].pixels.dtype == np.uint8


def test_a_large_photo_takes_its_mask_along(files):
    handed = Companions(LocalControls(mask=files / "mask.png")).beside(SourceName("a.jpg")).hand_over()
    assert list(handed) == ["mask"]
    mask = handed["mask"]
    held = weakref.ref(mask.pixels)
    del mask
    assert held() is None
    assert "mask" not in handed


def test_masks_of_a_folder_are_not_kept(files, monkeypatch):
    decoded = counting(monkeypatch)
    companions = Companions(LocalControls(mask=files / "many"))
    for name in ("a.jpg", "b.jpg", "a.jpg"):
        companions.beside(SourceName(name)).decode()
    assert len(decoded) == 3


@pytest.mark.parametrize("kind", ["mask", "reference"])
def test_what_is_too_large_is_refused_by_name_before_it_is_decoded(files, monkeypatch, kind):
    decoded = counting(monkeypatch)
    controls = LocalControls(mask=files / "mask.png")
    if kind == "reference":
        controls = ClodeControls(time="best", reference=files / "many")
    companions = Companions(controls)
    with pytest.raises(PictureTooLarge, match=r"(mask|a)\.png has 80x60 pixels"):
        companions.beside(SourceName("a.jpg"), 4000)
    assert companions.beside(SourceName("a.jpg"), 4800).held == 4800 * (2 if kind == "mask" else 6)
    assert decoded == []
