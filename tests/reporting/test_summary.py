"""The table a finished run prints."""

from ebm_jax.reporting.summary import print_summary, summary_lines


def test_results_alone_are_shown_and_aligned():
    lines = summary_lines(
        {
            "fd_classifier": {
                "metric": "fd_classifier",
                "gaussian_prior": 4.925,
                "ebm_prior": None,
                "reconstruction": 0.2266,
                "step": 8000,
                "settings": {"grid": 64},
            },
            "reconstruction": {"metric": "mse", "results": {"reconstruction": 0.01054}},
        }
    )
    assert [line.split() for line in lines] == [
        ["fd_classifier", "gaussian_prior", "fd_classifier", "4.925"],
        ["fd_classifier", "reconstruction", "fd_classifier", "0.2266"],
        ["reconstruction", "reconstruction", "mse", "0.01054"],
    ]
    assert len({len(line) for line in lines}) == 1


def test_nothing_to_show():
    assert summary_lines({"chains": {"skipped": "no energy"}}) == []


def test_says_where_to_look(capsys, tmp_path):
    (tmp_path / "export").mkdir()
    print_summary({"chains": {"step": 40}}, tmp_path, 40)
    told = capsys.readouterr().out
    assert str(tmp_path / "report.html") in told and str(tmp_path / "export") in told
    assert told.startswith("\nresults\n")


def test_results_that_another_process_has(capsys, tmp_path):
    print_summary({"chains": {}}, tmp_path, 40)
    assert capsys.readouterr().out.startswith("\nresults\n\nreport")


def test_an_unfinished_run_has_no_export_and_says_its_step(capsys, tmp_path):
    (tmp_path / "export").mkdir()  # of fewer steps, before the run was made longer
    print_summary({"chains": {"step": 40}}, tmp_path, 100)
    told = capsys.readouterr().out
    assert told.startswith("\nresults of step 40 of 100\n") and "export " not in told
