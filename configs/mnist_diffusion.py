"""Diffusion EBM, T = 3, on the deep model of `mnist_nvae` (ICML 2024).

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/mnist_diffusion.py --workdir runs/mnist_diffusion \\
--config.train.first_stage=runs/mnist_nvae

20 minutes on one CPU core. fd_classifier of 10 000 samples, over three seeds: 14.0 ± 0.4, and 41.7
without energy; the joint EBM of `mnist_two_stage` has 15.9 ± 0.3.
"""

from configs import base, mnist_nvae, stages


def get_config(variant: str = "full"):
    c = mnist_nvae.get_config()
    stages.diffusion_on_small_images(c)
    return base.finish(c, variant)
