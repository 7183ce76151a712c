"""Elementary functions of rows of float32, by steps that the compiler turns into vectors.

A call of the mathematics library would break a loop into single values, or be replaced by a vector form of it that
rounds differently. Arguments are rows in place; `whole` is a row of int32 at least as long, to work in. All of it gives
an element the same bits wherever in a row it lies.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from enhance_cli.engines.compiled import kernel

_ONE = np.float32(1.0)
_HALF = np.float32(0.5)


def _fma(typing: Any, x: Any, y: Any, z: Any) -> Any:
    """`x * y + z` of float32 values, rounded once; rounded twice on processors without such an instruction.

    Convolutions are twice as fast by it. It is asked for explicitly because a compiler that may contract products and
    sums by itself does so differently in the vectors of a loop and in the elements left over.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, _, features = context.codegen().magic_tuple()
        if "+fma" in features.split(",") or "+neon" in features.split(","):
            return builder.fma(*arguments)
        return builder.fadd(builder.fmul(*arguments[:2]), arguments[2])

    return _of_three(x, y, z, generate)


def _fma_pair(typing: Any, x: Any, y: Any, z: Any) -> Any:
    """As `fma`, written as the one product and the one sum that may be contracted.

    The compiler has no choice between products, so it joins these two in vectors and left-over elements alike. It takes
    them for lighter work than `fma` and unrolls loops less, which suits rows of a few hundred values: half of a row
    would be left over.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        product = builder.fmul(*arguments[:2], flags=["contract"])
        return builder.fadd(product, arguments[2], flags=["contract"])

    return _of_three(x, y, z, generate)


def _of_three(x: Any, y: Any, z: Any, generate: Any) -> Any:
    single = types.float32
    return (single(single, single, single), generate) if x == y == z == single else None


fma: Any = intrinsic(_fma)
fma_pair: Any = intrinsic(_fma_pair)


@kernel
def exp_row(values, whole):  # type: ignore[no-untyped-def]
    """e**value in place, to 3e-6 of it and exactly 1 at 0: two to the whole part by bits, the rest by Taylor."""
    powers = whole.view(np.float32)
    for x in range(len(values)):
        exponent = values[x] * np.float32(1.4426950408889634)
        nearest = np.floor(exponent + _HALF)
        whole[x] = (np.int32(nearest) + np.int32(127)) << np.int32(23)
        values[x] = exponent - nearest
    for x in range(len(values)):
        part = values[x]
        power = np.float32(0.0013333558) * part + np.float32(0.009618129)
        power = power * part + np.float32(0.05550411)
        power = power * part + np.float32(0.24022651)
        power = power * part + np.float32(0.6931472)
        values[x] = (power * part + _ONE) * powers[x]


@kernel
def log2_row(values, whole):  # type: ignore[no-untyped-def]
    """The logarithm to base 2 of positive values in place, to 1e-6, exactly 0 at 1.

    The exponent by bits, the rest m in 0.707..1.414 by the series of artanh at (m - 1) / (m + 1).
    """
    bits = values.view(np.int32)
    for x in range(len(values)):
        from_root = bits[x] - np.int32(0x3F3504F3)  # the bits of the square root of a half
        power = from_root >> np.int32(23)
        whole[x] = power
        bits[x] -= power << np.int32(23)
    for x in range(len(values)):
        part = values[x]
        t = (part - _ONE) / (part + _ONE)
        square = t * t
        series = np.float32(2.0 / 7.0) * square + np.float32(2.0 / 5.0)
        series = series * square + np.float32(2.0 / 3.0)
        series = series * square + np.float32(2.0)
        values[x] = np.float32(whole[x]) + t * series * np.float32(1.4426950408889634)
