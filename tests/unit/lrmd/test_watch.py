from __future__ import annotations

from crm.api.lrm import ResourceAgent
from lrmd.operations import StartAgent
from lrmd.watch import AddressWatch


class Watched:
    def __init__(self) -> None:
        self.tripped: list[tuple[str, str]] = []
        self.watch = AddressWatch(lambda resource, what: self.tripped.append((resource, what)))

    def follow(self, operation: str, *, interval_ms: int = 0, ip: str = "10.0.0.1") -> None:
        agent = ResourceAgent("ocf", "IPaddr2", "heartbeat")
        self.watch.follow(
            StartAgent(
                run=1,
                resource="vip",
                agent=agent,
                operation=operation,
                interval_ms=interval_ms,
                timeout_ms=20_000,
                meta={},
                parameters={"ip": ip},
            )
        )


def test_the_address_of_a_monitored_resource_trips_when_it_is_gone() -> None:
    watched = Watched()
    watched.follow("monitor", interval_ms=10_000)

    watched.watch.gone(("10.0.0.9", "10.0.0.1"))

    assert watched.tripped == [("vip", "address 10.0.0.1 was removed")]


def test_an_address_is_the_same_in_every_spelling() -> None:
    watched = Watched()
    watched.follow("monitor", interval_ms=10_000, ip="FD00:0::1")

    watched.watch.gone(("fd00::1",))

    assert watched.tripped == [("vip", "address fd00::1 was removed")]


def test_a_stopped_address_or_a_probed_one_trips_nothing() -> None:
    watched = Watched()
    watched.follow("monitor", interval_ms=10_000)
    watched.follow("stop")
    watched.follow("monitor")

    watched.watch.gone(("10.0.0.1",))
    watched.watch.gone(None)

    assert watched.tripped == []


def test_lost_news_trip_every_watched_address() -> None:
    watched = Watched()
    watched.follow("monitor", interval_ms=10_000)

    watched.watch.gone(None)

    assert watched.tripped == [("vip", "address notifications were lost")]
