import json
import shlex
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from ebm_jax.errors import ConfigError
from ebm_jax.reporting.marked_page import page_with
from ebm_jax.reporting.result_record import merge
from ebm_jax.reporting.result_table import value_text
from ebm_jax.reporting.results import (
    KEYS,
    main,
    record,
    render,
    render_summary,
    validate,
)

README = "# Title\n\n<!-- results:start -->\nold\n<!-- results:end -->\n\nThe end.\n"


def row(**changes):
    return {
        "task": "fid",
        "method": "joint",
        "config": "configs/x.py",
        "dataset": "mnist",
        "variant": "ebm_prior",
        "metric": "FID",
        "value": 12.345,
        "std": 0.25,
        "seeds": [1, 2, 3],
        "paper": 29.2,
        "protocol": "P1",
        "command": "python -m x --config configs/x.py",
        "hardware": "1 x Fast",
        "minutes": 12.0,
        "evaluation_minutes": None,
        "commit": "0123456789abcdef",
        "evaluation_commit": None,
        "date": "2025-01-31",
    } | changes


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"extra": 1}, "unknown keys"),
        ({"value": None}, "value=None"),
        ({"value": float("nan")}, "value=nan"),
        ({"value": True}, "value=True"),
        ({"std": None}, "from 3 seeds"),
        ({"std": -1.0}, "has std=-1.0"),
        ({"seeds": [1], "std": "2"}, "has std='2'"),
        ({"seeds": []}, "seeds="),
        ({"seeds": [1, 1, 2]}, "some are the same"),
        ({"protocol": None}, "protocol=None"),
        ({"paper": [1]}, "paper="),
        ({"minutes": -1}, "minutes="),
        ({"evaluation_minutes": "2"}, "evaluation_minutes="),
        ({"evaluation_commit": 7}, "evaluation_commit="),
        ({"date": "31.1.2025"}, "YYYY-MM-DD"),
    ],
)
def test_wrong_rows_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        validate([row(**changes)])


def test_rows_are_complete_and_unique():
    assert set(row()) == set(KEYS)
    validate([row(), row(variant="reconstruction", paper=None, hardware=None, minutes=None)])
    with pytest.raises(ConfigError, match="lacks"):
        validate([{key: value for key, value in row().items() if key != "date"}])
    with pytest.raises(ConfigError, match="Row 1 of the results repeats"):
        validate([row(), row(value=1.0)])
    with pytest.raises(ConfigError, match="list"):
        validate({})


@pytest.mark.parametrize(
    "arguments, text",
    [
        ((12.345, 0.25, 3), "12.35 ± 0.25 (3 seeds)"),
        ((12.345, 2.5, 3), "12.3 ± 2.5 (3 seeds)"),
        ((1234.5, 37.2, 2), "1234 ± 37 (2 seeds)"),
        ((0.98765, None, 1), "0.9877 (1 seed)"),
        ((0.5, 0.0, 2), "0.5000 ± 0 (2 seeds)"),
    ],
)
def test_values_are_rounded_to_their_spread(arguments, text):
    assert value_text(*arguments) == text


def test_the_table_is_grouped_and_ordered():
    text = render(
        [
            row(
                dataset="svhn", protocol="P2", command="python | y", evaluation_commit="fedcba98765"
            ),
            row(variant="reconstruction", paper=None, minutes=None),
            row(evaluation_minutes=3.5),
            row(variant="gaussian_prior", std=None, seeds=[1], hardware=None),
        ]
    )
    lines = text.splitlines()
    assert lines.index("**mnist**") < lines.index("**svhn**")
    header = "| Method | Variant | Metric | Ours | Paper | Hardware | Minutes |"
    assert lines[2] == header
    assert lines[4:7] == [
        "| joint<br>`configs/x.py` | Gaussian prior | FID <sup>1</sup> | 12.35 (1 seed) | 29.20 "
        "| – | 12 |",
        "|  | EBM prior | FID <sup>1</sup> | 12.35 ± 0.25 (3 seeds) | 29.20 | 1 x Fast "
        "| 12 + 3.5 |",
        "|  | Reconstruction | FID <sup>1</sup> | 12.35 ± 0.25 (3 seeds) | – | 1 x Fast | – |",
    ]
    assert "FID <sup>2</sup>" in text and "1. P1\n2. P2\n" in text
    assert (
        "- `python -m x --config configs/x.py` (seeds 1, 2, 3; commit 0123456789; 2025-01-31)"
        in lines
    )
    assert "commit 0123456789, evaluated at fedcba9876; 2025-01-31)" in lines[-1]
    assert render([]) == "No results are recorded yet.\n"


def test_only_the_text_between_the_markers_changes():
    assert page_with(README, "new\n", "results") == README.replace("old", "new")
    for broken in ("# Title", README.replace("end", "stop"), README + README):
        with pytest.raises(ConfigError, match="page of results needs"):
            page_with(broken, "new\n", "results")


def test_classes_that_were_left_out_are_columns():
    """One table for all of them, with the paper's numbers in a row of their own."""
    found = dict(task="anomaly", metric="auprc", variant="log_joint", seeds=[0], std=None)
    rows = [
        row(**found, dataset="mnist without 1", value=0.25, paper=0.722),
        row(**found, dataset="mnist without 9", value=0.5, paper=None),
        row(**found, dataset="mnist without 9", value=0.125, paper=None, method="ladder"),
        row(),
    ]
    lines = render(rows).splitlines()
    start = lines.index("**mnist without one class**")
    assert lines[start + 2 : start + 7] == [
        "| Method | Score | Metric | 1 | 9 |",
        "|:--|:--|:--|--:|--:|",
        "| joint<br>`configs/x.py` | Log joint | auprc <sup>1</sup> | 0.2500 | 0.5000 |",
        "|  | Log joint, the paper's | auprc | 0.7220 | – |",
        "| ladder<br>`configs/x.py` | Log joint | auprc <sup>1</sup> | – | 0.1250 |",
    ]
    assert lines.index("**mnist**") < start  # the rows of the whole set stay where they were


def test_summary_has_a_row_for_each_model():
    rows = [
        row(variant="gaussian_prior", value=20.0),
        row(),
        row(variant="reconstruction", value=1.5, std=0.0),
        row(config="configs/y.py", value=9.0, std=None, seeds=[0], minutes=None),
        row(config="configs/z.py", variant="gaussian_prior", value=11.0),
        row(task="chains", variant="short_chains", value=7.0),
        row(task="reconstruction", variant="reconstruction", metric="mse", value=0.1),
    ]
    header, _, *lines = render_summary(rows).splitlines()
    assert header.count("|") == lines[0].count("|") == 10
    assert lines == [  # the best samples first
        "| mnist | FID | joint | [`y`](configs/y.py) | – | 9.000 | – | 1 | – |",
        "| mnist | FID | joint | [`z`](configs/z.py) | 11.00 ± 0.25 | – | – | 3 | 12 |",
        "| mnist | FID | joint | [`x`](configs/x.py) | 20.00 ± 0.25 | 12.35 ± 0.25 | 1.500 ± 0 "
        "| 3 | 12 |",
    ]
    assert render_summary([]) == "No results are recorded yet.\n"


@pytest.fixture
def pages(tmp_path):
    """A README, a page and the flags that name them."""
    paths = [tmp_path / "README.md", tmp_path / "results.md"]
    for path in paths:
        path.write_text(README)
    return paths, ["--readme", str(paths[0]), "--page", str(paths[1])]


def test_render_and_check(tmp_path, pages, capsys):
    (readme, page), files = pages
    results = tmp_path / "results.json"
    results.write_text(json.dumps([row()]))
    files += ["--results", str(results)]
    assert main(["render", "--check", *files]) == 1
    assert capsys.readouterr().err.count("differ") == 2
    assert readme.read_text() == page.read_text() == README
    assert main(["render", *files]) == 0
    for path, told in ((readme, "| 12.35 ± 0.25 |"), (page, "12.35 ± 0.25 (3 seeds)")):
        assert told in path.read_text() and path.read_text().endswith("The end.\n")
    assert main(["render", "--check", *files]) == 0
    page.write_text(README)
    assert main(["render", "--check", *files]) == 1
    results.write_text("{")
    assert main(["render", *files]) == 2
    assert "not JSON" in capsys.readouterr().err
    assert main(["render", "--readme", str(tmp_path / "none"), *files[2:]]) == 2


def test_runs_become_rows(tmp_path, fake):
    runs = [
        fake.make_run(
            tmp_path / f"s{seed}",
            fake.config(seed),
            fake.evaluation(seed=seed, ebm_prior=value),
            minutes=minutes,
        )
        for seed, value, minutes in ((3, 6.0, 1.0), (1, 4.0, 3.0), (2, 5.0, 2.0))
    ]
    results = tmp_path / "results.json"
    record("fd_classifier", "configs/x.py", runs, results, {"ebm_prior": 4.5})
    rows = json.loads(results.read_text())
    validate(rows)
    assert [r["variant"] for r in rows] == ["ebm_prior", "gaussian_prior"]  # the null one is none
    assert rows[0] == {
        "task": "fd_classifier",
        "method": "joint",
        "config": "configs/x.py",
        "dataset": "digits",
        "variant": "ebm_prior",
        "metric": "fd_classifier",
        "value": 5.0,
        "std": 1.0,  # ddof 1; with ddof 0 it would be 0.816
        "seeds": [1, 2, 3],
        "paper": 4.5,
        "protocol": "500 samples against the test images.",
        "command": "python -m ebm_jax.main --config configs/x.py --workdir runs/s1",
        "hardware": "1 x Fast",
        "minutes": 2.0,
        "evaluation_minutes": 0.025,
        "commit": fake.COMMIT,
        "evaluation_commit": None,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }
    record("fd_classifier", "configs/x.py", runs[:1], results)
    again = json.loads(results.read_text())
    assert len(again) == 2
    assert (again[0]["value"], again[0]["std"], again[0]["seeds"]) == (6.0, None, [3])
    assert again[0]["paper"] == 4.5
    found = fake.evaluation(seed=3) | {"deviations": {"ebm_prior": 0.7}}
    (path,) = (runs[0] / "eval").glob("fd_classifier.json")
    path.write_text(json.dumps(found))  # one run, whose evaluation knows a spread of its own
    record("fd_classifier", "configs/x.py", runs[:1], results)
    assert [r["std"] for r in json.loads(results.read_text())] == [0.7, None]


def test_named_results_become_rows_too(tmp_path, fake):
    result = fake.evaluation(gaussian_prior=None, ebm_prior=None, results={"elbo": -90.0, "n": "x"})
    run = fake.make_run(tmp_path / "run", result=result)
    rows = record("fd_classifier", "configs/x.py", [run], tmp_path / "r.json")
    assert [(r["variant"], r["value"]) for r in rows] == [("elbo", -90.0)]


def test_a_task_beyond_the_configs_has_a_second_command(tmp_path, fake):
    run = fake.make_run(tmp_path / "s1", result=fake.evaluation())
    (run / "eval" / "fd_classifier.json").rename(run / "eval" / "likelihood.json")
    (row,) = record("likelihood", "configs/x.py", [run], tmp_path / "r.json")[:1]
    first = "python -m ebm_jax.main --config configs/x.py --workdir runs/s1"
    second = f"{first} --mode eval --config.eval.tasks=\"('likelihood',)\""
    assert row["command"] == f"{first} && {second}"


def test_an_evaluation_of_its_own_is_told_with_its_commit_and_command(tmp_path, fake):
    command = "python -m ebm_jax.main --config configs/x.py --workdir /home/me/runs/s1 --mode eval"
    tasks = "--config.eval.tasks=('likelihood',)"
    origin = {"command": f"{command} {shlex.quote(tasks)}", "git_commit": "fedcba9876543210"}
    run = fake.make_run(tmp_path / "s1", result=fake.evaluation(origin=origin))
    row = record("fd_classifier", "configs/x.py", [run], tmp_path / "r.json")[0]
    first = "python -m ebm_jax.main --config configs/x.py --workdir runs/s1"
    second = f"{first} --mode eval --config.eval.tasks=\"('likelihood',)\""
    assert row["command"] == f"{first} && {second}"
    assert shlex.split(second)[-1] == tasks
    assert (row["commit"], row["evaluation_commit"]) == (fake.COMMIT, "fedcba9876543210")
    # The evaluation of the training command itself is no second one.
    origin["command"] = first.replace("runs", "/home/me/runs")
    run = fake.make_run(tmp_path / "s1", result=fake.evaluation(origin=origin))
    assert (
        record("fd_classifier", "configs/x.py", [run], tmp_path / "r.json")[0]["command"] == first
    )


@pytest.mark.parametrize(
    "given, told",
    [
        ("/home/me/runs/gan", "runs/gan"),
        ("/home/me/runs/gan/export", "runs/gan/export"),
        ("runs/gan", "runs/gan"),
    ],
)
def test_a_first_stages_folder_is_told_without_the_hosts_part(tmp_path, fake, given, told):
    first = "python -m ebm_jax.main --config configs/x.py --workdir runs/s1"
    flag = "--config.train.first_stage="
    origin = {"command": f"{first} {flag}{given} --config.seed=2", "git_commit": fake.COMMIT}
    run = fake.make_run(tmp_path / "s1", result=fake.evaluation(origin=origin))
    command = record("fd_classifier", "configs/x.py", [run], tmp_path / "r.json")[0]["command"]
    assert command == f"{first} && {first} {flag}{told} --config.seed=2"


ELSEWHERE = {
    "git_commit": "0123456789abcdef0123456789abcdef01234567",
    "command": "python -m ebm_jax.main --config configs/x.py --workdir runs/copy --mode eval",
}


def test_merging_replaces_a_subject_and_keeps_the_others():
    old = [row(), row(variant="reconstruction"), row(dataset="svhn")]
    merged = merge(old, [row(value=1.0, paper=None)])
    assert [(r["dataset"], r["variant"], r["value"], r["paper"]) for r in merged] == [
        ("svhn", "ebm_prior", 12.345, 29.2),
        ("mnist", "ebm_prior", 1.0, 29.2),
    ]


@pytest.mark.parametrize(
    "settings, result, info, message",
    [
        ({}, None, {}, "no eval/fd_classifier.json"),
        ({}, {"step": 90}, {}, "evaluated at step 90 but train.num_steps is 100"),
        ({}, {}, {"git_commit": "0123456789abcdef-dirty"}, "clean commit"),
        ({}, {}, {"git_commit": None}, "clean commit"),
        ({}, {}, {"git_commit": "fedcba9876543210"}, "different commits"),
        ({}, {}, {"commits": [{"git_commit": "a"}, {"git_commit": "b"}]}, "commits (a, b)"),
        ({}, {}, {"hardware": "1 x Slow"}, "different hardware"),
        ({}, {}, {"command": "main --config configs/x.py:quick"}, "configs/x.py:quick"),
        ({"step_size": 0.1}, {}, {}, "differ in sampler.prior.step_size"),
        ({"new": 1}, {}, {}, "differ in sampler.prior.new"),
        ({"seed": 1}, {}, {}, "each seed once"),
        ({}, {"origin": {"git_commit": "unknown"}}, {}, "clean commit"),
        ({}, {"origin": ELSEWHERE}, {}, "evaluated in folders of other names (runs/s"),
        ({}, {"origin": {"git_commit": "fedcba98765"}}, {}, "were evaluated at different commits"),
        ({}, {"protocol": "Another."}, {}, "different protocol"),
        ({}, {"settings": {"a": {"b": 2}}}, {}, "evaluated with different settings.a.b"),
        ({}, {"ebm_prior": None}, {}, "different numbers"),
        ({}, {"ebm_prior": None, "gaussian_prior": None}, {}, "no finite number"),
    ],
)
def test_runs_that_are_not_one_result_are_refused(
    tmp_path, fake, capsys, settings, result, info, message
):
    good = fake.make_run(tmp_path / "good", result=fake.evaluation())
    if result is not None:
        result = fake.evaluation(**result)
    other = fake.make_run(tmp_path / "other", fake.config(**{"seed": 2} | settings), result, **info)
    results = tmp_path / "results.json"
    files = ["--task", "fd_classifier", "--config", "configs/x.py", "--results", str(results)]
    assert main(["record", *files, str(good), str(other)]) == 2
    assert message in capsys.readouterr().err
    assert not results.exists()


def test_runs_of_several_commits_are_one_result_when_that_is_said(tmp_path, fake):
    other, third = "fedcba9876543210", "89abcdef01234567"
    config = fake.config(seed=2)
    config["added_later"] = {"x": 1}
    runs = [
        fake.make_run(tmp_path / "a", result=fake.evaluation()),
        fake.make_run(tmp_path / "b", config, fake.evaluation(), git_commit=other),
    ]
    results = tmp_path / "results.json"
    rows = record("fd_classifier", "configs/x.py", runs, results, several_commits=True)
    assert {row["commit"] for row in rows} == {f"{fake.COMMIT}, {other}"}
    assert f"commit {fake.COMMIT[:10]}, {other[:10]};" in render(rows)
    config["sampler"]["prior"]["step_size"] *= 2
    runs[1] = fake.make_run(tmp_path / "c", config, fake.evaluation(), git_commit=third)
    with pytest.raises(ConfigError, match="differ in sampler.prior.step_size"):
        record("fd_classifier", "configs/x.py", runs, results, several_commits=True)


def test_a_first_stage_is_compared_by_what_it_is(tmp_path, fake):
    def stored(name, seed, folder, sha256):
        config = fake.config(seed=seed)
        config["train"]["first_stage"] = folder
        stage = {"folder": f"/somewhere/{folder}", "sha256": sha256, "step": 5}
        return fake.make_run(tmp_path / name, config, fake.evaluation(), first_stage=stage)

    one, moved = stored("a", 1, "runs/x", "aa"), stored("b", 2, "pretrained/x", "aa")
    other = stored("c", 2, "runs/x", "bb")
    files = "fd_classifier", "configs/x.py"
    assert record(*files, [one, moved], tmp_path / "r.json")[0]["seeds"] == [1, 2]
    with pytest.raises(ConfigError, match="differ in train.first_stage"):
        record(*files, [one, other], tmp_path / "r.json")


def test_a_papers_number_needs_its_variant(tmp_path, fake):
    run = fake.make_run(tmp_path / "run", result=fake.evaluation())
    with pytest.raises(ConfigError, match="reconstruction"):
        record("fd_classifier", "configs/x.py", [run], tmp_path / "r", {"reconstruction": 1.0})


def test_the_module_runs_as_a_command(tmp_path, pages):
    command = [sys.executable, "-W", "error", "-m", "ebm_jax.reporting.results", "render"]
    files = [*pages[1], "--results", str(tmp_path / "none.json")]
    done = subprocess.run([*command, *files, "--check"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.count("\n") == 2
