"""What becomes of a changed ha.cf while heartbeat runs.

Responsible for telling what may change at once from what waits for the next start. A deadline that
the quorum lease is made of waits: the others count on the one this node announced.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from messaging.cluster_settings import ClusterSettings

_AT_ONCE = frozenset(("warntime", "deadping", "debug"))

_DIRECTIVES = {
    "only_membership": "crm",
    "nodes": "node",
    "media": "media lines",
    "pings": "ping",
    "respawns": "respawn",
    "api_rights": "apiauth",
    "compression_threshold_bytes": "compression_threshold",
    "environment": "env",
    "weights": "nodeweight",
    "sites": "nodesite",
    "quorum_port": "quorum_server",
    "facility": "logfacility",
    "syslog_format": "syslogmsgfmt",
}
"""Settings whose field is not called as the directive is."""


@dataclass(frozen=True)
class Change:
    """`settings` hold from now on; `taken` changed with that, `later` at the next start."""

    settings: ClusterSettings
    taken: tuple[str, ...] = ()
    later: tuple[str, ...] = ()


MAX_DEBUG = 255


def with_debug(settings: ClusterSettings, by: int) -> ClusterSettings:
    """Raise the debug level of some settings, or lower it; never past what a file may say."""
    level = min(max(settings.log.debug + by, 0), MAX_DEBUG)
    return replace(
        settings,
        log=replace(settings.log, debug=level),
        parameters={**settings.parameters, "debug": str(level)},
    )


def between(old: ClusterSettings, new: ClusterSettings) -> Change:
    """Compare the running settings with those of a file that was accepted."""
    differing = [
        *_differing(old.timing, new.timing),
        *_differing(old.log, new.log),
        *(name for name in _differing(old, new) if name not in ("timing", "log", "parameters")),
    ]
    taken = tuple(name for name in differing if name in _AT_ONCE)
    settings = replace(
        old,
        timing=replace(
            old.timing, warntime_s=new.timing.warntime_s, deadping_s=new.timing.deadping_s
        ),
        log=replace(old.log, debug=new.log.debug),
        parameters={**old.parameters, **{name: new.parameters[name] for name in taken}}
        if taken
        else old.parameters,
    )
    return Change(settings, taken, tuple(name for name in differing if name not in _AT_ONCE))


def _differing(old: object, new: object) -> list[str]:
    """List the directives behind the fields in which two values of one kind differ."""
    return [
        _DIRECTIVES.get(field.name, field.name.removesuffix("_s"))
        for field in fields(old)  # type: ignore[arg-type]  # both are dataclasses of one kind
        if getattr(old, field.name) != getattr(new, field.name)
    ]
