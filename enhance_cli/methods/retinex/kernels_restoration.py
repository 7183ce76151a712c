"""The restoration network of retinex on rows of 2×2 blocks; `kernels_cpu` runs it on every row of a strip."""

from __future__ import annotations

import numpy as np

from enhance_cli.engines.compiled import kernel
from enhance_cli.imaging.vector_math import fma_pair as fma
from enhance_cli.imaging.vector_math import log2_row
from enhance_cli.methods.retinex.formulas import DARKEST, OCTAVES

_ZERO = np.float32(0.0)
_ONE = np.float32(1.0)
_DARKEST = np.float32(DARKEST)
_PER_OCTAVE = np.float32(1.0 / OCTAVES)


@kernel
def pool(light, to, odd, n):  # type: ignore[no-untyped-def]
    """Half of the mean illumination of 2×2 blocks, of their upper or lower row."""
    if odd == 0:
        for x in range(n):
            to[x] = light[x] + light[n + x]
    else:
        for x in range(n):
            to[x] = (to[x] + light[x] + light[n + x]) * np.float32(0.25)


@kernel
def squash(light, whole):  # type: ignore[no-untyped-def]
    """Light 0..1 on a logarithmic scale from -1 to 1, as the network was trained on."""
    for x in range(len(light)):
        light[x] += _DARKEST
    log2_row(light, whole)
    for x in range(len(light)):
        light[x] = fma(light[x], _PER_OCTAVE, _ONE)


@kernel
def convolve(above, here, below, weights, bias, out, n):  # type: ignore[no-untyped-def]
    """One row of a 3×3 convolution: output column x sees the input's x, x + 1 and x + 2.

    One output and one input at a time: nine weights stay in registers, which is worth more than fewer loads.
    """
    for o in range(out.shape[0]):
        to = out[o, :n]
        to[:] = bias[o]
        for c in range(weights.shape[1]):
            u, v, w = above[c], here[c], below[c]
            p = weights[o, c]
            p0, p1, p2, p3, p4, p5, p6, p7, p8 = p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8]
            for x in range(n):
                t = fma(p2, u[x + 2], fma(p1, u[x + 1], fma(p0, u[x], to[x])))
                t = fma(p5, v[x + 2], fma(p4, v[x + 1], fma(p3, v[x], t)))
                to[x] = fma(p8, w[x + 2], fma(p7, w[x + 1], fma(p6, w[x], t)))


@kernel
def relu(rows, n):  # type: ignore[no-untyped-def]
    """ReLU, in place."""
    for c in range(len(rows)):
        row = rows[c, :n]
        for x in range(n):
            row[x] = max(row[x], _ZERO)


@kernel
def relu_and_skip(rows, before, n):  # type: ignore[no-untyped-def]
    """ReLU, in place, plus a skip connection from the layer before."""
    for c in range(len(rows)):
        row, skipped = rows[c, :n], before[c, 1 : n + 1]
        for x in range(n):
            row[x] = max(row[x], _ZERO) + skipped[x]


@kernel
def mix(features, shift, weights, out, n):  # type: ignore[no-untyped-def]
    """Add a 1×1 convolution of features, `shift` columns on, to `out`; both counts are even."""
    for o in range(0, out.shape[0], 2):
        a, b = out[o], out[o + 1]
        for i in range(0, features.shape[0], 2):
            u, v = features[i, shift : shift + n], features[i + 1, shift : shift + n]
            p0, p1, q0, q1 = weights[o, i], weights[o, i + 1], weights[o + 1, i], weights[o + 1, i + 1]
            for x in range(n):
                a[x] = fma(p1, v[x], fma(p0, u[x], a[x]))
                b[x] = fma(q1, v[x], fma(q0, u[x], b[x]))
