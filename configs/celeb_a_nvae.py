"""Deep hierarchical VAE with the paper's 3 scales of 5 groups for 64 pixels, on CelebA.

python -m ebm_jax.main --config configs/celeb_a_nvae.py --workdir runs/celeb_a_nvae

Not run here.
"""

from configs import nvaes


def get_config(variant: str = "full"):
    c = nvaes.nvae(
        *("celeb_a", 64, 3),
        scales=(5, 5, 5),
        latent_side=32,
        latent_channels=20,
        width=64,
        cells=2,
        num_steps=100_000,
    )
    nvaes.on_photographs(c, batch_size=128, spectral_weight=1e-1)
    c.data.crop = 148
    return nvaes.finish(c, variant)
