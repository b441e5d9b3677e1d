"""Diffusion EBM, T = 3, on the deep model of `fashion_mnist_nvae` (ICML 2024).

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/fashion_mnist_diffusion.py \\
--workdir runs/fashion_mnist_diffusion --config.train.first_stage=runs/fashion_mnist_nvae

Not run yet with these settings. After 1 000 updates at a rate of 3e-4, with energies twice as wide,
fd_classifier of 10 000 samples, seed 0, was 13.9, and 41.7 without energy.
"""

from configs import base, fashion_mnist_nvae, stages


def get_config(variant: str = "full"):
    c = fashion_mnist_nvae.get_config()
    stages.diffusion_on_small_images(c)
    stages.against_mnist(c)
    return base.finish(c, variant)
