"""A master that dies before its promise is durable, and rules again under the same number."""

from __future__ import annotations

from crm.api import cib as api
from crm.cib.disk import Append, KeepPromise, Persist
from tests.kit.cib import Network, Node, create

Effect = Persist | Append | KeepPromise


class _Hanging(Network):
    """Disks that hang when told to: their writes wait until they are let go."""

    def __init__(self, size: int) -> None:
        self.hung: dict[str, list[tuple[int, Effect]]] = {}
        super().__init__(size)

    def _write(self, node: Node, effect: Effect) -> None:
        if node.name in self.hung:
            self.hung[node.name].append((node.life, effect))
        else:
            super()._write(node, effect)

    def let_go(self, name: str) -> None:
        for life, effect in self.hung.pop(name):
            if self.nodes[name].life == life:
                super()._write(self.nodes[name], effect)


def test_what_was_acknowledged_to_an_earlier_life_of_the_master_counts_for_nothing() -> None:
    network = _Hanging(3)
    network.partition(network.nodes)
    network.elect()
    network.run(1.0)
    # n1 and n3 go on without n2, and then n1 and n2 without n3.
    network.crash("n2")
    network.partition(("n1", "n3"), lost=("n2",))
    network.run(0.5)
    network.change("n1", create("second"))
    network.run(1.0)
    network.crash("n3")
    network.crash("n1")
    network.start("n1")
    network.start("n2")
    network.partition(("n1", "n2"), lost=("n3",))
    # First life: the disk of n1 hangs, so its promise is not durable; changes use numbers up.
    network.hung["n1"], network.hung["n2"] = [], []
    network.rule("n1", ("n2",))
    network.run(1.5)
    for number in range(12):
        network.change("n1", _state(number), force=True)  # nothing that is counted as durable
        network.run(0.05)
    network.let_go("n2")
    while network.nodes["n2"].disk.promised != network.replica("n1").promised:
        network.run(0.0002)
    network.hung["n2"] = []  # n2 is given "second", and its disk hangs again
    network.run(1.0)
    used = network.replica("n1").promised
    assert network.replica("n2").document.by_id("second") is not None
    # Second life: it knows of no reign that is greater, and takes the same one.
    network.hung.pop("n1")
    network.crash("n1")
    network.start("n1")
    network.partition(("n1", "n2"), lost=("n3", "n1"))
    network._reign -= 1  # the crmd that starts anew counts from what it knew
    network.rule("n1", ("n2",))
    network.run(1.0)
    assert network.replica("n1").promised == used
    network.let_go("n2")
    network.run(0.2)
    network.hung["n2"] = []
    request = network.change("n1", create("lost"))
    network.run(3.0)
    assert ("n1", request) not in network.outcomes, "n2 has written nothing"
    network.let_go("n2")
    network.run(1.0)
    assert network.outcomes["n1", request].outcome is api.Outcome.OK


def _state(number: int) -> api.XmlOperation:
    text = f'<node_state id="s{number}"/>'
    return api.XmlOperation(api.XmlTask.CREATE, text.encode(), "status")
