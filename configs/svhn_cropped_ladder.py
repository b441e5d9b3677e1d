"""Ladder model, five layers, with the paper's nets and hyper-parameters on SVHN (ICCV 2023).

python -m ebm_jax.main --config configs/svhn_cropped_ladder.py --workdir runs/svhn_cropped_ladder

Not run here. The paper reports FID 24.16 and MSE 0.008. `svhn_cropped_ladder4` has its four-layer
nets.
"""

from configs import base, ladders


def get_config(variant: str = "full"):
    c = base.get_config()
    c.data.name = "svhn_cropped"
    c.data.image_size = 32
    c.data.channels = 3
    ladders.learning(c, precision=10)
    ladders.five_layers(c)
    c.train.num_steps = 200 * 73_257 // c.data.batch_size  # 200 epochs
    c.train.log_every = 100
    c.train.checkpoint_every = 1_000
    c.train.image_every = 1_000
    c.eval.num_samples = 50_000
    c.eval.tasks = ("chains", "reconstruction")
    c = base.finish(c, variant)
    if variant == "quick":  # 100 times the nets of the other configs
        c.data.batch_size = 4
        c.eval.num_reconstructions = 20
        c.eval.batch_size = 20
        c.train.num_steps = 20
    return c
