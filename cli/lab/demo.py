"""`./run demo`: three directors, broken on purpose and healed, with every observation checked.

The story is the tutorial of 2007 from which the files in docs/examples/three-directors come: the
address is held by one director, the holder dies, a second is lost and quorum with it, the nodes
return and the address goes home. The exit code is 0 only if everything expected was seen.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from cli.lab.evidence import ClientView, LogView, Missing, await_answer, log_of
from cli.lab.plan import read_plan
from cli.lab.remote import Lab
from cli.view.timeline import Timeline
from crm.plumbing.errors import CrmError

EXAMPLE = Path(__file__).resolve().parents[2] / "docs/examples/three-directors"
"""The tutorial's own ha.cf, authkeys, haresources and hosts."""
_ADDRESS = "192.168.71.205"
_VIP = "IPaddr_192_168_71_205"
_HOME = "litsha21"
_NODES = ("litsha21", "litsha22", "litsha23")
_DEADTIME_S = 10.0


class Story:
    """The steps of the demonstration, each with what must be seen.

    `holder` is the director that loses its power first, `survivor` the one left alone after that.
    """

    def __init__(self, lab: Lab, timeline: Timeline) -> None:
        self._lab = lab
        self._say = timeline
        self._client = ClientView(lab, f"http://{_ADDRESS}/")
        self.holder = ""
        self.survivor = ""

    def close(self) -> None:
        """End the observer."""
        self._client.close()

    def tell(self) -> None:
        """Run every step in order.

        Raises: CrmError (often `Missing`) at the first thing that does not happen.
        """
        self._convert()
        self._start()
        self._serve_a_page()
        self.holder = self._move_away_from_home()
        self.survivor = self._lose(self.holder)
        self._lose_quorum(self.survivor)
        self._regain_quorum(self.survivor, self.holder)
        self._go_home()
        self._check_single_owner()

    def _convert(self) -> None:
        self._say.chapter("haresources becomes a CIB")
        for node in _NODES:
            cib = self._cib(node)
            cib.parent.mkdir(parents=True, exist_ok=True)
            cib.write_text(self._command(node, "haresources2cib"), encoding="utf-8")
        self._command(_HOME, "crm_verify", "-x", str(self._cib(_HOME)))
        self._say(f"haresources2cib wrote {_VIP} into cib.xml of three nodes; crm_verify agrees")

    def _start(self) -> None:
        self._say.chapter("three directors start")
        began = time.monotonic()
        self._lab.start()
        log = self._log(_HOME)
        log.await_line("Local status now set to: 'active'", limit_s=40)
        status = await_answer(
            self._lab,
            _HOME,
            ["crm_mon", "-1"],
            lambda text: f"Online: [ {' '.join(_NODES)} ]" in text and f"Started {_HOME}" in text,
            limit_s=40,
        )
        self._say(f"three nodes online, {_ADDRESS} on {_HOME}", since=began)
        self._say.quote([line for line in status.splitlines() if line.strip()])

    def _serve_a_page(self) -> None:
        self._say.chapter("a page behind the address names its node")
        began = time.monotonic()
        self._command(
            _HOME,
            "crm",
            "configure",
            stdin="primitive page ocf:pacekeeper:webpage op monitor interval=5s timeout=5s\n"
            f"colocation page-with-address inf: page {_VIP}\n"
            f"order address-before-page Mandatory: {_VIP} page\n"
            "commit\n",
        )
        self._client.await_page(_HOME, since=began, limit_s=15)
        self._say(f"the client reads: {_HOME}", since=began)

    def _move_away_from_home(self) -> str:
        self._say.chapter(f"crm node standby {_HOME}")
        began = time.monotonic()
        self._command(_HOME, "crm", "node", "standby", _HOME)
        holder = self._await_other_page({_HOME}, began, 15)
        gap = self._client.gap_after(began)
        self._say(f"{_HOME} let go, {holder} answers; no page for {gap.ms} ms", since=began)
        if gap.ms > 1000:
            raise Missing(f"a planned move took {gap.ms} ms, more than a second")
        return holder

    def _lose(self, holder: str) -> str:
        self._say.chapter(f"{holder}, which holds the address, loses its power")
        survivor = next(node for node in _NODES if node not in (_HOME, holder))
        marks = {node: self._log(node).mark() for node in (_HOME, survivor)}
        began = time.monotonic()
        self._lab.crash(holder)
        for node, mark in marks.items():
            self._log(node).await_line(f"node {holder}: is dead", since=mark, limit_s=20)
            self._log(node).await_line("OC_EV_MS_NEW_MEMBERSHIP", since=mark, limit_s=10)
        self._say(f"{_HOME} and {survivor} call it dead and agree on a view of two", since=began)
        self._client.await_page(survivor, since=began, limit_s=20)
        gap = self._client.gap_after(began)
        self._say(f"{survivor} answers; no page for {gap.ms} ms", since=began)
        if gap.ms > (_DEADTIME_S + 2) * 1000:
            raise Missing(f"the failover took {gap.ms} ms, more than deadtime + 2 s")
        return survivor

    def _lose_quorum(self, survivor: str) -> None:
        self._say.chapter(f"{_HOME} loses its power too: {survivor} is alone")
        mark = self._log(survivor).mark()
        began = time.monotonic()
        self._lab.crash(_HOME)
        self._log(survivor).await_line(
            "Quorum lost after event=INVALID", since=mark, limit_s=_DEADTIME_S + 5
        )
        self._say(f"{survivor} sees one of three: quorum is gone", since=began)
        self._log(survivor).await_line(f"IP Address {_ADDRESS} released", since=mark, limit_s=10)
        last = self._client.await_silence(quiet_s=1.0, limit_s=10)
        self._say(f"{survivor} let go of {_ADDRESS}: nobody answers for it", at=last)
        await_answer(
            self._lab,
            survivor,
            ["crm_mon", "-1"],
            lambda text: "partition WITHOUT quorum" in text,
            limit_s=5,
        )
        self._log(survivor).await_line(
            f"node {_HOME}: is dead", since=mark, limit_s=_DEADTIME_S + 5
        )
        self._say(f"{survivor} has waited a deadtime, and calls {_HOME} dead", since=began)

    def _regain_quorum(self, survivor: str, third: str) -> None:
        self._say.chapter(f"{_HOME} returns, still in standby")
        mark = self._log(survivor).mark()
        began = time.monotonic()
        self._lab.start(_HOME)
        self._log(survivor).await_line("Quorum (re)attained", since=mark, limit_s=30)
        self._say("two of three: quorum is back", since=began)
        self._client.await_page(survivor, since=began, limit_s=30)
        self._say(f"{survivor} answers again", since=began)
        began = time.monotonic()
        self._lab.start(third)
        await_answer(
            self._lab,
            survivor,
            ["crm_mon", "-1"],
            lambda text: third in _online(text),
            limit_s=30,
        )
        self._say(f"{third} is back as well", since=began)

    def _go_home(self) -> None:
        self._say.chapter(f"crm node online {_HOME}")
        began = time.monotonic()
        self._command(_HOME, "crm", "node", "online", _HOME)
        self._client.await_page(_HOME, since=began, limit_s=15)
        gap = self._client.gap_after(began)
        self._say(f"the address went home to {_HOME}; no page for {gap.ms} ms", since=began)
        why = self._command(_HOME, "crm", "resource", "explain", _VIP)
        self._say.quote(why.splitlines()[:6])

    def _check_single_owner(self) -> None:
        duels = self._client.duels()
        if duels:
            raise Missing(f"{len(duels)} times two nodes answered for {_ADDRESS} at once")
        self._say("at no moment did two nodes answer for the address")

    # --- small things -----------------------------------------------------------------------

    def _await_other_page(self, not_these: set[str], began: float, limit_s: float) -> str:
        deadline = began + limit_s
        since = began
        while True:
            since, who = self._client.await_page(
                None, since=since, limit_s=max(0.1, deadline - time.monotonic())
            )
            if who not in not_these:
                return who

    def _command(self, node: str, *words: str, stdin: str | None = None) -> str:
        done = self._lab.run(node, *words, stdin=stdin)
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise Missing(f"`{' '.join(words)}` on {node} ended with {done.returncode}: {said}")
        return done.stdout

    def _log(self, node: str) -> LogView:
        return log_of(self._lab, node)

    def _cib(self, node: str) -> Path:
        return self._lab.root(node) / "var/lib/heartbeat/crm/cib.xml"


def _online(text: str) -> str:
    """The line of crm_mon that lists the nodes that are online."""
    return next((line for line in text.splitlines() if "Online: [" in line), "")


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demonstration; 0 only if every expected observation was made."""
    keep = "--keep" in (sys.argv[1:] if argv is None else argv)
    signal.signal(signal.SIGTERM, _interrupted)
    signal.signal(signal.SIGINT, _interrupted)
    directory = Path(tempfile.mkdtemp(prefix="pacekeeper-demo-"))
    timeline = Timeline()
    lab = Lab(directory / "lab")
    story: Story | None = None
    code = 1
    try:
        lab = Lab.up(read_plan(EXAMPLE), directory / "lab")
        story = Story(lab, timeline)
        story.tell()
        code = 0
    except KeyboardInterrupt:
        timeline.failed("interrupted")
        code = 130
    except (CrmError, OSError) as problem:
        timeline.failed(str(problem))
        timeline.quote_logs({node: lab.root(node) / "var/log/ha-log" for node in _NODES})
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if story is not None:
            story.close()
        if not keep:
            lab.down()
            directory.rmdir()
    timeline.end(code == 0)
    return code


if __name__ == "__main__":
    sys.exit(main())
