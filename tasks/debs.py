"""Debian packages without installing them: which libraries one wants, and its files in a folder.

Standard library only.  Used by the first run for packages with daemons (tasks.system says why).
"""

import re
import shutil
import subprocess
from pathlib import Path

# "libssl3 (>= 3.0.0)", "libcap2:any (>= 1:2.10)": name and, in parentheses, relation and version (Policy 7.1).
DEPENDENCY = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.-]+)(?::\S+)?\s*(?:\((?P<relation>[<>=]+)\s*(?P<version>[^)\s]+)\))?"
)
LIBRARY = re.compile(r"lib.*|.*-libs")
LISTS = Path("/var/lib/apt/lists")


def has_lists() -> bool:
    """Return whether `apt-get update` was ever run here (containers come without lists)."""
    return any(LISTS.glob("*_Packages*")) or any(LISTS.glob("*_InRelease"))


def unmet_libraries(deb: Path) -> list[str]:
    """Return the library packages that a package file depends on and that are not installed, or too old.

    Of alternatives (``a | b``) the first counts.  What is no library (adduser, debconf, init scripts) serves the
    daemon's service, which is not wanted.
    """
    depends = output("dpkg-deb", "--field", str(deb), "Depends")
    found = [DEPENDENCY.match(item.split("|")[0].strip()) for item in depends.split(",")]
    wanted = [match for match in found if match and LIBRARY.fullmatch(match["name"])]
    return [match["name"] for match in wanted if not is_installed(**match.groupdict())]


def is_installed(*, name: str, relation: str | None, version: str | None) -> bool:
    """Return whether a package is installed in a version that stands in the relation (``>=``, ``=`` …) to one given."""
    said = output("dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}\\n", name)
    status, _, have = (said.splitlines() or [""])[0].partition(" ")
    if status != "installed":
        return False
    return relation is None or succeeds("dpkg", "--compare-versions", have, relation, version or "")


def unpack(deb: Path, folder: Path) -> None:
    """Put the files of a package into a folder; no maintainer script runs."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["dpkg-deb", "--extract", str(deb), str(folder)], check=True)


def copy_program(program: Path, folder: Path) -> None:
    """Copy a program of the machine to the same place below a folder."""
    target = folder / program.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(program, target)


def output(*argv: str) -> str:
    """Return what a program prints; nothing where it fails."""
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def succeeds(*argv: str) -> bool:
    """Return whether a program ends well."""
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0
