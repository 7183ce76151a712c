"""Baseline JPEGs decoded by a card, through nvImageCodec (the extra `gpu-codecs`): pixels alone.

Segments are read and written by this package as always: metadata, orientation, profile and coding do not depend on who
decodes. What is asked of the card is a small part of what JPEGs may be; everything else, and whatever fails there, is
decoded on the CPU, one photo at a time.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from enhance_cli.imaging.codecs.jpeg.segments import JpegHeader
    from enhance_cli.types import Array

EXTRA = "gpu-codecs"

AT_ONCE = 2
"""Decoders of a card, each of which holds memory there, and so photos that it decodes at once."""

_BASELINE = 0xC0
_LEAST = 16
"""Pixels of a side; the card would not be worth it."""


class CardDecoder:
    """Decodes on one card. Safe to use from several threads; a decoder of the library works for one at a time."""

    def __init__(self, card: int | None) -> None:
        """Load the library, make a decoder and try it.

        Args:
            card: number of the card; None for the library's own decoder on the CPU, for tests.

        Raises:
            ImportError: the library is not installed.
            RuntimeError: it does not work with this card.
        """
        # Its messages go to the error stream past Python; what fails is told in the report.
        os.environ.setdefault("PYNVIMGCODEC_VERBOSITY", "0")
        with _quiet():
            from nvidia import nvimgcodec

            self._library: Any = nvimgcodec
            self._card = card
            self._idle = [self._decoder()]
        self._made, self._free = 1, threading.Condition()
        if self._decoded(_trial(), (_LEAST, _LEAST, 3)) is None:
            raise RuntimeError("a trial image is not decoded")

    def _decoder(self) -> Any:
        kinds = self._library.BackendKind
        # Not the engine for JPEGs that some cards have: it is not known to interpolate chroma.
        allowed = (kinds.CPU_ONLY,) if self._card is None else (kinds.GPU_ONLY, kinds.HYBRID_CPU_GPU)
        return self._library.Decoder(
            device_id=self._library.NVIMGCODEC_DEVICE_CPU_ONLY if self._card is None else self._card,
            max_num_cpu_threads=1,
            backends=[self._library.Backend(kind) for kind in allowed],
            options=":fancy_upsampling=1",  # as libjpeg-turbo enlarges chroma; by default samples are repeated
        )

    def decode(self, data: bytes, header: JpegHeader, end: int) -> Array | None:
        """The pixels of a JPEG that a card is asked to decode (`takes`), not turned.

        Args:
            data: the whole file.
            header: as read from it.
            end: where its image ends.

        Returns:
            H×W×3 or H×W×1 uint8, contiguous and writable; None where it was not decoded.
        """
        return self._decoded(data[:end], (header.height, header.width, len(header.sampling)))

    def _decoded(self, data: bytes, shape: tuple[int, int, int]) -> Array | None:
        import numpy as np

        library = self._library
        grey = shape[2] == 1
        wanted = library.DecodeParams(
            apply_exif_orientation=False, color_spec=library.ColorSpec.GRAY if grey else library.ColorSpec.SRGB
        )
        with self._taken() as decoder:
            try:
                found = decoder.decode(library.CodeStream(data), params=wanted)
                pixels = None if found is None else np.array(found.cpu())
            except Exception:  # noqa: BLE001 - whatever it meets, the CPU decodes the photo
                return None
        return pixels if pixels is not None and pixels.shape == shape and pixels.dtype == np.uint8 else None

    @contextmanager
    def _taken(self) -> Iterator[Any]:
        """A decoder for the body; waits where all are busy."""
        with self._free:
            self._free.wait_for(lambda: self._idle or self._made < AT_ONCE)
            decoder = self._idle.pop() if self._idle else None
            self._made += decoder is None
        try:
            if decoder is None:
                decoder = self._decoder()
            yield decoder
        finally:
            with self._free:
                if decoder is None:
                    self._made -= 1
                else:
                    self._idle.append(decoder)
                self._free.notify()


def takes(header: JpegHeader, ycbcr: bool, named: bool) -> bool:
    """Whether a card is asked to decode a JPEG: baseline, of 8 bits, grey or YCbCr.

    Args:
        header: of the JPEG.
        ycbcr: whether three components are Y, Cb and Cr.
        named: whether their subsampling is one that has a name.
    """
    plain = header.process == _BASELINE and header.precision == 8 and min(header.height, header.width) >= _LEAST
    return (
        plain and not header.layered and (len(header.sampling) == 1 or (len(header.sampling) == 3 and ycbcr and named))
    )


def opened(card: int | None) -> CardDecoder | str:
    """The decoder of a card, or why there is none, as the rest of a sentence about nvImageCodec."""
    try:
        return CardDecoder(card)
    except ImportError:
        return f"is not installed; install it with: pip install 'enhance-cli[{EXTRA}]'"
    except Exception as error:  # noqa: BLE001 - a library that does not work costs no run
        return f"does not work here ({' '.join(str(error).split()).rstrip('.')[:200]})"


def _trial() -> bytes:
    import numpy as np
    import simplejpeg

    grey: Any = np.full((_LEAST, _LEAST, 3), 128, np.uint8)
    return bytes(simplejpeg.encode_jpeg(grey, 90, "RGB", "420"))


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing is written to the error stream of the process.

    While it is loaded the library tells there, past all of its settings, which further libraries it does not find.
    """
    try:
        kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    except OSError:  # there is no error stream
        yield
        return
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
