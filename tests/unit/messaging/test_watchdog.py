"""The watchdog: who is reset by it and who is not, with a device that has a simulated timer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crm.plumbing.errors import ConfigurationError
from messaging import children, watchdog
from messaging.children import ChildPlan
from messaging.watchdog import Watchdog, default_timer_s, open_watchdog
from tests.kit.messaging import TIMING, Life, Network
from tests.kit.watchdog import FakeDevice

PATH = Path("/dev/watchdog")
TIMER_S = 2
CIB = ChildPlan("cib", "cib", is_vital=True)
CRMD = ChildPlan("crmd", "crmd", is_vital=True)


class Guarded:
    """A network whose node `a` has a watchdog; what it decides is done to the device."""

    def __init__(self, *, timer_s: int = TIMER_S, plans: tuple[ChildPlan, ...] = ()) -> None:
        self.network = Network(3, child_plans=plans)
        stated = replace(self.network.settings, watchdog="/dev/watchdog", watchdog_timer_s=timer_s)
        self.network.settings = stated
        self.device = FakeDevice(lambda: self.network.now)
        self.watchdog = Watchdog(self.device, PATH, timer_s)
        self.network.devices["a"] = self.carry_out
        self.network.start()
        self.network.run(1.0, until=lambda: self.network.is_agreed("abc"))

    @property
    def a(self) -> Life:
        return self.network.lives["a"]

    def carry_out(self, effect: object) -> None:
        match effect:
            case watchdog.ShowLife():
                assert self.watchdog.show_life() == ""
            case watchdog.Disarm():
                self.watchdog.disarm()


def test_a_node_that_works_is_never_reset() -> None:
    guarded = Guarded()
    guarded.network.run(120.0)

    assert guarded.device.reset_at is None
    assert guarded.device.signs >= 120.0 / TIMING.keepalive_s


def test_a_node_that_stops_in_order_is_not_reset() -> None:
    guarded = Guarded()
    guarded.network.run(3.0)
    guarded.network.stop("a")
    guarded.network.run(60.0)

    assert "a" not in guarded.network.lives
    assert guarded.device.reset_at is None


@pytest.mark.parametrize("how", ["crash", "freeze"])
def test_a_node_whose_heartbeat_is_killed_or_stopped_is_reset_after_the_timer(how: str) -> None:
    guarded = Guarded()
    guarded.network.run(3.0)
    at = guarded.network.now
    getattr(guarded.network, how)("a")
    guarded.network.run(60.0)

    assert guarded.device.reset_at is not None
    assert TIMER_S - TIMING.keepalive_s <= guarded.device.reset_at - at <= TIMER_S


def test_a_pause_shorter_than_the_timer_does_no_harm() -> None:
    guarded = Guarded()
    guarded.network.run(3.0)
    guarded.network.freeze("a")
    guarded.network.run(TIMER_S - 2 * TIMING.keepalive_s)
    guarded.network.thaw("a")
    guarded.network.run(60.0)

    assert guarded.device.reset_at is None


def test_a_node_paused_for_longer_than_the_timer_is_reset_though_it_goes_on() -> None:
    guarded = Guarded()
    guarded.network.run(3.0)
    guarded.network.freeze("a")
    guarded.network.run(TIMER_S + 1.0)
    guarded.network.thaw("a")

    assert guarded.device.reset_at is not None


def test_a_timer_below_the_deadtime_bites_before_the_others_take_over() -> None:
    assert TIMING.deadtime_s >= 1.0
    guarded = Guarded(timer_s=1)
    network = guarded.network
    network.run(3.0)
    network.freeze("a")
    network.run(10.0, until=lambda: network.is_agreed("bc"))

    assert guarded.device.reset_at is not None
    assert guarded.device.reset_at <= network.now


def test_a_node_whose_vital_child_failed_says_no_farewell_and_is_reset() -> None:
    guarded = Guarded(plans=(CIB,))
    network = guarded.network
    network.run(3.0)
    network.feed("a", children.ChildStarted("cib", 100))
    failed_at = network.now
    network.feed("a", children.ChildEnded("cib", 100))

    took = network.run(5.0, until=lambda: network.is_agreed("bc"))
    network.run(5.0)

    assert guarded.device.reset_at is not None
    assert guarded.device.reset_at - failed_at <= TIMER_S
    assert took > TIMING.deadtime_s - TIMING.keepalive_s - 0.05
    assert "/dev/watchdog stays armed: it will reset this computer" in network.past[0].texts()


def test_a_node_whose_controller_is_killed_while_it_stops_is_reset() -> None:
    guarded = Guarded(plans=(CRMD,))
    network = guarded.network
    network.run(3.0)
    network.feed("a", children.ChildStarted("crmd", 100))
    network.stop("a")
    network.feed("a", children.ChildEnded("crmd", 0, 9))
    killed_at = network.now

    took = network.run(5.0, until=lambda: network.is_agreed("bc"))
    network.run(5.0)

    assert guarded.device.reset_at is not None
    assert guarded.device.reset_at - killed_at <= TIMER_S
    assert took > TIMING.deadtime_s - TIMING.keepalive_s - 0.05


def test_without_a_watchdog_nobody_asks_for_one() -> None:
    network = Network(2, child_plans=(CIB,))
    seen: list[object] = []
    network.devices["a"] = seen.append
    network.start()
    network.run(3.0)
    network.stop("a")
    network.run(3.0)

    assert not [each for each in seen if isinstance(each, watchdog.ShowLife | watchdog.Disarm)]


# --- the device -----------------------------------------------------------------------------


def test_a_file_that_is_no_watchdog_is_refused_with_what_usually_is(tmp_path: Path) -> None:
    path = tmp_path / "watchdog"
    path.write_bytes(b"")

    with pytest.raises(ConfigurationError, match="no watchdog device"):
        open_watchdog(path, 5)

    assert path.read_bytes() == b"V"


def test_a_missing_device_is_refused_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="modprobe softdog"):
        open_watchdog(tmp_path / "watchdog", 5)


def test_a_device_that_cannot_wait_that_long_is_refused_and_disarmed() -> None:
    now = [0.0]
    device = FakeDevice(lambda: now[0], longest_s=16)

    with pytest.raises(ConfigurationError, match="waits 16 s at most, 31 s were asked for"):
        Watchdog(device, PATH, 31)

    now[0] = 1000.0
    assert device.reset_at is None


def test_a_broken_device_is_told_of_and_does_not_end_heartbeat() -> None:
    device = FakeDevice(lambda: 0.0)
    watchdog = Watchdog(device, PATH, 5)
    device.is_broken = True

    assert watchdog.show_life() == "Input/output error"
    watchdog.disarm()


def test_an_abandoned_device_stays_armed() -> None:
    now = [0.0]
    device = FakeDevice(lambda: now[0])
    watchdog = Watchdog(device, PATH, 5)

    watchdog.abandon()
    now[0] = 6.0

    assert device.reset_at == 5.0
    assert watchdog.show_life() == ""


def test_a_disarmed_watchdog_takes_no_more_signs() -> None:
    now = [0.0]
    device = FakeDevice(lambda: now[0])
    watchdog = Watchdog(device, PATH, 5)
    watchdog.disarm()
    watchdog.disarm()
    now[0] = 100.0

    assert device.reset_at is None
    assert watchdog.show_life() == ""


@pytest.mark.parametrize(("deadtime_s", "timer_s"), [(30.0, 31), (0.5, 1), (0.99, 1), (1.0, 2)])
def test_the_classic_timer_is_the_deadtime_rounded_up(deadtime_s: float, timer_s: int) -> None:
    assert default_timer_s(deadtime_s) == timer_s
