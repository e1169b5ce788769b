"""Machines on an event loop: order of effects, deadlines, bugs; and transcripts of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from crm.plumbing import transcript
from crm.plumbing.blackbox import BlackBox
from crm.plumbing.codec import Message
from crm.plumbing.errors import UsageError
from crm.plumbing.machine import MessageArrived, Note, PeerConnected, Tell, info
from crm.plumbing.runner import Runner


class Greeting(Message, frozen=True, omit_defaults=True):
    text: str
    data: bytes = b""
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Counted:
    number: int
    why: str = ""


@dataclass(frozen=True)
class Count:
    number: int


class Counter:
    """Counts down: every event gives its number, a tick one less, until zero."""

    def __init__(self) -> None:
        self.left: list[int] = []
        self.due: float | None = None

    def receive(self, event: Counted, now: float) -> list[Count]:
        if event.number < 0:
            raise ValueError("cannot count below nothing")
        if event.why == "later":
            self.left = list(range(event.number - 1, -1, -1))
            self.due = now + 0.01
            return []
        return [Count(event.number), Count(event.number + 100)]

    def tick(self, now: float) -> list[Count]:
        if self.due is None or now < self.due:
            return []
        number = self.left.pop(0)
        self.due = now - 5 if self.left else None
        return [Count(number)]

    def next_deadline(self) -> float | None:
        return self.due


class Stage:
    """A runner with everything it carried out."""

    def __init__(self, react: Callable[[Stage, Count], None] | None = None) -> None:
        self.done: list[int] = []
        self.crashes: list[BaseException] = []
        self.blackbox = BlackBox()
        self.react = react
        self.runner = Runner(
            Counter(),
            self.carry_out,
            self.crashes.append,
            blackbox=self.blackbox,
            loop=asyncio.get_running_loop(),
        )

    def carry_out(self, effect: Count) -> None:
        self.done.append(effect.number)
        if self.react is not None:
            self.react(self, effect)


def test_an_event_raised_by_an_effect_waits_for_the_effects_before_it() -> None:
    def react(stage: Stage, effect: Count) -> None:
        if effect.number < 3:
            stage.runner.receive(Counted(effect.number + 1))

    async def scene() -> None:
        stage = Stage(react)
        stage.runner.receive(Counted(1))
        assert stage.done == [1, 101, 2, 102, 3, 103]

    asyncio.run(scene())


def test_deadlines_in_the_past_are_served_without_starving_the_loop() -> None:
    async def scene() -> None:
        stage = Stage()
        stage.runner.receive(Counted(3, "later"))
        async with asyncio.timeout(5):
            while stage.done != [2, 1, 0]:
                await asyncio.sleep(0)

    asyncio.run(scene())


class Diligent:
    """Has more to do in the next turn, always."""

    def __init__(self) -> None:
        self.ticks = 0

    def receive(self, event: Counted, now: float) -> list[Count]:
        return []

    def tick(self, now: float) -> list[Count]:
        self.ticks += 1
        return []

    def next_deadline(self) -> float | None:
        return 0.0


def test_events_in_every_turn_do_not_keep_what_is_due_from_being_done() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        machine = Diligent()
        crashes: list[BaseException] = []
        runner = Runner(machine, lambda _: None, crashes.append, blackbox=BlackBox(), loop=loop)
        for _ in range(100):
            runner.receive(Counted(1))
            await asyncio.sleep(0)
        runner.stop()
        assert machine.ticks > 10
        assert not crashes

    asyncio.run(scene())


class Sleeper:
    """Is due again a while after every event; notes when it is woken."""

    def __init__(self) -> None:
        self.due: float | None = None
        self.woken: list[float] = []

    def receive(self, event: Counted, now: float) -> list[Count]:
        self.due = now + event.number / 1000
        return []

    def tick(self, now: float) -> list[Count]:
        assert self.due is not None
        self.woken.append(now - self.due)
        self.due = None
        return []

    def next_deadline(self) -> float | None:
        return self.due


def test_a_deadline_that_moves_is_kept_and_nobody_is_woken_before_it() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        machine = Sleeper()
        crashes: list[BaseException] = []
        runner = Runner(machine, lambda _: None, crashes.append, blackbox=BlackBox(), loop=loop)
        async with asyncio.timeout(30):
            for number in (1, 20, 5):  # later, then earlier than the timer that is set
                runner.receive(Counted(number))
            while not machine.woken:
                await asyncio.sleep(0)
            assert machine.due is None
            runner.receive(Counted(10))
            while len(machine.woken) < 2:
                await asyncio.sleep(0)
        assert all(late_s >= 0 for late_s in machine.woken)
        assert not crashes

    asyncio.run(scene())


def test_a_machine_with_a_bug_is_reported_once_and_never_called_again(tmp_path: Path) -> None:
    async def scene() -> None:
        stage = Stage()
        stage.runner.receive(Counted(1))
        stage.runner.receive(Counted(-1))
        stage.runner.receive(Counted(2))
        assert stage.done == [1, 101]
        assert [str(each) for each in stage.crashes] == ["cannot count below nothing"]
        path = tmp_path / "deep" / "blackbox.txt"
        stage.blackbox.write(path, stage.crashes[0])
        text = path.read_text()
        assert "# ValueError: cannot count below nothing" in text
        assert text.endswith("> Counted(-1)\n")

    asyncio.run(scene())


def test_the_black_box_keeps_the_last_entries_within_its_limits() -> None:
    box = BlackBox(max_entries=3, max_bytes=10_000)
    for number in range(5):
        box.remember(0.0, ">", Counted(number))
    assert box.text() == "at 0.000000\n> Counted(2)\n> Counted(3)\n> Counted(4)\n"
    box.remember(1.0, ">", MessageArrived("cib", Greeting("big", b"x" * 9_700)))
    assert box.text().count("\n") == 2
    assert "data=<9700 bytes>" in box.text()


def test_a_transcript_is_played_and_written_anew() -> None:
    words = transcript.vocabulary(Counted)
    text = "# why\nat 2\n> Counted(2, why='later')\n< Count(99)\ntick\ntick\n"
    played = transcript.play(Counter(), text, words)
    assert played == "# why\nat 2\n> Counted(2, why='later')\ntick\n< Count(1)\ntick\n< Count(0)\n"


@pytest.mark.parametrize(
    "item",
    [
        PeerConnected("cib"),
        Tell("cib", Greeting("a'b", b"\0\xff", ("x",))),
        Note(20, "crmd", 'say "hi"'),
    ],
)
def test_what_is_rendered_reads_as_the_same(item: object) -> None:
    words = transcript.vocabulary(PeerConnected, Tell, Note, Greeting)
    assert transcript.read(transcript.render(item), words) == item


def test_fields_at_their_default_are_not_shown() -> None:
    assert transcript.render(Greeting("x")) == "Greeting(text='x')"
    assert transcript.render(info("crmd", "t")) == "Note(20, 'crmd', 't')"


@pytest.mark.parametrize("line", ["Unknown(1)", "Counted(open('x'))", "Counted(", "Counted(1+x)"])
def test_a_transcript_evaluates_nothing_it_does_not_know(line: str) -> None:
    with pytest.raises(UsageError):
        transcript.read(line, transcript.vocabulary(Counted))
