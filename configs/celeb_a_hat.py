"""Hat EBM, synthesis, with the paper's nets and settings on CelebA 64 (NeurIPS 2022).

python -m ebm_jax.main --config configs/celeb_a_hat.py --workdir runs/celeb_a_hat

Not run here. The paper reports FID 11.57 ± 0.04.
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.synthesis(64, 3)
    hats.on_celeb_a(c)
    c.eval.prior_steps = 100
    return hats.finish(c, variant)
