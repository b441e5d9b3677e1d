"""Hat EBM that makes a sampler of the autoencoder of `mnist_autoencoder` (NeurIPS 2022).

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/mnist_retrofit.py --workdir runs/mnist_retrofit \\
--config.train.first_stage=runs/mnist_autoencoder

An hour on one CPU core. fd_classifier 255.7 ± 0.9 before and 41.7 ± 1.7 after the chain (3 sets of
2 000 samples of one model, seed 0).
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.retrofit(28, 1)
    hats.on_grey(c, "mnist")
    return hats.finish(c, variant)
