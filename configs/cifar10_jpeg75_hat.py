"""Hat EBM, synthesis, narrow nets, on CIFAR-10 as JPEG files of quality 75 (NeurIPS 2022).

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/cifar10_jpeg75_hat.py --workdir runs/cifar10_jpeg75_hat

77 minutes on one CPU core, and 21 for the evaluation. FID of 768 features and 1 000 samples 1.34
for G(z) and 1.05 for G(z) + y; as a detector of other images H is worse than chance (one model,
seed 0).
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.synthesis(32, 3)
    hats.on_colour(c, "cifar10_jpeg75", "architecture64")
    return hats.finish(c, variant)
