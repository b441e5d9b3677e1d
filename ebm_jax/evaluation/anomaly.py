"""Task `anomaly`: is a class that the model was trained without found in the test split?

Train with `data.held_out_class`, test on the evaluation split at its natural prevalence; the score
is −log p(x, z) un-normalised (LEBM, Pang et al., NeurIPS 2020; CVPR 2023). The papers give mean and
standard deviation over the last ten evaluations of training: `eval.last_checkpoints = 10`.
"""

import numpy as np

from ebm_jax.errors import ConfigError
from ebm_jax.evaluation import shards
from ebm_jax.evaluation.context import Context, last_checkpoints
from ebm_jax.evaluation.detection import auprc, measure
from ebm_jax.evaluation.scoring import draws_words, score_terms, scored, total
from ebm_jax.evaluation.wording import weights_words
from ebm_jax.reporting.charts import plot_precision_recall
from ebm_jax.reporting.curves import plot_histograms

_TRAINING_IMAGES = 2_000


def run(context: Context) -> dict:
    """AUROC and AUPRC of the held-out class on the evaluation split."""
    config = context.config
    held_out = config.data.held_out_class
    (examples,) = scored(context, context.eval_set)
    count = len(examples)
    labels = (context.eval_set.labels[examples] == held_out).astype(np.int64)
    if labels.min() == labels.max():
        raise ConfigError(
            f"The {count} examples scored of {context.eval_set.name} {context.eval_set.split} hold "
            f"{labels.sum()} of the held-out class {held_out}; raise eval.num_detection."
        )
    trained_on = _some(context.train_set.num_examples)

    def scores_at(at):
        terms = score_terms(at, "anomaly", context.eval_set, "test", examples)
        usual = score_terms(at, "anomaly", context.train_set, "train", trained_on)
        return _scores(terms, usual, at.method.has_energy)

    by_step = {
        at.step: scores_at(at)
        for at in list(last_checkpoints(context, config.eval.last_checkpoints))  # all or none
    }
    scores = by_step[context.step]
    found = {
        name: measure(values, labels, num_resamples=config.eval.bootstrap, seed=config.seed)
        for name, values in scores.items()
    }
    checkpoints = {
        name: {step: auprc(at[name], labels) for step, at in by_step.items()} for name in scores
    }
    _draw(context, scores["log_joint"], scores, found, labels)
    shards.remove(context, "anomaly")
    prevalence = float(labels.mean())
    return {
        "metric": "auprc",
        "results": {name: float(np.mean(list(at.values()))) for name, at in checkpoints.items()},
        "over_checkpoints": {name: _spread(values) for name, values in checkpoints.items()},
        "auroc": found["log_joint"]["auroc"],
        "detection": found,
        "held_out_class": held_out,
        "prevalence": prevalence,
        "worst_auprc": worst_auprc(int(labels.sum()), count),
        "num_samples": count,
        "num_anomalies": int(labels.sum()),
        "num_trained_on": context.train_set.num_examples,
        "protocol": (
            f"trained without one class; {count} images of split {context.eval_set.split}, the "
            "class among them as often as it is; "
            + ", ".join(f"{name}: {_WORDS[name]}" for name in scores)
            + ", un-normalised, higher = more anomalous; "
            f"{draws_words(context)}; average precision, mean of the last "
            f"{len(by_step)} checkpoints; 95 % intervals of the last one by "
            f"{config.eval.bootstrap} stratified bootstrap resamples (of the test images, not of "
            f"training); {weights_words(config)}"
        ),
        "figures": {
            "anomaly_scores.png": "−log p(x, z) of the test images, un-normalised; the outermost "
            "half per cent on either side is not drawn.",
            "anomaly_precision_recall.png": "Precision and recall of the held-out class for the "
            "whole score and for its parts; the dotted line is chance.",
        },
    }


def _spread(by_step: dict[int, float]) -> dict:
    """Mean and standard deviation of the checkpoints' average precision, and each of them."""
    values = list(by_step.values())
    return {
        "auprc": float(np.mean(values)),
        "std": float(np.std(values, ddof=1)) if len(values) > 1 else None,
        "checkpoints": {str(step): value for step, value in sorted(by_step.items())},
    }


def worst_auprc(positives: int, count: int) -> float:
    """Average precision when every anomaly ranks below every normal example."""
    places = np.arange(1, positives + 1)
    return float(np.mean(places / (count - positives + places)))


def _some(count: int) -> np.ndarray:
    """Training images by which parts are standardised: always the same, drawn at random."""
    return np.sort(np.random.default_rng(0).permutation(count)[:_TRAINING_IMAGES])


def _scores(
    terms: dict[str, np.ndarray], usual: dict[str, np.ndarray], has_energy: bool
) -> dict[str, np.ndarray]:
    """The score and, where the method tells its terms, its parts; higher = more anomalous.

    Args:
      terms: of the examples.
      usual: of training images.
      has_energy: whether the terms have a learned energy.
    """
    scores = {"log_joint": -total(terms)}
    if "likelihood" in terms:
        scores["likelihood"] = -terms["likelihood"]
        scores["latents"] = -sum(v for name, v in terms.items() if name != "likelihood")
        if has_energy:
            scores["energy"] = -terms["energy"]
            scores["standardised"] = -sum(
                (terms[name] - usual[name].mean()) / max(usual[name].std(), 1e-12)
                for name in ("likelihood", "energy")
            )
    return scores


_WORDS = {
    "log_joint": "−log p(x, z)",
    "likelihood": "−log p(x | z)",
    "latents": "−log p(z)",
    "energy": "−F(z)",
    "standardised": "−log p(x | z) − F(z), each in standard deviations of training images",
}


def _draw(context, score, scores, found, labels):
    held_out = context.config.data.held_out_class
    plot_histograms(
        context.folder / "anomaly_scores.png",
        {"trained classes": score[labels == 0], f"held-out class {held_out}": score[labels == 1]},
        xlabel="−log p(x, z), un-normalised",
        central=0.99,
    )
    plot_precision_recall(
        context.folder / "anomaly_precision_recall.png",
        {
            f"{_WORDS[name]}: {found[name]['auprc']:.3f}": (labels, values)
            for name, values in scores.items()
        },
    )
