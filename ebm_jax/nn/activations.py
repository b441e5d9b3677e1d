"""Activations of the nets."""

import flax.linen as nn
import jax


def leaky_relu(x: jax.Array) -> jax.Array:
    """Slope 0.2, as everywhere in the papers."""
    return nn.leaky_relu(x, 0.2)


@jax.custom_jvp
def silu(x: jax.Array) -> jax.Array:
    """x σ(x), whose derivative is of σ and the result alone: σ(x) + silu(x) (1 − σ(x)).

    With x in it, as `flax.linen.silu`'s, XLA:CPU computes x again where the gradient wants it: with
    a depthwise convolution before it, a Langevin step through the deep models takes 1.3 times as
    long (`python -m benchmarks.run --suite deep`).
    """
    return x * nn.sigmoid(x)


@silu.defjvp
def _silu_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    gate = nn.sigmoid(x)
    y = x * gate
    return y, dx * (gate + y * (1 - gate))
