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
"""Limit on the bytes of arrays in a plan: those of a mask of one gigapixel."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What `estimate` decided for one image: small arrays and numbers, enough to `render` every pixel.

    Subclasses are frozen, keyword-only dataclasses of arrays, numbers, strings, tuples and None.
    """

    method: ClassVar[str] = ""

    arrays: ClassVar[Mapping[str, tuple[Shaped, ...]]] = {}
    """The allowed shapes and dtypes of each array field; arrays from a file are checked against them."""

    notes: tuple[str, ...] = ()
    """Sentences the user should read about this decision."""

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of the image it was made for, from the fields with these names; None if it fits any size."""
        values = vars(self)
        return (values["height"], values["width"]) if "height" in values and "width" in values else None

    @property
    def unchanged(self) -> bool:
        """Whether it leaves the photo as it is: its output is then a copy of the file, byte for byte."""
        return False

    @property
    def halo(self) -> int | None:
        """Pixels around a window that rendering by this plan looks at; None for as many as the method ever does."""
        return None

    @property
    def exposures(self) -> int:
        """How many exposures of a scene it combines into one image."""
        return 1

    def describe(self) -> Mapping[str, Any]:
        """The `plan` field of the report: a TypedDict of JSON values (see `report_fields`)."""
        return {}

    def to_bytes(self) -> bytes:
        """Pack into npz: arrays as they are, all other fields as one JSON string."""
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
            UsageError: the bytes are not a plan, are a plan of another method, or hold values that kernels cannot take.
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
        """Checks across fields: why values that are valid one by one do not form a plan; empty if they do."""
        return ""
