import io
import math

import pytest

from ebm_jax.reporting.progress import Progress, human_time


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0, "0s"),
        (59.4, "59s"),
        (59.6, "1m 00s"),
        (200, "3m 20s"),
        (3599.9, "1h 00m"),
        (3720, "1h 02m"),
        (86400, "1d 00h"),
        (97200, "1d 03h"),
        (math.nan, "--"),
        (math.inf, "--"),
    ],
)
def test_human_time(seconds, text):
    assert human_time(seconds) == text


def test_time_left_is_a_lower_bound_while_units_are_light():
    clock, stream = Clock(), io.StringIO()
    progress = Progress(100, 0, stream, light_until=50, clock=clock)
    for step, seconds in ((49, 49), (50, 1), (51, 3), (53, 6)):
        clock.now += seconds
        progress.update(step)
    told = [line.partition("ETA ")[2] for line in stream.getvalue().splitlines()]
    assert told == ["over 51s", "over 50s", "2m 27s", "2m 21s"]  # 3 s each, after 50 of 1 s


def test_rate_counts_only_the_steps_of_this_process():
    clock, stream = Clock(), io.StringIO()
    progress = Progress(1000, 900, stream, batch_size=8, clock=clock)
    assert math.isnan(progress.rate) and math.isnan(progress.eta_seconds)
    clock.now += 10
    progress.update(920, {"loss/total": 1.23456, "none": None})
    assert progress.rate == pytest.approx(2.0)
    assert progress.eta_seconds == pytest.approx(40.0)
    assert progress.examples_per_second == pytest.approx(16.0)
    assert stream.getvalue() == (
        "step 920/1000  92.0%  2 steps/s  16 examples/s  ETA 40s  loss/total 1.235\n"
    )


def test_rate_is_smoothed_and_forgets_compilation():
    clock = Clock()
    progress = Progress(10**6, 0, io.StringIO(), clock=clock)
    clock.now += 30
    progress.update(1)
    rates = []
    for step in range(11, 3011, 10):
        clock.now += 1
        progress.update(step)
        rates.append(progress.rate)
    assert rates == sorted(rates)
    assert 0.3 < rates[0] < 1.0  # one fast second does not hide a slow start
    assert rates[-1] == pytest.approx(10, rel=0.01)


def test_a_rollback_does_not_give_a_negative_rate():
    clock = Clock()
    progress = Progress(100, 0, io.StringIO(), clock=clock)
    for step in (50, 20, 30):
        clock.now += 5
        progress.update(step)
    assert progress.rate == pytest.approx(2.0)


def test_a_slow_rate_is_shown_as_time_per_step():
    clock, stream = Clock(), io.StringIO()
    progress = Progress(10, 0, stream, unit="image", clock=clock)
    clock.now += 5
    progress.update(2)
    assert "2.5 s/image" in stream.getvalue() and "ETA 20s" in stream.getvalue()


def test_a_terminal_gets_one_line_that_overwrites_itself(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    clock, stream = Clock(), Terminal()
    progress = Progress(10, 0, stream, clock=clock)
    for step in (1, 2):
        clock.now += 1
        progress.update(step)
    assert stream.getvalue() == (
        "\rstep 1/10  10.0%  1\x1b[K\rstep 2/10  20.0%  1\x1b[K"
    )  # 19 of 20 columns
    progress.close()
    progress.close()
    assert stream.getvalue().endswith("\x1b[K\n") and stream.getvalue().count("\n") == 1


def test_a_file_gets_plain_lines():
    stream = io.StringIO()
    progress = Progress(2, 0, stream)
    progress.update(1)
    progress.update(2)
    progress.close()
    assert stream.getvalue().count("\n") == 2
    assert "\r" not in stream.getvalue() and "\x1b" not in stream.getvalue()
