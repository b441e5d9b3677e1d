"""A bank of the chain's past pairs (z, x), from which a generator learns (Hat EBM, §3.4).

Every device holds the whole bank, and all change it in the same way: the entries of a step are
drawn from one key, and what is written into them is gathered from all devices.
"""

from typing import NamedTuple

import jax


class Bank(NamedTuple):
    """N pairs.

    Attributes:
      z: latents [N, ...].
      x: images [N, H, W, C], the ends of chains that started at G(z).
    """

    z: jax.Array
    x: jax.Array


def draw(key: jax.Array, bank: Bank, count: int, axis_name: str | None) -> tuple[jax.Array, Bank]:
    """Distinct entries for one step.

    Args:
      key: the same on all devices.
      bank: of N ≥ count × devices pairs.
      count: pairs of this device.
      axis_name: mapped axis of the devices, or None.

    Returns:
      (entries of all devices' pairs, in the devices' order; this device's pairs).
    """
    devices = 1 if axis_name is None else jax.lax.axis_size(axis_name)
    entries = jax.random.choice(key, bank.z.shape[0], (count * devices,), replace=False)
    mine = entries
    if axis_name is not None:
        start = jax.lax.axis_index(axis_name) * count
        mine = jax.lax.dynamic_slice_in_dim(entries, start, count)
    return entries, jax.tree.map(lambda leaf: leaf[mine], bank)


def overwrite(bank: Bank, entries: jax.Array, pairs: Bank, axis_name: str | None) -> Bank:
    """The bank with all devices' new pairs in the place of `entries`.

    Args:
      bank: as `draw` saw it.
      entries: [count × devices], from `draw`.
      pairs: this device's, [count, ...].
      axis_name: mapped axis of the devices, or None.
    """
    if axis_name is not None:
        pairs = jax.tree.map(lambda leaf: jax.lax.all_gather(leaf, axis_name, tiled=True), pairs)
    return jax.tree.map(lambda old, new: old.at[entries].set(new), bank, pairs)
