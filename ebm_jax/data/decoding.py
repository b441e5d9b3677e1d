"""Image files to uint8 arrays."""

import io

import numpy as np
from PIL import Image, UnidentifiedImageError

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
# Colour spaces that are only ways of storing grey or RGB pixels.
_PLAIN = {"1": "L", "P": "RGB", "CMYK": "RGB", "YCbCr": "RGB", "PA": "RGBA"}


def decode_image(data: bytes, channels: int | None = None) -> np.ndarray:
    """Decodes one PNG, JPEG, BMP or WebP file.

    Args:
      data: the file's bytes.
      channels: channels the data set declares; its files are converted to that many as tfds
        does (ImageNet has grey and CMYK JPEGs among its RGB ones). None takes them as they are.

    Returns:
      uint8 [h, w, c].

    Raises:
      ValueError: the pixels are not 8 bits deep.
      OSError: Pillow cannot read the file.
    """
    try:
        image = Image.open(io.BytesIO(data))
    except UnidentifiedImageError as error:  # its text is the address of the BytesIO
        raise OSError(f"its {len(data)} bytes are no image format that Pillow knows") from error
    with image:
        mode = _MODES[channels] if channels else _PLAIN.get(image.mode, image.mode)
        if image.mode.startswith(("I", "F")) or mode not in _MODES.values():
            raise ValueError(f"its pixels are of Pillow's mode {image.mode}, not 8 bits deep")
        if channels is None and image.mode == "P" and "transparency" in image.info:
            mode = "RGBA"
        converted = image if image.mode == mode else image.convert(mode)
        # Cheaper than np.asarray, which goes through the array interface.
        pixels = np.frombuffer(converted.tobytes(), np.uint8)
        return pixels.reshape(image.height, image.width, -1)
