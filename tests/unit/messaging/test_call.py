"""The options of `heartbeat`, as its users have typed them for twenty years."""

from __future__ import annotations

import pytest

from crm.plumbing.errors import UsageError
from messaging import call
from messaging.call import Act, Call


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ([], Call()),
        (["-f"], Call(in_foreground=True)),
        (["-M"], Call(in_foreground=True)),
        (["-d"], Call(debug=1)),
        (["-dd", "-l"], Call(debug=2, may_lock=False)),
        (["-fdl"], Call(in_foreground=True, debug=1, may_lock=False)),
        (["-v"], Call()),
        (["-s"], Call(Act.STATUS)),
        (["-k"], Call(Act.STOP)),
        (["-r"], Call(Act.RELOAD)),
        (["-D"], Call(Act.DEFAULTS)),
        (["-V"], Call(Act.VERSION)),
        (["--check"], Call(Act.CHECK)),
        (["-R"], Call(Act.RESTART)),
        (["-R", "-C", "local"], Call(Act.RESTART)),
        (["-RCnone"], Call(Act.RESTART)),
        (["-Call", "-R"], Call(Act.RESTART)),
        (["-s", "-s"], Call(Act.STATUS)),
        (["-h"], Call(Act.HELP)),
        (["--help", "-k"], Call(Act.HELP)),
    ],
)
def test_the_classic_options_are_understood(words: list[str], meant: Call) -> None:
    assert call.parse(words) == meant


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-x"], "unknown option '-x'"),
        (["-fx"], "unknown option '-x'"),
        (["--chekc"], "unknown option '--chekc'"),
        (["start"], "unknown option 'start'"),
        (["-s", "-k"], "'-s' and '-k' exclude each other"),
        (["-C"], "'-C' needs one of none, local, foreign, all"),
        (["-R", "-C", "some"], "'-C some': expected one of"),
        (["-C", "all"], "goes with '-R' only"),
        (["-"], "unknown option '-'"),
    ],
)
def test_what_is_no_option_is_named(words: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        call.parse(words)


def test_a_heartbeat_that_takes_the_place_of_another_is_called_as_that_was() -> None:
    first = call.parse(["-ddl"])
    assert call.parse(first.words) == Call(Act.RESTART, in_foreground=True, debug=2, may_lock=False)
