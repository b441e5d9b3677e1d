"""What stands side by side: names, numbers, facts, settings."""

from pathlib import Path

import pytest

from ebm_jax.reporting import comparison
from ebm_jax.reporting.files import write_json
from ebm_jax.reporting.run_record import read_run


def records_of(fake, folder, *runs):
    """Records of runs that are given as (name, keyword arguments of the fake)."""
    return [read_run(fake.make_run(folder / name, **options)) for name, options in runs]


def numbers_of(fake, folder, *results):
    names = [str(i) for i in range(len(results))]
    runs = records_of(
        fake, folder, *((n, {"result": r}) for n, r in zip(names, results, strict=True))
    )
    return comparison.number_tables(runs, names)


def test_names_have_as_many_parts_as_tell_them_apart():
    paths = [Path("/a/b/x"), Path("/a/c/x"), Path("/d/c/x"), Path("/a/c/y")]
    assert comparison.names_of(paths) == ["b/x", "a/c/x", "d/c/x", "y"]


def test_the_lowest_number_is_the_best_where_lower_is_better(tmp_path, fake):
    better = fake.evaluation(ebm_prior=4.0, gaussian_prior=20.0)
    (table,) = numbers_of(fake, tmp_path, fake.evaluation(), better, None)
    assert (table["task"], table["metric"], table["lower"]) == ("fd_classifier",) * 2 + (True,)
    assert table["rows"] == [
        ("Gaussian prior", [("20.00", False), ("20.00", False), ("–", False)]),
        ("EBM prior", [("5.000", False), ("4.000", True), ("–", False)]),
    ]
    assert table["note"] == "" and table["more"] == []
    assert table["protocols"] == [("", "500 samples against the test images.")]


def test_a_task_without_numbers_has_no_table_and_samples_come_first(tmp_path, fake):
    run = fake.make_run(tmp_path / "a", result=fake.evaluation())
    write_json(run / "eval" / "chains.json", {"skipped": "there is no energy"})
    write_json(run / "eval" / "anomaly.json", {"metric": "auroc", "results": {"energy": 0.5}})
    record = read_run(run)
    assert list(record.evaluations) == ["fd_classifier", "anomaly", "chains"]
    tables = comparison.number_tables([record], ["a"])
    assert [table["task"] for table in tables] == ["fd_classifier", "anomaly"]


def test_nothing_is_the_best_of_another_metric(tmp_path, fake):
    results = [fake.evaluation(metric="auroc", ebm_prior=x) for x in (0.5, 0.7)]
    (table,) = numbers_of(fake, tmp_path, *results)
    assert not table["lower"]
    assert not any(best for _, cells in table["rows"] for _, best in cells)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"dataset": "mnist"}, "data set (digits, mnist)"),
        ({"num_samples": 400}, "number of samples (500, 400)"),
        ({"classifier": "abc"}, "classifier (–, abc)"),
        ({"metric": "fid50k_train_clean"}, "metric (fd_classifier, fid50k_train_clean)"),
    ],
)
def test_numbers_of_different_measurements_are_said_not_to_compare(tmp_path, fake, changes, words):
    other = fake.evaluation(ebm_prior=4.0, **changes)
    (table,) = numbers_of(fake, tmp_path, fake.evaluation(), other)
    assert table["note"] == f"Not comparable: the evaluations differ in the {words}."
    assert not any(best for _, cells in table["rows"] for _, best in cells)


def test_a_run_without_numbers_is_not_compared(tmp_path, fake):
    results = [fake.evaluation(), {"skipped": "there is no energy"}, fake.evaluation(ebm_prior=4.0)]
    for order in (results, results[1:] + results[:1]):
        (table,) = numbers_of(fake, tmp_path / str(order is results), *order)
        assert table["note"] == "" and table["metric"] == "fd_classifier"
        assert [cell for _, cells in table["rows"] for cell in cells if cell[1]] == [
            ("4.000", True)
        ]


def test_different_protocols_have_the_names_of_their_runs(tmp_path, fake):
    results = [fake.evaluation(protocol=text) for text in ("A", "B", "A")]
    (table,) = numbers_of(fake, tmp_path, *results, {"protocol": "C", "skipped": "no energy"})
    assert table["protocols"] == [("0, 2", "A"), ("1", "B")]


def test_models_with_and_without_energies_compare_by_their_own_priors(tmp_path, fake):
    plain = fake.evaluation(gaussian_prior=7.0)
    del plain["ebm_prior"]
    broken = fake.evaluation(gaussian_prior=3.0, ebm_prior=None)  # null: it was not finite
    (table,) = numbers_of(fake, tmp_path, fake.evaluation(), plain, broken)
    assert table["rows"] == [
        ("Each model's own prior", [("5.000", True), ("7.000", False), ("–", False)]),
        ("Gaussian prior", [("20.00", False), ("7.00", False), ("3.00", False)]),
        ("EBM prior", [("5.000", False), ("–", False), ("–", False)]),
    ]


def test_a_long_table_is_folded(tmp_path, fake):
    result = {"metric": "auroc", "results": {f"r{i:02}": float(i) for i in range(20)}}
    (table,) = numbers_of(fake, tmp_path, result, None)
    assert [variant for variant, _ in table["rows"]] == [f"R{i:02}" for i in range(12)]
    assert [variant for variant, _ in table["more"]] == [f"R{i:02}" for i in range(12, 20)]


def test_only_settings_that_differ_are_listed(tmp_path, fake):
    a, b, c = records_of(
        fake,
        tmp_path,
        ("a", {"settings": fake.config(seed=1, step_size=0.1)}),
        ("b", {"settings": fake.config(seed=1, step_size=0.2, extra="x")}),
        ("c", {}),
    )
    c = c._replace(info={})  # a run whose config cannot be read says nothing of differences
    assert comparison.settings_table([a, b, c]) == [
        ("sampler.prior.step_size", ["0.1", "0.2", "–"]),
        ("sampler.prior.extra", ["–", "x", "–"]),
    ]
    assert comparison.settings_table([a, a]) == []


def test_facts_of_unfinished_runs(tmp_path, fake):
    runs = records_of(
        fake, tmp_path, ("a", {"result": fake.evaluation()}), ("b", {"steps": 40, "minutes": 1.0})
    )
    facts = dict(comparison.facts_table(runs))
    assert facts["Steps"] == ["100", "40 of 100"]
    assert facts["Training time"] == ["3m 30s", "1m 00s"]
    assert facts["Evaluated at step"] == ["100", "–"]
    assert facts["Hardware"] == ["1 x Fast"] * 2 and facts["Git commit"] == ["0123456789"] * 2
    heads = comparison.heads_of(runs, ["a", "b"])
    assert [head["status"]["word"] for head in heads] == ["finished", "unfinished"]
    assert heads[0]["colour"] != heads[1]["colour"]


def test_the_ninth_run_has_dashes(tmp_path, fake):
    (run,) = records_of(fake, tmp_path, ("a", {}))
    heads = comparison.heads_of([run] * 9, list("abcdefghi"))
    assert heads[8]["colour"] == heads[0]["colour"]
    assert heads[8]["dashes"] and not heads[0]["dashes"]


def test_the_latest_samples_of_every_kind(tmp_path, fake):
    a, b = records_of(fake, tmp_path, ("a", {}), ("b", {"steps": 40}))
    (prior,) = comparison.sample_rows([a, b])
    assert [grid["step"] for grid in prior["grids"]] == ["100", "40"]
    (prior,) = comparison.sample_rows([a, b._replace(samples={})])
    assert prior["title"] == "Prior" and prior["grids"][1] is None
