"""RANLEN: normalisation that is modulated by a mask, what makes any global network local with it, and two networks.

Paper: "Local low-light image enhancement via region-aware normalization" (RANLEN). `localise` replaces chosen
normalisation layers of a module by the paper's layer and adds its refining tail. The two global networks that are made
local are after DeepUPE ("Underexposed photo enhancement using deep illumination estimation") and STAR-DCE ("STAR: a
structure-aware lightweight transformer for real-time image enhancement"), both narrower, and both told the statistics
of what they are to light. Only the networks here.

A mask is N×2×H×W: plane 0 is area A (lit), as 0 or 1, or means of it where it was made small; plane 1 is the fall-off:
1 in A, falling to 0 through area B (the transition), 0 in area C (unchanged). The paper's second plane is 1 in all of
B: a step, which what works at full resolution would draw into the picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

LOW = 96
"""Both sides of the picture that the estimators see: squeezed to a square, as in both papers."""

FALL_OFF = (1,)
"""The plane of the mask that layers at full resolution read."""

PLANES = (0, 1)
"""Both planes of the mask."""

CALM = 0.1
"""Factor between the layers of RANLEN's CNNs. Each of gamma and beta is a sum over 144 inputs, all of which Adam moves
as far as it moves a lone constant: without the factor they tremble, and the layer learns less than a constant."""

CURVES = 8
"""Steps of the curve of STAR-DCE."""

_mask: ContextVar[Tensor | None] = ContextVar("mask", default=None)


@contextmanager
def masked(mask: Tensor) -> Iterator[None]:
    """Within it, layers that read the mask read this one: N×2×H×W. Each thread has its own."""
    token = _mask.set(mask)
    try:
        yield
    finally:
        _mask.reset(token)


def current_mask(like: Tensor, planes: Sequence[int] = PLANES) -> Tensor:
    """Planes of the mask as area means at the size of feature maps; ones outside `masked`: a global network."""
    mask = _mask.get()
    if mask is None:
        return like.new_ones((like.shape[0], len(planes), *like.shape[2:]))
    mask = mask[:, list(planes)]
    if mask.shape[2:] == like.shape[2:]:
        return mask
    # Means keep the share of a mask that is thinner than a cell; the nearest pixel would lose it.
    return means(mask, int(like.shape[2]), int(like.shape[3]))


def means(maps: Tensor, rows: int, columns: int) -> Tensor:
    """Area means of N×C×H×W at N×C×rows×columns."""
    height, width = int(maps.shape[2]), int(maps.shape[3])
    if height % rows == 0 and width % columns == 0:
        return functional.avg_pool2d(maps, (height // rows, width // columns))  # what ONNX has
    return functional.adaptive_avg_pool2d(maps, (rows, columns))


# --- from global to local ----------------------------------------------------------------------------------


class RegionNorm(nn.Module):
    """The RANLEN layer: gamma(M) (h - mu) / sigma + beta(M), eq. 1.

    It takes the place of a normalisation layer, keeps its statistics, and starts as that very layer: gamma and beta,
    two-layer CNNs of the mask with a common first layer, begin as the constants that the layer had learned, or 1 and 0.

    Args:
        layer: a BatchNorm2d, GroupNorm or InstanceNorm2d of N×C×H×W; or a BatchNorm1d of vectors, N×C, which have no
            places and are modulated by the areas' shares of the picture.
        hidden: channels of the CNNs' first layer.

    Raises:
        ValueError: the layer is none of these.
    """

    def __init__(self, layer: nn.Module, hidden: int = 16) -> None:
        super().__init__()
        self.normalise = _without_affine(layer)
        channels = _channels(layer)
        self.places = not isinstance(layer, nn.BatchNorm1d)
        self.shared, self.gamma, self.beta = (
            _layer(inputs, outputs, self.places)
            for inputs, outputs in ((len(PLANES), hidden), (hidden, channels), (hidden, channels))
        )
        weight, bias = getattr(layer, "weight", None), getattr(layer, "bias", None)
        with torch.no_grad():
            for start, learned, constant in ((self.gamma, weight, 1.0), (self.beta, bias, 0.0)):
                nn.init.zeros_(start.weight)
                cast(Tensor, start.bias).copy_(torch.full((channels,), constant) if learned is None else learned)

    def forward(self, features: Tensor) -> Tensor:
        """Normalise features and modulate them by the current mask."""
        if self.places:
            mask = current_mask(features)
        else:
            whole = _mask.get()
            mask = features.new_ones((features.shape[0], 2)) if whole is None else whole.mean(dim=(2, 3))
        shared = CALM * torch.relu(self.shared(mask))
        normal: Tensor = self.normalise(features)
        return cast(Tensor, self.gamma(shared)) * normal + cast(Tensor, self.beta(shared))


class Joined(nn.Module):
    """A convolution that also reads planes of the mask; it starts as the convolution that it replaces."""

    def __init__(self, layer: nn.Conv2d, planes: Sequence[int]) -> None:
        super().__init__()
        self.planes = tuple(planes)
        if layer.groups != 1:
            raise ValueError("a convolution of groups cannot read a mask beside its input")
        mode = cast(Any, layer.padding_mode)
        self.layer = nn.Conv2d(
            layer.in_channels + len(self.planes),
            layer.out_channels,
            cast(Any, layer.kernel_size),
            cast(Any, layer.stride),
            cast(Any, layer.padding),
            cast(Any, layer.dilation),
            bias=layer.bias is not None,
            padding_mode=mode,
        )
        with torch.no_grad():
            self.layer.weight.zero_()
            self.layer.weight[:, : layer.in_channels].copy_(layer.weight)
            if layer.bias is not None and self.layer.bias is not None:
                self.layer.bias.copy_(layer.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Convolve features and mask."""
        return cast(Tensor, self.layer(torch.cat([features, current_mask(features, self.planes)], dim=1)))


class Tail(nn.Module):
    """One more convolution after a network's output, to refine it: of the output and the fall-off, added to it.

    With three tails, each area has one of its own and the mask puts them together: the paper's variant of figure 7.
    Weights start at zero, so that the picture is at first what the network made of it.
    """

    def __init__(self, tails: int = 1) -> None:
        super().__init__()
        if tails not in (1, 3):
            raise ValueError(f"there is one tail, or one for each of three areas, not {tails}")
        self.layers = nn.ModuleList(
            nn.Conv2d(3 + len(FALL_OFF), 3, 3, padding=1, padding_mode="replicate") for _ in range(tails)
        )
        for layer in self.layers:
            nn.init.zeros_(cast(Tensor, layer.weight))
            nn.init.zeros_(cast(Tensor, layer.bias))

    def forward(self, lit: Tensor) -> Tensor:
        """Refine N×3×H×W under the current mask."""
        inputs = torch.cat([lit, current_mask(lit, FALL_OFF)], dim=1)
        changes = [layer(inputs) for layer in self.layers]
        if len(changes) == 1:
            return cast(Tensor, lit + changes[0])
        inside, outside = current_mask(lit, (0,)), (current_mask(lit, FALL_OFF) <= 0.0).to(lit.dtype)
        shares = (inside, 1.0 - inside - outside, outside)
        return lit + sum((share * change for share, change in zip(shares, changes, strict=True)), torch.zeros_like(lit))


class Localised(nn.Module):
    """A network that lights under a mask: `forward(image, mask)`."""

    def __init__(self, network: nn.Module, tails: int = 1) -> None:
        super().__init__()
        self.network = network
        self.tail = Tail(tails)

    def forward(self, image: Tensor, mask: Tensor) -> Any:
        """Light N×3×H×W in 0..1 under N×2×H×W.

        Returns:
            What the network returns; its picture, alone or the first of a tuple, refined by the tail.
        """
        with masked(mask):
            output = self.network(image)
            if isinstance(output, Tensor):
                return self.tail(output)
            return (self.tail(output[0]), *output[1:])


def localise(
    network: nn.Module,
    sites: Sequence[str],
    joins: Mapping[str, Sequence[int]] | None = None,
    *,
    hidden: int = 16,
    tails: int = 1,
) -> Localised:
    """Make a global network local: replace normalisation layers by `RegionNorm`, and add the refining tail.

    The result computes what the network did, under any mask, until it is trained on. Without sites, and with the mask
    joined to the network's first layer, it is the paper's *Concat* baseline.

    Args:
        network: any module from N×3×H×W to N×3×H×W, or to a tuple that begins with it; changed in place.
        sites: names of normalisation layers, as in `named_modules`.
        joins: names of convolutions that are to read planes of the mask beside their input, and which planes.
        hidden: channels inside the layers' CNNs of the mask.
        tails: 1, or 3 for a tail of each area.

    Raises:
        ValueError: there is no layer of a name, or it is of a kind that cannot be replaced.
    """
    replacements: dict[str, nn.Module] = {}
    for name in (*sites, *(joins or {})):
        try:
            layer = network.get_submodule(name)
        except AttributeError as error:
            raise ValueError(f"the network has no layer {name!r}") from error
        if name in sites:
            replacements[name] = RegionNorm(layer, hidden)
        elif isinstance(layer, nn.Conv2d) and joins is not None:
            replacements[name] = Joined(layer, joins[name])
        else:
            raise ValueError(f"{name} is no convolution that could read the mask")
    for name, replacement in replacements.items():
        parent, _, last = name.rpartition(".")
        setattr(network.get_submodule(parent), last, replacement)
    return Localised(network, tails)


def _channels(layer: nn.Module) -> int:
    return int(layer.num_channels if isinstance(layer, nn.GroupNorm) else cast(Any, layer).num_features)


def _without_affine(layer: nn.Module) -> nn.Module:
    """The same normalisation, with its running statistics and without its learned constants."""
    match layer:
        case nn.BatchNorm2d() | nn.BatchNorm1d():
            bare: nn.Module = type(layer)(
                layer.num_features, layer.eps, layer.momentum, False, layer.track_running_stats
            )
        case nn.InstanceNorm2d():
            bare = nn.InstanceNorm2d(
                layer.num_features, layer.eps, layer.momentum or 0.1, False, layer.track_running_stats
            )
        case nn.GroupNorm():
            bare = nn.GroupNorm(layer.num_groups, layer.num_channels, layer.eps, affine=False)
        case _:
            raise ValueError(f"{type(layer).__name__} is no normalisation that a mask can modulate")
    bare.load_state_dict(layer.state_dict(), strict=False)
    return bare.train(layer.training)


def _layer(inputs: int, outputs: int, places: bool) -> nn.Conv2d | nn.Linear:
    # Replicated at the borders: zeros would mean area C beyond the picture.
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="replicate") if places else nn.Linear(inputs, outputs)


# --- what both backbones are told --------------------------------------------------------------------------


class Statistics(nn.Module):
    """The light of the lit area in numbers: these carry the exposure, and cannot draw halos.

    Means and deviations of the channels, the logarithm of the mean, and a soft cumulative histogram of the root of the
    brightest channel, over area A alone: how dark the rest is has no say.
    """

    def __init__(self, levels: int = 12) -> None:
        super().__init__()
        self.levels = nn.Parameter(torch.linspace(0.04, 0.96, levels).reshape(1, levels, 1, 1))
        self.count = levels + 7

    def forward(self, image: Tensor) -> Tensor:
        """N×count from N×3×h×w."""
        # A mask without area A leaves the whole picture.
        weight = current_mask(image, (0,)) + 1e-4
        weight = weight / weight.sum(dim=(2, 3), keepdim=True)
        mean = (image * weight).sum(dim=(2, 3))
        deviation = torch.sqrt(((image - mean[:, :, None, None]) ** 2 * weight).sum(dim=(2, 3)) + 1e-6)
        light = torch.log2(mean.mean(dim=1, keepdim=True) + 0.004) / 4.0 + 1.0
        brightest = torch.sqrt(image.amax(dim=1, keepdim=True) + 1e-6)
        shares = (torch.sigmoid((brightest - self.levels) * 25.0) * weight).sum(dim=(2, 3))
        return torch.cat([mean, 2.0 * deviation, light, shares], dim=1)


def small(image: Tensor, side: int = LOW) -> Tensor:
    """What an estimator sees of pictures of any size: area means, N×3×side×side."""
    return means(image, side, side)


def _convolution(inputs: int, outputs: int, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    # Replicated: with zeros beyond the border, flat pictures would not stay flat along it.
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, padding_mode="replicate", bias=bias)


# --- DeepUPE -----------------------------------------------------------------------------------------------


class DeepUpe(nn.Module):
    """A global enhancer after DeepUPE: I / S, with the illumination S from a bilateral grid of affine coefficients.

    Ours is narrow (the paper's million parameters cannot be fed by a thousand photographs), pools its global branch
    over area A, knows the statistics of area A, and keeps S between I and 1 by a sigmoid, S = I + (1 - I)
    sigmoid(affine(I)), where the paper clips: nothing saturates, and black and white stay. S is `tied` to the fall-off:
    cells of 1/12 of the picture cannot follow the edge of a mask.
    """

    norms = ("splat_norm_2", "splat_norm_3", "global_norm_1", "global_norm_2", "local_norm", "fused_norm")
    first = "splat_1"
    full = "guide.hidden"

    def __init__(self, width: int = 24, bins: int = 8, context: int = 32, guide: int = 16) -> None:
        super().__init__()
        self.bins = bins
        self.statistics = Statistics()
        self.splat_1 = _convolution(3, 8, 2)
        self.splat_2, self.splat_norm_2 = _convolution(8, 16, 2, bias=False), nn.BatchNorm2d(16)
        self.splat_3, self.splat_norm_3 = _convolution(16, width, 2, bias=False), nn.BatchNorm2d(width)
        self.global_1, self.global_norm_1 = _convolution(width, width, 2, bias=False), nn.BatchNorm2d(width)
        self.global_2, self.global_norm_2 = _convolution(width, width, 2, bias=False), nn.BatchNorm2d(width)
        self.context = nn.Linear(width + self.statistics.count, context)
        self.whole = nn.Linear(context, width)
        self.local_1, self.local_norm = _convolution(width, width, bias=False), nn.BatchNorm2d(width)
        self.local_2 = nn.Conv2d(width, width, 1, bias=False)
        self.fused_norm = nn.BatchNorm2d(width)
        self.coefficients = nn.Conv2d(width, 12 * bins, 1)
        self.guide = Guide(guide)
        with torch.no_grad():
            self.coefficients.weight.mul_(0.3)
            constant = torch.zeros(12, bins)
            constant[3::4] = 1.0
            # At the start every pixel is a little brightened, whatever it is.
            cast(Tensor, self.coefficients.bias).copy_(constant.reshape(-1))

    def grid(self, low: Tensor) -> Tensor:
        """The bilateral grid N×12×bins×(side/8)×(side/8) from N×3×side×side."""
        splat = torch.relu(self.splat_1(low))
        splat = torch.relu(self.splat_norm_2(self.splat_2(splat)))
        splat = torch.relu(self.splat_norm_3(self.splat_3(splat)))
        coarse = torch.relu(self.global_norm_1(self.global_1(splat)))
        coarse = torch.relu(self.global_norm_2(self.global_2(coarse)))
        inside = current_mask(coarse, (0,)) + 1e-4
        pooled = (coarse * inside).sum(dim=(2, 3)) / inside.sum(dim=(2, 3))
        context = torch.relu(self.context(torch.cat([pooled, self.statistics(low)], dim=1)))
        near = self.local_2(torch.relu(self.local_norm(self.local_1(splat))))
        fused = self.fused_norm(torch.relu(near + self.whole(context)[:, :, None, None]))
        grid: Tensor = self.coefficients(fused)
        return grid.reshape(grid.shape[0], 12, self.bins, *grid.shape[2:])

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The lit picture and its illumination S, both N×3×H×W, of N×3×H×W in 0..1."""
        coefficients = slice_grid(self.grid(small(image)), self.guide(image))
        illumination = image + (1.0 - image) * torch.sigmoid(affine(coefficients, image))
        return tied(image, illumination, current_mask(image, FALL_OFF))


def tied(image: Tensor, illumination: Tensor, fall_off: Tensor) -> tuple[Tensor, Tensor]:
    """I / S' with the illumination tied to the fall-off t, and S': logit S' = logit S - log t.

    That is S' = S / (S + t (1 - S)): S where t is 1, 1 where t is 0, and between them I / S' = I + t (I / S - I): light
    in C is exactly none, and falls as evenly as t whatever S is. A blend of S itself would not: of a darkness that S
    lifts twentyfold, half of t would lift twofold.

    Args:
        image: N×3×H×W in 0..1.
        illumination: S, N×3×H×W in 0..1.
        fall_off: t, N×1×H×W in 0..1.
    """
    illumination = illumination.clamp(min=1e-4)
    gain = 1.0 + fall_off * (1.0 / illumination - 1.0)
    return image * gain, 1.0 / gain


class Guide(nn.Module):
    """Where a pixel lies along the grid's third axis: a pointwise network of the roots of its channels, N×1×H×W."""

    def __init__(self, hidden: int = 16) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(3, hidden, 1)
        self.out = nn.Conv2d(hidden, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """0..1."""
        # In roots the shadows, where most happens, have their share of the axis.
        return torch.sigmoid(self.out(torch.relu(self.hidden(torch.sqrt(image.clamp(min=0.0))))))


def slice_grid(grid: Tensor, guide: Tensor) -> Tensor:
    """Coefficients of every pixel, trilinear between the centres of cells: N×C×H×W.

    Args:
        grid: N×C×bins×rows×columns.
        guide: N×1×H×W in 0..1.
    """
    height, width = guide.shape[2:]
    y = (torch.arange(height, dtype=grid.dtype, device=grid.device) + 0.5) * (2.0 / height) - 1.0
    x = (torch.arange(width, dtype=grid.dtype, device=grid.device) + 0.5) * (2.0 / width) - 1.0
    place = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).expand(grid.shape[0], height, width, 2)
    at = torch.cat([place, guide[:, 0, :, :, None] * 2.0 - 1.0], dim=-1)[:, None]
    sliced = functional.grid_sample(grid, at, mode="bilinear", padding_mode="border", align_corners=False)
    return sliced[:, :, 0]


def affine(coefficients: Tensor, image: Tensor) -> Tensor:
    """A 3×4 matrix for every pixel (N×12×H×W, rows first) times (r, g, b, 1): N×3×H×W."""
    rows = coefficients.reshape(coefficients.shape[0], 3, 4, *coefficients.shape[2:])
    return (rows[:, :, :3] * image[:, None]).sum(dim=2) + rows[:, :, 3]


# --- STAR-DCE ----------------------------------------------------------------------------------------------


class StarDce(nn.Module):
    """A global enhancer after STAR-DCE: mean tokens, a long-short-range transformer, eight steps of a curve.

    x <- x + r_i (x² - x), with a map r_i for each step and channel, made from 24×24 tokens. The long range attends to
    8×8 means of the tokens; ours also knows the statistics of area A. Maps are multiplied by the fall-off at full
    resolution: cells of 1/24 of the picture cannot follow the edge of a mask.
    """

    norms = ("head_norm", "token_norm")
    first = "head"
    full = None

    def __init__(self, width: int = 16, heads: int = 4, tokens: int = 24, keys: int = 8) -> None:
        super().__init__()
        self.tokens, self.keys = tokens, keys
        self.statistics = Statistics()
        self.head, self.head_norm = _convolution(3, width, 2), nn.BatchNorm2d(width)
        self.token_norm = nn.BatchNorm2d(width)
        self.context = nn.Linear(self.statistics.count, 32)
        self.whole = nn.Linear(32, 2 * width)
        self.before = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.after = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.short = _convolution(width, width)
        self.curves = _convolution(2 * width, 3 * CURVES)
        with torch.no_grad():
            self.curves.weight.mul_(0.3)

    def maps(self, low: Tensor) -> Tensor:
        """The curve maps N×24×tokens×tokens in -1..1 from N×3×side×side; map 3 i + c is step i of channel c."""
        features = self.head_norm(torch.relu(self.head(low)))
        tokens = self.token_norm(means(features, self.tokens, self.tokens))
        short = self.short(tokens)
        few = means(tokens, self.keys, self.keys)
        long, keys = (maps.flatten(2).transpose(1, 2) for maps in (tokens, few))
        long = long + self.attention(self.before(long), self.before(keys))
        long = long + self.mlp(self.after(long))
        both = torch.cat([long.transpose(1, 2).reshape(tokens.shape), short], dim=1)
        context = self.whole(torch.relu(self.context(self.statistics(low))))
        return torch.tanh(self.curves(torch.relu(both + context[:, :, None, None])))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The lit picture N×3×H×W and the maps as they met it, N×24×H×W, of N×3×H×W in 0..1."""
        maps = functional.interpolate(self.maps(small(image)), image.shape[2:], mode="bilinear", align_corners=False)
        maps = maps * current_mask(image, FALL_OFF)
        return curve(image, maps), maps


class Attention(nn.Module):
    """Multi-head attention of N×T×C queries to N×K×C keys."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.queries = nn.Linear(width, width)
        self.keys = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """N×T×C."""
        count, places, width = queries.shape
        each = width // self.heads
        asked = self.queries(queries).reshape(count, places, self.heads, each).transpose(1, 2)
        found = self.keys(keys).reshape(count, keys.shape[1], 2, self.heads, each).permute(2, 0, 3, 1, 4)
        shares = torch.softmax(asked @ found[0].transpose(-1, -2) * each**-0.5, dim=-1)
        return cast(Tensor, self.out((shares @ found[1]).transpose(1, 2).reshape(count, places, width)))


def curve(image: Tensor, maps: Tensor) -> Tensor:
    """Eight steps x <- x + r (x² - x); below 0, r brightens."""
    for step in range(CURVES):
        rates = maps[:, 3 * step : 3 * step + 3]
        image = image + rates * (image * image - image)
    return image


# --- what is trained, and what is shipped ------------------------------------------------------------------

BACKBONES: Mapping[str, type[DeepUpe] | type[StarDce]] = {"deepupe": DeepUpe, "star": StarDce}


def assemble(backbone: str, variant: str = "ranlen", **sizes: Any) -> Localised:
    """A backbone made local.

    Args:
        backbone: `deepupe` or `star`.
        variant: `ranlen`; `tails`, RANLEN with a tail for each area; `concat`, the baseline whose first layer reads the
            mask and whose normalisation does not; `global`, the backbone that knows no mask, with the tail.
        sizes: of the backbone.

    Raises:
        ValueError: there is no such backbone or variant.
    """
    if backbone not in BACKBONES or variant not in ("ranlen", "tails", "concat", "global"):
        raise ValueError(f"there is no {variant} of {backbone}")
    network = BACKBONES[backbone](**sizes)
    if variant == "global":
        return localise(network, ())
    joins = {network.full: FALL_OFF} if network.full else {}
    if variant == "concat":
        return localise(network, (), {network.first: PLANES, **joins})
    return localise(network, network.norms, joins, tails=3 if variant == "tails" else 1)


class DeepUpeEstimator(nn.Module):
    """What `estimate` runs of DeepUPE-RANLEN; the constants of what `render` does come with it."""

    outputs = ("grid", "guide_weight", "guide_bias", "guide_out", "guide_out_bias", "tail", "tail_bias")

    def __init__(self, localised: Localised) -> None:
        super().__init__()
        self.localised = localised

    def forward(self, image: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        """From `image` 1×3×96×96 in 0..1 and `mask` 1×2×96×96.

        Returns:
            The grid 1×12×bins×12×12; the guide's hidden layer H×4 (roots of red, green and blue, fall-off) with its
            bias H, its output H with its bias 1; the tail 3×4×3×3 (lit red, green, blue, fall-off) with its bias 3.
        """
        network = cast(DeepUpe, self.localised.network)
        with masked(mask):
            grid = network.grid(image)
        hidden = cast(Joined, network.guide.hidden).layer
        tail = cast(nn.Conv2d, self.localised.tail.layers[0])
        constants = (hidden.weight[:, :, 0, 0], hidden.bias, network.guide.out.weight[0, :, 0, 0])
        return (grid, *_constants(*constants, network.guide.out.bias, tail.weight, tail.bias))


class StarEstimator(nn.Module):
    """What `estimate` runs of STAR-DCE-RANLEN; the constants of the tail come with it."""

    outputs = ("maps", "tail", "tail_bias")

    def __init__(self, localised: Localised) -> None:
        super().__init__()
        self.localised = localised

    def forward(self, image: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        """From `image` 1×3×96×96 in 0..1 and `mask` 1×2×96×96 to the curve maps 1×24×24×24, and the tail."""
        with masked(mask):
            maps = cast(StarDce, self.localised.network).maps(image)
        tail = cast(nn.Conv2d, self.localised.tail.layers[0])
        return (maps, *_constants(tail.weight, tail.bias))


def _constants(*tensors: Tensor | None) -> tuple[Tensor, ...]:
    # An exported graph may not return a parameter itself.
    return tuple(cast(Tensor, tensor) * 1.0 for tensor in tensors)


def estimator(backbone: str, localised: Localised) -> nn.Module:
    """What is exported of a localised backbone."""
    return DeepUpeEstimator(localised) if backbone == "deepupe" else StarEstimator(localised)


def build(configuration: Mapping[str, Any]) -> nn.Module:
    """The estimator that a weights file describes: `backbone`, `variant` and sizes.

    Raises:
        ValueError: there is no such network.
    """
    sizes = dict(configuration)
    backbone = str(sizes.pop("backbone", ""))
    return estimator(backbone, assemble(backbone, **sizes))
