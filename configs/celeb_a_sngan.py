"""SN-GAN with the paper's nets and settings on CelebA 64: the first stage of `celeb_a_refine`.

python -m ebm_jax.main --config configs/celeb_a_sngan.py --workdir runs/celeb_a_sngan

Not run here. The paper reports FID 6.13 ± 0.03.
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.sngan(64, 3)
    hats.on_celeb_a(c)
    c.eval.tasks = ("fid",)
    return hats.finish(c, variant)
