"""What a medium says of itself must be what its bytes are."""

import gzip
import hashlib
from pathlib import Path

import pytest

from tasks.errors import UntrustedInputError
from tasks.inventory.model import Media
from tasks.media import verify

MEDIA = Media(name="debian12-x86_64", os="debian12", arch="x86_64", iso="x.iso", suite=None)
INFO = 'Debian GNU/Linux 12.5.0 "Bookworm" - Official amd64 DVD Binary-1 with firmware 20240210-11:28'


def sha256(data: bytes) -> str:
    """Return the digest of bytes."""
    return hashlib.sha256(data).hexdigest()


def medium(tree: Path, *, info: str = INFO, packed: bool = False) -> dict[str, str]:
    """Write a small medium with one package and return its digests."""
    deb = b"package"
    index = f"Package: a\nVersion: 1\nFilename: pool/main/a/a_1.deb\nSize: {len(deb)}\nSHA256: {sha256(deb)}\n"
    stored = gzip.compress(index.encode(), mtime=0) if packed else index.encode()
    name = "main/binary-amd64/Packages" + (".gz" if packed else "")
    about = "Codename: bookworm\nComponents: main\nDate: Sat, 10 Feb 2024 11:07:25 UTC\n"
    release = f"{about}SHA256:\n {sha256(stored)} {len(stored)} {name}\n"
    contents = {
        ".disk/info": info.encode(),
        "pool/main/a/a_1.deb": deb,
        f"dists/bookworm/{name}": stored,
        "dists/bookworm/Release": release.encode(),
    }
    for path, data in contents.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(data)
    return {path: sha256(data) for path, data in contents.items()}


@pytest.mark.parametrize("packed", [False, True])
def test_a_good_medium(packed: bool, tmp_path: Path) -> None:
    """Release, index and packages agree: system, suite and date are known."""
    digests = medium(tmp_path, packed=packed)
    identity = verify.identify(MEDIA, tmp_path)
    assert (identity.os, identity.arch, identity.suite, identity.date.year) == ("debian12", "x86_64", "bookworm", 2024)
    verify.verify(MEDIA, tmp_path, digests, "bookworm")


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("pool/main/a/a_1.deb", "pool/main/a/a_1.deb is altered"),
        ("dists/bookworm/main/binary-amd64/Packages", "dists/bookworm/main/binary-amd64/Packages is altered"),
    ],
)
def test_an_altered_file_is_named(path: str, sentence: str, tmp_path: Path) -> None:
    """One changed byte breaks the chain at that file."""
    digests = medium(tmp_path) | {path: "0" * 64}
    with pytest.raises(UntrustedInputError, match=sentence):
        verify.verify(MEDIA, tmp_path, digests, "bookworm")


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    """A package that the index lists and the medium lacks is an error."""
    digests = medium(tmp_path)
    del digests["pool/main/a/a_1.deb"]
    with pytest.raises(UntrustedInputError, match=r"pool/main/a/a_1\.deb is missing"):
        verify.verify(MEDIA, tmp_path, digests, "bookworm")


@pytest.mark.parametrize(
    ("info", "sentence"),
    [
        ("", "no Debian install medium"),
        ("Fedora 40", "no Debian install medium"),
        ('Debian GNU/Linux 11.9.0 "Bullseye" - Official amd64 DVD', "the medium is debian11-x86_64"),
        ('Debian GNU/Linux 12.5.0 "Bookworm" - Official arm64 DVD', "the medium is debian12-aarch64"),
        ('Ubuntu-Server 22.04 LTS "Jammy" - Release amd64 (2022)', "the medium is ubuntu22.04-x86_64"),
    ],
)
def test_another_system_than_the_inventory_says(info: str, sentence: str, tmp_path: Path) -> None:
    """A medium is never taken for what it is not."""
    medium(tmp_path, info=info)
    with pytest.raises(UntrustedInputError, match=sentence):
        verify.identify(MEDIA, tmp_path)


def test_a_medium_without_packages(tmp_path: Path) -> None:
    """A netinst image, which has no Release, is refused with the remedy."""
    (tmp_path / ".disk").mkdir()
    (tmp_path / ".disk/info").write_text(INFO)
    with pytest.raises(UntrustedInputError, match=r"(?s)no dists/\*/Release.*take the DVD"):
        verify.identify(MEDIA, tmp_path)
