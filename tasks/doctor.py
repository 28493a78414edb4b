"""What this machine lacks, and the one line that brings it.  Changes nothing.

Works before the first run (``python3 -m tasks doctor``), so: standard library only, doit where it is a task.
"""

import json
import os
import pwd
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tasks import system
from tasks.errors import BootmillError, CommandError
from tasks.run import interactive, run
from tasks.system import Need

GIB = 1 << 30
SPACE = 6 * GIB  # a medium as ISO and as tree, two root trees with their images, and as much again while they are made
IDS = 65536  # a root tree's users and groups, from root to nobody (subuid(5))
KVM = Path("/dev/kvm")
UBUNTU_SWITCH = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
DEBIAN_SWITCH = Path("/proc/sys/kernel/unprivileged_userns_clone")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of the report.  `remedy` is what to type or do, empty where all is well."""

    name: str
    ok: bool
    level: str
    detail: str
    package: str = ""
    remedy: str = ""


def run_tests(words: Sequence[str]) -> None:
    """Run the test suite on the user's terminal, as ``python3 -m tasks test`` does; words go to pytest."""
    if interactive([sys.executable, "-m", "tasks", "test", *words]):
        message = "the test suite failed"
        raise BootmillError(message, hint="python3 -m tasks test --last-failed   runs what failed")


def show(words: Sequence[str]) -> None:
    """Print the report (``doit doctor [json]``); `BootmillError` where something for building is missing."""
    lacking = report(as_json="json" in {word.lstrip("-") for word in words})
    if lacking:
        message = f"this machine cannot build yet: {', '.join(finding.name for finding in lacking)}"
        raise BootmillError(message, hint="the lines above say what to type")


def main(words: Sequence[str]) -> int:
    """Print the report and return 0, or 1 where something for building is missing, or 2 for an unknown word."""
    unknown = [word for word in words if word.lstrip("-") != "json"]
    if unknown:
        print(f"doctor knows --json only, not {shlex.join(unknown)}", file=sys.stderr)
        return 2
    return 1 if report(as_json=bool(words)) else 0


def report(*, as_json: bool) -> list[Finding]:
    """Print all findings, as a table or as JSON; return those that keep this machine from building."""
    found = [*programs(), *machine()]
    lacking = [finding for finding in found if not finding.ok and finding.level == "build"]
    line = apt_line(found)
    if as_json:
        print(json.dumps({"ok": not lacking, "apt": line, "findings": [asdict(item) for item in found]}, indent=2))
    else:
        print("\n".join(table(found, line)))
    return lacking


def table(found: Sequence[Finding], line: str) -> Iterator[str]:
    """Yield the report for people."""
    width = max(len(finding.name) for finding in found)
    for finding in found:
        mark = "ok     " if finding.ok else "MISSING" if finding.package else "PROBLEM" if finding.remedy else "note   "
        yield f"{mark}  {finding.level:<5}  {finding.name:<{width}}  {finding.detail}".rstrip()
        if finding.remedy:
            yield f"{'':<16}{finding.remedy}"
    yield ""
    if line:
        yield f"`python3 -m tasks` brings what the build needs, or type:\n    {line}"
    elif any(finding.package for finding in found):
        yield "`python3 -m tasks` brings the rest"
    else:
        yield "every program and library is there"


def apt_line(found: Sequence[Finding]) -> str:
    """Return the one line that installs every missing package, daemons apart: the first run unpacks those."""
    daemons = {need.package for need in system.NEEDS if need.daemon}
    packages = {finding.package for finding in found if not finding.ok and finding.package} - daemons
    return system.apt_line(packages) if packages else ""


# -- programs and libraries ------------------------------------------------------------------------------------------


def programs() -> Iterator[Finding]:
    """Yield a finding for each package that Bootmill uses something of."""
    versions = installed_versions([need.package for need in system.NEEDS])
    for need in system.NEEDS:
        level = need.level.name.lower()
        gone = absent(need)
        if not gone:
            where = "in .venv" if need.daemon and need.package not in versions else "not from its package"
            yield Finding(name=need.package, ok=True, level=level, detail=versions.get(need.package, where))
            continue
        detail = f"{', '.join(gone)} ({need.why})"
        remedy = "the first run unpacks it into .venv; no service is installed" if need.daemon else ""
        package = need.package
        yield Finding(name=need.package, ok=False, level=level, detail=detail, package=package, remedy=remedy)


def absent(need: Need) -> list[str]:
    """Return the programs, files and libraries of a need that are not there."""
    names = [*need.programs, *need.files, *need.libraries]
    return [name for name, path in zip(names, system.found(need), strict=True) if path is None]


def installed_versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the version of each package that is installed, by dpkg-query(1)."""
    if system.find_program("dpkg-query") is None:
        return {}
    form = "--showformat=${Package} ${db:Status-Status} ${Version}\\n"
    said = run(["dpkg-query", "--show", form, *packages], check=False).stdout
    rows = (line.split() for line in said.splitlines())
    return {row[0]: row[2] for row in rows if len(row) == 3 and row[1] == "installed"}


# -- the machine -----------------------------------------------------------------------------------------------------


def machine() -> Iterator[Finding]:
    """Yield what no package brings: name spaces, ids, room, virtualisation."""
    yield python()
    yield name_spaces()
    if os.geteuid() != 0:
        yield subordinate_ids()
    yield room()
    yield kvm()


def python() -> Finding:
    """Say which Python runs, and whether the first run is done."""
    done = (system.ROOT / ".venv" / "installed.lock").exists()
    detail = f"{sys.version.split()[0]}, requirements {'installed' if done else 'not installed yet: python3 -m tasks'}"
    return Finding(name="python", ok=True, level="build", detail=detail)


def name_spaces() -> Finding:
    """Try a user name space with a range of ids (as root: a mount name space); root trees are made in one."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    try:
        run(["unshare", *user, "--mount", "--pid", "--net", "--fork", "true"], timeout=10)
    except CommandError as error:
        said = error.message.splitlines()[-1].strip(" |")
        return Finding(name="name spaces", ok=False, level="build", detail=said, remedy=how_to_allow())
    except BootmillError as error:  # no unshare: the table of packages says so already
        return Finding(name="name spaces", ok=False, level="build", detail=error.message)
    return Finding(name="name spaces", ok=True, level="build", detail="allowed")


def how_to_allow() -> str:
    """Return what lets this user make name spaces; distributions differ."""
    if os.geteuid() == 0:
        return "a container without CAP_SYS_ADMIN? run it with --privileged, or build as an ordinary user on the host"
    if UBUNTU_SWITCH.exists() and UBUNTU_SWITCH.read_text().strip() == "1":
        return "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0   (Ubuntu 23.10 and newer)"
    if DEBIAN_SWITCH.exists() and DEBIAN_SWITCH.read_text().strip() == "0":
        return "sudo sysctl kernel.unprivileged_userns_clone=1"
    return "sudo sysctl user.max_user_namespaces=15000"


def subordinate_ids() -> Finding:
    """Look for this user's range in /etc/subuid and /etc/subgid: a root tree has files of many owners."""
    user = user_name()
    fix = f"sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {shlex.quote(user)}"
    for path in (Path("/etc/subuid"), Path("/etc/subgid")):
        count = range_of(path, {user, str(os.geteuid())})
        if count < IDS:
            detail = f"{path} gives {user} {count} ids, a root tree has up to {IDS}"
            return Finding(name="subordinate ids", ok=False, level="build", detail=detail, remedy=fix)
    return Finding(name="subordinate ids", ok=True, level="build", detail=f"{IDS} or more for {user}")


def range_of(path: Path, names: set[str]) -> int:
    """Return the size of the widest range that a subuid(5) file gives one of the names; 0 without one."""
    try:
        rows = [line.split(":") for line in path.read_text(errors="replace").splitlines()]
    except OSError:
        return 0
    return max((int(row[2]) for row in rows if len(row) == 3 and row[0] in names and row[2].isdigit()), default=0)


def user_name() -> str:
    """Return who runs this; the number where no name is known."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def room() -> Finding:
    """Compare the free space of the checkout with what the sample cluster takes."""
    free = shutil.disk_usage(system.ROOT).free
    detail = f"{free / GIB:.1f} GiB free in {system.ROOT}"
    if free >= SPACE:
        return Finding(name="disk space", ok=True, level="build", detail=detail)
    remedy = f"two images need about {SPACE // GIB} GiB; `destdir` in inventory/site.yaml moves the results elsewhere"
    return Finding(name="disk space", ok=False, level="note", detail=detail, remedy=remedy)


def kvm() -> Finding:
    """Say whether virtual machines of the laboratory will be fast; they work either way."""
    if os.access(KVM, os.R_OK | os.W_OK):
        return Finding(name="kvm", ok=True, level="lab", detail=f"{KVM} can be used")
    why = "is not there" if not KVM.exists() else "may not be used by this user (sudo adduser $USER kvm)"
    detail = f"{KVM} {why}: the laboratory emulates, 5 to 20 times slower"
    return Finding(name="kvm", ok=False, level="note", detail=detail)
