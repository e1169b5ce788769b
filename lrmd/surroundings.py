"""What every agent on this node finds around it: paths and the classic HA_ variables.

The environment of an agent is made from nothing, so that it is the same after a boot, from a
terminal and in the lab.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crm.plumbing.settings import Paths

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The node agents run on; `root` is where the installation lies."""

    root: Path
    node: str

    def environment(self) -> dict[str, str]:
        """Make the variables that do not depend on the operation."""
        paths = Paths(self.root)
        ocf_root = paths.ocf_root if paths.ocf_root.is_dir() else Path("/usr/lib/ocf")
        state_dir = str(paths.agent_state_dir)
        return {
            "PATH": SEARCH_PATH,
            "HOME": "/root",
            "LC_ALL": "C",
            "OCF_ROOT": str(ocf_root),
            "HA_CURHOST": self.node,
            "HA_DIR": str(self.root / "etc/ha.d"),
            "HA_RSCTMP": state_dir,
            "HA_RSCTMP_OLD": state_dir,
            "HA_VARRUN": str(self.root / "run/"),
        }
