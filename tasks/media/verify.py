"""What a medium says of itself, and whether its bytes agree: .disk/info, Release → Packages → packages."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from tasks import compression
from tasks.errors import UntrustedInputError
from tasks.inventory.model import DEBIAN_ARCH, Media
from tasks.media.apt import fields, parse_index

DISK_INFO = re.compile(
    r"(?P<vendor>Debian|Ubuntu)\S* (?:GNU/Linux )?(?P<version>[0-9.]+)\S* .*\b(?P<arch>amd64|arm64|ppc64el|i386)\b"
)
MAX_COMPLAINTS = 20
MAX_INDEX = 1 << 28  # bytes of a Packages file; Debian's whole archive has 1 << 26


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a medium is: ``debian12``, ``x86_64``, the suite to install from, and its date."""

    os: str
    arch: str
    suite: str
    components: tuple[str, ...]
    date: datetime


def identify(media: Media, tree: Path) -> Identity:
    """Return what the extracted medium says of itself; a medium of another system than the inventory's is an error."""
    info = tree / ".disk/info"
    text = info.read_text(errors="replace").strip() if info.is_file() else ""
    found = DISK_INFO.search(text)
    if found is None:
        message = f"{media.name}: this is no Debian install medium (.disk/info says {text[:60]!r})"
        raise UntrustedInputError(message, hint="other distributions are not extracted yet")
    os = found["vendor"].lower() + (
        found["version"].partition(".")[0] if found["vendor"] == "Debian" else found["version"]
    )
    arch = next(name for name, debian in {**DEBIAN_ARCH, "i386": "i386"}.items() if debian == found["arch"])
    if (os, arch) != (media.os, media.arch):
        message = f"{media.name}: the medium is {os}-{arch}"
        raise UntrustedInputError(
            message, hint=f"rename the row to {os}-{arch} in inventory/media.yaml, or give the right ISO"
        )
    releases = [path for path in sorted((tree / "dists").glob("*/Release")) if not path.parent.is_symlink()]
    if not releases:
        message = f"{media.name}: the medium has no dists/*/Release"
        raise UntrustedInputError(message, hint="a netinst image holds no packages: take the DVD")
    about = fields(releases[0].read_text(errors="replace"))
    date = (
        parsedate_to_datetime(about["Date"].replace("UTC", "+0000"))
        if "Date" in about
        else datetime(2000, 1, 1, tzinfo=UTC)
    )
    return Identity(
        os=os,
        arch=arch,
        suite=releases[0].parent.name,
        components=tuple(about.get("Components", "main").split()),
        date=date.astimezone(UTC),
    )


def verify(media: Media, tree: Path, digests: Mapping[str, str], suite: str) -> None:
    """Follow the chain Release → Packages → packages over the digests taken while extracting.

    Raises `UntrustedInputError` naming every file that is missing or altered.
    """
    release = tree / "dists" / suite / "Release"
    complaints: list[str] = []
    indexes: list[str] = []
    for name, stated in release_sums(release.read_text(errors="replace")).items():
        path = f"dists/{suite}/{name}"
        if path in digests:
            if digests[path] != stated:
                complaints.append(f"{path} is altered")
            indexes.append(path)
    listed = {name.removesuffix(".gz") for name in indexes if re.search(r"/binary-[^/]+/Packages(\.gz)?$", name)}
    if not listed:
        complaints.append(f"dists/{suite}/Release lists no package index of the medium")
    for name in sorted(listed):
        complaints += altered(index_text(tree / name), digests)
    if complaints:
        shown = "\n    ".join(sorted(complaints)[:MAX_COMPLAINTS])
        more = f"\n    … and {len(complaints) - MAX_COMPLAINTS} more" if len(complaints) > MAX_COMPLAINTS else ""
        message = f"{media.name}: the medium's bytes are not what its Release says:\n    {shown}{more}"
        raise UntrustedInputError(message, hint="the image is damaged or tampered with: fetch it again")


def release_sums(text: str) -> dict[str, str]:
    """Return {file: sha256} of the SHA256 section of a Release file."""
    section = re.search(r"^SHA256:\n((?: .*\n?)*)", text, re.MULTILINE)
    lines = section[1].splitlines() if section else []
    return {parts[2]: parts[0] for line in lines if len(parts := line.split()) == 3}


def index_text(path: Path) -> str:
    """Return a Packages file, packed or not."""
    packed = path.with_name(f"{path.name}.gz")
    if path.is_file():
        return path.read_text(errors="replace")
    return compression.decompress(packed.read_bytes(), limit=MAX_INDEX).decode(errors="replace")


def altered(index: str, digests: Mapping[str, str]) -> list[str]:
    """Return the packages of an index that the medium lacks or holds with other bytes."""
    return [
        f"{package.filename} is {'altered' if package.filename in digests else 'missing'}"
        for package in parse_index(index)
        if digests.get(package.filename) != package.sha256
    ]
