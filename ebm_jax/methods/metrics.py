"""What a chain did, as metrics."""

import jax
import jax.numpy as jnp

from ebm_jax.samplers import Info


def chain_metrics(name: str, info: Info) -> dict[str, jax.Array]:
    """Batch means of a chain's last Info, under `name/`."""
    return {
        f"{name}/energy": jnp.mean(info.energy),
        f"{name}/grad_norm": jnp.mean(info.grad_norm),
        f"{name}/displacement": jnp.mean(info.displacement),
        f"{name}/finite": jnp.mean(info.finite.astype(jnp.float32)),
        f"{name}/accepted": jnp.mean(info.accepted),
    }
