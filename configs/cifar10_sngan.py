"""SN-GAN with the paper's nets and settings on CIFAR-10: the first stage of `cifar10_refine`.

python -m ebm_jax.main --config configs/cifar10_sngan.py --workdir runs/cifar10_sngan

Not run here. The paper reports FID 18.58 ± 0.08.
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.sngan(32, 3)
    c.data.name = "cifar10"
    c.eval.num_samples = 50_000
    c.eval.tasks = ("fid",)
    return hats.finish(c, variant)
