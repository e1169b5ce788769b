"""Everything goes wrong while clients talk: what they were told is judged afterwards."""

from __future__ import annotations

import random

from tests.contract.stage import Stage
from tests.sim.nodes import Makers

SIZES = (2, 3, 3, 4, 5)
STEPS = 40


def torment(stack: str, seed: int, *, plants: Makers | None = None, settles: bool = True) -> Stage:
    """A life of a few computers with every fault of the network, of nodes and of clients.

    In the end all agree, where the stack `settles`.
    """
    chance = random.Random(seed)
    stage = Stage(stack, chance.choice(SIZES), seed=seed, plants=plants)
    for name in stage.names:
        stage.engine.at(chance.uniform(0, 1), stage.nodes[name].boot)
    stage.run(14.0)
    for _ in range(STEPS):
        _befall(stage, chance)
        for _ in range(chance.choice((1, 2, 8))):
            stage.run(chance.choice((0.01, 0.1, 0.7)) * chance.random())
            _talk(stage, chance)
    stage.network.heal()
    for _ in range(20):  # whoever is still leaving comes back when it has left
        stage.start()
        stage.run(1.0)
        _talk(stage, chance)
    if settles:
        stage.agree(*stage.names)
    return stage


def _talk(stage: Stage, chance: random.Random) -> None:
    for name, node in stage.nodes.items():
        for client in ("crmd", "attrd"):
            if node.process(client) is not None and stage.ear(name, client).is_connected:
                to = chance.choice(("", "", *stage.names))
                stage.send(name, client=client, to_client=chance.choice(("crmd", "attrd")), to=to)


def _befall(stage: Stage, chance: random.Random) -> None:
    name, other = chance.sample(stage.names, 2)
    match chance.randrange(12):
        case 0 | 1:
            stage.nodes[name].crash()
        case 2 | 3 | 4:
            stage.start(name)
        case 5:
            middle = chance.randrange(1, len(stage.names))
            shuffled = chance.sample(stage.names, len(stage.names))
            stage.split(" ".join(shuffled[:middle]), " ".join(shuffled[middle:]))
            stage.run(chance.choice((0.5, 3.0, 9.0)))
        case 6 | 7 | 8:
            stage.network.heal()
        case 9:
            stage.network.cut(name, other)
            stage.run(chance.choice((0.5, 8.0)))
        case 10:
            stage.nodes[name].kill(chance.choice(("crmd", "attrd")))
        case 11 if chance.random() < 0.5:
            stage.nodes[name].leave()
        case 11:
            stage.network.disturb(loss=0.15, doubling=0.1, longest_s=0.02)
