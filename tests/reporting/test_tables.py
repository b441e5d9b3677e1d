import pytest

from ebm_jax.reporting.tables import (
    flatten,
    format_column,
    format_number,
    key_results,
    label,
    lower_is_better,
    result_of,
)


@pytest.mark.parametrize(
    "value, text",
    [
        (12.3456, "12.35"),
        (0.98765, "0.9877"),
        (-123.456, "-123.5"),
        (12345.6, "12346"),
        (2.5e-5, "2.500e-05"),
        (0.0, "0.0"),
        (1234, "1234"),
        (1234567, "1\u202f234\u202f567"),
        (None, "–"),
        (True, "True"),
        ("text", "text"),
        ([1, 2.5], "1, 2.500"),
        ([0.5] * 13, "13 values"),
    ],
)
def test_numbers_have_four_significant_digits(value, text):
    assert format_number(value) == text


def test_a_column_shares_its_decimals_unless_a_value_would_vanish():
    assert format_column([22.4567, 4.1, None]) == ["22.46", "4.10", "–"]
    assert format_column([120.0, 0.001]) == ["120.0", "0.001000"]
    assert format_column([3, "a"]) == ["3", "a"]


def test_labels():
    assert label("gaussian_prior") == "Gaussian prior"
    assert label("ebm_prior") == "EBM prior"
    assert label("noise/auroc") == "Noise, AUROC"


def test_the_three_priors_stand_side_by_side():
    content = {
        "task": "fid",
        "metric": "FID",
        "protocol": "P",
        "num_samples": 500,
        "seed": 3,
        "step": 20000,
        "reconstruction": 1.0,
        "gaussian_prior": 20.25,
        "ebm_prior": None,
        "extra": {"accuracy": 0.5},
    }
    result = result_of("fid", content)
    first, second = result.tables
    assert first.highlight
    assert first.headers == ["", "Gaussian prior", "EBM prior", "Reconstruction"]
    assert first.rows == [["FID", "20.25", "–", "1.00"]]
    assert second.rows == [["Extra, accuracy", "0.5000"]]
    assert result.protocol == "P"
    assert result.context == [("samples", "500"), ("step", "20\u202f000"), ("seed", "3")]


def test_a_dict_of_dicts_is_a_matrix_and_the_rest_a_list():
    content = {
        "results": {"mnist": {"auroc": 0.9, "aupr": 0.8}, "noise": {"auroc": 1.0}},
        "importance_samples": 100,
        "note": "text",
        "left_out": [],
    }
    matrix, values = result_of("ood", content).tables
    assert matrix.headers == ["", "AUROC", "AUPR"]
    assert matrix.rows == [["mnist", "0.900", "0.8000"], ["noise", "1.000", "–"]]
    assert values.rows == [["Importance samples", "100"], ["Note", "text"]]
    (only,) = result_of("likelihood", {"results": {"elbo": -90.5, "iwae": -88.0}}).tables
    assert only.rows == [["ELBO", "-90.50"], ["IWAE", "-88.00"]]
    assert result_of("empty", {"task": "empty"}).tables == []


def test_key_results_lead_with_the_ebm_prior():
    cards = key_results(
        {
            "fid": {"metric": "FID", "gaussian_prior": 20.0, "ebm_prior": 5.0, "step": 1},
            "elbo": {"metric": "nats", "results": {"elbo": -90.0, "iwae": -88.0}, "step": 1},
            "ood": {"metric": "AUROC", "results": {"noise": {"aupr": 0.5, "auroc": 0.75}}},
            "text": {"protocol": "P", "step": 1, "seconds": 2.0, "settings": {"a": {"b": 1}}},
        }
    )
    assert cards == [
        {"label": "FID ↓: EBM prior", "value": "5.000", "note": "Gaussian prior 20.00"},
        {"label": "nats: ELBO", "value": "-90.00", "note": "IWAE -88.00"},
        {"label": "AUROC: Noise", "value": "0.7500", "note": ""},
    ]


def test_flatten():
    assert flatten({"a": {"b": {"c": 1}, "d": {}}, "e": 2}, ".") == {"a.b.c": 1, "e": 2}


@pytest.mark.parametrize(
    "metric, lower",
    [("FID", True), ("fid50k_train_clean", True), ("fd_classifier", True), ("mse", True),
     ("change", False), ("auroc", False), ("fidelity", False)],
)  # fmt: skip
def test_of_which_metrics_lower_is_better(metric, lower):
    assert lower_is_better(metric) is lower


def test_an_explorers_description_is_no_result():
    content = {"results": {"layer_1": 0.5}, "explorer": {"tile": [8, 8], "layers": {"a": 1.0}}}
    (table,) = result_of("traversal", content).tables
    assert table.rows == [["Layer 1", "0.5000"]]
    assert key_results({"traversal": {"explorer": {"n": 1}}}) == []
