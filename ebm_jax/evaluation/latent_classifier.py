"""Task `latent_classifier`: how much of the class is in each layer of the latents?

A small classifier (two linear layers, hidden 256; ICCV 2023) of every layer's z, trained on the
training split and tested on the evaluation split.
"""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ebm_jax.errors import ConfigError
from ebm_jax.evaluation.context import Context
from ebm_jax.evaluation.latents import flat, inferred
from ebm_jax.evaluation.wording import posterior_words, weights_words

_HIDDEN = 256
_EPOCHS = 30


def run(context: Context) -> dict:
    """Accuracy on the evaluation split from each layer, and from all of them.

    Raises:
      ConfigError: the images have no labels of two classes.
    """
    if context.train_set.num_classes < 2:
        raise ConfigError(
            f"task latent_classifier needs labels, but '{context.train_set.name}' has "
            f"{context.train_set.num_classes} classes; leave it out of eval.tasks."
        )
    counts = context.config.eval.classifier_images, None
    sides = list(zip((context.train_set, context.eval_set), counts, strict=True))
    train, test = (
        flat(inferred(context, side, f"latent_classifier/{side.split}", count))
        for side, count in sides
    )
    labels = [side.labels[:count] for side, count in sides]
    layers = {f"layer_{i + 1}": (a, b) for i, (a, b) in enumerate(zip(train, test, strict=True))}
    if len(layers) > 1:
        layers["all_layers"] = tuple(np.concatenate(side, axis=1) for side in (train, test))
    accuracy = {}
    for name, (inputs, held_out) in layers.items():
        context.poll()
        classifier = make_pipeline(
            StandardScaler(),
            MLPClassifier(
                (_HIDDEN,),
                batch_size=min(256, len(inputs)),
                max_iter=_EPOCHS,
                n_iter_no_change=_EPOCHS,  # as many epochs on every layer
                random_state=context.config.seed,
            ),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the epochs are fixed on purpose
            classifier.fit(inputs, labels[0])
        accuracy[name] = float(classifier.score(held_out, labels[1]))
    return {
        "metric": "accuracy",
        "results": accuracy,
        "num_samples": len(labels[1]),
        "num_training": len(labels[0]),
        "protocol": (
            f"two linear layers, hidden {_HIDDEN}, {_EPOCHS} epochs of Adam on one draw per image, "
            f"{posterior_words(context.config)}; trained on {len(labels[0])} images of split "
            f"{context.train_set.split}, accuracy on {len(labels[1])} of split "
            f"{context.eval_set.split}; layer 1 is next to the image; "
            f"{weights_words(context.config)}"
        ),
    }
