"""Hat EBM that refines an SN-GAN, with the paper's settings on CelebA 64 (NeurIPS 2022).

python -m ebm_jax.main --config configs/celeb_a_refine.py --workdir runs/celeb_a_refine \\
--config.train.first_stage=runs/celeb_a_sngan

Not run here. The paper reports FID 6.13 → 5.98 ± 0.02.
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.refinement(64, 3)
    hats.on_celeb_a(c)
    c.hat.temperature = 1e-6
    c.hat.eval_tau = 0.0
    c.sampler.prior.num_steps = 100
    c.eval.prior_steps = 125
    c.eval.tasks += ("refinement",)
    return hats.finish(c, variant)
