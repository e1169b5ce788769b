"""The shell of `heartbeat`: files, sockets, processes and signals around `core.Messaging`.

Responsible for turning the outside world into events and effects into deeds. Decides nothing.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import secrets
import signal
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from crm.api import membership
from crm.plumbing import clock, process, urgency
from crm.plumbing import log as ha_log
from crm.plumbing.daemon import Conversation, Options, Plan, Shell, parse_options, run
from crm.plumbing.errors import ConfigurationError, Problem, Severity, Unreachable, UsageError
from crm.plumbing.nursery import DAEMON_MODULES, Nursery
from crm.plumbing.settings import Paths
from messaging import (
    arbitration,
    call,
    children,
    core,
    events,
    frame,
    hostcache,
    pings,
    rotation,
    running,
    startup,
    watchdog,
)
from messaging.authkeys import KeyFile
from messaging.call import Act, Call
from messaging.cluster_settings import ClusterSettings, MediumKind
from messaging.ha_cf import changes, meaning
from messaging.media import icmp, udp
from messaging.media.quorum_link import QuorumLink
from messaging.media.serial import SerialRing
from messaging.media.sieve import Sieve
from messaging.programs import OWN_DAEMONS, Program

log = logging.getLogger("ha.heartbeat")

MAX_UNKNOWN_ENDS = 64
EXIT_BAD_CALL = 2
DEBUG_UP, DEBUG_DOWN = signal.SIGUSR1, signal.SIGUSR2


@dataclass
class _Deeds:
    """Carries out what the machine decides."""

    readings: startup.Readings
    nursery: Nursery
    environment: dict[str, str]
    paths: Paths
    wish: Call
    debug_by: int = 0
    """How far the debug level is above that of ha.cf, by `-d` and by signals."""

    udp_links: dict[str, list[udp.UdpLink]] = field(default_factory=dict)
    serial_ring: SerialRing | None = None
    pinger: icmp.Pinger | None = None
    quorum_link: QuorumLink | None = None
    watchdog: watchdog.Watchdog | None = None
    watchdog_trouble: str = ""
    shell: Shell | None = None
    dropped: int = 0
    names: dict[int, str] = field(default_factory=dict)
    ended: dict[int, int] = field(default_factory=dict)
    early_signals: dict[str, int] = field(default_factory=dict)
    midwife: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="spawn")
    )
    """One thread that waits for the nursery, so that no heartbeat waits for it."""

    def start(self, shell: Shell) -> None:
        """Open sockets and listen to signals, inside the running loop."""
        self.shell = shell
        settings = self.readings.settings
        lines = [medium for medium in settings.media if medium.kind is MediumKind.SERIAL]
        others = [medium for medium in settings.media if medium.kind is not MediumKind.SERIAL]
        strangers = Sieve(frame.cluster_tag(settings.cluster), self._own_tag())
        self.udp_links = udp.open_links(others, self._on_datagram, shell.loop, strangers=strangers)
        ttl = settings.hopfudge + len(settings.nodes)
        self.serial_ring = SerialRing(lines, self._on_datagram, shell.loop, ttl=ttl)
        self.serial_ring.open()
        if settings.electorate.asks_server:
            self.quorum_link = QuorumLink(
                settings.quorum_server, settings.quorum_port, self._on_ruling, shell.loop
            )
            self.quorum_link.open()
        if self.readings.settings.pings:
            self.pinger = icmp.Pinger(self.readings.ping_places, self._on_echo, shell.loop)
            self.pinger.open()
        if settings.watchdog:
            path = startup.watchdog_path(settings, self.paths)
            self.watchdog = watchdog.open_watchdog(path, settings.watchdog_timer_s)
            log.info("watchdog %s is armed, %s s", path, self.watchdog.timer_s)
        shell.loop.add_signal_handler(signal.SIGCHLD, self._reap)
        shell.loop.add_signal_handler(signal.SIGHUP, self._reread)
        shell.loop.add_signal_handler(DEBUG_UP, self._change_debug, 1)
        shell.loop.add_signal_handler(DEBUG_DOWN, self._change_debug, -1)
        shell.loop.add_signal_handler(running.REPLACE, self._replace)
        shell.loop.call_later(events.COUNT_EVERY_S, self._count_dropped)
        shell.receive_soon(events.Started(udp.packet_bytes(others)))

    # Any: the plan's effects are those of every machine.
    def carry_out(self, effect: Any) -> None:
        """Do one thing."""
        match effect:
            case events.SendDatagram(link, data, destination, is_bulk):
                if self.serial_ring is not None and self.serial_ring.send(link, data):
                    return
                for udp_link in self.udp_links.get(link, ()):
                    udp_link.send(data, destination, is_bulk=is_bulk)
            case pings.SendEcho(host, token, is_ipv6):
                if self.pinger is not None:
                    self.pinger.send(host, token, is_ipv6=is_ipv6)
            case arbitration.AskServer(data):
                if self.quorum_link is not None:
                    self.quorum_link.send(data)
            case events.KeepNodes():
                self._keep_nodes(effect)
            case watchdog.ShowLife():
                self._show_life()
            case watchdog.Disarm():
                if self.watchdog is not None:
                    self.watchdog.disarm()
            case rotation.WriteKeys(before, keys):
                self._write_keys(before, keys)
            case children.StartChild(name):
                self._start_child(name)
            case children.SignalChild(name, number):
                self._signal_child(name, number)

    def close(self) -> None:
        """Give back what the system lent."""
        for links in self.udp_links.values():
            for link in links:
                link.close()
        if self.serial_ring is not None:
            self.serial_ring.close()
        if self.pinger is not None:
            self.pinger.close()
        if self.quorum_link is not None:
            self.quorum_link.close()

    def _count_dropped(self) -> None:
        """Tell how many datagrams the kernel kept from us since the last time."""
        assert self.shell is not None
        links = [link for group in self.udp_links.values() for link in group]
        total = sum(link.dropped for link in links)
        if total > self.dropped:
            self.shell.receive(events.PacketsDropped(total - self.dropped))
        self.dropped = total
        self.shell.loop.call_later(events.COUNT_EVERY_S, self._count_dropped)

    def _own_tag(self) -> bytes:
        assert self.shell is not None
        node = startup.node_name(self.shell.options.node)
        return frame.sender_tag(self.readings.settings.cluster, node)

    def _keep_nodes(self, kept: events.KeepNodes) -> None:
        """Write the list of nodes, in the midwife's thread: a disk may be slow."""
        settings = replace(self.readings.settings, nodes=kept.nodes.names)
        self.readings = replace(self.readings, settings=settings, known_nodes=kept.nodes)
        folder = startup.hostcache_folder(self.paths)
        writing = self.midwife.submit(hostcache.write, folder, kept.nodes, dict(kept.uuids))
        writing.add_done_callback(_tell_unwritten)

    def _show_life(self) -> None:
        if self.watchdog is None:
            return
        trouble = self.watchdog.show_life()
        if trouble and trouble != self.watchdog_trouble:
            log.error("watchdog: %s", trouble)
        self.watchdog_trouble = trouble

    def _on_datagram(self, link: str, source: str, data: bytes, age_s: float = 0.0) -> None:
        assert self.shell is not None
        self.shell.receive(events.DatagramArrived(link, source, data, age_s))

    def _on_echo(self, host: str, token: bytes) -> None:
        assert self.shell is not None
        self.shell.receive(pings.EchoArrived(host, token))

    def _on_ruling(self, data: bytes) -> None:
        assert self.shell is not None
        self.shell.receive(arbitration.ServerAnswered(data))

    def _start_child(self, name: str) -> None:
        assert self.shell is not None
        shell = self.shell
        program = next(each for each in self.readings.programs if each.plan.name == name)
        birth = self.midwife.submit(self._spawn, program)
        birth.add_done_callback(
            lambda done: shell.loop.call_soon_threadsafe(self._child_born, name, done)
        )

    def _child_born(self, name: str, birth: Future[int]) -> None:
        assert self.shell is not None
        problem = birth.exception()
        if isinstance(problem, Unreachable | ConfigurationError):
            log.error("cannot start %s: %s", name, problem)
            self.early_signals.pop(name, None)
            self.shell.receive(children.ChildEnded(name, 127))
            return
        pid = birth.result()
        self.names[pid] = name
        self.shell.receive(children.ChildStarted(name, pid))
        if name in self.early_signals:
            self._signal_child(name, self.early_signals.pop(name))
        if pid in self.ended:
            self._child_ended(pid, self.ended.pop(pid))

    def _spawn(self, program: Program) -> int:
        """Ask the nursery for a process, in the midwife's thread; a lost nursery is replaced."""
        user = startup.user_for(program)
        name = program.plan.name
        try:
            if program.entry:
                return self.nursery.spawn(
                    program.entry, program.argv, name=name, user=user, env=self.environment
                )
            return self.nursery.spawn_program(
                program.argv, name=name, user=user, env=self.environment
            )
        except Unreachable:
            self.nursery.restart()
            raise

    def _signal_child(self, name: str, number: int) -> None:
        if name not in self.names.values():
            self.early_signals[name] = number
        for pid, known in self.names.items():
            if known == name:
                try:
                    process.signal_group(pid, number)
                except ProcessLookupError:
                    log.info("child %s (pid %s) has ended by itself", name, pid)

    def _reap(self) -> None:
        assert self.shell is not None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            if pid in self.names:
                self._child_ended(pid, code)
            elif pid == self.nursery.pid:
                log.info("the nursery ended (%s)", code)
            else:
                self.ended[pid] = code
                while len(self.ended) > MAX_UNKNOWN_ENDS:
                    self.ended.pop(next(iter(self.ended)))

    def _child_ended(self, pid: int, code: int) -> None:
        assert self.shell is not None
        name = self.names.pop(pid)
        self.shell.receive(children.ChildEnded(name, max(code, 0), max(-code, 0)))

    def _write_keys(self, before: KeyFile, keys: KeyFile) -> None:
        """Put keys on the disk, in a thread: no heartbeat waits for it."""
        assert self.shell is not None
        loop = self.shell.loop
        writing = self.midwife.submit(startup.write_keys, self.paths.authkeys, before, keys)
        writing.add_done_callback(
            lambda done: loop.call_soon_threadsafe(self._keys_written, keys, done.result())
        )

    def _keys_written(self, keys: KeyFile, problem: str) -> None:
        assert self.shell is not None
        if not problem:
            self.readings = replace(self.readings, keys=keys)
        self.shell.receive(rotation.KeysWritten(keys, problem))

    def _reread(self) -> None:
        """Read all files again, in a thread: names may have to be looked up."""
        assert self.shell is not None
        loop = self.shell.loop
        reading = self.midwife.submit(startup.read_all, self.paths, self.shell.options.node)
        reading.add_done_callback(
            lambda done: loop.call_soon_threadsafe(self._take_over, *done.result()[:2])
        )

    def _take_over(self, new: startup.Readings | None, problems: list[Problem]) -> None:
        """Apply what may change while we run; files that are refused change nothing."""
        assert self.shell is not None
        report(problems)
        if new is None:
            log.error("the changed files are refused; the settings and keys in use stay")
            return
        wanted = changes.with_debug(new.settings, self.debug_by)
        change = changes.between(self.readings.settings, wanted)
        self._apply(change)
        if new.keys != self.readings.keys:
            self.shell.receive(events.KeysRead(new.keys))
        self.readings = replace(self.readings, settings=change.settings, keys=new.keys)

    def _change_debug(self, by: int) -> None:
        """Raise or lower the debug level: what a signal asks for."""
        old = self.readings.settings
        new = changes.with_debug(old, by)
        self.debug_by += new.log.debug - old.log.debug
        self._apply(changes.between(old, new))
        self.readings = replace(self.readings, settings=new)
        log.info("debug level is %s", new.log.debug)

    def _replace(self) -> None:
        """Become a new heartbeat; the daemons end with their lifeline, the resources stay."""
        assert self.shell is not None
        log.info("Restarting heartbeat: the resources stay as they are")
        options = self.shell.options
        place = ["--root", str(options.root), "--node", options.node]
        logging.shutdown()  # what waits for the disk is written first
        running.become_anew([*place, *self.wish.words])

    def _apply(self, change: changes.Change) -> None:
        assert self.shell is not None
        targets = startup.log_targets(change.settings, self.paths, self.shell.options.node)
        if change.taken:
            log.info("ha.cf: taken over: %s", ", ".join(change.taken))
            ha_log.configure(startup.own_log_targets(targets), "heartbeat")
            self.shell.receive(events.SettingsRead(change.settings))
        for name in change.later:
            log.warning("ha.cf: '%s' has changed; this takes effect at the next start", name)


def _tell_unwritten(writing: Future[None]) -> None:
    problem = writing.exception()
    if problem is not None:
        log.error(
            "the list of nodes is not kept, it will be asked for at the next start: %s", problem
        )


def main(argv: list[str] | None = None) -> int:
    """Run heartbeat, or ask a running one; the exit code is the classic one."""
    given = sys.argv[1:] if argv is None else argv
    if "--help" in given:
        print(call.USAGE)  # noqa: T201
        return 0
    options = parse_options("heartbeat", given)
    try:
        wish = call.parse(options.extra)
    except UsageError as problem:
        print(f"heartbeat: {problem}\n{call.USAGE}", file=sys.stderr)  # noqa: T201
        return EXIT_BAD_CALL
    is_named = any(word.partition("=")[0] == "--node" for word in given)
    stated = "" if is_named else startup.stated_name(options.paths)
    node = startup.node_name(stated or options.node)
    options, paths = replace(options, node=node), options.paths
    match wish.act:
        case Act.HELP:
            print(call.USAGE)  # noqa: T201
        case Act.VERSION:
            print(core.VERSION)  # noqa: T201
        case Act.DEFAULTS:
            print("\n".join(meaning.of_defaults()))  # noqa: T201
        case Act.CHECK:
            return _check(paths, node)
        case Act.STATUS:
            return running.show_status(paths, node)
        case Act.STOP:
            return running.stop(paths)
        case Act.RELOAD:
            return running.reload(paths)
        case Act.START | Act.RESTART:
            return _start(options, node, wish)
    return 0


def _check(paths: Paths, node: str) -> int:
    lines, problems, code = startup.check(paths, node)
    report(problems)
    if lines:
        print("\n".join(lines))  # noqa: T201
    else:
        print(f"{paths.ha_cf}: heartbeat would not start", file=sys.stderr)  # noqa: T201
    return code


def _start(options: Options, node: str, wish: Call) -> int:
    paths = options.paths
    readings, problems, code = startup.read_all(paths, node)
    if readings is None:
        report(problems)
        print("ERROR: Heartbeat not started: configuration error.", file=sys.stderr)  # noqa: T201
        return code
    pid = running.pid_of_other(paths)
    if pid is not None and wish.act is Act.RESTART:
        return running.replace(pid)
    if pid is not None:
        print(f"heartbeat: already running [pid {pid}].", file=sys.stderr)  # noqa: T201
        return 0
    readings = replace(readings, settings=changes.with_debug(readings.settings, wish.debug))
    urgency.give_back()  # whose place we take may have been in a hurry
    try:
        startup.prepare_directories(paths)
    except ConfigurationError as problem:
        print(f"ERROR: Heartbeat not started: {problem}", file=sys.stderr)  # noqa: T201
        return startup.EXIT_NOT_CONFIGURED
    if not wish.in_foreground and _become_daemon():
        return 0
    targets = startup.log_targets(readings.settings, paths, node)
    startup.prepare_logs(targets)
    environment = _environment(readings, ha_log.environment_of(targets), paths, node)
    nursery = Nursery.start(_preload())
    got = _hurry(readings.settings, may_lock=wish.may_lock)
    process.set_title("heartbeat", f"--root {options.root} --node {node}")
    ha_log.configure(startup.own_log_targets(targets), "heartbeat")
    report(problems)
    log.info("Configuration validated. Starting heartbeat %s", core.VERSION)
    log.info("%s", got)
    process.write_pid_file(paths.pid_file, os.getpid())
    try:
        return _run(options, readings, nursery, environment, node, wish)
    finally:
        paths.pid_file.unlink(missing_ok=True)
        nursery.close()


def _run(
    options: Options,
    readings: startup.Readings,
    nursery: Nursery,
    environment: dict[str, str],
    node: str,
    wish: Call,
) -> int:
    machine = core.Messaging(
        readings.settings,
        readings.keys,
        node=node,
        uuid=startup.read_uuid(options.paths.hb_uuid),
        now=clock.monotonic_s(),
        random_bytes=secrets.token_bytes,
        child_plans=[program.plan for program in readings.programs],
        generation=startup.next_generation(options.paths.hb_generation),
        doorkeeper=readings.rights,
        known_nodes=readings.known_nodes,
    )
    deeds = _Deeds(readings, nursery, environment, options.paths, wish, debug_by=wish.debug)
    plan = Plan(
        "heartbeat",
        machine,
        serves=Conversation(membership.TO_HEARTBEAT, membership.TO_CLIENT),
        carry_out=deeds.carry_out,
        started=deeds.start,
    )
    return run(plan, options)


def _hurry(settings: ClusterSettings, *, may_lock: bool) -> str:
    """Ask for time and memory before others, once there is a nursery that does not inherit it."""
    if not settings.realtime:
        return "ordinary scheduling, as ha.cf says"
    got = urgency.take(settings.rtprio)
    return f"{got}; memory is locked" if may_lock and urgency.lock_memory() else got


def _preload() -> list[str]:
    """What the nursery imports: all daemons that are installed."""
    names = [entry.partition(":")[0] for _, entry, _ in OWN_DAEMONS] + ["messaging.pingd"]
    return [*DAEMON_MODULES, *(name for name in names if importlib.util.find_spec(name))]


def _environment(
    readings: startup.Readings, logging_variables: dict[str, str], paths: Paths, node: str
) -> dict[str, str]:
    """The HA_ variables of all children."""
    settings = readings.settings
    variables = {f"HA_{name}": value for name, value in settings.environment.items()}
    return {
        **variables,
        **logging_variables,
        "HA_mode": settings.mode,
        "HA_cluster": settings.cluster,
        "HA_auto_failback": settings.auto_failback,
        "HA_CURHOST": node,
        "HA_DIR": str(paths.below("/etc/ha.d")),
        "HA_RSCTMP": str(paths.agent_state_dir),
    }


def report(problems: list[Problem]) -> None:
    """Show problems to whoever started us, and log them once there is a log."""
    for problem in problems:
        level = logging.ERROR if problem.severity is Severity.ERROR else logging.WARNING
        if ha_log.is_configured():
            text = f"{problem.message} ({problem.hint})" if problem.hint else problem.message
            log.log(level, "%s", text)
        else:
            print(problem, file=sys.stderr)  # noqa: T201


def _become_daemon() -> bool:
    """Leave the terminal; True in the process that was called."""
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork():
        return True
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.close(null)
    os.chdir("/")
    return False


if __name__ == "__main__":
    sys.exit(main())
