"""Who hears of which change: nobody is woken for what is no affair of his."""

from __future__ import annotations

import pytest

from crm.api import cib as api
from crm.controller import settings
from crm.model import options
from crm.plumbing.machine import MessageArrived
from tests.kit.cib import Network

NAMES = ("n1", "n2", "n3")
OBEYED = "no-quorum-policy"


def hearing(*names: str) -> Network:
    """Three cibs, and a crmd at the last of them that wants to hear of these options."""
    network = Network(3, 0)
    network.partition(NAMES)
    network.elect()
    network.run(1.0)
    wish = api.Subscribe(("crm_config",), names)
    network.give("n3", MessageArrived("crmd", wish))
    return network


def heard(network: Network) -> int:
    """Let what was asked for happen; say of how many changes the crmd was told, and forget them."""
    network.run(1.0)
    told = network.nodes["n3"].told
    count = sum(isinstance(message, api.CibChanged) for message in told)
    told.clear()
    return count


def written(network: Network, task: api.XmlTask, xml: str) -> int:
    made = api.XmlOperation(task, xml.encode(), section="crm_config", may_create=True)
    return carried_out(network, made)


def carried_out(network: Network, operation: api.XmlOperation) -> int:
    request = network.change("n1", operation)
    count = heard(network)
    assert network.outcomes["n1", request].outcome is api.Outcome.OK
    return count


def a_set(name: str, value: str, identity: str = "p") -> str:
    pair = f'<nvpair id="{identity}" name="{name}" value="{value}"/>'
    return f'<cluster_property_set id="o">{pair}</cluster_property_set>'


def test_of_an_option_nobody_asked_for_nobody_is_told() -> None:
    network = hearing(OBEYED)
    assert written(network, api.XmlTask.CREATE, a_set("pe-input-series-max", "1")) == 0
    assert written(network, api.XmlTask.MODIFY, a_set("pe-input-series-max", "2")) == 0


def test_whoever_asked_for_an_option_hears_of_all_that_becomes_of_it() -> None:
    network = hearing(OBEYED)
    assert written(network, api.XmlTask.MODIFY, a_set(OBEYED, "stop")) == 1
    assert written(network, api.XmlTask.MODIFY, a_set(OBEYED, "ignore")) == 1
    assert written(network, api.XmlTask.MODIFY, a_set("pe-input-series-max", "1", "q")) == 0
    assert written(network, api.XmlTask.MODIFY, a_set("maintenance-mode", "false")) == 1
    assert written(network, api.XmlTask.MODIFY, a_set(OBEYED, "stop")) == 1
    assert (
        carried_out(network, api.XmlOperation(api.XmlTask.DELETE, xpath="//nvpair[@id='p']")) == 1
    )


def test_without_names_every_option_is_told_of() -> None:
    network = hearing()
    assert written(network, api.XmlTask.MODIFY, a_set("pe-input-series-max", "1")) == 1


@pytest.mark.parametrize("name", ["no-quorum-policy", "no_quorum_policy", "dc_deadtime"])
def test_the_controller_asks_for_every_spelling_it_reads(name: str) -> None:
    assert name in settings.NAMES
    option = options.cluster_option(name.replace("_", "-"))
    assert option is not None
    assert options.setting({name: "7s"}, option) == "7s"


def test_the_controller_reads_no_option_that_it_does_not_ask_for() -> None:
    class Watched(dict[str, str]):
        asked: set[str] = set()

        def __contains__(self, name: object) -> bool:
            self.asked.add(str(name))
            return False

    settings.of_pairs(Watched())
    assert Watched.asked == set(settings.NAMES)
