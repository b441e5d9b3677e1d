"""Diffusion EBM on the deep model of `celeb_hq_nvae`, with the paper's settings (ICML 2024).

python -m ebm_jax.main --config configs/celeb_hq_diffusion.py --workdir runs/celeb_hq_diffusion \\
--config.train.first_stage=runs/celeb_hq_nvae

Not run here. The paper reports FID 8.78 with T = 3. It does not say how long it trains.
"""

from configs import base, celeb_hq_nvae, stages


def get_config(variant: str = "full"):
    c = celeb_hq_nvae.get_config()
    stages.papers_diffusion(c, batch_size=4, chain=30, scale=2e-5, num_steps=50_000)
    return base.finish(c, variant)
