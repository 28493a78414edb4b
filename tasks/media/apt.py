"""Packages from this machine's own package sources, without touching its apt: private state, private cache, no root."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from tasks import files
from tasks.errors import BootmillError, UntrustedInputError
from tasks.run import run

TRANSPORT = re.compile(
    r"(Binary::apt(-get)?::)?Acquire::(https?|ftp|tor|Check-|ForceIPv)|Dir::Etc::source(list|parts)\b", re.IGNORECASE
)
INSTALL_LINE = re.compile(r"^Inst (?P<name>\S+) \((?P<version>\S+) .*\[(?P<arch>\w+)\]\)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Package:
    """One binary package: its index paragraph as the archive wrote it, and what that says of the file."""

    name: str
    version: str
    paragraph: str
    filename: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Apt:
    """apt with a state of its own below `folder`, seeing only `suite` and its update suites."""

    folder: Path
    suite: str
    arch: str

    def prepare(self) -> None:
        """Write the private configuration.  Only packages of the suite can be chosen, whatever else is configured."""
        root = self.folder.resolve()
        for name in ("lists/partial", "archives/partial"):
            (root / name).mkdir(parents=True, exist_ok=True)
        files.write_atomic(root / "status", "")
        files.write_atomic(root / "preferences", preferences(self.suite))
        # How the machine reaches its archives (proxies, certificates) is taken over; its hooks and habits are not.
        transport = [line for line in run(["apt-config", "dump"]).stdout.splitlines() if TRANSPORT.match(line)]
        files.write_atomic(root / "apt.conf", configuration(root, self.arch, transport), mode=0o600)

    def apt(self, program: str, *words: str) -> str:
        """Run apt-get or apt-cache on the private state and return its output."""
        return run([program, *words], env={"APT_CONFIG": str(self.folder.resolve() / "apt.conf")}).stdout

    def update(self) -> None:
        """Fetch the indexes; an archive that does not offer the suite at all is an error with the remedy."""
        self.apt("apt-get", "--quiet", "update")
        found = self.apt("apt-get", "indextargets", "--format", "$(CODENAME)", "Created-By: Packages").split()
        if self.suite not in found:
            offered = ", ".join(sorted(set(found))) or "nothing"
            message = f"this machine's package sources offer {offered}, not {self.suite}"
            hint = (
                "write the path of an install ISO into inventory/media.yaml (iso: …), or add the suite to the sources"
            )
            raise BootmillError(message, hint=hint)

    def date(self) -> datetime:
        """Return the newest date that the archive's Release files carry: what the medium is dated with."""
        released = [
            parsedate_to_datetime(line.removeprefix("Date:").strip())
            for path in (self.folder / "lists").glob("*Release")
            if fields(text := path.read_text(errors="replace")).get("Codename", "") in suites(self.suite)
            for line in text.splitlines()
            if line.startswith("Date:")
        ]
        return max(released)

    def closure(self, packages: Sequence[str]) -> list[Package]:
        """Return everything that a tree with these packages needs, essential ones included, sorted by name."""
        plan = self.apt("apt-get", "--simulate", "install", "?essential", *packages)
        chosen = [f"{found['name']}:{found['arch']}={found['version']}" for found in INSTALL_LINE.finditer(plan)]
        return self.describe([word.replace(":all=", f":{self.arch}=") for word in chosen])

    def describe(self, words: Sequence[str]) -> list[Package]:
        """Return the index paragraphs of packages, given as apt names them (``name:arch=version``)."""
        text = self.apt("apt-cache", "show", "--no-all-versions", *words)
        wanted = {word.partition(":")[0] for word in words}
        found = {package.name: package for package in parse_index(text)}
        lost = sorted(wanted - found.keys())
        if lost:
            message = f"the package index does not describe {', '.join(lost)}"
            raise BootmillError(message, hint="its indexes changed while we read them: run doit again")
        return [found[name] for name in sorted(found)]

    def download(self, packages: Sequence[Package]) -> dict[str, Path]:
        """Download packages (those that are there already are not fetched again) and return name → verified file."""
        archives = self.folder / "archives"
        words = [f"{package.name}={package.version}" for package in packages if cached(archives, package) is None]
        if words:
            root = self.folder.resolve()
            run(["apt-get", "--quiet", "download", *words], cwd=archives, env={"APT_CONFIG": str(root / "apt.conf")})
        result: dict[str, Path] = {}
        for package in packages:
            path = cached(archives, package)
            if path is None:
                message = f"{package.name} {package.version} was downloaded, but is not what the index describes"
                raise UntrustedInputError(message, hint=f"remove {archives} and run doit again")
            result[package.name] = path
        return result


def cached(archives: Path, package: Package) -> Path | None:
    """Return the downloaded file of a package if it is whole."""
    epochless = package.version.replace(":", "%3a")
    for path in sorted(archives.glob(f"{package.name}_{epochless}_*.deb")):
        if path.stat().st_size == package.size and files.sha256(path) == package.sha256:
            return path
        path.unlink()
    return None


def preferences(suite: str) -> str:
    """Return apt_preferences(5) that admit one suite and its -updates and -security, and nothing else.

    Not ``n=bookworm*``: that would admit the backports too.
    """
    wanted = [f"Package: *\nPin: release n={name}\nPin-Priority: 500\n" for name in suites(suite)]
    return "\n".join([*wanted, "Package: *\nPin: release o=*\nPin-Priority: -1\n"])


def suites(suite: str) -> tuple[str, ...]:
    """Return the code names that make up a stable release."""
    return suite, f"{suite}-updates", f"{suite}-security"


def configuration(root: Path, arch: str, transport: Sequence[str]) -> str:
    """Return apt.conf(5): private folders, no root, nothing of the machine's own configuration but the transport.

    APT_CONFIG is read first and /etc/apt/apt.conf.d after it, so a later ``#clear`` would not help: the machine's
    files are not read at all.
    """
    return (
        "\n".join(transport)
        + f"""
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::State "{root}";
Dir::State::lists "{root}/lists";
Dir::State::status "{root}/status";
Dir::Cache "{root}";
Dir::Cache::archives "{root}/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Dir::Etc::preferences "{root}/preferences";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "{arch}";
APT::Architectures {{ "{arch}"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "";
APT::Get::Assume-Yes "true";
Acquire::Languages "none";
Acquire::Retries "3";
Debug::NoLocking "true";
"""
    )


def fields(paragraph: str) -> dict[str, str]:
    """Return the one-line fields of a control paragraph (deb822(5)); continuation lines are left out."""
    pairs = (line.partition(":") for line in paragraph.splitlines() if line and not line[0].isspace())
    return {key: value.strip() for key, _, value in pairs}


def parse_index(text: str) -> Iterator[Package]:
    """Yield the packages of a Packages file."""
    for block in re.split(r"\n{2,}", text.strip()):
        about = fields(block)
        if "Package" not in about:
            continue
        yield Package(
            name=about["Package"],
            version=about["Version"],
            paragraph=block.strip(),
            filename=about["Filename"],
            size=int(about["Size"]),
            sha256=about["SHA256"],
        )
