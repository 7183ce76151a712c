"""The pixel kernels of clahe-adaptive in torch: luma, histograms, tile curves and their blending.

These functions run on CUDA in production, on CPU tensors in the tests, and in training, where gradients flow
from the image through the curves to the clip limits: what is trained is what is run. `kernels_cpu.py` has
the same functions on NumPy arrays. No networks and no files here.

References: Zuiderveld, "Contrast limited adaptive histogram equalization", Graphics Gems IV, 1994; OpenCV's
`createCLAHE`, whose integer results `opencv_tile_curves` reproduces; the differentiable form is that of IA-CLAHE.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from enhance_cli.imaging.blocks import reflected
from enhance_cli.imaging.colour import pixels_per_sample
from enhance_cli.methods.clahe_adaptive.chroma import LARGEST, NEAR_WHITE, SKIN
from enhance_cli.methods.clahe_adaptive.structure import APART, sample_places
from enhance_cli.methods.clahe_adaptive.tiles import BRIGHT, HIGHLIGHT, STEEPEST, tile_geometry

BINS = 256

Neighbours = tuple[Tensor, Tensor, Tensor]
"""See `_neighbours`."""


def luma(rgb: Tensor) -> Tensor:
    """BT.601 luma of H×W×3 uint8 or uint16 RGB, in fixed point: H×W of the same dtype.

    `(4899 R + 9617 G + 1868 B + 8192) >> 14`, the rounding of OpenCV and of JPEG, at either depth. The sum
    stays below 2**30 for 16 bits, so 32-bit integers hold it.
    """
    red, green, blue = rgb.to(torch.int32).unbind(-1)
    return ((red * 4899 + green * 9617 + blue * 1868 + 8192) >> 14).to(rgb.dtype)


def thumbnail(luma: Tensor, size: int) -> Tensor:
    """Area mean of H×W luma over `size`×`size` bins (see `tiles.bin_edges`): float32 in 0..1."""
    plane = luma.to(torch.int32).to(torch.float32)[None, None]
    return functional.adaptive_avg_pool2d(plane, size)[0, 0] / _white(luma)


def rgb_means(rgb: Tensor, size: int) -> Tensor:
    """Area means of H×W×3 over `size`×`size` bins: float32 3×`size`×`size` in 0..1."""
    planes = rgb.to(torch.int32).to(torch.float32).permute(2, 0, 1)[None]
    return functional.adaptive_avg_pool2d(planes, size)[0] / _white(rgb)


def tile_histograms(luma: Tensor, rows: int, columns: int) -> Tensor:
    """Counts of the 256 grey levels in every tile: int64 rows×columns×256 (docs/papers.md, C2).

    The image is padded as OpenCV pads it, and padded pixels count. 16-bit values are binned by the nearest
    8-bit code, `(v + 128) // 257`.
    """
    height, width = luma.shape
    tile_height, tile_width = tile_geometry(height, width, rows, columns)
    codes = luma.to(torch.int32)
    if luma.dtype == torch.uint16:
        codes = (codes + 128) // 257
    if tile_height * rows != height:
        codes = codes[torch.from_numpy(reflected(0, tile_height * rows, height)).to(luma.device)]
    if tile_width * columns != width:
        codes = codes[:, torch.from_numpy(reflected(0, tile_width * columns, width)).to(luma.device)]
    row = torch.arange(tile_height * rows, device=luma.device, dtype=torch.int32) // tile_height
    column = torch.arange(tile_width * columns, device=luma.device, dtype=torch.int32) // tile_width
    codes = codes + (row[:, None] * columns + column) * BINS
    return torch.bincount(codes.flatten(), minlength=rows * columns * BINS).view(rows, columns, BINS)


def diagonal_counts(luma: Tensor, rows: int, columns: int) -> Tensor:
    """Counts of absolute diagonal differences in every tile: int64 rows×columns×256 (docs/papers.md, C11).

    For the corners of small squares, |a - b - c + d| in whole levels, at the positions of `sample_places`, in the
    padded image; 16-bit values are binned as for `tile_histograms`, and the last bin holds all differences from 255 up.
    """
    height, width = luma.shape
    tile_height, tile_width = tile_geometry(height, width, rows, columns)
    top, left = sample_places(tile_height, rows), sample_places(tile_width, columns)
    down = torch.from_numpy(reflected(0, tile_height * rows, height)).to(luma.device)
    across = torch.from_numpy(reflected(0, tile_width * columns, width)).to(luma.device)
    y = torch.from_numpy(top.ravel()).to(luma.device)
    x = torch.from_numpy(left.ravel()).to(luma.device)

    def corner(below: int, beside: int) -> Tensor:
        # Indexed as signed integers: torch has few operations for uint16.
        levels = luma.to(torch.int32)[down[y + APART * below][:, None], across[x + APART * beside]]
        return (levels + 128) // 257 if luma.dtype == torch.uint16 else levels

    differences = (corner(0, 0) - corner(0, 1) - corner(1, 0) + corner(1, 1)).abs().clamp(max=BINS - 1)
    row = torch.arange(rows, device=luma.device).repeat_interleave(top.shape[1])
    column = torch.arange(columns, device=luma.device).repeat_interleave(left.shape[1])
    places = differences + (row[:, None] * columns + column) * BINS
    return torch.bincount(places.flatten(), minlength=rows * columns * BINS).view(rows, columns, BINS)


def tile_curves(histograms: Tensor, clip_limits: Tensor, tile_area: float | Tensor) -> Tensor:
    """Tone curves of the tiles in real arithmetic, differentiable in the clip limits (docs/papers.md, C7).

    With counts h of a tile of A pixels and the limit C' = c A / 256, the excess E = A - sum min(h, C') is
    spread over all bins: h' = min(h, C') + E / 256, and the curve is 255 / A times the running sum of h'. So
    dh'(p)/dC' = 1[h(p) > C'] - n / 256 with n clipped bins, which conserves mass; autograd of `minimum` gives it.

    Args:
        histograms: rows×columns×256 counts; where they sum to less than A, the rest is excess.
        clip_limits: rows×columns limits c > 0, in multiples of the uniform bin height A / 256.
        tile_area: pixels of a tile.

    Returns:
        rows×columns×256 grey levels in 0..255, never falling; float64 where the limits are, else float32.
    """
    shares = histograms.to(torch.float64) / tile_area
    clipped = torch.minimum(shares, clip_limits.to(torch.float64)[..., None] / BINS)
    excess = 1.0 - clipped.sum(dim=-1, keepdim=True)
    curves = 255.0 * torch.cumsum(clipped + excess / BINS, dim=-1)
    return curves if clip_limits.dtype == torch.float64 else curves.to(torch.float32)


def photo_curves(
    histograms: Tensor,
    shares: Tensor,
    limits: Tensor,
    local: Tensor,
    whole: Tensor,
    whole_shares: Tensor,
    whole_limit: Tensor | float,
    retention: Tensor | float,
    bound: Tensor,
    blackness: Tensor | float,
    tile_area: int,
) -> Tensor:
    """Tone curves that leave flat parts to the whole photo (docs/papers.md, C12 to C14), differentiable.

    As in `kernels_cpu`; in training `limits`, `local`, `whole_limit`, `retention` and `blackness` have gradients.
    """
    kept = whole * (whole_shares + retention * (1.0 - whole_shares))
    limit = torch.as_tensor(whole_limit, dtype=torch.float32, device=histograms.device).reshape(1, 1)
    of_photo = tile_curves(kept[None, None], limit, whole.sum())
    own = tile_curves(histograms * (shares + retention * (1.0 - shares)), limits, tile_area)
    curves = of_photo + local[..., None] * (own - of_photo)
    return keep_highlights(curves - blackness * (curves - bound).clamp(min=0.0))


def keep_highlights(curves: Tensor) -> Tensor:
    """Raise curves so that white stays white and rolls off (docs/papers.md, C14): ...×256 levels, never falling."""
    levels = torch.arange(BINS, dtype=curves.dtype, device=curves.device)
    at = ((levels / 255.0 - HIGHLIGHT[0]) / (HIGHLIGHT[1] - HIGHLIGHT[0])).clamp(0.0, 1.0)
    kept = curves + at * at * (3.0 - 2.0 * at) * (levels - curves).clamp(min=0.0)
    slope = STEEPEST * levels[BRIGHT:]
    top = torch.cummax((kept[..., BRIGHT:] - slope).flip(-1), dim=-1).values.flip(-1) + slope
    return torch.cat([kept[..., :BRIGHT], top], dim=-1)


def integer_limits(clip_limits: Tensor, tile_area: int) -> Tensor:
    """The counts at which OpenCV clips the bins: `max(int(c A / 256), 1)`, int32 (docs/papers.md, C3)."""
    return (clip_limits.to(torch.float64) * tile_area / BINS).to(torch.int32).clamp(min=1)


def opencv_tile_curves(histograms: Tensor, clip_limits: Tensor, tile_area: int) -> Tensor:
    """Tone curves of the tiles in the integer arithmetic of `cv2.createCLAHE` (docs/papers.md, C3 to C5).

    The limit is truncated to whole counts, the residue of the excess goes to the first bins of a comb, and the
    curve is rounded: on small tiles this differs by tens of grey levels from `tile_curves`.

    Returns:
        rows×columns×256 whole grey levels in 0..255, float32.
    """
    limits = integer_limits(clip_limits, tile_area).to(torch.int64)[..., None]
    counts = torch.minimum(histograms, limits)
    excess = (histograms - counts).sum(dim=-1, keepdim=True)
    residue = excess % BINS
    step = torch.clamp(BINS // residue.clamp(min=1), min=1)
    bins = torch.arange(BINS, device=histograms.device)
    extra = (bins % step == 0) & (bins // step < residue)
    counts = counts + excess // BINS + extra
    scale = torch.tensor(255.0, dtype=torch.float32, device=histograms.device) / tile_area
    return torch.round(torch.cumsum(counts, dim=-1).to(torch.float32) * scale).clamp(0, 255)


def blend_curves(luma: Tensor, curves: Tensor, height: int, width: int, top: int = 0, left: int = 0) -> Tensor:
    """Map a window of luma through the curves of its four nearest tiles, before any rounding (docs/papers.md, C6).

    For training; the renderers take the same mean in the order of the CPU's loops (`_shaded`).

    Args:
        luma: h×w uint8 or uint16: the window whose first pixel is (`top`, `left`) of a `height`×`width` image.
        curves: rows×columns×256 grey levels in 0..255. 16-bit codes are looked up between knots, at v / 257.
        height: rows of the whole image.
        width: columns of the whole image.
        top: first row of the window.
        left: first column of the window.

    Returns:
        h×w of the dtype of `curves`, in the units of `luma` (0..255 or 0..65535), differentiable in `curves`.
    """
    rows, columns, _ = curves.shape
    tile_height, tile_width = tile_geometry(height, width, rows, columns)
    upper, lower, down = _neighbours(top, luma.shape[0], tile_height, rows, curves)
    before, after, right = _neighbours(left, luma.shape[1], tile_width, columns, curves)
    flat = curves.reshape(-1)
    corners = [(row[:, None] * curves.shape[1] + column) * BINS for row in (upper, lower) for column in (before, after)]
    codes = luma.to(torch.int64)
    if luma.dtype == torch.uint16:
        knots = codes // 257
        beyond = (knots + 1).clamp(max=BINS - 1)
        share = (codes - knots * 257).to(curves.dtype) / 257
        looked_up = [torch.lerp(flat[tile + knots], flat[tile + beyond], share) for tile in corners]
    else:
        looked_up = [flat[tile + codes] for tile in corners]
    above = looked_up[0] * (1 - right) + looked_up[1] * right
    below = looked_up[2] * (1 - right) + looked_up[3] * right
    blended = above * (1 - down[:, None]) + below * down[:, None]
    return blended * 257 if luma.dtype == torch.uint16 else blended


def render_luma(
    luma: Tensor,
    curves: Tensor,
    height: int,
    width: int,
    top: int = 0,
    left: int = 0,
    out: Tensor | None = None,
) -> Tensor:
    """Map a window of luma and round once, half to even: h×w of the dtype of `luma`, into `out` if given.

    Arguments as for `blend_curves`.
    """
    return _stored(torch.round(_shaded(luma, curves, height, width, top, left)).to(torch.int32), luma, out)


def render_rgb(
    rgb: Tensor,
    curves: Tensor,
    height: int,
    width: int,
    top: int = 0,
    left: int = 0,
    out: Tensor | None = None,
) -> Tensor:
    """Map the luma of a window of RGB and add its change to R, G and B: Cb and Cr stay (docs/papers.md, C1).

    Luma enters R, G and B with weight one, so the sum equals a conversion to YCbCr and back without its rounding.

    Args:
        rgb: h×w×3 uint8 or uint16; the other arguments as for `blend_curves`.
        curves: rows×columns×256.
        height: rows of the whole image.
        width: columns of the whole image.
        top: first row of the window.
        left: first column of the window.
        out: h×w×3 of the dtype of `rgb` to write into.

    Returns:
        h×w×3 of the dtype of `rgb`.
    """
    before = luma(rgb)
    after = torch.round(_shaded(before, curves, height, width, top, left))
    change = after.to(torch.int32) - before.to(torch.int32)
    return _stored((rgb.to(torch.int32) + change[..., None]).clamp(0, _white(rgb)), rgb, out)


def render_rgb_followed(
    rgb: Tensor,
    curves: Tensor,
    tint: Tensor,
    noise: float,
    height: int,
    width: int,
    top: int = 0,
    left: int = 0,
    out: Tensor | None = None,
) -> Tensor:
    """Like `render_rgb`, but the colour differences R-Y, G-Y, B-Y follow the change of luma (docs/papers.md, C9).

    Args:
        rgb: as for `render_rgb`.
        curves: as for `render_rgb`.
        tint: N×N×2 means of R-Y and B-Y over equal parts of the whole image, in levels of 8 bits.
        noise: deviation from those means, in levels, that is taken for noise and grows half as much.
        height: as for `render_rgb`.
        width: as for `render_rgb`.
        top: as for `render_rgb`.
        left: as for `render_rgb`.
        out: as for `render_rgb`.
    """
    unit = _white(rgb) // 255
    grey = luma(rgb)
    after = _shaded(grey, curves, height, width, top, left) * (1.0 / unit)
    before = grey.to(torch.int32).to(torch.float32) * (1.0 / unit)
    difference = rgb.to(torch.int32).to(torch.float32) * (1.0 / unit) - before[..., None]
    means = _tint(tint, top, left, rgb.shape[0], rgb.shape[1], height, width)
    colour = (after[..., None] + _followed(before, after, difference, means, noise)) * unit
    return _stored(torch.round(colour).clamp(0, _white(rgb)).to(torch.int32), rgb, out)


def render_chroma(
    blue: Tensor,
    red: Tensor,
    luma: Tensor,
    curves: Tensor,
    tint: Tensor,
    noise: float,
    height: int,
    width: int,
    samples: tuple[int, int],
    top: int = 0,
    out: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """The stored chroma of a JPEG, following the change of luma; arguments as in `kernels_cpu`."""
    down, across = pixels_per_sample(samples[0], height), pixels_per_sample(samples[1], width)
    plane = luma.to(torch.float32)[None, None]
    padding = (0, width * across - luma.shape[1], 0, blue.shape[0] * down - luma.shape[0])
    total, count = (
        functional.avg_pool2d(functional.pad(each, padding), (down, across)) for each in (plane, torch.ones_like(plane))
    )
    before = torch.floor(total[0, 0] / count[0, 0] + 0.5)
    tile_height, tile_width = tile_geometry(*samples, curves.shape[0], curves.shape[1])
    by_row = _neighbours(top, blue.shape[0], tile_height / down, curves.shape[0], curves)
    by_column = _neighbours(0, width, tile_width / across, curves.shape[1], curves)
    after = _between(before.to(torch.uint8), curves, by_row, by_column)
    of_blue, of_red = (1.772 * (blue.to(torch.float32) - 128.0), 1.402 * (red.to(torch.float32) - 128.0))
    of_green = (-0.299 / 0.587) * of_red + (-0.114 / 0.587) * of_blue
    means = _tint(tint, top, 0, blue.shape[0], width, height, width)
    colour = _followed(before, after, torch.stack([of_red, of_green, of_blue], dim=-1), means, noise)
    made = (colour[..., 2] * (1.0 / 1.772) + 128.0, colour[..., 0] * (1.0 / 1.402) + 128.0)
    first, second = (torch.round(plane).clamp(0, 255).to(torch.uint8) for plane in made)
    if out is None:
        return first, second
    out[0].copy_(first)
    out[1].copy_(second)
    return out


def _tint(tint: Tensor, top: int, left: int, rows: int, columns: int, height: int, width: int) -> Tensor:
    """Means of chroma for the pixels of a window, bilinearly between the centres of their parts: h×w×2."""
    side = tint.shape[0]
    upper, lower, down = _neighbours(top, rows, height / side, side, tint)
    before, after, right = _neighbours(left, columns, width / side, side, tint)
    left_of, right_of = tint[:, before], tint[:, after]
    spread = left_of + (right_of - left_of) * right[None, :, None]
    above, below = spread[upper], spread[lower]
    return above + (below - above) * down[:, None, None]


def _followed(before: Tensor, after: Tensor, colour: Tensor, means: Tensor, noise: float) -> Tensor:
    """Colour differences, h×w×3, for a luma that goes from `before` to `after` (docs/papers.md, C9); in levels."""
    noise = float(np.float32(noise) * np.float32(noise))  # as the CPU's loop squares it
    growth = (after / before.clamp(min=1.0)).clamp(1.0, LARGEST) - 1.0
    growth = growth * (1.0 - _ramp(after, *NEAR_WHITE))
    cr, cb = 0.713 * colour[..., 0], 0.564 * colour[..., 2]
    skin = _ramp(before, 30, 42) * _ramp(cr, 3, 6) * _ramp(cr, 50, 46) * _ramp(cb, 0, -3) * _ramp(cb, -56, -52)
    growth = torch.minimum(growth, SKIN - 1.0 + (1.0 - skin) * LARGEST)
    apart = (colour[..., 0] - means[..., 0]) ** 2 + (colour[..., 2] - means[..., 1]) ** 2
    own = 1.0 + growth * apart / (apart + noise)
    shared = 1.0 + growth - own
    green = (-0.299 / 0.587) * means[..., 0] + (-0.114 / 0.587) * means[..., 1]
    mean = torch.stack([means[..., 0], green, means[..., 1]], dim=-1)
    followed = own[..., None] * colour + shared[..., None] * mean
    highest, lowest = followed.amax(dim=-1).clamp(min=0.5), (-followed.amin(dim=-1)).clamp(min=0.5)
    fit = torch.minimum((255.5 - after) / highest, (after + 0.5) / lowest).clamp(max=1.0)
    return fit[..., None] * followed


def _ramp(values: Tensor, none: float, full: float) -> Tensor:
    """0 at `none`, 1 at `full`, linear between."""
    return ((values - none) * (1.0 / (full - none))).clamp(0.0, 1.0)


def _shaded(luma: Tensor, curves: Tensor, height: int, width: int, top: int, left: int) -> Tensor:
    """`blend_curves` in float32 and clipped, with each step in the order of the CPU's loops, to the same bits."""
    rows, columns, _ = curves.shape
    tile_height, tile_width = tile_geometry(height, width, rows, columns)
    by_row = _neighbours(top, luma.shape[0], tile_height, rows, curves)
    by_column = _neighbours(left, luma.shape[1], tile_width, columns, curves)
    return _between(luma, curves, by_row, by_column)


def _between(luma: Tensor, curves: Tensor, by_row: Neighbours, by_column: Neighbours) -> Tensor:
    """`_shaded` between given tiles.

    A pair is the curve of the tile before and the difference to that of the tile after. Pairs are blended by row, then
    evaluated at the pixel's column. Products and sums are single operations here: `lerp` may round once.
    """
    upper, lower, down = by_row
    before, after, right = by_column
    flat = curves.clamp(0.0, 255.0).reshape(-1)
    codes = luma.to(torch.int64)

    def pair(knots: Tensor) -> tuple[Tensor, Tensor]:
        found = [
            flat[(row[:, None] * curves.shape[1] + column) * BINS + knots]
            for row in (upper, lower)
            for column in (before, after)
        ]
        (above, above_step), (below, below_step) = ((found[i], found[i + 1] - found[i]) for i in (0, 2))
        share = down[:, None]
        return above + (below - above) * share, above_step + (below_step - above_step) * share

    if luma.dtype != torch.uint16:
        value, slope = pair(codes)
        return value + slope * right
    knots = codes // 257
    share = (codes - knots * 257).to(torch.float32) * (1.0 / 257)
    (value, slope), (next_value, next_slope) = pair(knots), pair((knots + 1).clamp(max=BINS - 1))
    value = value + (next_value - value) * share
    slope = slope + (next_slope - slope) * share
    return (value + slope * right) * 257.0


def _neighbours(start: int, length: int, tile: float, tiles: int, like: Tensor) -> Neighbours:
    """For pixels start..start+length: the tiles whose centres lie before and after, and the weight of the tile after.

    Positions are absolute and each pixel is computed on its own, so windows equal the whole bit for bit.
    """
    position = torch.arange(start, start + length, device=like.device, dtype=torch.float32)
    position = position * (1.0 / tile) - 0.5
    before = torch.floor(position)
    weight = (position - before).to(like.dtype)
    before = before.to(torch.int64)
    return before.clamp(min=0), (before + 1).clamp(max=tiles - 1), weight


def _white(picture: Tensor) -> int:
    return 65535 if picture.dtype == torch.uint16 else 255


def _stored(values: Tensor, like: Tensor, out: Tensor | None) -> Tensor:
    if out is None:
        return values.to(like.dtype)
    out.copy_(values)
    return out
