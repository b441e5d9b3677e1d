"""Joint EBM on the deep model of `mnist_nvae`, sampled by class, stroke thickness and slant.

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/mnist_control.py --workdir runs/mnist_control \\
--config.train.first_stage=runs/mnist_nvae

50 minutes on one CPU core with task control alone. Right of 1 000 requests, seed 0: class 0.94,
thickness 0.94, slant 0.95, all together 0.79.
"""

from configs import base, mnist_two_stage, stages


def get_config(variant: str = "full"):
    c = mnist_two_stage.get_config()
    attributes = (("class", 10), ("thickness", 3), ("slant", 3))
    # Slant of the top layer, which knows most of it: it can be asked for while the rest stays.
    stages.control(c, attributes, layers=((), (), (3,)))
    c.coupling.weight = 10.0  # with 1 the energies' use of log Σ_y exp F_a costs p(y|z) accuracy
    c.coupling.labels = "decoded"  # a reconstruction's thickness is in another third in 9 %
    # Steps that shrink let a chain settle where all that is asked for is so.
    c.eval.request_steps = ((45, 1.0), (45, 0.5), (15, 1 / 6))
    c.eval.guidance = 10.0
    c.train.warmup_steps = 10_000  # log p(y|z) alone, without chains
    c.train.num_steps += c.train.warmup_steps
    c.optim.coupling.cosine_decay_steps = c.train.num_steps
    return base.finish(c, variant)
