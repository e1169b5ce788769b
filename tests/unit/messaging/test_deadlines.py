"""Deadlines are looked for piece by piece; nothing is done later for it."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from messaging import frame, link_events, links
from tests.kit.messaging import TIMING, settings

RARE = replace(TIMING, keepalive_s=30.0)
"""The next heartbeat is not the next thing to be done, as it mostly is."""

PEERS = ("b", "c", "d")
SESSIONS = {name: name.encode() * 8 for name in ("a", *PEERS)}
EPOCHS = st.sampled_from((0,) * 8 + (1,))


def stamps(now: float) -> st.SearchStrategy[int]:
    ages = st.sampled_from((0.0, 0.0, 0.0, 0.01, 0.9))
    return ages.map(lambda age_s: int((now - age_s) * 1e6) + 1)


@st.composite
def hearings(draw: st.DrawFn, session: bytes, now: float) -> frame.Hearing:
    return frame.Hearing(session, draw(stamps(now)), draw(EPOCHS), draw(EPOCHS))


@st.composite
def messages(draw: st.DrawFn, now: float) -> frame.Status | frame.Beat | None:
    kind = draw(st.sampled_from(("status", "beat", "other")))
    if kind == "other":
        return None
    own = draw(hearings(SESSIONS["a"], now))
    about = draw(st.sampled_from(PEERS))
    third = draw(hearings(SESSIONS[about], now))
    if kind == "beat":
        ask = draw(st.booleans())
        report = draw(st.sampled_from((None, third)))
        return frame.Beat("a", ask, draw(stamps(now)), own, about, report)
    return frame.Status(
        status="active",
        stamp=draw(stamps(now)),
        deadtime_ms=draw(st.sampled_from((300, 1000))),
        keepalive_ms=200,
        uuid="",
        nodes=4,
        hearings={"a": own, about: third},
    )


@st.composite
def events(draw: st.DrawFn, now: float) -> link_events.Event:
    peer = draw(st.sampled_from(PEERS))
    age_s = draw(st.sampled_from((0.0, 0.0, 0.0, 0.3)))
    heard = link_events.PacketHeard(peer, SESSIONS[peer], "eth1", "", draw(messages(now)), age_s)
    others = (
        link_events.CopyHeard(peer, SESSIONS[peer], "eth2", "", age_s),
        link_events.QuorateViewChanged(("a", *PEERS)),
        link_events.PeerTookLeave(peer),
        link_events.PeerOverran(peer),
    )
    return draw(st.sampled_from((heard,) * 12 + others))


def make() -> links.Links:
    made = links.Links(settings(4, RARE), node="a", session=SESSIONS["a"], uuid="", now=100.0)
    for peer in PEERS:
        made.receive(link_events.SessionOpened(peer, SESSIONS[peer]), 100.0)
    return made


@given(st.data())
def test_no_deadline_is_later_than_one_that_was_looked_for_among_all(data: st.DataObject) -> None:
    machine, plain = make(), make()
    now = 100.0
    for _ in range(data.draw(st.integers(1, 40))):
        now += data.draw(st.sampled_from((0.0, 0.001, 0.05, 0.2, 0.9)))
        due = machine.next_deadline()
        plain.adjust(RARE)  # makes it look for all deadlines anew
        expected = plain.next_deadline()
        assert due is not None
        assert expected is not None
        assert due <= expected
        if now >= due:
            machine.tick(now)
            plain.tick(now)
            continue
        event = data.draw(events(now))
        assert machine.receive(event, now) == plain.receive(event, now)
