"""Deep hierarchical VAE, three groups of two scales, on scikit-learn's 8×8 digits.

python -m ebm_jax.main --config configs/digits_nvae.py --workdir runs/digits_nvae

19 minutes on one CPU core, shared. fd_classifier, seed 0: 1.86 for samples of its Gaussian prior,
0.20 for reconstructions.
"""

from configs import nvaes


def get_config(variant: str = "full"):
    c = nvaes.nvae(
        *("digits", 8, 1),
        scales=(2, 1),
        latent_side=4,
        latent_channels=2,
        width=16,
        cells=1,
        num_steps=4000,
    )
    return nvaes.finish(c, variant)
