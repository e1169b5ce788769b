"""`crm_error`: say what an exit code or a result code means.

Responsible for the options and the layout; the codes stand in `crm.model.exit_codes`.

Source: tools.md section 2.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator

import click

from cli.tools import result
from crm.model import exit_codes
from crm.model.exit_codes import Code

_DESCRIBE: dict[str, Callable[[int], Code]] = {
    "legacy": exit_codes.legacy_code,
    "result": exit_codes.result_code,
    "exit": exit_codes.exit_code,
}
_LIST: dict[str, Callable[[], Iterator[Code]]] = {
    "legacy": exit_codes.legacy_codes,
    "result": exit_codes.result_codes,
    "exit": exit_codes.exit_codes,
}
_NO_NUMBER = -(2**31)
"""What a word that is no number counts as: a code that nothing is known of."""
_NUMBER = re.compile(r"[+-]?\d{1,9}", re.ASCII)


@click.command(
    "crm_error",
    context_settings=result.HELP,
    help="Say what codes mean. A negative code is written after a lone --.",
)
@click.argument("codes", nargs=-1)
@click.option("-X", "--exit", "is_exit", is_flag=True, help="The codes are exit codes.")
@click.option("-r", "--rc", "is_result", is_flag=True, help="The codes are result codes.")
@click.option("-n", "--name", "named", is_flag=True, help="Show the name as well.")
@click.option("-l", "--list", "all_codes", is_flag=True, help="Show every code, as without codes.")
@click.option("-V", "--verbose", count=True, help="Accepted: there is nothing to add.")
@result.output_options
@result.version_option
@click.pass_obj
def crm_error(
    answer: result.Answer,
    codes: tuple[str, ...],
    is_exit: bool,
    is_result: bool,
    named: bool,
    all_codes: bool,
    verbose: int,
) -> int:
    """Say what codes mean."""
    kind = "exit" if is_exit else "result" if is_result else "legacy"
    if all_codes or not codes:
        for code in _LIST[kind]():
            _say(answer, code, f"{code.number:5d}: ", f"{code.name:<26}  " if named else "", named)
        return answer.end(0)
    for word in codes:
        code = _DESCRIBE[kind](_number(word))
        _say(answer, code, "", f"{code.name} - " if named else "", named)
    return answer.end(0)


def _number(word: str) -> int:
    """Read the number a word begins with, as the classic tool does."""
    found = _NUMBER.match(word)
    return int(found[0]) if found else _NO_NUMBER


def _say(answer: result.Answer, code: Code, head: str, name: str, named: bool) -> None:
    answer.line(f"{head}{name}{code.text}")
    names = {"name": code.name} if named else {}
    answer.element("result-code", {"code": str(code.number), **names, "description": code.text})


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return result.run(crm_error, argv, has_xml=True)


if __name__ == "__main__":
    sys.exit(main())
