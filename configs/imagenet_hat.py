"""Hat EBM, synthesis, with the paper's nets and settings on ImageNet 128 (NeurIPS 2022).

python -m ebm_jax.main --config configs/imagenet_hat.py --workdir runs/imagenet_hat

Not run here. The paper reports FID 40.24 ± 0.18.
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.synthesis(128, 3)
    hats.on_imagenet(c)
    return hats.finish(c, variant)
