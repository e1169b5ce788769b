"""What the clients of all nodes are told, and in which order, whatever happens to the network.

The promises of `crm.api.membership`: messages of a node arrive in order, each at most once at each
client; a client at a peer joins before its first message and leaves after its last; the clients of
a lost node have left before the view without it is shown; and the clients of one node see views,
news and messages in one and the same order.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import msgspec
import pytest

from crm.api import membership as api
from crm.api.membership import ClientStatus, NodeStatus
from tests.kit.messaging import TIMING, Life, Network

CLIENTS = ("crmd", "cib")
NEWS = (api.NodeChanged, api.ClientChanged, api.ViewInstalled, api.LinkChanged)
HERE = (ClientStatus.JOIN, ClientStatus.ONLINE)


def torment(seed: int) -> Network:
    """A network in which everything goes wrong while both clients of every node send to all."""
    rng = random.Random(seed)
    network = Network(rng.choice((2, 3, 4, 5)), seed=seed, clients=CLIENTS)
    names = "".join(network.settings.nodes)
    network.loss, network.duplication = rng.uniform(0, 0.2), 0.05
    network.delay_s = (0.0002, rng.choice((0.001, 0.02)))
    network.start()
    numbers = itertools.count(1)
    for _ in range(60):
        network.run(rng.uniform(0.0, 0.4))
        running = [name for name in sorted(network.lives) if name not in network.frozen]
        for name in running:
            for client in rng.choices(CLIENTS, k=rng.randrange(5)):
                to = rng.choice(("", "", rng.choice(names)))
                text = f"{name} {next(numbers)} {to or '*'} {'x' * rng.randrange(0, 3000)}"
                network.send(name, text.encode(), client=client, to=to)
        match rng.randrange(10):
            case 0:
                cut = rng.randrange(1, len(names))
                shuffled = "".join(rng.sample(names, len(names)))
                network.partition(shuffled[:cut], shuffled[cut:])
            case 1 | 2:
                network.heal()
            case 3 if running:
                network.crash(rng.choice(running))
            case 4 if running:
                network.freeze(rng.choice(running))
            case 5 | 6 if network.frozen:
                network.thaw(rng.choice(sorted(network.frozen)))
            case 7 | 8:
                absent = [name for name in names if name not in network.lives]
                if absent:
                    network.start(rng.choice(absent))
            case 9 if running:
                network.stop(rng.choice(running))
    for name in sorted(network.frozen):
        network.thaw(name)
    network.heal()
    network.run(3 * TIMING.initdead_s)
    return network


def every_life(network: Network) -> Iterator[Life]:
    yield from network.past
    yield from network.lives.values()


def number_of(message: api.ClusterMessage) -> int:
    return int(message.payload.split()[1])


@pytest.mark.parametrize("seed", range(12))
def test_every_client_is_told_in_the_promised_order(seed: int) -> None:
    network = torment(seed)
    delivered = 0
    for life in every_life(network):
        for client in CLIENTS:
            told = life.messages(client)
            delivered += check_messages(told)
            check_clients_and_views(told)
    assert delivered > 0


@pytest.mark.parametrize("seed", range(12))
def test_the_clients_of_one_node_see_one_and_the_same_order(seed: int) -> None:
    network = torment(seed)
    for life in every_life(network):
        first, second = (news_of_others(life.messages(client)) for client in CLIENTS)
        assert first == second
        check_common_order(life)


def news_of_others(told: list[msgspec.Struct]) -> list[msgspec.Struct]:
    """All news but those of this node's own clients, which differ: nobody is told of itself."""
    own = told[0]
    assert isinstance(own, api.SignedOn)
    return [
        message
        for message in told
        if isinstance(message, NEWS)
        and not (isinstance(message, api.ClientChanged) and message.node == own.node)
    ]


def check_messages(told: list[msgspec.Struct]) -> int:
    """Messages of a node come in the order it sent them, each once; gives how many came."""
    last: dict[str, int] = {}
    count = 0
    for message in told:
        if isinstance(message, api.ClusterMessage):
            number = number_of(message)
            assert number > last.get(message.from_node, 0), (message.from_node, number)
            last[message.from_node] = number
            count += 1
    return count


def check_clients_and_views(told: list[msgspec.Struct]) -> None:
    """A sender is here while it is heard; who is gone has left before the view that says so.

    A node that a view leaves out because others have no contact with it is not gone for those that
    have: they go on hearing its clients.
    """
    here: set[tuple[str, str]] = set()
    staying: set[tuple[str, str]] = set()  # those here at the last view that have not left since
    dead: set[str] = set()
    own = told[0]
    assert isinstance(own, api.SignedOn)
    view_id = 0
    for message in told:
        match message:
            case api.NodeChanged(node, _, status):
                (dead.add if status is NodeStatus.DEAD else dead.discard)(node)
            case api.ClientChanged(node, client, status) if status in HERE:
                here.add((node, client))
            case api.ClientChanged(node, client):
                here.discard((node, client))
                staying.discard((node, client))
            case api.ClusterMessage(node, client):
                assert node == own.node or (node, client) in here
            case api.ViewInstalled(event, view):
                if event in (api.ViewEvent.NOT_PRIMARY, api.ViewEvent.EVICTED):
                    continue  # these carry the view that was current until now
                assert view.id >= view_id
                gone = set(view.lost) & dead - {member.name for member in view.members}
                assert not {node for node, _ in staying} & gone, (event, view.lost)
                view_id, staying = view.id, set(here)


def check_common_order(life: Life) -> None:
    """Between two views each client of a node got what was sent to it, and nothing else.

    What one sender said to both clients in turn keeps its order across them, and across views: if
    the earlier message came after a view, the later one did not come before it.
    """
    views = dict.fromkeys(CLIENTS, 0)
    seen: dict[str, tuple[int, int]] = {}  # sender → number of its last message, views by then
    for _, client, message in life.told:
        if client not in views:
            continue
        if isinstance(message, api.ViewInstalled):
            views[client] += 1
        elif isinstance(message, api.ClusterMessage):
            number, before = number_of(message), seen.get(message.from_node, (0, 0))
            if number > before[0]:
                assert views[client] >= before[1]
                seen[message.from_node] = (number, max(views[client], before[1]))
