"""What is measured on grey images: stroke thickness and slant.

Functions of brightness v [n, H, W], in [0, 1], of NumPy or JAX: the arrays' own library computes.
"""

from typing import Any

Array = Any  # numpy.ndarray or jax.Array
_DARK, _BRIGHT = 0.5, 0.9  # of the brightest pixel: what is not and what is wholly of a stroke


def stroke_thickness(v: Array) -> Array:
    """Width of bright strokes on black, pixels: 2 · area / length of the boundary.

    The area is the sum of w, the length of the boundary its total variation; of a stroke much
    longer than wide this is the width. w is the brightness at pixels twice as dense, 1 the image's
    brightest, cut off at `_DARK` and `_BRIGHT`, so that a hard-edged bar has half a pixel less than
    its width. What a decoder smooths lies mostly below: with all brightness counted, a deep model's
    reconstructions of MNIST fall in the third of their originals in 80 %, so in 91 %. A black image
    has 0.

    Args:
      v: brightness [n, H, W].

    Returns:
      [n].
    """
    xp = v.__array_namespace__()
    v = xp.pad(v, ((0, 0), (1, 1), (1, 1))).astype(xp.float32)
    v = _over(v, xp.broadcast_to(v.max(axis=(1, 2), keepdims=True), v.shape))
    v = _with_midpoints(_with_midpoints(v).swapaxes(1, 2)).swapaxes(1, 2)
    w = xp.clip((v - _DARK) / (_BRIGHT - _DARK), 0, 1)
    down, right = xp.diff(w, axis=1)[:, :, :-1], xp.diff(w, axis=2)[:, :-1]
    boundary = xp.sqrt(down**2 + right**2).sum(axis=(1, 2))
    return _over(w.sum(axis=(1, 2)), boundary)  # of pixels half as wide: 2 / 2


def slant(v: Array) -> Array:
    """Shear of a bright shape on black: columns to the right per row upwards, 0 = upright.

    −μ_xy / μ_yy of the brightness' second moments, what MNIST is usually deslanted by.

    Args:
      v: brightness [n, H, W].

    Returns:
      [n].
    """
    xp = v.__array_namespace__()
    rows, columns = (xp.arange(size, dtype=v.dtype) for size in v.shape[1:])
    mass = v.sum(axis=(1, 2))
    y = rows[None] - _over(v.sum(axis=2) @ rows, mass)[:, None]
    x = columns[None] - _over(v.sum(axis=1) @ columns, mass)[:, None]
    covariance = xp.einsum("nhw,nh,nw->n", v, y, x)
    return -_over(covariance, xp.einsum("nhw,nh->n", v, y**2))


MEASURES = {"thickness": stroke_thickness, "slant": slant}


def _with_midpoints(v):
    """Linear interpolation halfway between neighbours of the last axis: size n → 2n − 1."""
    xp = v.__array_namespace__()
    between = (v[..., 1:] + v[..., :-1]) / 2
    pairs = xp.stack([v[..., :-1], between], axis=-1).reshape(*v.shape[:-1], -1)
    return xp.concatenate([pairs, v[..., -1:]], axis=-1)


def _over(a, b):
    """a / b, 0 where b is 0."""
    xp = a.__array_namespace__()
    return xp.where(b > 0, a / xp.where(b > 0, b, 1), 0)
