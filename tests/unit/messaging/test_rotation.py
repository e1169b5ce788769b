"""A new key while the cluster runs, stopped at every place it can be stopped at."""

from __future__ import annotations

import dataclasses
import random

import pytest

from crm.api import gate
from crm.api import membership as api
from crm.plumbing import transcript
from crm.plumbing.machine import MessageArrived, Tell
from messaging import frame, rotation
from messaging.authkeys import KeyFile, SharedKey
from tests.kit.messaging import KEYS, Network, random_bytes


def agreed(nodes: int = 3, seed: int = 0) -> Network:
    network = Network(nodes, seed=seed, clients=("crmd", gate.SERVICE))
    network.start()
    names = "".join(network.settings.nodes)
    network.run(1.0, until=lambda: network.is_agreed(names))
    network.run(0.5)
    return network


def rotate(network: Network, name: str = "a", request: int = 1) -> None:
    network.feed(name, MessageArrived(gate.SERVICE, api.RotateKey(request)))


def answers(network: Network, name: str = "a") -> list[api.KeyRotated]:
    told = network.lives[name].messages(gate.SERVICE)
    return [message for message in told if isinstance(message, api.KeyRotated)]


def keys_of(network: Network) -> set[KeyFile]:
    return set(network.keys.values())


def misheard(network: Network) -> int:
    lives = [*network.lives.values(), *network.past]
    return sum(life.machine.counters.get("dropped-bad-signature", 0) for life in lives)


@pytest.mark.parametrize("nodes", [1, 2, 3, 5])
def test_all_nodes_come_to_have_one_new_strong_key_and_nobody_misses_a_packet(nodes: int) -> None:
    network = agreed(nodes)
    before = network.views()

    rotate(network)
    network.run(1.0)

    assert answers(network) == [api.KeyRotated(1, number=2)]
    (keys,) = keys_of(network)
    (key,) = keys.keys
    assert (keys.signing, key.number, len(key.secret)) == (2, 2, 64)
    network.run(3.0)
    assert network.views() == before
    assert misheard(network) == 0


def test_messages_go_on_while_keys_change() -> None:
    network = agreed()
    rotate(network)
    for number in range(200):
        network.send("b", str(number).encode())
        network.run(0.0005)
    network.run(1.0)

    assert [payload for _, payload in network.lives["c"].payloads()] == [
        str(number).encode() for number in range(200)
    ]


def test_a_second_rotation_takes_a_free_number_and_leaves_one_key() -> None:
    network = agreed()
    for request in (1, 2, 3):
        rotate(network, "abc"[request - 1], request)
        network.run(1.0)

    assert {key.number for keys in keys_of(network) for key in keys.keys} == {2}
    assert len(keys_of(network)) == 1


def moments() -> list[float]:
    """Moments of a rotation at which something may happen: it takes about 12 ms in all."""
    return [number / 4000 for number in range(60)]


@pytest.mark.parametrize("victim", ["a", "b"])
@pytest.mark.parametrize("moment_s", moments())
def test_a_rotation_that_a_crash_interrupts_is_finished_by_the_next(
    moment_s: float, victim: str
) -> None:
    network = agreed(seed=7)
    rotate(network)
    network.run(moment_s)
    network.crash(victim)
    network.run(3.0, until=lambda: network.is_agreed("abc".replace(victim, "")))
    assert network.is_agreed("abc".replace(victim, "")), "the others still believe each other"
    network.start(victim)
    network.run(4.0, until=lambda: network.is_agreed("abc"))
    assert network.is_agreed("abc"), "the victim is believed with what is on its disk"
    network.run(0.5)

    rotate(network, "c", 2)
    network.run(1.0)

    (answer,) = answers(network, "c")
    assert answer.problem == ""
    (keys,) = keys_of(network)
    assert [key.number for key in keys.keys] == [answer.number]
    network.run(2.0)
    assert network.is_agreed("abc")


@pytest.mark.parametrize("moment_s", moments()[::4])
def test_of_two_rotations_at_once_nobody_is_left_out(moment_s: float) -> None:
    network = agreed(seed=3)
    rotate(network, "a")
    network.run(moment_s)
    rotate(network, "b", 2)
    network.run(1.0)
    ended = [answers(network, name)[0].problem for name in "ab"]
    network.run(3.0)

    assert network.is_agreed("abc") and misheard(network) == 0
    assert ended.count("") <= (2 if moment_s > 0.01 else 1)
    rotate(network, "c", 3)
    network.run(1.0)
    assert answers(network, "c")[0].problem == "" and len(keys_of(network)) == 1


def test_with_a_node_away_nothing_is_begun() -> None:
    network = agreed()
    network.crash("c")
    network.run(3.0)

    rotate(network)
    network.run(1.0)

    assert "node c is away" in answers(network)[0].problem
    assert keys_of(network) == {KEYS}


@pytest.mark.parametrize("node", ["a", "b", "c"])
def test_a_disk_that_cannot_be_written_stops_it_with_the_reason(node: str) -> None:
    network = agreed()
    network.full_disks.add(node)

    rotate(network)
    network.run(1.0)

    assert answers(network)[0].problem == (
        f"node {node}: no space left on device; stopped at step 'add',"
        " all nodes still accept each other"
    )
    network.full_disks.clear()
    rotate(network, request=2)
    network.run(1.0)
    assert answers(network)[1].problem == "" and len(keys_of(network)) == 1
    assert network.is_agreed("abc") and misheard(network) == 0


def test_a_node_that_does_not_answer_is_named() -> None:
    network = Network(3, timing=dataclasses.replace(Network(3).settings.timing, deadtime_s=60.0),
                      clients=("crmd", gate.SERVICE))  # fmt: skip
    network.start()
    network.run(1.0, until=lambda: network.is_agreed("abc"))
    network.run(0.5)
    network.freeze("c")

    rotate(network)
    network.run(rotation.STEP_LIMIT_S + 1)

    problem = answers(network)[0].problem
    assert (
        problem
        == "no answer from c within 10 s; nothing was changed, all nodes still accept each other"
    )


def test_only_the_gate_may_ask() -> None:
    network = agreed()
    network.feed("a", MessageArrived("crmd", api.RotateKey(1)))
    network.feed("a", MessageArrived("stranger", api.RotateKey(1)))
    network.run(1.0)

    assert keys_of(network) == {KEYS}


def test_a_step_of_another_rotation_is_refused() -> None:
    machine = rotation.Rotation(
        KEYS, node="b", peers=["a"], random_bytes=lambda count: bytes(count)
    )
    question = frame.KeyQuestion(b"one")
    machine.receive(rotation.Heard("a", question), 0.0)

    for peer, order in (
        ("a", frame.KeyOrder(b"two", "sign", 1)),
        ("c", frame.KeyOrder(b"one", "sign", 1)),
    ):
        (said,) = machine.receive(rotation.Heard(peer, order), 0.0)
        assert isinstance(said, rotation.SayTo) and isinstance(said.message, frame.KeyDone)
        assert said.message.problem == "this node does not take part in that rotation"


@pytest.mark.parametrize(
    ("order", "problem"),
    [
        (frame.KeyOrder(b"one", "add", 1, bytes(32), b""), "key number 1 is used here"),
        (frame.KeyOrder(b"one", "add", 16, bytes(32), b""), "key number 16 is used here"),
        (frame.KeyOrder(b"one", "add", 2, b"short", b""), "the new key cannot be opened here"),
        (frame.KeyOrder(b"one", "add", 2, b"\7" * 32, b"x"), "the new key cannot be opened here"),
        (frame.KeyOrder(b"one", "sign", 5), "key 5 is not there"),
        (frame.KeyOrder(b"one", "remove", 5), "this node seals with key 1, not 5"),
        (frame.KeyOrder(b"one", "burn", 1), "there is no step 'burn'"),
    ],
)  # fmt: skip
def test_an_order_that_would_do_harm_changes_nothing(order: frame.KeyOrder, problem: str) -> None:
    machine = rotation.Rotation(
        KEYS, node="b", peers=["a"], random_bytes=lambda count: bytes(count)
    )
    machine.receive(rotation.Heard("a", frame.KeyQuestion(b"one")), 0.0)

    (said,) = machine.receive(rotation.Heard("a", order), 0.0)

    assert said == rotation.SayTo("a", frame.KeyDone(b"one", order.step, problem))


class SlowDisks:
    """Two nodes whose files are written when the test says so."""

    def __init__(self) -> None:
        self.machines = {
            node: rotation.Rotation(
                KEYS, node=node, peers=[peer], random_bytes=random_bytes(random.Random(node))
            )
            for node, peer in ("ab", "ba")
        }
        self.in_use = dict.fromkeys("ab", KEYS)
        self.writes: list[tuple[str, KeyFile]] = []
        self.answers: list[api.KeyRotated] = []
        for node, peer in ("ab", "ba"):
            self.feed(node, rotation.PeerAppeared(peer))

    def feed(self, node: str, event: rotation.Event) -> None:
        for effect in self.machines[node].receive(event, 1.0):
            match effect:
                case rotation.SayTo(peer, message):
                    self.feed(peer, rotation.Heard(node, message))
                case rotation.WriteKeys(_, keys):
                    self.writes.append((node, keys))
                case rotation.UseKeys(keys):
                    self.in_use[node] = keys
                case Tell(_, message):
                    assert isinstance(message, api.KeyRotated)
                    self.answers.append(message)

    def end_write(self, node: str, problem: str = "") -> None:
        found = next(each for each in self.writes if each[0] == node)
        self.writes.remove(found)
        self.feed(node, rotation.KeysWritten(found[1], problem))


def test_the_end_of_a_write_counts_for_no_rotation_but_its_own() -> None:
    disks = SlowDisks()
    disks.feed("a", rotation.Asked("gate", 1))
    disks.end_write("a", "no space left on device")

    disks.feed("a", rotation.Asked("gate", 2))
    assert disks.writes == [("b", disks.writes[0][1])]
    assert "node b: a write of authkeys is not finished" in disks.answers[-1].problem

    disks.end_write("b")
    disks.feed("a", rotation.Asked("gate", 3))
    while disks.writes:
        disks.end_write(disks.writes[0][0])
    assert disks.answers[-1] == api.KeyRotated(3, number=3)
    assert disks.in_use["a"] == disks.in_use["b"] != KEYS


def test_the_new_secret_is_in_no_log_and_no_black_box() -> None:
    secret = b"0123456789abcdef" * 4
    write = rotation.WriteKeys(KEYS, KeyFile(2, (SharedKey(2, "sha1", secret),)))

    for text in (repr(write), transcript.render(write)):
        assert secret.decode() not in text and "a secret of" not in text
