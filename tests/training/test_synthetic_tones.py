import numpy as np
import pytest

from enhance_cli.training.degradations import generator
from enhance_cli.training.two_tone import two_tones


@pytest.mark.parametrize("ranges", [((0.01, 0.35), (0.2, 0.6)), ((0.4, 0.5), (0.05, 0.1))])
def test_two_flat_grey_tones_of_the_ranges_asked_for(ranges) -> None:
    (darkest, brightest), (least, most) = ranges
    for index in range(12):
        picture, bright = two_tones(generator(0, index), 48, *ranges)
        assert (picture.shape, picture.dtype, bright.shape, bright.dtype) == (
            (48, 48, 3),
            np.float32,
            (48, 48),
            np.float32,
        )
        low, high = np.unique(picture)
        assert set(np.unique(bright)) == {0.0, 1.0}
        assert (picture[bright == 0] == low).all()
        assert (picture[bright == 1] == high).all()
        assert darkest <= low <= brightest
        assert least - 1e-6 <= high - low <= most + 1e-6


def test_equal_draws_make_equal_pictures() -> None:
    first, again, other = (two_tones(generator(0, index), 48)[0] for index in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()
