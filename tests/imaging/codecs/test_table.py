"""The table of formats is complete, and only a format's own module compares format names."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import enhance_cli
from enhance_cli.imaging import codecs
from enhance_cli.types import JpegCoding, Metadata

PACKAGE = Path(enhance_cli.__file__).parent
NAMES = {name for codec in codecs.FORMATS.values() for name in (codec.name, *codec.aliases)}


def test_every_module_that_declares_a_codec_is_in_the_table():
    folder = PACKAGE / "imaging" / "codecs"
    modules = [
        path for path in (*folder.glob("*.py"), *folder.glob("*/__init__.py")) if "\nCODEC = " in path.read_text()
    ]
    declared = {path.parent.name if path.name == "__init__.py" else path.stem for path in modules}
    assert declared == set(codecs.FORMATS)
    for name, codec in codecs.FORMATS.items():
        assert importlib.import_module(f"enhance_cli.imaging.codecs.{name}").CODEC is codec
        assert codec.name == name


@pytest.mark.parametrize("name", codecs.FORMATS)
def test_a_codec_is_consistent(name):
    codec = codecs.FORMATS[name]
    assert (codec.open is not None) + (codec.decode is not None) == codec.readable
    assert codec.writable == (codec.readable and codec.written_as is None)
    assert (codec.extra is None) == (codec.module is None)
    assert set(codec.carries) <= set(codecs.BLOCKS)
    if codec.written_as is not None:
        assert codecs.FORMATS[codec.written_as].writable


@pytest.mark.parametrize(
    ("name", "lossless"), [("png", (True, True, True)), ("webp", (True, False, False)), ("jpeg", (False, False, False))]
)
def test_what_is_written_without_loss(name, lossless):
    codec = codecs.FORMATS[name]
    cases = ((Metadata(), None), (Metadata(jpeg=JpegCoding(90, "420")), None), (Metadata(), 90))
    assert tuple(codec.is_lossless(*case) for case in cases) == lossless


def compared_texts(tree):
    """Every string that a comparison (`==`, `!=`, `in`, `not in`) or a `match` is about."""
    for node in ast.walk(tree):
        compared = (node.left, *node.comparators) if isinstance(node, ast.Compare) else ()
        compared += (node.value,) if isinstance(node, ast.MatchValue) else ()
        for part in compared:
            yield from (item.value for item in ast.walk(part) if isinstance(item, ast.Constant))


def test_no_code_asks_which_format_it_is():
    """A decision that depends on the format is a field or a function of its Codec."""
    asking = {
        str(path.relative_to(PACKAGE)): found
        for path in PACKAGE.rglob("*.py")
        if (found := {text for text in compared_texts(ast.parse(path.read_text())) if isinstance(text, str)} & NAMES)
    }
    assert asking == {}


def test_such_a_question_is_found():
    source = 'a = name == "png" or name in ("x", "tif")\nmatch name:\n    case "webp":\n        pass\n'
    assert set(compared_texts(ast.parse(source))) == {"png", "x", "tif", "webp"}
