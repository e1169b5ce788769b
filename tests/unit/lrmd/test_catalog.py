from __future__ import annotations

from pathlib import Path

import pytest

from crm.api.lrm import ResourceAgent
from crm.plumbing import xml
from crm.plumbing.errors import Problem, UsageError
from lrmd import catalog
from lrmd.catalog import Location

SCRIPT = """#!/bin/sh
### BEGIN INIT INFO
# Provides: httpd
# Short-Description: web server & more
### END INIT INFO
"""


def install(root: Path, path: str, text: str = "#!/bin/sh\n", mode: int = 0o755) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
    return file


def code_of(found: Location | Problem) -> str:
    assert isinstance(found, Problem)
    return found.code


def test_our_own_agents_are_found_without_files(tmp_path: Path) -> None:
    for provider, name in (("heartbeat", "IPaddr2"), ("pacekeeper", "webpage")):
        found = catalog.locate(tmp_path, ResourceAgent("ocf", name, provider))
        assert found == Location("ocf", None)


def test_our_address_agent_wins_over_a_file_and_our_dummy_does_not(tmp_path: Path) -> None:
    install(tmp_path, "usr/lib/ocf/resource.d/heartbeat/IPaddr2")
    dummy = install(tmp_path, "usr/lib/ocf/resource.d/heartbeat/Dummy")
    address = ResourceAgent("ocf", "IPaddr2", "heartbeat")
    assert catalog.locate(tmp_path, address) == Location("ocf", None)
    assert catalog.locate(tmp_path, ResourceAgent("ocf", "Dummy", "heartbeat")) == Location(
        "ocf", dummy
    )


def test_a_file_of_a_provider_of_ones_own_is_found(tmp_path: Path) -> None:
    file = install(tmp_path, "usr/lib/ocf/resource.d/mine/IPaddr2")
    found = catalog.locate(tmp_path, ResourceAgent("ocf", "IPaddr2", "mine"))
    assert found == Location("ocf", file)


def test_scripts_are_looked_for_where_heartbeat_did(tmp_path: Path) -> None:
    install(tmp_path, "etc/init.d/httpd")
    own = install(tmp_path, "etc/ha.d/resource.d/floatip")
    init = tmp_path / "etc/init.d/httpd"
    assert catalog.locate(tmp_path, ResourceAgent("lsb", "httpd")) == Location("lsb", init)
    assert catalog.locate(tmp_path, ResourceAgent("heartbeat", "httpd")) == Location(
        "heartbeat", init
    )
    assert catalog.locate(tmp_path, ResourceAgent("heartbeat", "floatip")) == Location(
        "heartbeat", own
    )
    assert code_of(catalog.locate(tmp_path, ResourceAgent("lsb", "floatip"))) == "agent-missing"


@pytest.mark.parametrize(
    "agent",
    [
        ResourceAgent("lsb", "../../bin/sh"),
        ResourceAgent("lsb", ""),
        ResourceAgent("ocf", "x", ".."),
        ResourceAgent("ocf", "x\0", "heartbeat"),
        ResourceAgent("lsb", ".hidden"),
    ],
)
def test_names_that_are_paths_are_refused(agent: ResourceAgent, tmp_path: Path) -> None:
    assert code_of(catalog.locate(tmp_path, agent)) == "agent-name-invalid"


def test_an_unknown_class_and_a_missing_provider_are_named(tmp_path: Path) -> None:
    assert code_of(catalog.locate(tmp_path, ResourceAgent("upstart", "x"))) == "agent-class-unknown"
    assert code_of(catalog.locate(tmp_path, ResourceAgent("ocf", "x"))) == "agent-provider-missing"


def test_a_file_others_may_write_is_not_run(tmp_path: Path) -> None:
    install(tmp_path, "etc/init.d/httpd", mode=0o757)
    assert code_of(catalog.locate(tmp_path, ResourceAgent("lsb", "httpd"))) == "agent-unsafe"


def test_a_file_in_a_folder_others_may_write_is_not_run(tmp_path: Path) -> None:
    install(tmp_path, "etc/init.d/httpd").parent.chmod(0o777)
    assert code_of(catalog.locate(tmp_path, ResourceAgent("lsb", "httpd"))) == "agent-unsafe"


def test_a_link_is_judged_by_what_it_points_at(tmp_path: Path) -> None:
    target = install(tmp_path, "elsewhere/httpd", mode=0o777)
    link = tmp_path / "etc/init.d/httpd"
    link.parent.mkdir(parents=True)
    link.symlink_to(target)
    assert code_of(catalog.locate(tmp_path, ResourceAgent("lsb", "httpd"))) == "agent-unsafe"


def test_a_file_that_is_not_executable_is_refused_with_its_name(tmp_path: Path) -> None:
    install(tmp_path, "etc/init.d/httpd", mode=0o644)
    found = catalog.locate(tmp_path, ResourceAgent("lsb", "httpd"))
    assert isinstance(found, Problem)
    assert "httpd' is not executable" in found.message


def test_lists_join_files_and_our_own(tmp_path: Path) -> None:
    install(tmp_path, "usr/lib/ocf/resource.d/mine/db")
    install(tmp_path, "usr/lib/ocf/resource.d/mine/readme", mode=0o644)
    install(tmp_path, "etc/init.d/httpd")
    install(tmp_path, "usr/lib/systemd/system/nginx.service", mode=0o644)
    assert catalog.providers(tmp_path) == ["heartbeat", "mine", "pacekeeper", "pacemaker"]
    assert catalog.providers(tmp_path, "IPaddr") == ["heartbeat"]
    assert catalog.types(tmp_path, "ocf", "mine") == ["db"]
    assert catalog.types(tmp_path, "ocf", "heartbeat") == ["Dummy", "IPaddr", "IPaddr2"]
    assert catalog.types(tmp_path, "lsb") == ["httpd"]
    assert catalog.types(tmp_path, "systemd") == ["nginx"]
    assert catalog.types(tmp_path, "service") == ["httpd", "nginx"]
    assert catalog.types(tmp_path, "stonith") == []


def test_metadata_of_a_script_comes_from_its_init_info(tmp_path: Path) -> None:
    install(tmp_path, "etc/init.d/httpd", SCRIPT)
    root = xml.parse(catalog.metadata(tmp_path, ResourceAgent("lsb", "httpd")))
    short = root.find("shortdesc")
    assert short is not None
    assert short.text == "web server & more"


def test_metadata_of_an_installed_agent_is_what_it_prints(tmp_path: Path) -> None:
    doctype = '<!DOCTYPE resource-agent SYSTEM "x.dtd">'
    text = f'<?xml version="1.0"?>\n{doctype}\n<resource-agent name="db"/>\n'
    install(tmp_path, "usr/lib/ocf/resource.d/mine/db", f"#!/bin/sh\ncat <<'X'\n{text}X\n")
    said = catalog.metadata(tmp_path, ResourceAgent("ocf", "db", "mine"))
    assert xml.parse(said).get("name") == "db"


def test_an_agent_without_metadata_is_an_error_that_names_it(tmp_path: Path) -> None:
    install(tmp_path, "usr/lib/ocf/resource.d/mine/db", "#!/bin/sh\nexit 3\n")
    with pytest.raises(UsageError, match="ocf:mine:db"):
        catalog.metadata(tmp_path, ResourceAgent("ocf", "db", "mine"))
    with pytest.raises(UsageError, match="lsb:gone"):
        catalog.metadata(tmp_path, ResourceAgent("lsb", "gone"))
