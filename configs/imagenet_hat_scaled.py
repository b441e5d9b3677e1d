"""Hat EBM, synthesis, on ImageNet 128, nets of twice the width (NeurIPS 2022).

python -m ebm_jax.main --config configs/imagenet_hat_scaled.py --workdir runs/imagenet_hat_scaled

Not run here. The paper reports FID 29.37 ± 0.15 for a model of twice the channels; see
`imagenet_hat` for what is left out.
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.synthesis(128, 3)
    hats.on_imagenet(c)
    for part in (c.model.generator, c.model.energy):
        part.hidden = tuple(2 * width for width in part.hidden)
    return hats.finish(c, variant)
