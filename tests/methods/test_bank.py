"""The bank: distinct entries, pairs that stay together, the same bank on all devices."""

import jax
import jax.numpy as jnp
import numpy as np

from ebm_jax.methods.bank import Bank, draw, overwrite

SIZE = 12
BANK = Bank(jnp.arange(SIZE, dtype=jnp.float32), 10.0 * jnp.arange(SIZE, dtype=jnp.float32))


def test_entries_are_distinct_and_pairs_stay_together():
    seen = set()
    for seed in range(20):
        entries, pairs = draw(jax.random.key(seed), BANK, 5, None)
        assert len(set(entries.tolist())) == 5
        np.testing.assert_array_equal(pairs.z, entries)
        np.testing.assert_array_equal(pairs.x, 10 * entries)
        seen |= set(entries.tolist())
    assert seen == set(range(SIZE))


def test_overwriting_leaves_the_other_entries():
    entries, _ = draw(jax.random.key(0), BANK, 3, None)
    new = Bank(-jnp.arange(1.0, 4.0), jnp.arange(100.0, 103.0))
    after = overwrite(BANK, entries, new, None)
    np.testing.assert_array_equal(after.z[entries], new.z)
    np.testing.assert_array_equal(after.x[entries], new.x)
    others = np.setdiff1d(np.arange(SIZE), entries)
    np.testing.assert_array_equal(after.x[others], BANK.x[others])


def test_devices_keep_one_bank():
    """Two halves of a batch on a mapped axis: the entries and the bank of the whole batch."""
    key = jax.random.key(3)
    new = Bank(-jnp.arange(1.0, 5.0), jnp.arange(100.0, 104.0))
    entries, pairs = draw(key, BANK, 4, None)
    whole = overwrite(BANK, entries, new, None)

    def step(part):
        entries, pairs = draw(key, BANK, 2, "devices")
        return pairs, overwrite(BANK, entries, part, "devices")

    halves = jax.tree.map(lambda leaf: leaf.reshape(2, 2), new)
    drawn, banks = jax.vmap(step, axis_name="devices")(halves)
    np.testing.assert_array_equal(drawn.z.ravel(), pairs.z)
    for device in range(2):
        np.testing.assert_array_equal(banks.z[device], whole.z)
        np.testing.assert_array_equal(banks.x[device], whole.x)
