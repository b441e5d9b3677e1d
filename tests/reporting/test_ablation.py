"""Ablations: means over seeds, gaps where all runs diverged, and the files a reader opens."""

import json

import pytest

from ebm_jax.errors import ConfigError
from ebm_jax.reporting.ablation import write_ablation


@pytest.fixture
def runs(tmp_path, fake):
    """(value, workdir, diverged) for two values and two seeds, and a baseline without energy."""
    found = []
    for value, ebm in ((None, None), ("15", 8.0), ("30", 6.0)):
        for seed in (0, 1):
            workdir = tmp_path / f"{value}_{seed}"
            result = fake.evaluation(ebm_prior=ebm and ebm + seed, gaussian_prior=20.0)
            fake.make_run(workdir, fake.config(seed), result, minutes=2.0)
            found.append((value, workdir, False))
    return found


def test_means_table_and_plot(tmp_path, runs):
    table, plot = write_ablation(tmp_path, "sampler.prior.num_steps", "fd_classifier", runs)
    assert table.read_text().splitlines() == [
        "| sampler.prior.num_steps | Gaussian prior (fd_classifier) | EBM prior (fd_classifier) "
        "| Minutes | Diverged |",
        "|:--|--:|--:|--:|--:|",
        "| baseline | 20.00 ± 0 (2 seeds) | – | 2 | – |",
        "| `15` | 20.00 ± 0 (2 seeds) | 8.50 ± 0.71 (2 seeds) | 2 | – |",
        "| `30` | 20.00 ± 0 (2 seeds) | 6.50 ± 0.71 (2 seeds) | 2 | – |",
        "",
        "Lower is better (fd_classifier).",
    ]
    assert plot.read_bytes()[:4] == b"\x89PNG" and plot.with_suffix(".pdf").exists()
    rows = json.loads((tmp_path / "ablation.json").read_text())["rows"]
    assert rows[1]["results"]["ebm_prior"] == {"mean": 8.5, "std": 0.5**0.5, "runs": 2}
    assert rows[1]["seeds"] == [0, 1] and len(rows[1]["commands"]) == 2


def test_diverged_runs_count_for_nothing_else(tmp_path, runs):
    runs = [(value, workdir, value == "30") for value, workdir, _ in runs]
    write_ablation(tmp_path, "k", "fd_classifier", runs)
    row = json.loads((tmp_path / "ablation.json").read_text())["rows"][2]
    assert row["diverged"] == 2 and row["results"] == {} and row["seeds"] == []
    assert "| `30` | – | – | – | 2 |" in (tmp_path / "ablation.md").read_text()
    with pytest.raises(ConfigError, match="has a number of task 'fd_classifier'"):
        write_ablation(tmp_path, "k", "fd_classifier", [run for run in runs if run[0] == "30"])


def test_an_evaluation_that_is_missing(tmp_path, runs):
    with pytest.raises(ConfigError, match="has no eval/fid.json"):
        write_ablation(tmp_path, "k", "fid", runs)
