"""Mistakes as a user meets them: exit code, place, remedy, no traceback, nothing written."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import checkouts
from tests.checkouts import Checkout

pytestmark = pytest.mark.integration
WRONG_INVENTORY = 3
FAILED = 1


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """Return a fresh checkout with nothing built."""
    return checkouts.copy(tmp_path / "bootmill")


def written(checkout: Checkout) -> list[str]:
    """Return what was published or half made; what the next run need not read again is neither."""
    build = checkout.root / "build"
    found = [path for path in build.rglob("*") if path.is_file() and path.name != ".doit.db"]
    return [str(path.relative_to(build)) for path in found if not {".locks", ".compiled"} & {*path.parts}]


def remove(name: str) -> Callable[[Checkout], None]:
    """Return a mistake: a file is not there."""
    return lambda checkout: (checkout.root / name).unlink()


def edit(name: str, old: str, new: str) -> Callable[[Checkout], None]:
    """Return a mistake in a file."""
    return lambda checkout: checkout.edit(name, old, new)


@pytest.mark.parametrize(
    ("mistake", "sentences"),
    [
        (remove("inventory/nodes.yaml"), ["inventory/nodes.yaml:1:1: is missing"]),
        (edit("inventory/nodes.yaml", "mgt:", "mgt: ["), ["inventory/nodes.yaml:", "broken YAML"]),
        (
            edit("inventory/groups.yaml", "netboot-compute\n", "netboot-computer\n"),
            ["groups.yaml:4:12: n01 and 5 more: unknown osimage", "did you mean debian12-x86_64-netboot-compute?"],
        ),
        (
            edit("inventory/nodes.yaml", "n03: {mac: 00:18:8b:f8:e3:5e}", "n03: {mac: 00:18:8b:f8:e3:58}"),
            ["n03: mac 00:18:8b:f8:e3:58 belongs to n01 already (line "],
        ),
        (
            edit("inventory/osimages.yaml", "defaults,size=10m", "defaults, size=10m"),
            ["inventory/osimages.yaml:", "an fstab line has 6 fields", "without a blank"],
        ),
        (edit("inventory/site.yaml", "domain:", "domian:"), ["unknown attribute 'domian'", "did you mean domain?"]),
    ],
    ids=["missing file", "broken YAML", "unknown osimage", "duplicate MAC", "the seed's fstab", "typing error"],
)
def test_a_wrong_inventory(mistake: Callable[[Checkout], None], sentences: list[str], checkout: Checkout) -> None:
    """Exit code 3, the place, the remedy, and not a single file."""
    mistake(checkout)
    done = checkout.doit()
    assert done.code == WRONG_INVENTORY, done.text
    for sentence in sentences:
        assert sentence in done.text
    assert "Traceback" not in done.text
    assert written(checkout) == []


def test_all_mistakes_at_once(checkout: Checkout) -> None:
    """Three mistakes in three files are three lines of one run."""
    checkout.edit("inventory/nodes.yaml", "00:18:8b:f8:e3:5b", "00:18:8b:f8:e3:5")
    checkout.edit("inventory/networks.yaml", "10.1.0.230", "10.1.0.130")
    checkout.edit("inventory/osimages.yaml", "[tg3,", "['tg 3',")
    text = checkout.doit().text
    assert "is no MAC address" in text
    assert "ends before it begins" in text
    assert "is no kernel module name" in text


def own_iso(checkout: Checkout, iso: Path) -> None:
    """Say in the inventory that the site has an ISO."""
    checkout.edit("inventory/media.yaml", "suite: bookworm", f"iso: {iso}")


def iso_of(folder: Path, iso: Path) -> Path:
    """Write a folder as an ISO."""
    subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-r", "-o", iso, folder], check=True, capture_output=True)
    return iso


def a_missing(folder: Path) -> Path:
    """Return a path where nothing is."""
    return folder / "nothing.iso"


def a_truncated(folder: Path) -> Path:
    """Return an ISO whose second half is gone."""
    (folder / "in").mkdir()
    (folder / "in/file").write_bytes(bytes(400_000))
    iso = iso_of(folder / "in", folder / "short.iso")
    iso.write_bytes(iso.read_bytes()[:200_000])
    return iso


def an_absolute_link(folder: Path) -> Path:
    """Return an ISO with a link to the head node's own files."""
    (folder / "in").mkdir()
    (folder / "in/evil").symlink_to("/etc/passwd")
    return iso_of(folder / "in", folder / "link.iso")


def a_climbing_name(folder: Path) -> Path:
    """Return an ISO whose Rock Ridge name is ``../../etc/passwd``: same length, patched into the image."""
    (folder / "in").mkdir()
    (folder / "in/aaaaaaaaaaaaaaaa").write_text("x")
    iso = iso_of(folder / "in", folder / "climb.iso")
    data = iso.read_bytes()
    assert b"aaaaaaaaaaaaaaaa" in data
    iso.write_bytes(data.replace(b"aaaaaaaaaaaaaaaa", b"../../etc/passwd"))
    return iso


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (a_missing, "nothing.iso: No such file or directory"),
        (a_truncated, "short.iso is truncated"),
        (an_absolute_link, "the link evil → /etc/passwd leads outside"),
        (a_climbing_name, "holds '../../etc/passwd', a path that leads outside"),
    ],
)
def test_a_bad_medium(make: Callable[[Path], Path], sentence: str, checkout: Checkout, tmp_path: Path) -> None:
    """Exit code 1, the ISO's name and what is wrong with it, and nothing below install/."""
    own_iso(checkout, make(tmp_path))
    done = checkout.doit("media")
    assert done.code == FAILED, done.text
    assert sentence in done.text
    assert "Traceback" not in done.text
    assert not [name for name in written(checkout) if name.startswith("install")]
    assert not (checkout.root / "etc").exists()


def test_a_package_that_does_not_exist(checkout: Checkout, package_cache: Path) -> None:
    """A typing error in the package list is told with the package's name."""
    shutil.rmtree(checkout.root / "build", ignore_errors=True)
    (checkout.root / "build").mkdir()
    (checkout.root / "build/cache").symlink_to(package_cache)
    checkout.edit("inventory/osimages.yaml", "    - kmod\n", "    - kmodd\n")
    done = checkout.doit("iso")
    assert done.code == FAILED, done.text
    assert "kmodd" in done.text
    assert "Traceback" not in done.text
