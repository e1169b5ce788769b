"""Is this document written in the language of the CIB? The grammar answers, in plain words.

The grammar is ours and stands in `schemas/`; it describes today's form, and documents of older
ones are upgraded before they are checked (`crm.cib.upgrade`). Documents that say pacemaker-4.0 are
judged by what that took away from it. What a grammar cannot see (names
that lead nowhere, ids used twice, values of options) is `crm.cib.semantics`' part.

Source: docs/decisions/0032-schema.md.
"""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Mapping
from pathlib import Path

from lxml import etree

from crm.cib import grammar, upgrade_steps
from crm.plumbing import errors
from crm.plumbing.errors import ConfigurationError, Problem

NEWEST = upgrade_steps.TARGET
"""The schema that is written into new documents."""

_OLDEST_NUMBER = (1, 0)
_NEWEST_NUMBER = (4, 0)
_OTHERS = frozenset({"none", "pacemaker-0.6", "pacemaker-0.7", "transitional-0.6"})
_USUAL = "3.9"
_LAST = "4.0"
"""The folders of the grammars; the second holds only what differs from the first."""

_MOST_PROBLEMS = 50


def accepts(validate_with: str) -> bool:
    """Tell whether documents of that schema are read at all (older ones after an upgrade)."""
    if validate_with in _OTHERS:
        return True
    number = upgrade_steps.schema_number(validate_with)
    if number is None:
        return False
    # 3.10 and its like are newer than 3.9 and older than 4.0.
    return _OLDEST_NUMBER <= number <= _NEWEST_NUMBER


def directory() -> Path:
    """Find the schemas, beside the packages of a checkout or inside the installed one.

    Raises: ConfigurationError if they are in neither place.
    """
    crm = Path(__file__).parents[1]
    for candidate in (crm / "schemas", crm.parent / "schemas"):
        if (candidate / "cib").is_dir():
            return candidate
    raise ConfigurationError(f"the schemas are neither in {crm} nor beside it")


def check(root: etree._Element) -> list[Problem]:
    """Check a `<cib>`; no problems means that it is written as the grammar says.

    The status section is not looked at: the cluster writes it. `validate-with="none"` asks not
    to be checked. The document is not changed: the grammar works on a copy of the configuration.
    """
    if root.tag != "cib":
        message = f"the root element is <{root.tag}>, not <cib>"
        hint = "give a whole CIB; cibadmin --empty prints one"
        return [errors.error("no-cib", str(root.tag), message, hint)]
    schema = root.get("validate-with", NEWEST)
    if schema == "none":
        return []
    if not accepts(schema):
        return [
            errors.error(
                "unknown-schema",
                "cib",
                f"validate-with names '{schema}', which is not known",
                f"known are pacemaker-1.0 to pacemaker-4.0; new documents have {NEWEST}",
            )
        ]
    frame = without_status(root)
    version = _grammar_for(schema)
    validator = _validator(version)
    if validator.validate(frame):
        return []
    found = list(itertools.islice(grammar.explain(frame, table(version)), _MOST_PROBLEMS))
    return found or [_as_libxml_says(validator)]


def _grammar_for(schema: str) -> str:
    """Choose the grammar that judges a schema: 3.10 brought nothing that 3.9 refuses."""
    number = upgrade_steps.schema_number(schema)
    return _LAST if number is not None and number >= _NEWEST_NUMBER else _USUAL


def without_status(root: etree._Element) -> etree._Element:
    """Copy a document but for its status: most of it, and none of the grammar's business."""
    frame = etree.Element("cib", {str(k): str(v) for k, v in root.attrib.items()})
    for child in root:
        if child.tag != "status":
            frame.append(copy.deepcopy(child))
    return frame


def _as_libxml_says(validator: etree.RelaxNG) -> Problem:
    """Pass on the validator's own words where the table cannot explain the refusal."""
    entry = validator.error_log.last_error
    message = entry.message if entry is not None else "the document does not follow the schema"
    return errors.error("schema", "cib", message, "compare with a working configuration")


@functools.lru_cache(maxsize=2)
def _validator(version: str) -> etree.RelaxNG:
    return etree.RelaxNG(etree.parse(directory() / "cib" / version / "cib.rng"))


@functools.lru_cache(maxsize=2)
def table(version: str = _USUAL) -> Mapping[str, grammar.Element]:
    """Give the grammar as a table with its documentation: per element what may stand in it."""
    usual = directory() / "cib" / _USUAL
    if version == _USUAL:
        return grammar.read_grammar(usual)
    return grammar.read_grammar(usual, directory() / "cib" / version)
