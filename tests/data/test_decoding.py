import io

import numpy as np
import pytest
from PIL import Image

from ebm_jax.data.decoding import decode_image


def encode(image, format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("declared", [False, True])
def test_png_round_trip(rng, channels, declared):
    pixels = rng.integers(0, 256, (5, 7, channels), dtype=np.uint8)
    data = encode(Image.fromarray(pixels.squeeze()))
    decoded = decode_image(data, channels if declared else None)
    np.testing.assert_array_equal(decoded, pixels)


def test_palette_becomes_colours():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putdata([1, 0])
    assert decode_image(encode(image)).tolist() == [[[200, 100, 50], [10, 20, 30]]]


def test_bilevel_becomes_black_and_white():
    image = Image.new("1", (2, 1))
    image.putdata([1, 0])
    assert decode_image(encode(image)).tolist() == [[[255], [0]]]


def test_grey_file_of_a_colour_data_set_is_converted():
    decoded = decode_image(encode(Image.new("L", (2, 2), 7)), channels=3)
    assert decoded.shape == (2, 2, 3) and (decoded == 7).all()


def test_cmyk_jpeg():
    assert decode_image(encode(Image.new("CMYK", (8, 8)), "JPEG")).shape == (8, 8, 3)


def test_sixteen_bits_are_refused():
    image = Image.fromarray(np.full((2, 2), 40_000, np.uint16))
    with pytest.raises(ValueError, match="mode I;16, not 8 bits deep"):
        decode_image(encode(image))


def test_no_image():
    with pytest.raises(OSError, match="its 5 bytes are no image format"):
        decode_image(b"hello")
