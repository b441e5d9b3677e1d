"""Inception-v3 as in the TensorFlow graph of 2015-12-05 (Szegedy et al. 2016; Heusel et al. 2017).

Layers have the graph's names (`mixed_4_tower_conv_1` is its mixed_4/tower/conv_1). It differs from
other Inception-v3 networks in three ways: average pools do not count padding, the pool of the last
block (mixed_10) is a maximum, and there are 1008 classes.
"""

import functools
from collections.abc import Callable, Iterator, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from ebm_jax.evaluation.inception.layers import (
    Weights,
    branches,
    conv,
    max_pool,
    max_pool_same,
    position_mean,
)

# What can be read off, in the order of the graph; each but the logits is a mean over positions.
TAPS = {
    "64": "first max pool",
    "192": "second max pool",
    "768": "mixed_7, the last block of 17×17",
    "1280": "mixed_8",
    "2048": "pool_3, behind mixed_10",
    "logits": "1008 classes, without the softmax layer's bias",
}
SIDE = 299  # pixels
NUM_CLASSES = 1008

# (name, kernel size, C_in, C_out) → weights: how a block asks for a layer of the graph.
Layer = Callable[[str, tuple[int, int], int, int], Weights]


class Folded(nn.Module):
    """Weights of one layer: kernel [kh, kw, C_in, C_out], and bias [C_out] where it has one.

    The initial zeros are for shapes only: weights come from a file.
    """

    size: tuple[int, ...]
    use_bias: bool = True

    @nn.compact
    def __call__(self):
        kernel = self.param("kernel", nn.initializers.zeros, self.size)
        if not self.use_bias:
            return kernel, None
        return kernel, self.param("bias", nn.initializers.zeros, self.size[-1:])


class Inception(nn.Module):
    """The graph up to the last of the wanted taps.

    Attributes:
      taps: keys of TAPS.
    """

    taps: Sequence[str]

    @nn.compact
    def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
        """x [B, 299, 299, 3], bytes as (x − 128) / 128 → {tap: [B, width]}."""

        def layer(name, size, inputs, outputs):
            return Folded((*size, inputs, outputs), name=name)()

        found = {}
        for tap, value in activations(x, layer):
            if tap in self.taps:
                found[tap] = value if tap == "logits" else position_mean(value)
            if len(found) == len(set(self.taps)):
                return found
        kernel, _ = Folded((2048, NUM_CLASSES), use_bias=False, name="softmax")()
        found["logits"] = position_mean(value) @ kernel
        return found


def activations(x: jax.Array, layer: Layer) -> Iterator[tuple[str, jax.Array]]:
    """Yields (tap, its value [B, H, W, C]) down the graph, from the input of `Inception`."""
    x = conv(x, layer("conv", (3, 3), 3, 32), 2, "VALID")  # [B, 149, 149, 32]
    x = conv(x, layer("conv_1", (3, 3), 32, 32), 1, "VALID")
    x = conv(x, layer("conv_2", (3, 3), 32, 64))
    x = max_pool(x)  # [B, 73, 73, 64]
    yield "64", x
    x = conv(x, layer("conv_3", (1, 1), 64, 80), 1, "VALID")
    x = conv(x, layer("conv_4", (3, 3), 80, 192), 1, "VALID")
    x = max_pool(x)  # [B, 35, 35, 192]
    yield "192", x
    x = block_35(x, layer, "mixed", pool=32)
    x = block_35(x, layer, "mixed_1", pool=64)
    x = block_35(x, layer, "mixed_2", pool=64)  # [B, 35, 35, 288]
    x = reduction_35(x, layer, "mixed_3")  # [B, 17, 17, 768]
    for name, width in (("mixed_4", 128), ("mixed_5", 160), ("mixed_6", 160), ("mixed_7", 192)):
        x = block_17(x, layer, name, width)
    yield "768", x
    x = reduction_17(x, layer, "mixed_8")  # [B, 8, 8, 1280]
    yield "1280", x
    x = block_8(x, layer, "mixed_9", last=False)
    x = block_8(x, layer, "mixed_10", last=True)  # [B, 8, 8, 2048]
    yield "2048", x


def block_35(x: jax.Array, layer: Layer, name: str, pool: int) -> jax.Array:
    """mixed, mixed_1, mixed_2: 1×1, 5×5, two 3×3, pooled 1×1 → 224 + `pool` channels."""
    inputs = x.shape[-1]
    one, five, three, pooled = branches(
        x,
        layer(f"{name}_conv", (1, 1), inputs, 64),
        layer(f"{name}_tower_conv", (1, 1), inputs, 48),
        layer(f"{name}_tower_1_conv", (1, 1), inputs, 64),
        layer(f"{name}_tower_2_conv", (1, 1), inputs, pool),
        pooled=True,
    )
    five = conv(five, layer(f"{name}_tower_conv_1", (5, 5), 48, 64))
    three = conv(three, layer(f"{name}_tower_1_conv_1", (3, 3), 64, 96))
    three = conv(three, layer(f"{name}_tower_1_conv_2", (3, 3), 96, 96))
    return jnp.concatenate([one, five, three, pooled], axis=-1)


def reduction_35(x: jax.Array, layer: Layer, name: str) -> jax.Array:
    """mixed_3: 35×35 to 17×17 by strided 3×3, two 3×3 of which one strided, max pool."""
    inputs = x.shape[-1]
    one = conv(x, layer(f"{name}_conv", (3, 3), inputs, 384), 2, "VALID")
    (two,) = branches(x, layer(f"{name}_tower_conv", (1, 1), inputs, 64))
    two = conv(two, layer(f"{name}_tower_conv_1", (3, 3), 64, 96))
    two = conv(two, layer(f"{name}_tower_conv_2", (3, 3), 96, 96), 2, "VALID")
    return jnp.concatenate([one, two, max_pool(x)], axis=-1)


def block_17(x: jax.Array, layer: Layer, name: str, width: int) -> jax.Array:
    """mixed_4 to mixed_7: 1×1, 1×7 7×1, 7×1 1×7 twice, pooled 1×1 → 768 channels."""
    one, two, three, pooled = branches(
        x,
        layer(f"{name}_conv", (1, 1), 768, 192),
        layer(f"{name}_tower_conv", (1, 1), 768, width),
        layer(f"{name}_tower_1_conv", (1, 1), 768, width),
        layer(f"{name}_tower_2_conv", (1, 1), 768, 192),
        pooled=True,
    )
    two = conv(two, layer(f"{name}_tower_conv_1", (1, 7), width, width))
    two = conv(two, layer(f"{name}_tower_conv_2", (7, 1), width, 192))
    for i, outputs in enumerate((width, width, width, 192), start=1):
        size = (7, 1) if i % 2 else (1, 7)
        three = conv(three, layer(f"{name}_tower_1_conv_{i}", size, width, outputs))
    return jnp.concatenate([one, two, three, pooled], axis=-1)


def reduction_17(x: jax.Array, layer: Layer, name: str) -> jax.Array:
    """mixed_8: 17×17 to 8×8 by strided 3×3, 1×7 7×1 and strided 3×3, max pool."""
    one, two = branches(
        x,
        layer(f"{name}_tower_conv", (1, 1), 768, 192),
        layer(f"{name}_tower_1_conv", (1, 1), 768, 192),
    )
    one = conv(one, layer(f"{name}_tower_conv_1", (3, 3), 192, 320), 2, "VALID")
    two = conv(two, layer(f"{name}_tower_1_conv_1", (1, 7), 192, 192))
    two = conv(two, layer(f"{name}_tower_1_conv_2", (7, 1), 192, 192))
    two = conv(two, layer(f"{name}_tower_1_conv_3", (3, 3), 192, 192), 2, "VALID")
    return jnp.concatenate([one, two, max_pool(x)], axis=-1)


def block_8(x: jax.Array, layer: Layer, name: str, last: bool) -> jax.Array:
    """mixed_9 and mixed_10 (`last`): 1×1, split 3×3, 3×3 and split 3×3, pooled 1×1 → 2048.

    The pool is an average in mixed_9 and a maximum in mixed_10.
    """
    inputs = x.shape[-1]
    pool = layer(f"{name}_tower_2_conv", (1, 1), inputs, 192)
    one, two, three, *pooled = branches(
        x,
        layer(f"{name}_conv", (1, 1), inputs, 320),
        layer(f"{name}_tower_conv", (1, 1), inputs, 384),
        layer(f"{name}_tower_1_conv", (1, 1), inputs, 448),
        *([] if last else [pool]),
        pooled=not last,
    )
    if last:
        pooled = branches(max_pool_same(x), pool)
    three = conv(three, layer(f"{name}_tower_1_conv_1", (3, 3), 448, 384))
    parts = [one]
    for tower, value in (("tower", two), ("tower_1", three)):
        parts.append(conv(value, layer(f"{name}_{tower}_mixed_conv", (1, 3), 384, 384)))
        parts.append(conv(value, layer(f"{name}_{tower}_mixed_conv_1", (3, 1), 384, 384)))
    return jnp.concatenate([*parts, *pooled], axis=-1)


def shapes(taps: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """{`<layer>/kernel` or `<layer>/bias`: shape} of what the taps need."""
    return dict(_shapes(tuple(taps)))


@functools.cache  # tracing the whole network takes a second
def _shapes(taps):
    image = jax.ShapeDtypeStruct((1, SIDE, SIDE, 3), jnp.float32)
    tree = jax.eval_shape(Inception(taps).init, jax.random.key(0), image)["params"]
    return {f"{name}/{kind}": leaf.shape for name, of in tree.items() for kind, leaf in of.items()}
