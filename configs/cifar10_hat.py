"""Hat EBM, synthesis, with the paper's nets and settings on CIFAR-10 (NeurIPS 2022).

python -m ebm_jax.main --config configs/cifar10_hat.py --workdir runs/cifar10_hat

Not run here. The paper reports FID 19.30 ± 0.15.
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.synthesis(32, 3)
    c.data.name = "cifar10"
    c.eval.prior_steps = 125
    c.eval.num_samples = 50_000
    c.eval.tasks = ("fid", "residual", "chains")
    return hats.finish(c, variant)
