"""How a classic tool answers: lines of text, one XML or JSON document, and an exit code.

Responsible for the three forms of output, for `--output-to`, and for the words and codes of
wrong calls. Not responsible for what a tool says.

Source: tools.md section 1.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from crm.model import exit_codes
from crm.model.exit_codes import Exit
from crm.plumbing import xml
from crm.plumbing.errors import CrmError

API_VERSION = "2.25"
DANGER = (
    "The supplied command is considered dangerous.  To prevent accidental destruction of the"
    " cluster, the --force flag is required in order to proceed."
)
HELP = {"help_option_names": ["-?", "-h", "--help", "--help-all"]}
"""How to ask most tools for their options: they are shown all at once."""
FORMS = ("text", "xml", "json")
VERSION_TEXT = "Pacemaker 2.1.5 (compatible)\nWritten by the Pacekeeper project"


class Failure(CrmError):
    """The tool ends with this exit code after saying its message, if it has one."""

    def __init__(self, code: int, message: str = "") -> None:
        super().__init__(message)
        self.code = code


class Element(msgspec.Struct, frozen=True):
    """A part of an XML or JSON answer, with the parts inside it or the text it holds."""

    tag: str
    attributes: Mapping[str, str]
    inner: tuple[Element, ...] = ()
    text: str = ""

    def as_xml(self, depth: int) -> list[str]:
        """Write it as lines of XML."""
        space = "  " * depth
        words = "".join(f" {name}={xml.quoted(value)}" for name, value in self.attributes.items())
        if self.text:
            return [f"{space}<{self.tag}{words}>{xml.escaped(self.text)}</{self.tag}>"]
        if not self.inner:
            return [f"{space}<{self.tag}{words}/>"]
        lines = [line for each in self.inner for line in each.as_xml(depth + 1)]
        return [f"{space}<{self.tag}{words}>", *lines, f"{space}</{self.tag}>"]

    def as_json(self) -> dict[str, object]:
        """Give what JSON shows of it."""
        shown: dict[str, object] = {"kind": self.tag, **self.attributes}
        if self.text:
            shown["text"] = self.text
        if self.inner:
            shown["items"] = [each.as_json() for each in self.inner]
        return shown


def element_of(node: Any) -> Element:  # Any: an element; lxml stays in its rooms
    """Take over a piece of a document."""
    inner = tuple(element_of(child) for child in node if isinstance(child.tag, str))
    attributes = {str(name): str(value) for name, value in node.attrib.items()}
    return Element(str(node.tag), attributes, inner, (node.text or "").strip())


class Answer(msgspec.Struct):
    """What one run of a tool says, in the form that was asked for, when the run ends."""

    tool: str
    arguments: tuple[str, ...]
    as_xml: bool = False
    as_json: bool = False
    target: str = ""
    _elements: list[Element] = msgspec.field(default_factory=list)
    _lines: list[str] = msgspec.field(default_factory=list)
    _errors: list[str] = msgspec.field(default_factory=list)

    def line(self, text: str) -> None:
        """Say a line that the XML form does not have."""
        self._lines.append(text)

    def element(
        self, tag: str, attributes: Mapping[str, str], inner: Iterable[Element] = ()
    ) -> None:
        """Say an element that the text form does not have."""
        self._elements.append(Element(tag, attributes, tuple(inner)))

    def part(self, element: Element) -> None:
        """Say an element that is there already."""
        self._elements.append(element)

    def error(self, text: str) -> None:
        """Say what went wrong."""
        self._errors.append(text)

    def end(self, code: int) -> int:
        """Print what was said; gives the exit code back."""
        if self.as_json:
            text = self._json(code)
        elif self.as_xml:
            text = self._document(code)
        else:
            text = "".join(f"{line}\n" for line in self._lines)
        if self.target and self.target != "-":
            Path(self.target).write_text(text, encoding="utf-8")
        elif text:
            click.echo(text, nl=False)
        if not self.as_xml and not self.as_json:
            for message in self._errors:
                click.echo(message, err=True)
        return int(code)

    def _json(self, code: int) -> str:
        """Write the answer as JSON; lines stand in it where there is nothing more exact."""
        shown: dict[str, object] = {"request": " ".join((self.tool, *self.arguments))}
        if self._elements:
            shown["result"] = [element.as_json() for element in self._elements]
        elif self._lines:
            shown["lines"] = [line for text in self._lines for line in text.splitlines()]
        return json_text(shown, code, self._errors)

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
            # What is indented is our hint; programs that read this know the classic words.
            texts = [text.split("\n  ", 1)[0] for text in self._errors]
            inner = "".join(f"      <error>{xml.escaped(text)}</error>\n" for text in texts)
            status += f">\n    <errors>\n{inner}    </errors>\n  </status>"
        else:
            status += "/>"
        inner_lines = [line for element in self._elements for line in element.as_xml(1)]
        return "\n".join((head, *inner_lines, status, "</pacemaker-result>")) + "\n"


def json_text(shown: dict[str, object], code: int, errors: Sequence[str]) -> str:
    """Write a JSON answer; how it ended stands last."""
    meaning = exit_codes.exit_code(code).text
    status = {"code": int(code), "message": meaning, "errors": list(errors)}
    encoded = msgspec.json.encode({**shown, "status": status})
    return msgspec.json.format(encoded, indent=2).decode() + "\n"


def noted(
    action: str,
) -> Callable[[click.Context, click.Parameter, Any], Any]:  # Any: what click hands on
    """Make the callback of an option that notes its action; of several, the last one counts."""

    def note(context: click.Context, _parameter: click.Parameter, given: Any) -> Any:
        if given not in (None, False):
            context.meta["action"] = action
        return given

    return note


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


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:  # Any: click's functions
    """Give a command the options that choose the form of its answer."""

    def choose(context: click.Context, _parameter: click.Parameter, form: str | None) -> None:
        if form is None:
            return
        if form not in FORMS:
            text = f"Error creating output format {form}: Unknown output format"
            hint = f"it is one of {', '.join(FORMS)}"
            raise Failure(Exit.ERROR, f"{context.command.name}: {text}\n  {hint}")
        context.obj.as_xml, context.obj.as_json = form == "xml", form == "json"

    def aim(context: click.Context, _parameter: click.Parameter, target: str) -> None:
        context.obj.target = target

    for option in (
        click.option("--output-to", default="", metavar="FILE", callback=aim, expose_value=False),
        click.option("--output-as", metavar="|".join(FORMS), callback=choose, expose_value=False),
    ):
        command = option(command)
    return json_option(command)


def ordinary_options(command: Callable[..., Any]) -> Callable[..., Any]:  # Any: click's functions
    """Give a command what most have at their end: -V, --root, further words, form, version."""
    for add in (
        version_option,
        output_options,
        click.argument("rest", nargs=-1),
        click.option("--root", metavar="DIR", default=None, help="The installation."),
        click.option("-V", "--verbose", count=True, help="Accepted: there is nothing to add."),
    ):
        command = add(command)
    return command


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:  # Any: click's functions
    """Give a command `--json`; only that, where the classic tool knows no XML."""

    def choose(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
        context.obj.as_json = context.obj.as_json or wanted

    return click.option(
        "--json", is_flag=True, callback=choose, expose_value=False, help="Answer as JSON."
    )(command)


def run(
    command: click.Command,
    argv: list[str] | None,
    *,
    has_xml: bool = False,
    misuse: Exit = Exit.USAGE,
) -> int:
    """Run a tool's command with an `Answer` as its object, and give the exit code back.

    `misuse` is the exit code for options it does not have; a few tools have one of their own.
    """
    answer = begin(command.name or "", argv, has_xml=has_xml)
    tool, arguments = answer.tool, list(answer.arguments)
    try:
        code = command.main(args=arguments, prog_name=tool, standalone_mode=False, obj=answer)
    except click.UsageError as problem:
        return refuse(answer, problem, misuse)
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


def begin(tool: str, argv: Sequence[str] | None, *, has_xml: bool = False) -> Answer:
    """Begin an answer; its form is known before the options are read, so that errors have it."""
    arguments = tuple(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in arguments or "--output-as=json" in arguments
    return Answer(tool, arguments, has_xml and "--output-as=xml" in arguments, as_json)


def refuse(answer: Answer, problem: click.UsageError, code: int = Exit.USAGE) -> int:
    """Say what is wrong with a call; gives the exit code back."""
    if isinstance(problem, click.NoSuchOption):
        text = f"Unknown option {_as_given(answer.arguments, problem.option_name)}"
    else:
        text = _wrong_use(problem)
    answer.error(f"{answer.tool}: {text}")
    return answer.end(code)


def _wrong_use(problem: click.UsageError) -> str:
    text = problem.format_message()
    if isinstance(problem, click.BadOptionUsage) and "requires an argument" in text:
        return f"Missing argument for {problem.option_name}"
    return text


def _as_given(arguments: tuple[str, ...], option: str) -> str:
    """Quote an unknown option with its value, as it was written."""
    for argument in arguments:
        if argument.startswith(option):
            return argument
    return option
