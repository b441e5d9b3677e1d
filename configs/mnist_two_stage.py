"""Joint EBM prior on the deep model of `mnist_nvae` (CVPR 2023, two stages).

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/mnist_two_stage.py --workdir runs/mnist_two_stage \\
--config.train.first_stage=runs/mnist_nvae

Not run yet.
"""

from configs import base, mnist_nvae, stages


def get_config(variant: str = "full"):
    c = mnist_nvae.get_config()
    stages.joint(c)
    c.sampler.prior.num_steps = 90  # as many as the diffusion's 3 × 30
    c.train.num_steps = 1_500
    return base.finish(c, variant)
