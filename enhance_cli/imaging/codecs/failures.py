"""Turns the failures of decoders into our errors."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image as Pillow

from enhance_cli.errors import CorruptPicture, PictureTooLarge

# What decoders raise on malicious bytes, found by fuzzing; broad, and therefore only around their own calls.
FAILURES = (
    OSError,
    ValueError,
    SyntaxError,
    LookupError,
    EOFError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    BufferError,
    struct.error,
    zlib.error,
)


@contextmanager
def decoding(format_name: str, name: str) -> Iterator[None]:
    """Turn a decoder's failure into one of ours."""
    try:
        yield
    except Pillow.DecompressionBombError as error:
        raise PictureTooLarge(f"{name} announces more pixels than its decoder takes.") from error
    except MemoryError as error:
        raise PictureTooLarge(f"{name} needs more memory than there is.") from error
    except FAILURES as error:
        reason = " ".join(str(error).split())
        why = f" ({reason})" if reason and "<" not in reason else ""  # no object addresses in messages
        raise CorruptPicture(f"its {format_name} data is truncated, damaged or of an unknown kind{why}") from error
