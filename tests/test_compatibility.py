"""Exports of earlier versions: what they lack is filled in, what they have stays."""

import ml_collections
import pytest

from configs import digits_joint, digits_nvae
from ebm_jax import compatibility


def test_a_deep_model_of_before_the_setting_keeps_its_cells():
    config = digits_nvae.get_config()
    expected = config.to_dict()
    del config.model.generator["remat"]
    compatibility.complete(config)
    assert config.to_dict() == expected


@pytest.mark.parametrize("remat", [True, False])
def test_settings_of_an_export_stay(remat):
    config = digits_nvae.get_config()
    config.model.generator.remat = remat
    compatibility.complete(config)
    assert config.model.generator.remat is remat


@pytest.mark.parametrize(
    "config", [digits_joint.get_config(), ml_collections.ConfigDict({"data": {"name": "digits"}})]
)
def test_other_configs_are_left_alone(config):
    expected = config.to_dict()
    compatibility.complete(config)
    assert config.to_dict() == expected
