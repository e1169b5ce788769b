"""What all tools have in common: options, forms of answers, and words where no cluster runs."""

from __future__ import annotations

import importlib
import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from crm.model.exit_codes import Exit
from crm.plumbing import xml

_PROJECT = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text())["project"]
_OTHER_MANNERS = (
    "cl_status", "haresources2cib", "hb_addnode", "hb_delnode", "hb_setsite", "hb_setweight",
    "hb_standby", "hb_takeover",
)  # fmt: skip
"""Tools of Heartbeat's, with options and exit codes of their own."""
TOOLS = sorted(
    {
        place.partition(":")[0].rpartition(".")[2]
        for place in _PROJECT["scripts"].values()
        if place.startswith("cli.tools.")
    }
    - {*_OTHER_MANNERS}
)
WITH_XML = (
    "attrd_updater", "crm_attribute", "crm_error", "crm_rule", "crm_simulate", "crm_verify",
    "crmadmin", "stonith_admin",
)  # fmt: skip
_MISUSE = {"crm_master": Exit.ERROR, "crm_standby": Exit.ERROR}
"""Two scripts of old end with 1 where others end with 64."""
_SAYS_IT_ALL = ("crm_error", "crm_diff", "iso8601")
"""Tools that need no cluster at all."""
LIVE = {
    "attrd_updater": (["-n", "a", "-Q"], Exit.NOT_CONNECTED),
    "cibadmin": (["-Q"], Exit.NOT_CONNECTED),
    "crm_attribute": (["-n", "a", "-G"], Exit.NOT_CONNECTED),
    "crm_failcount": (["-r", "a", "-N", "n", "-G"], Exit.NOT_CONNECTED),
    "crm_master": (["-r", "a", "-N", "n", "-G"], Exit.NOT_CONNECTED),
    "crm_mon": (["-1"], Exit.NOT_CONNECTED),
    "crm_node": (["-l"], Exit.NOT_CONNECTED),
    "crm_resource": (["-L"], Exit.NOT_CONNECTED),
    "crm_rule": (["-c", "-r", "a"], Exit.NOT_CONNECTED),
    "crm_shadow": (["-b", "-c", "a"], Exit.NOT_CONNECTED),
    "crm_simulate": (["-L"], Exit.NO_INPUT),
    "crm_standby": (["-N", "n", "-G"], Exit.NOT_CONNECTED),
    "crm_ticket": (["-l"], Exit.NOT_CONNECTED),
    "crm_verify": (["-L"], Exit.NO_INPUT),
    "crmadmin": (["-D"], Exit.NOT_CONNECTED),
    "stonith_admin": (["-L"], Exit.NOT_CONNECTED),
}
"""A call of each that needs the running cluster, and how it ends without one."""


def main_of(tool: str) -> Callable[[list[str]], int]:
    main: Callable[[list[str]], int] = importlib.import_module(f"cli.tools.{tool}").main
    return main


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CIB_file", "CIB_shadow", "OCF_RESKEY_CRM_meta_on_node"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PACEKEEPER_ROOT", str(tmp_path))
    monkeypatch.setenv("CIB_shadow_dir", str(tmp_path))


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("option", ["--version", "-$"])
def test_it_says_which_program_it_is(
    tool: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main_of(tool)([option]) == 0
    assert capsys.readouterr().out.startswith("Pacemaker 2.1.5 (compatible)\n")


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("option", ["--help", "-?"])
def test_it_lists_its_options(tool: str, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main_of(tool)([option]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Usage: {tool}")
    assert "--json" in text
    assert ("--output-as" in text) >= (tool in WITH_XML)


@pytest.mark.parametrize("tool", TOOLS)
def test_an_unknown_option_is_quoted(tool: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main_of(tool)(["-V", "--frob=1"]) == _MISUSE.get(tool, Exit.USAGE)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"{tool}: Unknown option --frob=1\n"


@pytest.mark.parametrize("tool", TOOLS)
def test_an_unknown_option_is_quoted_in_json_too(
    tool: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = _MISUSE.get(tool, Exit.USAGE)
    assert main_of(tool)(["--json", "--frob"]) == code
    said = capsys.readouterr()
    status = json.loads(said.out)["status"]
    assert status["code"] == code
    assert status["errors"] == [f"{tool}: Unknown option --frob"]
    assert said.err == ""


@pytest.mark.parametrize("tool", WITH_XML)
def test_an_unknown_option_is_quoted_in_xml_too(
    tool: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main_of(tool)(["--output-as=xml", "--frob"]) == Exit.USAGE
    status = xml.parse(capsys.readouterr().out.encode()).find("status")
    assert status is not None
    assert status.get("code") == "64"
    assert status.findtext("errors/error") == f"{tool}: Unknown option --frob"


@pytest.mark.parametrize("tool", sorted({*TOOLS} - {*_SAYS_IT_ALL}))
def test_without_a_cluster_it_ends_as_the_classic_tool(
    tool: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words, code = LIVE[tool]
    assert main_of(tool)(words) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err


@pytest.mark.parametrize("tool", sorted({*TOOLS} - {*_SAYS_IT_ALL}))
def test_without_a_cluster_json_says_so(tool: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, code = LIVE[tool]
    assert main_of(tool)([*words, "--json"]) == code
    said = capsys.readouterr()
    assert json.loads(said.out)["status"]["code"] == code
    assert said.err == ""
