"""Hat EBM on an autoencoder's decoder, with the paper's settings on CIFAR-10 (NeurIPS 2022).

python -m ebm_jax.main --config configs/cifar10_retrofit.py --workdir runs/cifar10_retrofit \\
--config.train.first_stage=runs/cifar10_autoencoder

Not run here. The paper reports FID 26.01.
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.retrofit(32, 3)
    c.data.name = "cifar10"
    c.eval.num_samples = 50_000
    c.eval.tasks = ("fid", "residual", "chains", "refinement")
    return hats.finish(c, variant)
