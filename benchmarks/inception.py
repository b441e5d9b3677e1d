"""Suite `inception`: features for FID beside the machine's matrix products."""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.report import Row
from benchmarks.timing import interleaved
from ebm_jax.evaluation.inception.extraction import to_input
from ebm_jax.evaluation.inception.network import SIDE, Inception

_PRODUCT = 2048  # rows and columns of the product that stands for the peak


def run(repeats: int, batch: int = 16) -> list[Row]:
    """The share of the peak that 768-d and 2048-d features of 32-pixel images reach."""
    return [_row(tap, batch, max(3, repeats // 3)) for tap in ("768", "2048")]


def _row(tap, batch, repeats):
    network = Inception((tap,))
    shapes = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((1, SIDE, SIDE, 3)))
    params = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 1e-3, leaf.dtype), shapes)
    images = np.random.default_rng(0).integers(0, 256, (batch, 32, 32, 3), dtype=np.uint8)

    def features(params, images):
        with jax.default_matmul_precision("highest"):  # as the extractor
            return network.apply(params, to_input(images, "clean"))

    compiled = jax.jit(features).lower(params, images).compile()
    work = compiled.cost_analysis()["flops"]
    matrix = jnp.ones((_PRODUCT, _PRODUCT))
    product = jax.jit(lambda a: jnp.matmul(a, a, precision="highest"))
    count = max(1, round(work / (2 * _PRODUCT**3)))  # about as long as the features

    def products():
        for _ in range(count):
            found = product(matrix)
        return found

    calls = {"ours": lambda: compiled(params, images), "matmul": products}
    times = interleaved(calls, repeats)
    return Row(
        work=f"Inception features of width {tap}, resizing included",
        batch=batch,
        against="–",
        ours_s=times.median("ours"),
        peak_fraction=times.ratio("matmul", "ours") * work / (count * 2 * _PRODUCT**3),
        peak_goal=0.6,
    )
