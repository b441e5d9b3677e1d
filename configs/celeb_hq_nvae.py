"""Deep hierarchical VAE with 20 groups of 5 scales, on CelebA-HQ 256.

python -m ebm_jax.main --config configs/celeb_hq_nvae.py --workdir runs/celeb_hq_nvae

Not run here. The papers report FID 30.25 for samples and 1.64 for reconstructions.
"""

from configs import nvaes


def get_config(variant: str = "full"):
    c = nvaes.nvae(
        *("celeb_a_hq/256", 256, 3),
        scales=(4, 4, 4, 4, 4),
        latent_side=128,
        latent_channels=20,
        width=30,
        cells=2,
        num_steps=150_000,
    )
    nvaes.on_photographs(c, batch_size=32, spectral_weight=1e-2)
    return nvaes.finish(c, variant)
