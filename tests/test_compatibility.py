"""Exports of earlier versions: what they lack is filled in, what they have stays."""

import ml_collections
import pytest

from configs import digits_control, digits_nvae
from ebm_jax import compatibility


@pytest.mark.parametrize(
    "configured, group, setting",
    [
        (digits_nvae, "train", "remat"),
        (digits_control, "eval", "level_shares"),
        (digits_control, "eval", "request_steps"),
        (digits_control, "coupling", "labels"),
        (digits_control, "sample", "folder"),
    ],
)
def test_a_config_of_before_a_setting_gets_what_the_code_did_then(configured, group, setting):
    config = configured.get_config()
    expected = config.to_dict()
    del config[group][setting]
    compatibility.complete(config)
    assert config.to_dict() == expected


@pytest.mark.parametrize("remat", [True, False])
def test_settings_of_an_export_stay(remat):
    config = digits_nvae.get_config()
    config.train.remat = remat
    compatibility.complete(config)
    assert config.train.remat is remat


def test_configs_without_the_group_are_left_alone():
    config = ml_collections.ConfigDict({"data": {"name": "digits"}})
    expected = config.to_dict()
    compatibility.complete(config)
    assert config.to_dict() == expected
