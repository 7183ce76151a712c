"""The same command gives the same files, whatever lies in memory and however many threads there are.

Each run is a process of its own, under another filling of fresh memory: what a codec or a kernel reads beyond its
arrays, or before it has written there, shows as other bytes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg

from enhance_cli import methods
from enhance_cli.imaging import codecs
from enhance_cli.types import Image
from tests.commands import contents
from tests.pictures import scene

SUBSAMPLINGS = ("444", "422", "420", "440", "411")
SIZES = ((33, 47), (34, 47), (33, 48), (201, 301), (3, 5), (1, 7), (9, 1))
ILLUSTRATED = {"clahe-adaptive": ["--heatmap"], "irle": ["--maps"], "retinex": ["--maps"], "local": ["--show-mask"]}


def write_pictures(folder, sizes, formats, subsamplings):
    """An image of every size in every format, JPEGs in every subsampling; lossless ones at 16 bits too."""
    folder.mkdir()
    for height, width in sizes:
        rgb = np.ascontiguousarray(scene(height, width)[..., ::-1])
        stem = f"{height}x{width}"
        for subsampling in subsamplings:
            data = simplejpeg.encode_jpeg(rgb, 90, "RGB", subsampling)
            (folder / f"{stem}-{subsampling}.jpg").write_bytes(data)
        (folder / f"{stem}-grey.jpg").write_bytes(simplejpeg.encode_jpeg(rgb[..., :1].copy(), 90, "GRAY", "Gray"))
        for name in formats:
            if codecs.is_installed(name):
                data, _ = codecs.encode(Image(rgb), name)
                (folder / f"{stem}-{name}.{name}").write_bytes(data)
        cv2.imwrite(str(folder / f"{stem}-deep.png"), rgb.astype(np.uint16) * 257)
    progressive = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    cv2.imwrite(str(folder / "progressive.jpg"), scene(37, 51), progressive)


def run_twice(arguments, folder="in"):
    """What `enhance ARGUMENTS` makes of a folder, under either filling and with one and two threads."""
    made = []
    for filling, threads in (("85", 1), ("170", 2)):
        out = f"out{threads}"
        words = [*arguments, "--device", "cpu", "-q", "-j", str(threads), folder, out]
        environment = os.environ | {"MALLOC_PERTURB_": filling}
        done = subprocess.run(
            [sys.executable, "-m", "enhance_cli", *words], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        made.append(contents(out))
    return made


def assert_equal(one, two):
    assert len(one) > 1
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []


def example(name):
    return [f"--{key.replace('_', '-')}={value}" for key, value in methods.get(name).example]


def test_every_format_subsampling_and_odd_size(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    formats = ("png", "webp", "tiff", "bmp", "avif", "heif", "jxl")
    write_pictures(Path("in"), SIZES, formats, SUBSAMPLINGS)
    assert_equal(*run_twice(["clahe-adaptive"]))


@pytest.mark.parametrize("name", methods.names())
def test_every_method(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_pictures(Path("in"), ((33, 47),), ("png",), ("420", "411"))
    assert_equal(*run_twice([name, *example(name), *ILLUSTRATED.get(name, [])]))


def test_a_stack_of_exposures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for number, subsampling in enumerate(("444", "422", "420", "440")):
        rgb = np.ascontiguousarray(scene(33, 47, seed=number)[..., ::-1])
        Path(f"in/{number}.jpg").write_bytes(simplejpeg.encode_jpeg(rgb, 90, "RGB", subsampling))
    assert_equal(*run_twice(["retinex", "--fuse", "2"]))
