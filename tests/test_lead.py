"""How much dispatched work a signal has to wait for."""

import itertools
import types

import pytest

from ebm_jax import lead


class Devices:
    """A clock on which a dispatch takes no time and waiting takes what its steps do."""

    def __init__(self, monkeypatch):
        self.now, self.queued, self.waits = 0.0, [], []
        clock = types.SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr(lead, "time", clock)
        monkeypatch.setattr(lead, "jax", types.SimpleNamespace(block_until_ready=self.wait))

    def wait(self, _):
        self.now += sum(self.queued)
        self.waits.append(sum(self.queued))
        self.queued = []


@pytest.mark.parametrize("seconds", [0.001, 0.3, 1.9, 7.0])
def test_dispatched_work_is_bounded_and_few_waits_suffice(monkeypatch, seconds):
    devices, ahead = Devices(monkeypatch), lead.Lead()
    for _ in range(5000):
        devices.queued.append(seconds)
        ahead(None)
    assert max(devices.waits) <= max(seconds, lead.SECONDS + 1e-6)
    assert devices.waits[-1] > max(seconds, lead.SECONDS) / 2
    assert len(devices.waits) < 20 + 2 * 5000 * seconds / lead.SECONDS


def test_the_first_call_waits(monkeypatch):
    devices = Devices(monkeypatch)
    devices.queued.append(30.0)  # a compilation
    lead.Lead()(None)
    assert devices.waits == [30.0]


def test_steps_that_become_slower_exceed_the_bound_twice(monkeypatch):
    """At the end of a warm-up, say: dispatched as cheap ones, they are waited for as dear ones."""
    devices, ahead = Devices(monkeypatch), lead.Lead()
    for seconds in itertools.chain([0.01] * 3000, [0.2] * 600):
        devices.queued.append(seconds)
        ahead(None)
    beyond = [wait for wait in devices.waits if wait > lead.SECONDS + 1e-6]
    assert len(beyond) == 2 and max(beyond) <= 20 * lead.SECONDS  # 0.2 / 0.01 is 20
    assert devices.waits[-1] > lead.SECONDS / 2
