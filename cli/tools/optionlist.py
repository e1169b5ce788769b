"""The list of known options of the cluster, as text or as the metadata older tools read.

Responsible for the layout; names, defaults and texts stand in `crm.model.options`.
"""

from __future__ import annotations

from collections.abc import Mapping

from cli.tools import result
from cli.tools.result import Element
from crm.model import options
from crm.model.exit_codes import Exit
from crm.model.options import Kind, Option

_TITLE = "Cluster options"
_TEXT = "These options set how the whole cluster behaves; the DC and the scheduler heed them."


def show(
    answer: result.Answer,
    *,
    everything: bool,
    known: Mapping[str, Option] = options.CLUSTER_OPTIONS,
    name: str = "cluster-options",
    title: str = _TITLE,
    text: str = _TEXT,
) -> int:
    """Say the known options; advanced and generated ones only when `everything` is wanted."""
    shown = [
        option
        for option in known.values()
        if everything or not (option.advanced or option.generated)
    ]
    answer.line(f"{title}\n\n{text}")
    for option in shown:
        answer.line(f"\n  * {option.name}: {option.text}\n    * Possible values: {_values(option)}")
    parameters = Element("parameters", {}, tuple(_parameter(option) for option in shown))
    answer.element(
        "resource-agent",
        {"name": name},
        (
            Element("version", {}, text="1.1"),
            Element("longdesc", {"lang": "en"}, text=text),
            Element("shortdesc", {"lang": "en"}, text=title),
            parameters,
        ),
    )
    return answer.end(Exit.OK)


def _values(option: Option) -> str:
    possible = ", ".join(f'"{value}"' for value in option.values) or option.kind.value
    return f'{possible} (default: "{option.default}")' if option.default else possible


def _parameter(option: Option) -> Element:
    default = {"default": option.default} if option.default else {}
    words = option.values if option.kind is Kind.CHOICE else ()
    content = Element(
        "content",
        {"type": option.kind.value, **default},
        tuple(Element("option", {"value": value}) for value in words),
    )
    marks = {"advanced": option.advanced, "generated": option.generated}
    return Element(
        "parameter",
        {"name": option.name, **{mark: "1" for mark, is_set in marks.items() if is_set}},
        (Element("shortdesc", {"lang": "en"}, text=option.text), content),
    )
