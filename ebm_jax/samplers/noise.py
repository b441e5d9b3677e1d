"""Per-example random numbers, cheap enough to draw at every step of a chain.

The generator is JAX's own (Threefry-2x32, 20 rounds; Salmon et al., 2011), but written so that
XLA:CPU fuses it with what uses it: `jax.random.normal` of many keys keeps the rounds in a loop over
arrays and takes 2.5 times as long. The transform is Box and Muller's, whose sine and cosine are
short polynomials because the angle comes as an integer: the quadrant is two of its bits.
"""

import math

import jax
import jax.numpy as jnp

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
_UNIFORM_STREAM = 0x7FFFFFFF  # outside the leaf numbers that `normal_like` counts


def threefry_2x32(key: jax.Array, x0: jax.Array, x1: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Two random words per counter (x0, x1): Threefry-2x32 with 20 rounds.

    Args:
      key: uint32 [..., 2], its leading axes broadcasting against the counters.
      x0, x1: uint32 counters.

    Returns:
      (word, word), uint32, shaped as the counters.
    """
    k0, k1 = key[..., 0], key[..., 1]
    schedule = (k0, k1, k0 ^ k1 ^ jnp.uint32(_PARITY))
    x0, x1 = x0 + k0, x1 + k1
    for block in range(5):
        for rotation in _ROTATIONS[block % 2]:
            x0 = x0 + x1
            x1 = x0 ^ ((x1 << jnp.uint32(rotation)) | (x1 >> jnp.uint32(32 - rotation)))
        x0 = x0 + schedule[(block + 1) % 3]
        x1 = x1 + schedule[(block + 2) % 3] + jnp.uint32(block + 1)
    return x0, x1


def fold_in(keys: jax.Array, number: jax.Array) -> jax.Array:
    """`jax.random.fold_in` of every key with one number: [B] typed keys → [B]; the same keys.

    Raises:
      ValueError: the keys are of another generator.
    """
    words = _key_words(keys)
    low = jnp.broadcast_to(jnp.asarray(number).astype(jnp.uint32), keys.shape)
    folded = jnp.stack(threefry_2x32(words, jnp.zeros_like(low), low), axis=-1)
    return jax.random.wrap_key_data(folded, impl="threefry2x32")


def normal_like(keys: jax.Array, tree):
    """Standard normals shaped as `tree`, leaves [B, ...]; example i draws from keys[i] alone.

    Drawn in float32 and given in each leaf's dtype.
    """
    leaves, structure = jax.tree.flatten(tree)
    words = _key_words(keys)[:, None]  # [B, 1, 2]
    drawn = [_normal(words, number, leaf) for number, leaf in enumerate(leaves)]
    return jax.tree.unflatten(structure, drawn)


def uniform(keys: jax.Array) -> jax.Array:
    """One number of (0, 1) per key: [B], independent of `normal_like`'s."""
    words = _key_words(keys)
    counter = jnp.zeros(keys.shape, jnp.uint32)
    return _open_unit(threefry_2x32(words, counter, counter + jnp.uint32(_UNIFORM_STREAM))[0])


def _key_words(keys):
    """The two words of Threefry keys: [B] → uint32 [B, 2]."""
    implementation = str(jax.random.key_impl(keys))
    if implementation != "threefry2x32":
        raise ValueError(
            f"keys are of '{implementation}', which is not reproducible per example; make them "
            "with jax.random.key(seed, impl='threefry2x32')."
        )
    return jax.random.key_data(keys)


def _normal(words, number, leaf):
    """Box–Muller pairs (r cos t, r sin t) for one leaf: cosines first, then sines."""
    batch, size = leaf.shape[0], math.prod(leaf.shape[1:])
    pairs = -(-size // 2)
    counter = jax.lax.broadcasted_iota(jnp.uint32, (batch, pairs), 1)
    radius_word, angle_word = threefry_2x32(words, counter, jnp.full_like(counter, number))
    radius = jnp.sqrt(-2 * jnp.log(_open_unit(radius_word)))
    cosine, sine = _cos_sin(angle_word)
    both = jnp.concatenate([radius * cosine, radius * sine], axis=1)[:, :size]
    return both.reshape(leaf.shape).astype(leaf.dtype)


def _open_unit(word):
    """uint32 → (k + ½) / 2²⁴ in (0, 1), so that its log is finite."""
    return (word >> 8).astype(jnp.float32) * 2.0**-24 + 2.0**-25


def _cos_sin(word):
    """Cosine and sine of 2π · word / 2³²: two bits choose the quadrant, 24 the place in it."""
    place = ((word << 2) >> 8).astype(jnp.float32) * 2.0**-24 - 0.5
    t = place * (math.pi / 2)  # [−π/4, π/4): Taylor's error stays below 4e-7
    t2 = t * t
    sine = t * (1 + t2 * (-1 / 6 + t2 * (1 / 120 - t2 / 5040)))
    cosine = 1 + t2 * (-1 / 2 + t2 * (1 / 24 + t2 * (-1 / 720 + t2 / 40320)))
    odd, lower = (word >> 30) & 1 == 1, (word >> 31) == 1
    cosine, sine = jnp.where(odd, -sine, cosine), jnp.where(odd, cosine, sine)
    return jnp.where(lower, -cosine, cosine), jnp.where(lower, -sine, sine)
