"""Joint EBM prior on the deep model of `cifar10_nvae`, with the paper's settings (CVPR 2023).

python -m ebm_jax.main --config configs/cifar10_two_stage.py --workdir runs/cifar10_two_stage \\
--config.train.first_stage=runs/cifar10_nvae

Not run here. The paper reports FID 11.34, and 37.73 without energies.
"""

from configs import base, cifar10_nvae, stages


def get_config(variant: str = "full"):
    c = cifar10_nvae.get_config()
    stages.papers_joint(
        c, batch_size=64, learning_rate=1e-4, chain=(20, 40), variance=4e-5, num_steps=5_000
    )
    return base.finish(c, variant)
