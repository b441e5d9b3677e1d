"""Spectral norms of a parameter tree, and its normalisation by them.

The kernels are divided by their largest singular value once per update, outside the Langevin
chain, so that a chain of K steps pays for it once; the module that uses them does not know.
Power-iteration vectors are extra state.
"""

import zlib

import jax
import jax.numpy as jnp

_ZERO = 1e-12  # a largest singular value of no direction


def init_vectors(params, key: jax.Array):
    """One power-iteration vector per kernel: a tree like `params` with None for the other leaves.

    Args:
      params: tree whose leaves of two or more axes are kernels [..., out].
      key: typed key.
    """

    def one(path, leaf):
        if leaf.ndim < 2:
            return None
        name = jax.tree_util.keystr(path)
        leaf_key = jax.random.fold_in(key, zlib.crc32(name.encode()) & 0x7FFFFFFF)
        return _unit(jax.random.normal(leaf_key, (leaf.shape[-1],), leaf.dtype))

    return jax.tree_util.tree_map_with_path(one, params)


def spectral_normalise(params, vectors, num_iterations: int = 1):
    """Divides every kernel, as a matrix [fan_in, out], by its estimated largest singular value.

    Gradients flow through the division, not through the vectors (Miyato et al., 2018).

    Args:
      params: parameter tree.
      vectors: from `init_vectors`, or the second result of the call before.
      num_iterations: power iterations.

    Returns:
      (normalised parameters, new vectors).
    """
    norms, updated = spectral_norms(params, vectors, num_iterations)

    def divided(leaf, norm):
        return leaf if norm is None else leaf / jnp.where(norm > _ZERO, norm, 1.0)

    return jax.tree.map(divided, params, norms), updated


def spectral_norms(params, vectors, num_iterations: int = 1):
    """The estimated largest singular value of every kernel; arguments as above.

    Returns:
      (tree like `params` of values, None where there is no kernel; new vectors).
    """
    leaves, structure = jax.tree.flatten(params)
    vector_leaves = structure.flatten_up_to(vectors)
    norms, updated = [], []
    for leaf, v in zip(leaves, vector_leaves, strict=True):
        if v is None:
            norms.append(None)
            updated.append(None)
            continue
        matrix = leaf.reshape(-1, leaf.shape[-1])
        fixed = jax.lax.stop_gradient(matrix)
        start, u = v, _unit(fixed @ v)
        for _ in range(num_iterations):
            v = _unit(fixed.T @ u)
            u = _unit(fixed @ v)
        norms.append(u @ matrix @ v)
        # A zero-initialised kernel has no direction: it stays zero instead of becoming 0/0, and
        # its vector stays as it was, as a zero vector would never leave zero again.
        updated.append(jnp.where(norms[-1] > _ZERO, v, start))
    return structure.unflatten(norms), structure.unflatten(updated)


def _unit(x: jax.Array) -> jax.Array:
    return x / jnp.maximum(jnp.linalg.norm(x), 1e-12)
