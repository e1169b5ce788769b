"""How a classic tool answers: lines of text, or one XML document, and an exit code.

Responsible for both forms of output, for `--output-to`, and for the words and codes of wrong
calls. Not responsible for what a tool says.

Source: tools.md section 1.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from crm.model import exit_codes
from crm.model.exit_codes import Exit
from crm.plumbing import xml
from crm.plumbing.errors import CrmError

API_VERSION = "2.25"
VERSION_TEXT = "Pacemaker 2.1.5 (compatible)\nWritten by the Pacekeeper project"


class Failure(CrmError):
    """The tool ends with this exit code after saying its message, if it has one."""

    def __init__(self, code: int, message: str = "") -> None:
        super().__init__(message)
        self.code = code


class Answer(msgspec.Struct):
    """What one run of a tool says. Text appears at once, XML when the run ends."""

    tool: str
    arguments: tuple[str, ...]
    as_xml: bool = False
    target: str = ""
    _elements: list[str] = msgspec.field(default_factory=list)
    _lines: list[str] = msgspec.field(default_factory=list)
    _errors: list[str] = msgspec.field(default_factory=list)

    def line(self, text: str) -> None:
        """Say a line that the XML form does not have."""
        if not self.as_xml:
            self._lines.append(text)

    def element(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Say an element that the text form does not have."""
        words = "".join(f" {name}={xml.quoted(value)}" for name, value in attributes.items())
        self._elements.append(f"  <{tag}{words}/>")

    def error(self, text: str) -> None:
        """Say what went wrong."""
        self._errors.append(text)

    def end(self, code: int) -> int:
        """Print what was said; gives the exit code back."""
        text = self._document(code) if self.as_xml else "".join(f"{s}\n" for s in self._lines)
        if self.target and self.target != "-":
            Path(self.target).write_text(text, encoding="utf-8")
        elif text:
            click.echo(text, nl=False)
        if not self.as_xml:
            for message in self._errors:
                click.echo(message, err=True)
        return int(code)

    def _document(self, code: int) -> str:
        request = " ".join((self.tool, *self.arguments))
        head = (
            f"<pacemaker-result api-version={xml.quoted(API_VERSION)}"
            f" request={xml.quoted(request)}>"
        )
        status = (
            f"  <status code={xml.quoted(str(int(code)))}"
            f" message={xml.quoted(exit_codes.exit_code(code).text)}"
        )
        if self._errors:
            inner = "".join(f"      <error>{xml.escaped(text)}</error>\n" for text in self._errors)
            status += f">\n    <errors>\n{inner}    </errors>\n  </status>"
        else:
            status += "/>"
        return "\n".join((head, *self._elements, status, "</pacemaker-result>")) + "\n"


def say_version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    """Print which program this is, and end (the callback of `--version`)."""
    if wanted:
        click.echo(VERSION_TEXT)
        context.exit(0)


def version_option(command: Callable[..., Any]) -> Callable[..., Any]:  # Any: click's functions
    """Give a command the classic `--version`."""
    return click.option(
        "-$",
        "--version",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=say_version,
        help="Say which program this is.",
    )(command)


def run(command: click.Command, argv: list[str] | None, *, has_xml: bool = False) -> int:
    """Run a tool's command with an `Answer` as its object, and give the exit code back."""
    arguments = tuple(sys.argv[1:] if argv is None else argv)
    tool = command.name or ""
    as_xml = has_xml and "--output-as=xml" in arguments
    answer = Answer(tool, arguments, as_xml)
    try:
        code = command.main(args=list(arguments), prog_name=tool, standalone_mode=False, obj=answer)
    except click.NoSuchOption as problem:
        given = _as_given(arguments, problem.option_name)
        answer.error(f"{tool}: Unknown option {given}")
        return answer.end(Exit.USAGE)
    except click.UsageError as problem:
        answer.error(f"{tool}: {problem.format_message()}")
        return answer.end(Exit.USAGE)
    except Failure as problem:
        if str(problem):
            answer.error(str(problem))
        return answer.end(problem.code)
    except CrmError as problem:
        answer.error(f"{tool}: {problem}")
        return answer.end(Exit.ERROR)
    except OSError as problem:
        answer.error(f"{tool}: {problem.filename}: {problem.strerror}")
        return answer.end(Exit.IO_ERROR)
    except click.Abort:
        return int(Exit.ERROR)
    return code if isinstance(code, int) else 0


def _as_given(arguments: tuple[str, ...], option: str) -> str:
    """Quote an unknown option with its value, as it was written."""
    for argument in arguments:
        if argument.startswith(option):
            return argument
    return option
