"""Hat EBM, synthesis, narrow nets, on photographs of buildings, 64 pixels (NeurIPS 2022).

TFDS_DATA_DIR=… EBM_JAX_INCEPTION=… \\
python -m ebm_jax.main --config configs/architecture64_hat.py --workdir runs/architecture64_hat

116 minutes on one CPU core, shared in the first 200 steps. FID of 768 features, 1 000 samples,
seed 0: 2.39 for G(z), 1.97 for G(z) + y; recall is 0.0: colours, edges and grain alone.
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.synthesis(64, 3)
    hats.on_colour(c, "architecture64", "cifar10_jpeg75")
    # A quarter of the images that cifar10_jpeg75_hat sees, at four times the work each.
    c.data.batch_size, c.train.num_steps = 32, 1_500
    c.train.checkpoint_every = c.train.image_every = 375
    c.train.keep_checkpoints = c.eval.last_checkpoints = 1
    c.eval.ood_data = None
    c.eval.tasks = ("fid", "residual")  # the others' chains take hours
    return hats.finish(c, variant)
