"""Hat EBM that refines an SN-GAN, with the paper's settings on CIFAR-10 (NeurIPS 2022).

python -m ebm_jax.main --config configs/cifar10_refine.py --workdir runs/cifar10_refine \\
--config.train.first_stage=runs/cifar10_sngan

Not run here. The paper reports FID 18.58 → 14.04 ± 0.11.
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.refinement(32, 3)
    c.data.name = "cifar10"
    c.eval.num_samples = 50_000
    c.eval.tasks = ("fid", "residual", "chains", "refinement")
    return hats.finish(c, variant)
