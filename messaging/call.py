"""What a call of `heartbeat` asks for: the classic options, read.

Responsible for the words alone. What is done about them is for `daemon`.

`-R` is heartbeat's quick restart: the running process becomes a new one in its place, and the
resources stay as they are. `-C`, which tells the new one what this node holds, is accepted and
checked; what a node holds is found out by asking the agents.

Source: Heartbeat's heartbeat(8); docs/tools.md, "heartbeat".
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from crm.plumbing.errors import UsageError

USAGE = """usage: heartbeat [-f | -M] [-d] [-l] [--root DIR] [--node NAME]
       heartbeat -s | -k | -r | -R [-C HELD] | -D | -V | --check [--root DIR] [--node NAME]
  -f, -M   stay in the foreground     -s  show whether heartbeat runs
  -d       debug level up (-dd: 2)    -k  stop heartbeat in order
  -l       do not lock memory         -r  read ha.cf and authkeys again
  -v       accepted                   -V  show the version
  -D       print the defaults of ha.cf
  -R       replace the running heartbeat by a new one; resources stay as they are
  -C HELD  with -R: none, local, foreign or all (checked only: the agents are asked)
  --check  read ha.cf and authkeys, say what they mean or what is wrong, start nothing"""

HOLDINGS = ("none", "local", "foreign", "all")


class Act(enum.Enum):
    """What is to be done."""

    START = ""
    STATUS = "-s"
    STOP = "-k"
    RELOAD = "-r"
    RESTART = "-R"
    DEFAULTS = "-D"
    VERSION = "-V"
    CHECK = "--check"
    HELP = "-h"


_ACTS = {act.value: act for act in Act if act.value} | {"--help": Act.HELP, "-?": Act.HELP}


@dataclass(frozen=True)
class Call:
    """One call. `debug` counts how often the level is raised; `may_lock`: memory may be locked."""

    act: Act = Act.START
    in_foreground: bool = False
    debug: int = 0
    may_lock: bool = True

    @property
    def words(self) -> list[str]:
        """The words by which a heartbeat that takes the place of this one is called."""
        return ["-f", "-R", *["-d"] * self.debug, *([] if self.may_lock else ["-l"])]


def parse(words: Sequence[str]) -> Call:
    """Read the options; letters may be joined (`-fd`), and `-C` takes the next word or the rest.

    Raises: UsageError naming the word that cannot be understood.
    """
    letters, held = _letters(words)
    acts = list(dict.fromkeys(_ACTS[word] for word in letters if word in _ACTS))
    if Act.HELP in acts:
        return Call(Act.HELP)
    if len(acts) > 1:
        first, second, *_ = (act.value for act in acts)
        raise UsageError(f"options '{first}' and '{second}' exclude each other")
    act = acts[0] if acts else Act.START
    if held is not None and act is not Act.RESTART:
        raise UsageError("option '-C' goes with '-R' only")
    return Call(
        act,
        in_foreground="-f" in letters or "-M" in letters,
        debug=letters.count("-d"),
        may_lock="-l" not in letters,
    )


def _letters(words: Sequence[str]) -> tuple[list[str], str | None]:
    """Take joined letters apart; also give what stands behind `-C`."""
    rest, found = list(words), []
    held: str | None = None
    while rest:
        word = rest.pop(0)
        if word in _ACTS or word in ("-f", "-M", "-d", "-l", "-v"):
            found.append(word)
        elif word.startswith("-C"):
            if word == "-C" and not rest:
                raise UsageError(f"option '-C' needs one of {', '.join(HOLDINGS)}")
            held = word[2:] or rest.pop(0)
            if held not in HOLDINGS:
                raise UsageError(f"'-C {held}': expected one of {', '.join(HOLDINGS)}")
        elif word.startswith("-") and not word.startswith("--") and len(word) > 2:
            rest = [f"-{word[1]}", f"-{word[2:]}", *rest]
        else:
            raise UsageError(f"unknown option '{word}'")
    return found, held
