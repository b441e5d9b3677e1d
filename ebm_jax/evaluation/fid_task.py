"""Task `fid`: the three image sets of `generation` in Inception's features."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from ebm_jax import data
from ebm_jax.errors import ConfigError
from ebm_jax.evaluation import shards
from ebm_jax.evaluation.context import Context
from ebm_jax.evaluation.fid_protocol import WIDTHS, check_count, fid, metric_name, protocol, short
from ebm_jax.evaluation.frechet import accumulate, empty_accumulator, finalize
from ebm_jax.evaluation.generation import (
    KINDS,
    Seen,
    image_sets,
    restored_count,
    restored_words,
    save_shown,
    set_features,
    set_words,
)
from ebm_jax.evaluation.inception import open_extractor
from ebm_jax.evaluation.inception.resizing import check_resize
from ebm_jax.evaluation.inception.weights import has_taps, load_weights
from ebm_jax.evaluation.inception_score import SPLITS, inception_score
from ebm_jax.evaluation.kid import SUBSET_SIZE, SUBSETS, kid
from ebm_jax.evaluation.precision_recall import NEIGHBOURS, precision_recall
from ebm_jax.evaluation.reference import KEPT_ROWS, reference_of
from ebm_jax.evaluation.statistics import Statistics


def check(config: Any, dataset: Any) -> None:
    """What the task needs, before anything long runs.

    Args:
      config: the experiment's.
      dataset: its training images.

    Raises:
      ConfigError: settings that do not fit, or fewer images than features + 1.
      DataError: no weights, or weights without what `eval.fid_features` needs.
    """
    features = str(config.eval.fid_features)
    if features not in WIDTHS:
        raise ConfigError(f"eval.fid_features is {features}; use one of: {', '.join(WIDTHS)}.")
    check_resize(config.eval.fid_resize)
    total = dataset.num_examples
    check_count(config.eval.num_samples, int(features), "samples (eval.num_samples)")
    used = min(config.eval.fid_reference or total, config.eval.num_samples, total)
    check_count(used, int(features), "training images and reconstructions of them")
    load_weights([features])


def run(context: Context) -> dict:
    """FID, KID, precision, recall and, where the weights have the logits, the inception score."""
    cfg = context.config.eval
    features = str(cfg.fid_features)
    sets = image_sets(context)
    total, used = counts(context)
    taps = [features, "logits"] if has_taps(["logits"]) else [features]
    extractor = open_extractor(taps, cfg.fid_resize)
    # By the features' layers alone, so that any file with these finds the same reference.
    judge = open_extractor([features], cfg.fid_resize)
    reference = reference_of(context, judge, features, cfg.fid_reference)

    def extract(images):
        return extractor(data.to_uint8(np.nan_to_num(images), context.config.data.range))

    measured: dict[str, dict[str, Any]] = {}
    figures: dict[str, str] = {}
    for kind, images in sets.items():
        seen = Seen()
        chunks = set_features(
            context, "fid", kind, images, extract, network=extractor.fingerprint, taps=taps
        )
        found = _measure(seen.of(chunks), features, reference)
        measured[kind] = found if seen.finite else dict.fromkeys(found, float("nan"))
        figures |= save_shown(context, "fid", kind, seen.images, f"{measured[kind]['fid']:.2f}")
    shards.remove(context, "fid")
    rows = min(len(reference.features), cfg.num_samples)
    return {
        **{kind: measured[kind]["fid"] if kind in measured else None for kind in KINDS},
        **_by_measure(measured),
        "metric": name_of(context),
        "num_samples": cfg.num_samples,
        "num_reconstructions": restored_count(sets),
        "num_reference": used,
        "weights": judge.fingerprint,
        "protocol": (
            f"{protocol(features, cfg.fid_resize, judge.fingerprint)}; {cfg.num_samples} "
            f"samples{restored_words(sets)} against "
            f"{used} of {total} images of split {context.train_set.split}, "
            f"{set_words(context, sets)}; KID and precision and recall in the first {rows} "
            f"features of each set (KID: mean of {SUBSETS} subsets of {SUBSET_SIZE}, or of all at "
            f"once where there are fewer; not unbiased for reconstructions, which are made of "
            f"reference images; k = {NEIGHBOURS} neighbours)"
        ),
        "figures": figures,
    }


def name_of(context: Context) -> str:
    """What the number may be called, e.g. `fid50k_train_clean`."""
    cfg = context.config.eval
    total, used = counts(context)
    split = context.train_set.split if used == total else f"{context.train_set.split}{short(used)}"
    return metric_name(str(cfg.fid_features), cfg.num_samples, cfg.fid_resize, split)


def counts(context: Context) -> tuple[int, int]:
    """(training images, how many of them are the reference)."""
    total = context.train_set.num_examples
    return total, min(context.config.eval.fid_reference or total, total)


def _measure(
    chunks: Iterable[dict[str, np.ndarray]], features: str, reference: Statistics
) -> dict[str, Any]:
    """All numbers of one set, whose features pass by in chunks."""
    accumulator = empty_accumulator(int(features))
    kept, logits = [], []
    for chunk in chunks:
        accumulator = accumulate(accumulator, chunk[features])
        kept.append(chunk[features][: max(KEPT_ROWS - sum(map(len, kept)), 0)])
        if "logits" in chunk:
            logits.append(chunk["logits"])
    rows = np.concatenate(kept)
    size = min(len(rows), len(reference.features))
    rows, real = rows[:size], reference.features[:size]
    found: dict[str, Any] = {"fid": fid(finalize(accumulator), reference.moments)}
    found["kid"], found["kid_std"] = kid(rows, real)
    found["precision"], found["recall"] = precision_recall(real, rows)
    if logits:
        score = inception_score(np.concatenate(logits), SPLITS)
        found["inception_score"], found["inception_score_std"] = score
    return found


def _by_measure(measured: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """{measure: {kind: number}} of everything but FID, which stands at the top."""
    names = [name for name in next(iter(measured.values())) if name != "fid"]
    return {name: {kind: found[name] for kind, found in measured.items()} for name in names}
