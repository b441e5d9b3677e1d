"""Two commands that want to train in one folder."""

import pytest

from tests.faults.commands import SMALL, Process, assert_one_sentence, whole
from tests.test_train import assert_same_run

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]


def test_second_run_is_refused_and_harms_nothing(tmp_path, gate):
    run = tmp_path / "run"
    first = Process(run, gate.config)
    first.until(gate.reached)
    record = (run / "config.json").read_bytes()
    code, errors = Process(run, SMALL).end()
    assert code == 2, errors
    assert_one_sentence(errors, f"in use by process {first.process.pid}", "another --workdir")
    assert (run / "config.json").read_bytes() == record
    gate.open()
    code, errors = first.end()
    assert code == 0, errors
    assert_same_run(run, whole(SMALL))
