"""`crm_rule`: say whether a rule with a date is in effect.

Responsible for finding the rule, for what kinds of rules can be judged by the date alone, and
for the exit codes. Rules are judged in general by `crm.model.rules`; here the answer must also
say whether the time of a rule is over or is yet to come.

Source: tools.md section 2.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from cli.tools import ends, moments, result
from cli.tools.result import Failure
from crm.api.gateclient import installation_root
from crm.cib import document as documents
from crm.model import rules
from crm.model.exit_codes import Exit
from crm.model.rules import DateExpression, DateSpecification, Rule, Situation
from crm.plumbing.errors import ConfigurationError

_NO_SPECIFICATION = "Rule must either not use date_spec, or use date_spec with years= but not moon="
_WORDS = {
    Exit.OK: "is still in effect",
    Exit.EXPIRED: "is expired",
    Exit.NOT_YET_IN_EFFECT: "has not yet taken effect",
}


_RANGES = ("lt", "gt", "in_range")
_FIELDS = (
    "years", "months", "monthdays", "hours", "minutes", "seconds", "yeardays", "weekyears",
    "weeks", "weekdays",
)  # fmt: skip
"""The order in which the fields of a date_spec are looked at."""


class _Undetermined(Exception):
    """The rule cannot be judged, for this reason, and with this exit code."""

    def __init__(self, code: Exit, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@click.command(
    "crm_rule",
    context_settings=result.HELP,
    help="Evaluate rules from the CIB.",
)
@click.option("-c", "--check", is_flag=True, help="Say whether rules are in effect.")
@click.option("-r", "--rule", "names", multiple=True, help="The id of a rule; repeatable.")
@click.option("-d", "--date", "when", help="Judge as of this date, not of now.")
@click.option("-X", "--xml-text", "text", help="The CIB, as text; - is standard input.")
@click.option("-V", "--verbose", count=True, help="Accepted: there is nothing to add.")
@click.option("--root", metavar="DIR", default=None, help="The installation.")
@result.output_options
@result.version_option
@click.pass_obj
def crm_rule(
    answer: result.Answer,
    check: bool,
    names: tuple[str, ...],
    when: str | None,
    text: str | None,
    verbose: int,
    root: Path | None,
) -> int:
    """Evaluate rules."""
    if not check:
        raise Failure(Exit.USAGE, "crm_rule: No mode operation given")
    if not names:
        raise Failure(Exit.USAGE, "crm_rule: --check requires use of --rule=")
    now = _date(when)
    if text is not None:
        document = _given(text)
    else:
        manner = ends.Manner("CIB query failed: {}", is_input=True)
        document = ends.open_cib("crm_rule", installation_root(root), manner=manner).document()
    last = Exit.OK
    for name in names:
        code = _check(answer, document, name, now)
        last = code if code is not Exit.OK else last
    return answer.end(last)


def _date(text: str | None) -> datetime:
    present = datetime.now().astimezone()
    if text is None:
        return present
    try:
        return moments.moment(text, today=present.date(), local=present.tzinfo or UTC)
    except ValueError as problem:
        message = f"crm_rule: Invalid date specified: {text}\n  {problem}"
        raise Failure(Exit.BAD_DATA, message) from problem


def _given(text: str) -> documents.Document:
    from_pipe = text == "-"
    data = sys.stdin.buffer.read() if from_pipe else text.encode("utf-8", "surrogateescape")
    try:
        return documents.Document.parse(data)
    except ConfigurationError as problem:
        what = "input from STDIN" if from_pipe else f"input string: {text}"
        raise Failure(Exit.BAD_DATA, f"crm_rule: Couldn't parse {what}\n") from problem


def _check(answer: result.Answer, document: documents.Document, name: str, now: datetime) -> Exit:
    try:
        expression = _find(document, name)
        code = _judge(expression, now)
        holds = "satisfies conditions" if _is_specification(expression) else _WORDS[Exit.OK]
        answer.line(f"Rule {name} {holds if code is Exit.OK else _WORDS[code]}")
    except _Undetermined as problem:
        code = problem.code
        answer.error(f"Could not determine whether rule {name} is in effect: {problem}")
    answer.element("rule-check", {"rule-id": name, "rc": str(int(code))})
    return code


def _find(document: documents.Document, name: str) -> Any:  # Any: an element
    found = document.by_id(name)
    if found is None or found.tag != "rule":
        raise _Undetermined(Exit.NO_SUCH_OBJECT, "Rule not found")
    dates = list(found.iterdescendants("date_expression"))
    if not dates:
        raise _Undetermined(Exit.UNIMPLEMENTED, "Rule does not have a date expression")
    if len(dates) > 1:
        raise _Undetermined(Exit.UNIMPLEMENTED, "Rule has more than one date expression")
    return dates[0]


def _judge(expression: Any, now: datetime) -> Exit:  # Any: an element
    operation = expression.get("operation", "date_spec")
    if operation == "date_spec":
        return _judge_specification(expression, now)
    if operation not in _RANGES:
        raise _Undetermined(Exit.INDETERMINATE, f"it cannot be compared by '{operation}'")
    start = _moment(expression, "start") if operation != "lt" else None
    end = _moment(expression, "end") if operation != "gt" else None
    if operation == "in_range" and end is None and start is not None:
        end = _end_of_duration(expression, start)
    if start is None and end is None:
        raise _Undetermined(Exit.INDETERMINATE, "its date expression has neither start nor end")
    if start is not None and (now < start or (operation == "gt" and now == start)):
        return Exit.NOT_YET_IN_EFFECT
    if end is not None and (now > end or (operation == "lt" and now == end)):
        return Exit.EXPIRED
    return Exit.OK


def _is_specification(expression: Any) -> bool:  # Any: an element
    operation: str | None = expression.get("operation")
    return operation == "date_spec"


def _moment(expression: Any, name: str) -> datetime | None:  # Any: an element
    text = expression.get(name)
    if text is None:
        return None
    local = datetime.now().astimezone()
    try:
        return moments.moment(text, today=local.date(), local=local.tzinfo or UTC)
    except ValueError as problem:
        raise _Undetermined(Exit.INDETERMINATE, str(problem)) from problem


def _end_of_duration(expression: Any, start: datetime) -> datetime | None:  # Any: an element
    length = expression.find("duration")
    if length is None:
        return None
    try:
        count = {
            unit: int(length.get(unit, "0"))
            for unit in ("years", "months", "weeks", "days", "hours", "minutes", "seconds")
        }
        seconds = count["hours"] * 3600 + count["minutes"] * 60 + count["seconds"]
        days = count["weeks"] * 7 + count["days"]
        return moments.add(start, moments.Duration(count["years"], count["months"], days, seconds))
    except ValueError as problem:
        raise _Undetermined(Exit.INDETERMINATE, str(problem)) from problem


def _judge_specification(expression: Any, now: datetime) -> Exit:  # Any: an element
    fields = expression.find("date_spec")
    if fields is None or not fields.get("years") or fields.get("moon"):
        raise _Undetermined(Exit.UNIMPLEMENTED, _NO_SPECIFICATION)
    ranges = tuple((str(name), str(value)) for name, value in fields.attrib.items() if name != "id")
    condition = DateExpression("", "date_spec", specification=DateSpecification(ranges))
    if rules.holds(Rule("", conditions=(condition,)), Situation(now)):
        return Exit.OK
    return _side_of(now, ranges)


def _side_of(now: datetime, ranges: tuple[tuple[str, str], ...]) -> Exit:
    """Say on which side of a specification a moment is: the first field that differs decides."""
    own = rules.calendar_fields(now)
    given = dict(ranges)
    for name in _FIELDS:
        first, dash, last = given.get(name, "").partition("-")
        if first.isdigit() and own[name] < int(first):
            return Exit.NOT_YET_IN_EFFECT
        last = last if dash else first
        if last.isdigit() and own[name] > int(last):
            return Exit.EXPIRED
    raise _Undetermined(Exit.INDETERMINATE, "its date_spec does not match")


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return result.run(crm_rule, argv, has_xml=True)


if __name__ == "__main__":
    sys.exit(main())
