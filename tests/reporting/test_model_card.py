"""Cards of models: what they take from a run, what they refuse, and how it is told."""

import importlib
import json
from pathlib import Path

import pytest

from configs import digits_joint
from ebm_jax.errors import ConfigError
from ebm_jax.reporting.card_limits import limits_of
from ebm_jax.reporting.card_record import card_of
from ebm_jax.reporting.data_licences import data_set
from ebm_jax.reporting.files import write_json
from ebm_jax.reporting.model_card import render_card
from ebm_jax.reporting.model_index import pages_of
from ebm_jax.reporting.model_kinds import KINDS, kind_of

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "python -m ebm_jax.main --config configs/digits_joint.py --workdir /home/me/runs/s1"
CHAINS = {
    "task": "chains",
    "ebm_prior": None,
    "gaussian_prior": None,
    "protocol": "80 chains",
    "chains": {"short": {"steps": 20}, "long": {"steps": 2500}},
    "results": {"short_chains": 5.25, "long_chains": 30.5},
}


def settings():
    """The complete config of an experiment, as its run's JSON has it."""
    config = digits_joint.get_config()
    config.data.num_examples = 1438
    return json.loads(json.dumps(config.to_dict()))


@pytest.fixture
def run(tmp_path, fake):
    """A function: a finished run with distances and chains, changed as asked."""

    def make(result=None, chains=CHAINS, steps=100, data=None, **info):
        config = fake.config()
        config["data"]["name"] = data or "digits"
        result = fake.evaluation(**(result or {}))
        info = {"command": COMMAND} | info
        workdir = fake.make_run(tmp_path / "s1", config, result, steps, **info)
        if chains:
            write_json(workdir / "eval" / "chains.json", fake.evaluation(**chains))
        return workdir

    return make


@pytest.fixture
def card(run):
    return card_of(run()) | {"picture": {"images": 36, "seed": 0}}


def test_a_card_has_the_runs_own_facts_and_numbers(run, fake):
    origin = {"command": COMMAND, "git_commit": "fedcba9876543210"}
    stage = {"folder": "/home/me/runs/base/export", "step": 90, "sha256": "abcd"}
    card = card_of(run({"origin": origin, "deviations": {"ebm_prior": 0.5}}, first_stage=stage))
    assert [(n["metric"], n["variant"], n["value"], n["protocol"]) for n in card["numbers"]] == [
        ("fd_classifier", "gaussian_prior", 20.0, "500 samples against the test images."),
        ("fd_classifier", "ebm_prior", 5.0, "500 samples against the test images."),
        ("fd_classifier", "long_chains", 30.5, "80 chains"),
        ("fd_classifier", "short_chains", 5.25, "80 chains"),
    ]
    assert [n["deviation"] for n in card["numbers"]] == [None, 0.5, None, None]
    assert card["chain_steps"] == {"short_chains": 20, "long_chains": 2500}
    assert card["config"] == "configs/digits_joint.py"
    assert card["sentence"] == (
        "Joint latent EBM prior, two layers, variational learning, on scikit-learn's 8×8 digits."
    )
    trained = COMMAND.replace("/home/me/", "")
    assert card["commands"][0] == trained and "--mode eval" in card["commands"][1]  # of chains
    assert (card["commit"], card["seed"], card["steps"]) == (fake.COMMIT, 1, 100)
    assert card["evaluation_commits"] == ["fedcba9876543210"]
    assert (card["minutes"], card["hardware"]) == (3.5, "1 x Fast")
    assert card["first_stage"] == {"name": "base", "step": 90, "sha256": "abcd"}
    assert card["limits"] is None and "/home/" not in json.dumps(card)


def test_an_evaluation_by_the_training_command_is_no_second_one(run, fake):
    origin = {"command": COMMAND, "git_commit": fake.COMMIT}
    card = card_of(run({"origin": origin}, chains=CHAINS | {"origin": origin}))
    assert card["evaluation_commits"] == [] and len(card["commands"]) == 1


def test_a_task_without_numbers_is_left_out(run):
    found = card_of(run(chains={"ebm_prior": None, "gaussian_prior": None, "text": "no energy"}))
    assert {number["task"] for number in found["numbers"]} == {"fd_classifier"}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"steps": 90, "result": {"step": 90}, "chains": None}, "is not finished .*90 of 100"),
        ({"result": {"step": 90}}, "evaluated at step 90"),
        ({"git_commit": "0123456789abcdef-dirty"}, "clean commit"),
        ({"git_commit": "unknown"}, "clean commit"),
        ({"result": {"origin": {"git_commit": "0123456-dirty"}}}, "clean commit"),
        ({"changes": [{"step": 5, "setting": "a: 1 → 2"}]}, "changed settings"),
        ({"commits": [{"git_commit": "a"}, {"git_commit": "b"}]}, "several commits"),
        ({"command": "python -m ebm_jax.main"}, "not started from a config file"),
        ({"command": COMMAND.replace("joint", "none")}, "no config 'configs/digits_none.py'"),
        ({"command": f"{COMMAND} --config.eval.fid_reference=/x/y.npz"}, "names '/x/y.npz'"),
        ({"data": "npz:mine.npz"}, "no licence is on record"),
        (
            {"result": {"ebm_prior": None, "gaussian_prior": None}, "chains": None},
            "has no numbers",
        ),
    ],
)
def test_runs_that_others_cannot_repeat_are_refused(run, changes, message):
    with pytest.raises(ConfigError, match=message):
        card_of(run(**changes))


def test_a_run_that_is_not_evaluated_is_refused(run):
    workdir = run(chains=None)
    (workdir / "eval" / "fd_classifier.json").unlink()
    with pytest.raises(ConfigError, match="not yet evaluated: fd_classifier"):
        card_of(workdir)


@pytest.mark.parametrize("config", ["/home/me/ebm/configs/digits_joint.py:quick", "./configs"])
def test_the_config_is_told_without_the_hosts_folders(run, config):
    if config == "./configs":
        config = "configs/digits_joint.py:quick"
    card = card_of(run(command=COMMAND.replace("configs/digits_joint.py", config)))
    assert card["config"] == "configs/digits_joint.py"
    assert "--config configs/digits_joint.py:quick --workdir runs/s1" in card["commands"][0]
    card["picture"] = {"images": 4, "seed": 0}
    assert "quick run" in render_card("x", card, settings())


def test_the_page_says_it_all(card):
    card["first_stage"] = {"name": "base", "step": 12000, "sha256": "abcd"}
    page = render_card("pretrained/digits_x", card, settings())
    assert page == render_card("pretrained/digits_x", json.loads(json.dumps(card)), settings())
    for told in (
        card["sentence"],
        "CVPR 2023",
        "Latents: 2 layers, of 16 and 8 units from the bottom up.",
        'ebm_jax.load("pretrained/digits_x")',
        "[16, 8, 8, 1], data in [-1, 1]",
        "![36 samples of digits_x](samples.png)",
        "| config | `configs/digits_joint.py` |",
        "| first stage | `base` after 12 000 steps (SHA-256 of its params.msgpack: abcd…) |",
        "| trained at | commit 0123456789, seed 1, 100 steps |",
        "| minutes of training | 3.5 |",
        "| hardware | 1 x Fast |",
        "CC BY 4.0 |",
        "| licence of the weights | Apache-2.0 |",
        "| fd_classifier | Gaussian prior | 20.00 | 1 |\n"
        "| fd_classifier | EBM prior | 5.000 | 1 |\n"
        "| fd_classifier | Long chains | 30.50 | 2 |\n"
        "| fd_classifier | Short chains | 5.250 | 2 |\n",
        "\n1. 500 samples against the test images.\n2. 80 chains.\n",
    ):
        assert told in page, told
    assert page.count("| command |") == len(card["commands"])
    assert "evaluated at" not in page
    other = card | {"evaluation_commits": ["fedcba9876543210"], "minutes": None, "hardware": None}
    page = render_card("pretrained/digits_x", other, settings())
    assert "| evaluated at | commit fedcba9876 |" in page
    assert "| minutes of training | not logged |" in page and "| not recorded |" in page


def test_limits_follow_from_numbers_and_settings(card):
    def limits(changes=None, **values):
        numbers = [n | {"value": values.get(n["variant"], n["value"])} for n in card["numbers"]]
        config = settings()
        config["eval"] |= changes or {}
        return " ".join(limits_of(card | {"numbers": numbers}, config))

    assert "8 × 8 grey images of handwritten digits" in limits()
    assert "it is not FID" in limits() and "of seed 1" in limits()
    assert "long ones leave the data (`fd_classifier` is 5.250 after 20" in limits()
    assert "30.50 after 2 500" in limits()
    assert "leave the data" not in limits(long_chains=6.0) and "6.000" in limits(long_chains=6.0)
    assert "gains nothing" in limits(ebm_prior=20.0) and "gains nothing" not in limits()
    assert "41.7" not in limits() and "statistics of samples" not in limits()
    assert "statistics of samples" in limits({"recalibration_batches": 8})
    own = render_card("x", card | {"limits": "For doors alone."}, settings())
    assert own.endswith("Limits:\n\n- For doors alone.\n")


def test_hand_over_of_sentences_ends_each_with_a_full_stop(card):
    assert all(limit.endswith(".") for limit in limits_of(card, settings()))
    assert all(kind.limit == "" or kind.limit.endswith(".") for kind in KINDS.values())


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*_*.py")), ids=lambda p: p.stem)
def test_every_config_is_of_a_kind(path):
    if path.name == "__init__.py":
        return
    name = path.stem
    kind = kind_of(importlib.import_module(f"configs.{name}").get_config().to_dict())
    endings = {  # of a config's name → its kind
        **{key: key for key in ("hvae", "abp", "diffusion", "control", "lvae", "nvae", "hat")},
        **{key: key for key in ("sngan", "autoencoder", "two_stage", "joint")},
        **{"refine": "hat_joint", "retrofit": "hat_joint", "joint_mcmc": "joint"},
        **{"_lebm": "lebm", "_vae": "vae", "_ladder": "ladder", "joint_warm": "joint"},
    }
    found = [key for end, key in endings.items() if name.endswith(end)]
    assert [KINDS[key] for key in found] in ([kind], []), name


def test_what_is_known_of_data():
    config = settings()
    for name, licence in (
        ("digits", "CC BY 4.0"),
        ("mnist", "CC BY-SA 3.0"),
        ("fashion_mnist", "MIT"),
    ):
        config["data"]["name"] = name
        assert data_set(config).licence == licence


def write_export(folder, card=None):
    write_json(folder / "config.json", {"config": settings(), "step": 8000})
    (folder / "params.msgpack").write_bytes(b"0" * 12_400)
    if card:
        write_json(folder / "card.json", card)


def test_the_index_has_a_row_for_each_export(tmp_path, card):
    write_export(tmp_path / "b", card)
    write_export(tmp_path / "a")
    write_export(tmp_path / ".c.half", card)  # of a process that was killed
    (tmp_path / "README.md").write_text("A\n<!-- models:start -->\n<!-- models:end -->\nB\n")
    pages = pages_of(tmp_path)
    assert set(pages) == {tmp_path / "README.md", tmp_path / "b" / "README.md"}  # a: by hand
    cells = "joint latent EBM prior | digits | 8 × 8 grey | 8 000 | 12 |"
    rows = f"| [`a`](a/README.md) | {cells}\n| [`b`](b/README.md) | {cells}\n"
    text = pages[tmp_path / "README.md"]
    assert text.startswith("A\n<!-- models:start -->\n| export |")
    assert text.endswith(f"{rows}<!-- models:end -->\nB\n")
    of_b = render_card(f"{tmp_path.name}/b", card, settings())
    assert pages[tmp_path / "b" / "README.md"] == of_b and of_b.startswith("# b\n")


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path, card):
    (tmp_path / "README.md").write_text("no markers")
    with pytest.raises(ConfigError, match="page of models needs"):
        pages_of(tmp_path)
    (tmp_path / "README.md").unlink()
    write_export(tmp_path / "b", card)
    (tmp_path / "b" / "card.json").write_text("[1")
    with pytest.raises(ConfigError, match="card.json' cannot be read"):
        pages_of(tmp_path)
