"""What the four models compared on equal terms share: a VAE, LEBM, papers 1 and 2.

The same number of latents, of parameters (± 1 %) and, by their numbers of steps, of minutes; the
same likelihood, batch, Langevin chains and learning rates of the generator and of q. On MNIST and
Fashion-MNIST 12 latents, 0.61 million parameters and three to four minutes of one CPU core (with
another run beside it); on CIFAR-10 64 latents, 3.77 million and 9 to 12 minutes. The VAE, whose
steps are cheaper, takes more of them. All learn q beside the generator: posterior chains
(`mnist_lebm`) would leave LEBM a fraction of the steps.
"""

from configs import mnist_joint, mnist_ladder


def joint(*, latent_sizes: tuple[int, ...], width: int, warmup_steps: int, num_steps: int):
    """A model of paper 1 as it is compared; one layer is LEBM.

    Args:
      latent_sizes: bottom first.
      width: of both layers of generator and inference net.
      warmup_steps: without energies, at the higher learning rate.
      num_steps: of training, the warm-up included.

    Returns:
      The config; the VAE leaves the energies out.
    """
    c = mnist_joint.get_config()
    c.data.batch_size = 100
    c.model.latent_sizes = latent_sizes
    c.model.generator.hidden = c.model.inference.hidden = (width, width)
    return _compared(c, warmup_steps, num_steps)


def ladder(*, warmup_steps: int, num_steps: int):
    """The model of paper 2 as it is compared.

    Args:
      warmup_steps: without energies, at the higher learning rate.
      num_steps: of training, the warm-up included.

    Returns:
      The config.
    """
    return _compared(mnist_ladder.get_config(), warmup_steps, num_steps)


def _compared(c, warmup_steps, num_steps):
    c.train.warmup_steps, c.train.num_steps = warmup_steps, num_steps
    c.train.checkpoint_every = 250
    c.train.keep_checkpoints = c.eval.last_checkpoints = 10  # task `anomaly`: over the last ten
    c.eval.tasks = ("fd_classifier", "reconstruction")
    return c


def on_cifar10_jpeg75(
    c,
    *,
    latent_sizes: tuple[int, ...],
    hidden: tuple[int, ...],
    warmup_steps: int,
    num_steps: int,
) -> None:
    """CIFAR-10 as JPEG files of quality 75, with `fid` of 768 features and `ood`.

    The first gradients, of 3 072 pixels, are a thousand times the later ones. They are clipped, so
    that Adam does not remember them, and `max_grad_norm` lets them pass.

    Args:
      c: one of the models compared.
      latent_sizes: 64 in all, bottom first.
      hidden: widths of generator and inference net.
      warmup_steps: without energies, at the higher learning rate.
      num_steps: of training, the warm-up included.
    """
    c.train.warmup_steps, c.train.num_steps = warmup_steps, num_steps
    c.stability.max_grad_norm = 1e9  # the energies' own limit is `max_energy`
    for group in ("generator", "inference", "prior"):
        c.optim[group].clip_norm = 1e4
    c.data.name = "cifar10_jpeg75"
    c.data.image_size, c.data.channels = 32, 3
    c.model.latent_sizes = latent_sizes
    c.model.generator.hidden = c.model.inference.hidden = hidden
    c.eval.fid_features = 768
    c.eval.num_samples = c.eval.fid_reference = 1_000
    c.eval.batch_size = 500
    c.eval.ood_data = ("architecture64", "noise")
    c.eval.tasks = ("fid", "reconstruction", "ood")
