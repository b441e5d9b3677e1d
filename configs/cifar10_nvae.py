"""Deep hierarchical VAE with the paper's 30 groups at 16 × 16, on CIFAR-10: a first stage.

python -m ebm_jax.main --config configs/cifar10_nvae.py --workdir runs/cifar10_nvae

Not run here. The papers report FID 37.73 for samples and 0.68 for reconstructions.
"""

from configs import nvaes


def get_config(variant: str = "full"):
    c = nvaes.nvae(
        *("cifar10", 32, 3),
        scales=(30,),
        latent_side=16,
        latent_channels=20,
        width=128,
        cells=2,
        num_steps=78_000,
    )
    nvaes.on_photographs(c, batch_size=256, spectral_weight=1e-1)
    return nvaes.finish(c, variant)
