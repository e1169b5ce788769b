"""The shell of the cib: reads the disk at start, carries writes out in a thread of their own.

Decides nothing; `replica` does.
"""

from __future__ import annotations

import logging
import os
import pwd
import queue
import secrets
import threading
import time
from typing import Any

from crm.api import cib as api
from crm.api import membership
from crm.cib import disguise, folder, revisions, rules
from crm.cib.keeper import Keeper, Order
from crm.cib.replica import Replica
from crm.cib.store import Loaded, Store
from crm.plumbing import accounts, daemon, log
from crm.plumbing.daemon import Conversation, Plan, Shell
from crm.plumbing.errors import ConfigurationError, Problem, Severity
from crm.plumbing.machine import Note
from crm.plumbing.settings import CLUSTER_USER

EXIT_CONFIGURATION = 100
"""Tells heartbeat that starting again would not help."""

MODE_VARIABLE = "HA_mode"
"""What heartbeat says about the kind of configuration: "crm" or "haresources"."""


class Writer:
    """Carries out what must be durable, one thing after the other, beside the event loop."""

    def __init__(self, store: Store) -> None:
        self._keeper = Keeper(store, log.note)
        self._orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._shell: Shell | None = None

    def start(self, shell: Shell) -> None:
        """Begin to work; results go to this shell's machine."""
        self._shell = shell
        threading.Thread(target=self._work, name="cib-writer", daemon=True).start()

    def order(self, effect: Any) -> None:  # Any: the shell hands over what is not its own
        """Take an effect of the machine; bounded, because the machine waits for each answer."""
        self._orders.put(effect)

    def _work(self) -> None:
        while True:
            result = self._keeper.carry_out(self._orders.get())
            if result is not None and self._shell is not None:
                self._shell.receive_soon(result)


def main(argv: list[str] | None = None) -> int:
    """Run the cib until it is told to stop."""
    options = daemon.parse_options("cib", argv)
    if not log.is_configured():
        targets = log.targets_from_environment(os.environ, options.paths.ha_log, options.node)
        log.configure(targets, options.name)
    store = Store(options.paths.cib_dir, _owner())
    try:
        loaded = _load(store)
        if os.environ.get(MODE_VARIABLE) == "haresources":
            loaded = disguise.put_on(loaded, options.paths)
    except ConfigurationError as problem:
        for finding in problem.problems:
            _say(finding)
        log.note(Note(logging.ERROR, "cib", f"cannot start: {problem}"))
        return EXIT_CONFIGURATION
    history, damage = revisions.restore(store.read_journal(), loaded.document, edited=loaded.edited)
    for finding in [*loaded.problems, *damage]:
        _say(finding)
    replica = Replica(
        loaded.document,
        rules=rules.STANDARD,
        node=options.node,
        warrant=loaded.warrant,
        promised=loaded.promised,
        wall=_wall,
        clock=time.time,
        history=history,
        pid=os.getpid(),
        life=secrets.randbits(31),
        fresh=loaded.fresh,
        own_user=accounts.own_user(),
    )
    writer = Writer(store)
    plan = Plan(
        name=api.SERVICE,
        machine=replica,
        serves=Conversation(api.TO_CIB, api.FROM_CIB),
        dials={membership.SERVICE: Conversation(membership.TO_HEARTBEAT, membership.TO_CLIENT)},
        carry_out=writer.order,
        started=writer.start,
    )
    return daemon.run(plan, options)


def _say(finding: Problem) -> None:
    level = logging.ERROR if finding.severity is Severity.ERROR else logging.WARNING
    log.note(Note(level, "cib", str(finding).replace("\n  ", "; ")))


def _load(store: Store) -> Loaded:
    try:
        for finding in folder.prepare(store.directory, _owner()):
            _say(finding)
        folder.lock(store.directory, shared=True)  # until this process ends
        return store.load(rules.STANDARD)
    except OSError as problem:
        message = f"{problem.filename or store.directory} cannot be used: {problem.strerror}"
        raise ConfigurationError(message) from problem


def _owner() -> tuple[int, int] | None:
    """Tell whom the files belong to when we run as root and there is a cluster user."""
    if os.getuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(CLUSTER_USER)
    except KeyError:
        return None
    return entry.pw_uid, entry.pw_gid


def _wall() -> str:
    return time.strftime("%a %b %e %H:%M:%S %Y")
