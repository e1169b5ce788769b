"""The quorum server by itself: who gets the tie, what it answers to strangers, its file."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.plumbing.errors import ConfigurationError, RemoteProtocolError
from crm.plumbing.settings import Paths
from messaging import ballot, quorumd
from messaging.authkeys import KeyFile, SharedKey
from messaging.media.answering import AnsweringSocket
from messaging.quorumserver import KeysRead, QuestionArrived, QuorumServer, SendAnswer
from tests.kit.messaging import KEYS, random_bytes

SOURCE = ("192.0.2.7", 40000)
OTHER_KEYS = KeyFile(1, (SharedKey(1, "sha1", b"another secret"),))
LEASE_MS, HOLD_MS, LONGEST_S = 700, 1000, 2.0


def sealer(keys: KeyFile = KEYS, *, is_server: bool = False, seed: int = 1) -> ballot.Sealer:
    rng = random_bytes(random.Random(seed))
    return ballot.Sealer(keys, "lab", is_server=is_server, random_bytes=rng)


class Voter:
    """Nodes that ask one server, at times that the test says."""

    def __init__(self) -> None:
        self.server = QuorumServer(
            {"lab": KEYS}, now=0.0, random_bytes=random_bytes(random.Random(0)), longest_s=LONGEST_S
        )
        self.sealer = sealer()
        self.tokens: dict[str, bytes] = {}
        self.words = itertools.count(1)

    def ask(
        self,
        node: str,
        members: str,
        now: float,
        *,
        lease_ms: int = LEASE_MS,
        hold_ms: int = HOLD_MS,
    ) -> ballot.Answer:
        """Ask, with the token the server wants."""
        answer = self.ask_once(node, members, now, lease_ms=lease_ms, hold_ms=hold_ms)
        if not answer.is_stale:
            return answer
        return self.ask_once(node, members, now, lease_ms=lease_ms, hold_ms=hold_ms)

    def ask_once(
        self, node: str, members: str, now: float, *, lease_ms: int, hold_ms: int
    ) -> ballot.Answer:
        word = next(self.words).to_bytes(ballot.WORD_BYTES, "big")
        token = self.tokens.get(node, b"")
        ask = ballot.Ask(node, word, token, tuple(members), lease_ms, hold_ms)
        (sent,) = self.say(self.sealer.seal(ask), now)
        answer = self.sealer.open(sent)
        assert isinstance(answer, ballot.Answer) and answer.word == word
        self.tokens[node] = answer.token
        return answer

    def say(self, data: bytes, now: float) -> list[bytes]:
        effects = self.server.receive(QuestionArrived(data, SOURCE), now)
        return [effect.data for effect in effects if isinstance(effect, SendAnswer)]


def test_the_tie_goes_to_one_set_until_its_hold_is_over() -> None:
    voter = Voter()
    assert voter.ask("a", "a", 2.0).granted
    assert voter.ask("b", "b", 2.9).reason == "a may go on"
    assert voter.ask("a", "a", 2.5).granted
    assert not voter.ask("b", "b", 3.4).granted
    assert voter.ask("b", "b", 3.6).granted
    assert not voter.ask("a", "a", 3.7).granted


def test_sets_that_share_a_member_may_have_it_together() -> None:
    voter = Voter()
    assert voter.ask("a", "ab", 2.0).granted
    assert voter.ask("a", "ac", 2.1).granted
    assert not voter.ask("c", "cd", 2.2).granted, "ab has it still"
    assert voter.ask("c", "cd", 3.05).granted, "only ac has it now"


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sets(st.sampled_from("abcd"), min_size=1),
                          st.floats(0.0, 0.8), st.booleans()), max_size=40))  # fmt: skip
@settings(deadline=None, max_examples=100)
def test_two_sets_without_a_common_member_never_have_it_at_one_time(
    questions: list[tuple[str, set[str], float, bool]],
) -> None:
    voter, now = Voter(), 0.0
    held: list[tuple[frozenset[str], float]] = []
    for node, members, pause_s, is_new_server in questions:
        now += pause_s
        if is_new_server and pause_s > 0.7:
            voter.server = QuorumServer(
                {"lab": KEYS},
                now=now,
                random_bytes=random_bytes(random.Random(now)),
                longest_s=LONGEST_S,
            )
        if voter.ask(node, "".join(sorted(members)), now).granted:
            held = [(other, until) for other, until in held if until > now]
            assert all(members & other for other, _ in held)
            held.append((frozenset(members), now + HOLD_MS / 1000))


def test_after_a_start_nobody_gets_anything_for_the_longest_hold() -> None:
    voter = Voter()

    assert "waits for 0.1 s more" in voter.ask("a", "a", 1.9).reason
    assert voter.ask("a", "a", 2.0).granted


def test_a_longer_hold_than_the_longest_is_refused() -> None:
    voter = Voter()

    assert "the longest hold is 2 s" in voter.ask("a", "a", 5.0, hold_ms=2001).reason
    assert "the longest hold is 2 s" in voter.ask("a", "a", 5.0, lease_ms=2001).reason
    assert "asks for others" in voter.ask("a", "bc", 5.0).reason


def test_who_asks_for_nothing_is_told_what_would_be_refused() -> None:
    voter = Voter()
    answer = voter.ask_once("a", "a", 5.0, lease_ms=LEASE_MS, hold_ms=2001)

    assert answer.is_stale and "the longest hold is 2 s" in answer.reason
    voter.tokens.clear()
    assert voter.ask_once("a", "a", 5.0, lease_ms=LEASE_MS, hold_ms=HOLD_MS).reason == ""
    assert voter.ask("b", "b", 5.1).granted, "a has asked for nothing"


def test_a_recorded_question_is_answered_but_holds_nothing() -> None:
    voter = Voter()
    voter.ask("a", "a", 2.0)
    word = bytes(ballot.WORD_BYTES)
    ask = ballot.Ask("a", word, voter.tokens["a"], ("a",), LEASE_MS, HOLD_MS)
    recorded = voter.sealer.seal(ask)
    for now in (2.1, 2.9, 2.95):
        voter.say(recorded, now)

    assert voter.ask("b", "b", 3.2).granted


@given(st.binary(max_size=80))
def test_junk_is_not_answered(junk: bytes) -> None:
    voter = Voter()
    sealed = voter.sealer.seal(ballot.Ask("a", bytes(16), b"", ("a",), 1, 1))

    assert voter.say(junk, 9.0) == []
    assert voter.say(sealed[:35] + junk, 9.0) == []
    assert len(voter.say(sealed, 9.0)) == 1


def test_another_key_another_cluster_and_a_reflected_answer_are_not_answered() -> None:
    voter = Voter()
    ask = ballot.Ask("a", bytes(16), b"", ("a",), 1, 1)
    (answer,) = voter.say(voter.sealer.seal(ask), 9.0)

    assert voter.say(sealer(OTHER_KEYS).seal(ask), 9.0) == []
    assert voter.say(answer, 9.0) == []
    rng = random_bytes(random.Random(3))
    stranger = ballot.Sealer(KEYS, "other", is_server=False, random_bytes=rng)
    assert voter.say(stranger.seal(ask), 9.0) == []
    with pytest.raises(RemoteProtocolError):
        sealer(OTHER_KEYS).open(answer)


def test_new_keys_are_taken_over_and_the_tie_is_kept() -> None:
    voter = Voter()
    assert voter.ask("a", "a", 2.0).granted
    voter.server.receive(KeysRead({"lab": OTHER_KEYS}), 2.1)
    voter.sealer = sealer(OTHER_KEYS)

    assert not voter.ask("b", "b", 2.2).granted


def test_a_cluster_that_is_named_no_more_is_not_answered() -> None:
    voter = Voter()
    assert voter.ask("a", "a", 2.0).granted
    ask = voter.sealer.seal(ballot.Ask("b", bytes(16), b"", ("b",), LEASE_MS, HOLD_MS))

    effects = voter.server.receive(KeysRead({"other": OTHER_KEYS}), 2.1)

    assert any("cluster lab is answered no more" in str(effect) for effect in effects)
    assert voter.say(ask, 2.2) == []


def test_a_cluster_that_is_named_again_is_given_nothing_twice() -> None:
    voter = Voter()
    assert voter.ask("a", "a", 2.0).granted
    for at in (2.1, 2.2):
        voter.server.receive(KeysRead({"other": OTHER_KEYS}), at)
    voter.server.receive(KeysRead({"lab": KEYS}), 2.3)

    assert voter.ask("b", "b", 2.4).reason == "a may go on"
    assert voter.ask("b", "b", 3.1).granted


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "etc/ha.d").mkdir(parents=True)
    keys = tmp_path / "etc/ha.d/lab.keys"
    keys.write_text("auth 1\n1 sha1 a-long-secret-of-the-tests\n")
    keys.chmod(0o600)
    return Paths(tmp_path)


def conf(paths: Paths, *lines: str) -> list[str]:
    (paths.ha_cf.parent / "quorumd.conf").write_text("\n".join(lines))
    found, problems = quorumd.read_settings(paths)
    codes = [problem.code for problem in problems]
    assert (found is None) == bool(codes)
    return codes


def test_the_file_of_the_server_says_what_it_means(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ("# a remark", "cluster lab /etc/ha.d/lab.keys", "port 700 # here", "longest 1500ms")
    assert conf(paths, *lines) == []
    found, _ = quorumd.read_settings(paths)
    assert found is not None and (found.port, found.longest_s) == (700, 1.5)
    assert list(found.keys) == ["lab"] and "secret" not in repr(found)

    assert quorumd.main(["--check", "--root", str(paths.root)]) == 0
    assert "cluster      lab" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("", "no-cluster"),
        ("cluster lab", "bad-line"),
        ("cluster lab /etc/ha.d/none", "bad-line"),
        ("cluster lab /etc/ha.d/a\0b", "bad-line"),
        ("port 70000", "bad-line"),
        (f"port {'1' * 5000}", "bad-line"),
        ("longest 4000", "bad-line"),
        ("longest ever", "bad-line"),
        ("cluster lab /etc/ha.d/open.keys", "authkeys-mode"),
    ],
)
def test_a_wrong_line_is_refused_with_a_way_out(paths: Paths, line: str, code: str) -> None:
    public = paths.ha_cf.parent / "open.keys"
    public.write_text("auth 1\n1 sha1 a-long-secret-of-the-tests\n")
    public.chmod(0o644)

    assert conf(paths, line) == [code]
    assert quorumd.main(["--root", str(paths.root)]) == quorumd.EXIT_NOT_CONFIGURED


def test_a_port_in_use_is_told_of(paths: Paths) -> None:
    taken = AnsweringSocket("127.0.0.1", 0)
    try:
        with pytest.raises(ConfigurationError, match="cannot listen on 127"):
            AnsweringSocket("127.0.0.1", taken.port)
    finally:
        taken.close()
