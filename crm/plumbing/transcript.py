"""Conversations with a machine as text: what it is told, and what it does then.

    # why this conversation exists
    at 0
    > PeerConnected('heartbeat')
    < Tell('heartbeat', SignOn(client='crmd', pid=1))
    tick
    < Note(20, 'crmd', 'still waiting')

`at` sets the clock, `>` hands an event over, `tick` moves the clock to the machine's deadline.
Lines with `<` are what is expected; `play` computes them anew, so that comparing two texts is the
test, and writing the new one is blessing it (`BLESS=1`). A black box is of the same form.

Events are read as Python calls of the classes a test names, with literals as arguments; nothing
is evaluated.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from crm.plumbing.errors import UsageError
from crm.plumbing.machine import Machine

LONG_BYTES = 200
"""Longer byte strings are shown by their length only (and cannot be read back)."""


def render(item: object) -> str:
    """Write an event, effect, message or value on one line, without fields at their default."""
    if isinstance(item, enum.Enum):
        return f"{type(item).__name__}.{item.name}"
    if isinstance(item, msgspec.Struct):
        return f"{type(item).__name__}({', '.join(_struct_fields(item))})"
    if dataclasses.is_dataclass(item) and not isinstance(item, type):
        return f"{type(item).__name__}({', '.join(_dataclass_fields(item))})"
    if isinstance(item, bytes) and len(item) > LONG_BYTES:
        return f"<{len(item)} bytes>"
    if isinstance(item, tuple):
        inner = ", ".join(render(each) for each in item)
        return f"({inner},)" if len(item) == 1 else f"({inner})"
    if isinstance(item, list):
        return f"[{', '.join(render(each) for each in item)}]"
    if isinstance(item, dict):
        return f"{{{', '.join(f'{render(k)}: {render(v)}' for k, v in item.items())}}}"
    if isinstance(item, (set, frozenset)):
        return f"{{{', '.join(sorted(render(each) for each in item))}}}"
    return repr(item)


def vocabulary(*classes: type) -> dict[str, type]:
    """Name the classes a transcript may mention."""
    return {each.__name__: each for each in classes}


def read(line: str, words: Mapping[str, type]) -> object:
    """Read one event as `render` writes it.

    Raises: UsageError if it is not a call of a known class with literal arguments.
    """
    try:
        tree = ast.parse(line.strip(), mode="eval")
    except SyntaxError as problem:
        raise UsageError(f"cannot read '{line}': {problem.msg}") from problem
    return _value(tree.body, words)


# Any: a transcript drives machines of every kind; the words given decide what is an event.
def play(machine: Machine[Any, Any], text: str, words: Mapping[str, type]) -> str:
    """Have a machine live through a transcript, and write it with the effects it really had.

    Raises: UsageError for a line that is none of the forms, or `tick` when nothing is due.
    """
    now = 0.0
    written: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("<"):
            continue
        written.append(line)
        if stripped.startswith(">"):
            written += _effects(machine.receive(read(stripped[1:], words), now))
        elif stripped.startswith("at "):
            now = float(stripped[3:])
        elif stripped == "tick":
            deadline = machine.next_deadline()
            if deadline is None:
                raise UsageError("'tick': the machine waits for nothing")
            now = max(now, deadline)
            written += _effects(machine.tick(now))
        elif stripped and not stripped.startswith("#"):
            raise UsageError(f"'{line}' is not a line of a transcript")
    return "\n".join(written) + "\n"


def _effects(effects: Iterable[object]) -> list[str]:
    return [f"< {render(effect)}" for effect in effects]


def _struct_fields(item: msgspec.Struct) -> list[str]:
    shown = []
    for each in msgspec.structs.fields(item):
        value = getattr(item, each.name)
        if not each.required and each.default is not msgspec.NODEFAULT and value == each.default:
            continue
        shown.append(f"{each.name}={render(value)}")
    return shown


def _dataclass_fields(item: Any) -> list[str]:  # Any: typeshed's protocol for these is private
    shown = []
    named = False
    for each in dataclasses.fields(item):
        value = getattr(item, each.name)
        if each.default is not dataclasses.MISSING and value == each.default:
            named = True
            continue
        if not each.repr:  # a secret
            shown.append("<hidden>")
            continue
        shown.append(f"{each.name}={render(value)}" if named else render(value))
    return shown


def _value(node: ast.expr, words: Mapping[str, type]) -> Any:  # Any: any literal there is
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        kind = words.get(node.func.id)
        if kind is None:
            raise UsageError(f"'{node.func.id}' is not a word of this transcript")
        arguments = [_value(each, words) for each in node.args]
        named = {each.arg or "": _value(each.value, words) for each in node.keywords}
        return kind(*arguments, **named)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        kind = words.get(node.value.id)
        if kind is None or not issubclass(kind, enum.Enum):
            raise UsageError(f"'{node.value.id}' is not an enumeration of this transcript")
        return kind[node.attr]
    if isinstance(node, ast.Tuple):
        return tuple(_value(each, words) for each in node.elts)
    if isinstance(node, ast.List):
        return [_value(each, words) for each in node.elts]
    if isinstance(node, ast.Set):
        return frozenset(_value(each, words) for each in node.elts)
    if isinstance(node, ast.Dict):
        keys = [_value(each, words) for each in node.keys if each is not None]
        return dict(zip(keys, (_value(each, words) for each in node.values), strict=True))
    try:
        return ast.literal_eval(node)
    except ValueError as problem:
        raise UsageError(f"'{ast.unparse(node)}' is not a literal") from problem
