"""The cluster options the controller itself obeys, read from crm_config.

Responsible for their values in seconds; not for their names, defaults and texts, which stand in
`crm.model.options`. A value that cannot be read leaves the default in force; crm_verify and the
cib say what is wrong with it.
"""

from __future__ import annotations

from dataclasses import dataclass

from crm.api import cib
from crm.model import options
from crm.plumbing import durations, xml
from crm.plumbing.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Settings:
    """Options in seconds. `lets_go_without_quorum` is True for no-quorum-policy stop and alike."""

    dc_deadtime_s: float = 20.0
    recheck_interval_s: float = 900.0
    shutdown_escalation_s: float = 1200.0
    integration_timeout_s: float = 180.0
    finalization_timeout_s: float = 1800.0
    lets_go_without_quorum: bool = True


_DEFAULT = Settings()


SECTION = "crm_config"
"""Where they stand."""

_OBEYED = (
    "dc-deadtime",
    "cluster-recheck-interval",
    "shutdown-escalation",
    "join-integration-timeout",
    "join-finalization-timeout",
    "no-quorum-policy",
)

NAMES = tuple(
    spelling
    for name in _OBEYED
    if (option := options.cluster_option(name)) is not None
    for spelling in option.all_spellings
)
"""What they may be called."""


def may_concern(change: cib.CibChanged) -> bool:
    """Tell whether a change may be one of these options."""
    touches = any(touched.kind == "configuration" for touched in change.touched)
    return touches and cib.may_concern(change.patch, (SECTION,), NAMES)


def read(crm_config: bytes) -> Settings:
    """Read the options from a `crm_config` element; the first of several values counts."""
    return of_pairs({name: value for value, name in reversed(_pairs(crm_config))})


def of_pairs(pairs: dict[str, str]) -> Settings:
    """Take the options out of all that are set; those that are read here stand in `NAMES`."""
    return Settings(
        dc_deadtime_s=_seconds(pairs, "dc-deadtime", _DEFAULT.dc_deadtime_s),
        recheck_interval_s=_seconds(pairs, "cluster-recheck-interval", _DEFAULT.recheck_interval_s),
        shutdown_escalation_s=_seconds(
            pairs, "shutdown-escalation", _DEFAULT.shutdown_escalation_s
        ),
        integration_timeout_s=_seconds(
            pairs, "join-integration-timeout", _DEFAULT.integration_timeout_s
        ),
        finalization_timeout_s=_seconds(
            pairs, "join-finalization-timeout", _DEFAULT.finalization_timeout_s
        ),
        lets_go_without_quorum=_word(pairs, "no-quorum-policy") not in ("ignore", "freeze"),
    )


def described_nodes(nodes: bytes) -> dict[str, str]:
    """Read the `nodes` element: name → uuid. Nothing readable is no nodes."""
    if not nodes:
        return {}
    try:
        root = xml.parse(nodes)
    except ConfigurationError:
        return {}
    return {
        str(node.get("uname")).lower(): str(node.get("id"))
        for node in root.iter("node")
        if node.get("uname") and node.get("id")
    }


def _pairs(crm_config: bytes) -> list[tuple[str, str]]:
    if not crm_config:
        return []
    try:
        root = xml.parse(crm_config)
    except ConfigurationError:
        return []
    return [
        (str(pair.get("value")), str(pair.get("name")))
        for pair in root.iter("nvpair")
        if pair.get("name") and pair.get("value") is not None
    ]


def _word(pairs: dict[str, str], name: str) -> str:
    option = options.cluster_option(name)
    return options.setting(pairs, option).strip().lower() if option is not None else ""


def _seconds(pairs: dict[str, str], name: str, default: float) -> float:
    option = options.cluster_option(name)
    if option is None:
        return default
    try:
        return durations.parse_ms(options.setting(pairs, option)) / 1000
    except ValueError:
        return default
