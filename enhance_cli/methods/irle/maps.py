"""`--maps`: the illumination and the gain of an image, side by side in grey."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from enhance_cli.imaging import colour, opacity
from enhance_cli.methods.irle.proxy import gain_of, proxy_of

if TYPE_CHECKING:
    from enhance_cli.methods.irle.plan import IrlePlan
    from enhance_cli.types import Array, Image


def draw_maps(image: Image, plan: IrlePlan) -> Array:
    """The illumination of a proxy h×w, white where nothing is brightened, and the gain, 32 levels per stop.

    Args:
        image: the image before enhancement.
        plan: what was decided for it.

    Returns:
        uint8 h×2w×3.
    """
    proxy, _ = proxy_of(colour.to_rgb(image).pixels, opacity.weights_of(image))
    gain = np.maximum(gain_of(proxy * np.asarray(plan.balance, np.float32), plan.curve), 0.0)
    greys = np.concatenate([np.exp(-gain) * 255.0, gain / math.log(2.0) * 32.0], axis=1)
    drawn: Array = np.rint(np.clip(greys, 0.0, 255.0)).astype(np.uint8)[..., None].repeat(3, axis=2)
    return drawn
