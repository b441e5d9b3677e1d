"""Keys: streams by name, then by step, then by global example index.

No key is ever stored or mutated: everything random is a function of (seed, stream, step, example),
so a resumed run and a run on another number of devices draw the same numbers.
"""

import zlib

import jax


def stream(key: jax.Array, name: str) -> jax.Array:
    """The key of the stream `name`."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()) & 0x7FFFFFFF)


def per_example(key: jax.Array, index: jax.Array) -> jax.Array:
    """One key per example: index [B] int, the global example index → keys [B]."""
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, index)


def streams(keys: jax.Array, name: str) -> jax.Array:
    """`stream` for an array of keys: [B] → [B]."""
    return jax.vmap(lambda key: stream(key, name))(keys)
