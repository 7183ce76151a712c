"""Make examples/photos: free photos, most of them spoilt in one known way, so that there is something to mend.

    python examples/make_photos.py [FOLDER]

The images come with scikit-image and scikit-learn, both of which must be installed; authors and licences are in
examples/photos/SOURCES.md. Clean bright images show little, so four are given a fault that cameras make: too
short an exposure, haze, light from behind, a flat profile. Two are left as they were taken: one is dark enough by
itself, and one is good already, to show what happens to it. The noise is seeded.
"""

from __future__ import annotations

import io
import sys
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from PIL import Image


def linear(picture: np.ndarray) -> np.ndarray:
    """Codes 0..255 as linear light 0..1 (a plain power of 2.2)."""
    return (picture / 255.0) ** 2.2


def codes(light: np.ndarray) -> np.ndarray:
    """Linear light as codes 0..255, rounded."""
    return np.round(255.0 * np.clip(light, 0, 1) ** (1 / 2.2)).astype(np.uint8)


def underexposed(picture: np.ndarray, stops: float, rng: np.random.Generator) -> np.ndarray:
    """As many stops too short, with the shot noise and read noise of a small sensor."""
    light = linear(picture) * 2.0**-stops
    return codes(light + rng.normal(0, 1, light.shape) * np.sqrt(2e-5 * light + 1e-7))


def hazy(picture: np.ndarray, clear: float = 0.4, air: float = 0.72) -> np.ndarray:
    """A veil of even, slightly blue light: codes shrink towards it."""
    veil = 255.0 * air * np.array([0.97, 1.0, 1.04])
    return np.clip(np.round(clear * picture + (1 - clear) * veil), 0, 255).astype(np.uint8)


def backlit(picture: np.ndarray, centre: tuple[float, float], radius: tuple[float, float], stops: float) -> np.ndarray:
    """The subject (an ellipse with soft edges, in shares of the image) stands in its own shadow."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width]
    distance = np.hypot((y / height - centre[0]) / radius[0], (x / width - centre[1]) / radius[1])
    shade = 1.0 / (1.0 + np.exp(8.0 * (distance - 1.0)))
    return codes(linear(picture) * 2.0 ** (0.25 - stops * shade[..., None]))


def flat_profile(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A third of the range, a third of the way up, in 16 bits holding ten, as a camera's flat profile gives."""
    light = 1023.0 * (0.3 + 0.32 * picture / 255.0) + rng.normal(0, 0.3, picture.shape)
    return (np.round(light).astype(np.uint16) << 6) | (np.round(light).astype(np.uint16) >> 4)


def shrunk(picture: np.ndarray, width: int) -> np.ndarray:
    """By area means, which also hides the traces of earlier JPEG coding."""
    height = round(picture.shape[0] * width / picture.shape[1])
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def main(folder: Path) -> None:
    """Write every photo."""
    rng = np.random.default_rng(20)
    spec = find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("scikit-learn is not installed; its china.jpg and flower.jpg are among the sources.")
    bundled = Path(spec.submodule_search_locations[0]) / "datasets" / "images"
    china = np.array(Image.open(bundled / "china.jpg"))

    def save(name: str, picture: np.ndarray, **options: object) -> None:
        packed = io.BytesIO()
        Image.fromarray(picture).save(packed, Image.registered_extensions()[Path(name).suffix], **options)
        (folder / name).write_bytes(packed.getvalue())

    folder.mkdir(parents=True, exist_ok=True)
    save("china-underexposed.jpg", underexposed(china, 2.2, rng), quality=90, subsampling="4:2:0")
    save("astronaut-backlit.jpg", backlit(skimage.data.astronaut(), (0.45, 0.45), (0.75, 0.42), 2.6), quality=88)
    save("coffee-hazy.webp", hazy(skimage.data.coffee()), quality=85)
    save("rocket-dusk.jpg", skimage.data.rocket(), quality=92)
    (folder / "flower-untouched.jpg").write_bytes((bundled / "flower.jpg").read_bytes())
    flat = flat_profile(shrunk(skimage.data.chelsea(), 264), rng)
    _, packed = cv2.imencode(".png", flat[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    (folder / "chelsea-flat-16bit.png").write_bytes(packed.tobytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "photos")
