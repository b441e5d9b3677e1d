"""Hat EBM, synthesis, with the paper's nets on ImageNet 128 (NeurIPS 2022).

python -m ebm_jax.main --config configs/imagenet_hat.py --workdir runs/imagenet_hat

Not run here. The paper reports FID 40.24 ± 0.18; its code also halves the generator's rate,
lowers both rates at 230 000 and 260 000 steps and crops at random, which is left out here.
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.synthesis(128, 3)
    hats.on_imagenet(c)
    return hats.finish(c, variant)
