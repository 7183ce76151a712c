"""What a method decides for a photo, as a value that can be saved, read back and applied to another.

Importing this module costs nothing: numpy is imported where arrays are packed.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from enhance_cli.errors import UsageError

if TYPE_CHECKING:
    from enhance_cli.plan_values import Shaped

MAX_PLAN = 2 * 10**9
"""Bytes of arrays in the largest plan that is read: a mask of an image of a gigapixel."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What `estimate` decided for one image: small arrays and numbers, enough to `render` every pixel.

    Subclasses are frozen, keyword-only dataclasses of arrays, numbers, strings, tuples and None.
    """

    method: ClassVar[str] = ""

    arrays: ClassVar[Mapping[str, tuple[Shaped, ...]]] = {}
    """By field: the ways that an array may be, which is all that is believed of a file."""

    notes: tuple[str, ...] = ()
    """Sentences the user should read about this decision."""

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of the image that it was made for, from fields of these names; None where it fits any."""
        values = vars(self)
        return (values["height"], values["width"]) if "height" in values and "width" in values else None

    @property
    def exposures(self) -> int:
        """How many exposures of a scene it makes one image of."""
        return 1

    def describe(self) -> Mapping[str, Any]:
        """What the report says of it, as `plan`: a TypedDict of values of JSON (see `report_fields`)."""
        return {}

    def to_bytes(self) -> bytes:
        """Pack into npz: arrays as they are, everything else as one JSON text."""
        import numpy as np

        arrays: dict[str, Any] = {}
        plain: dict[str, Any] = {"method": self.method}
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            (arrays if isinstance(value, np.ndarray) else plain)[item.name] = value
        packed = io.BytesIO()
        np.savez_compressed(packed, __json__=np.array(json.dumps(plain)), **arrays)
        return packed.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Unpack what `to_bytes` packed.

        Raises:
            UsageError: the bytes are no plan, one of another method, or one that kernels could not take.
        """
        import struct
        import zipfile
        import zlib

        import numpy as np

        from enhance_cli.plan_values import fault_of

        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                packed = sum(item.file_size for item in archive.infolist())
            if packed > MAX_PLAN:
                raise ValueError(f"it would take {packed >> 20} MB of memory")
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                values: dict[str, Any] = {
                    name: np.ascontiguousarray(archive[name]) for name in archive.files if name != "__json__"
                }
                plain = json.loads(str(archive["__json__"]))
            method = plain.pop("method")
        except (
            ValueError, LookupError, OSError, EOFError, TypeError, AttributeError, RuntimeError, MemoryError,
            SyntaxError, struct.error, zlib.error, zipfile.BadZipFile,
        ) as error:  # fmt: skip
            raise UsageError(f"This is not a plan saved by enhance: {error or type(error).__name__}.") from error
        if method != cls.method:
            raise UsageError(f"This plan was made by another method than {cls.method}.")
        values.update({k: tuple(v) if isinstance(v, list) else v for k, v in plain.items()})
        wrong = fault_of(cls, values, cls.arrays) or cls.fault_in(values)
        if wrong:
            raise UsageError(f"This is not a plan saved by enhance: {wrong}.")
        return cls(**values)

    @classmethod
    def fault_in(cls, values: Mapping[str, Any]) -> str:
        """What else keeps values, each of which fits its field, from being a plan; empty if nothing does."""
        return ""
