"""Diffusion EBM on the deep model of `cifar10_nvae`, with the paper's settings (ICML 2024).

python -m ebm_jax.main --config configs/cifar10_diffusion.py --workdir runs/cifar10_diffusion \\
--config.train.first_stage=runs/cifar10_nvae

Not run here. The paper reports FID 8.93 with T = 3, 11.34 for the joint EBM and 37.73 without
energies. It does not say how long it trains.
"""

from configs import base, cifar10_nvae, stages


def get_config(variant: str = "full"):
    c = cifar10_nvae.get_config()
    stages.papers_diffusion(c, batch_size=50, chain=50, scale=3e-5, num_steps=50_000)
    return base.finish(c, variant)
