"""Staging: images under names that say their content, menus that follow, nothing torn, nothing lost too early."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from tasks import files, paths
from tasks.errors import BootmillError, MissingToolError
from tasks.stage import programs
from tasks.stage.publish import publish, published
from tests.samples import IMAGE, SITE


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty checkout with one built image and one menu."""
    monkeypatch.chdir(tmp_path)
    build("one")
    menu("pxelinux.cfg/01-aa", "menu one")
    return tmp_path


def build(content: str) -> None:
    """Make an image whose bytes are `content`."""
    for path in (paths.kernel(IMAGE), paths.initrd(IMAGE), paths.root_image(IMAGE)):
        files.write_atomic(path, content)
    digest = files.sha256(paths.root_image(IMAGE))
    pair = hashlib.sha256(bytes.fromhex(digest) * 2).hexdigest()
    files.write_atomic(paths.boot_digest(IMAGE), f"{pair}\n")
    files.write_atomic(paths.root_image_digest(IMAGE), f"{digest}\n")


def menu(name: str, text: str) -> None:
    """Render a menu."""
    files.write_atomic(paths.MENUS / name, f"# Made by Bootmill\n{text}")


def staged() -> dict[str, str]:
    """Return {path below build: content} of what nodes may fetch."""
    roots = [Path("build/tftpboot"), Path("build/install")]
    return {
        str(path.relative_to("build")): path.read_text() for root in roots for path in root.rglob("*") if path.is_file()
    }


def go() -> None:
    """Stage."""
    publish(SITE, (IMAGE,), (), ())


def test_everything_is_in_the_manifest() -> None:
    """The manifest lists each file that a node may fetch, with its digest, sorted by path."""
    go()
    lines = paths.manifest(SITE).read_text().splitlines()
    listed = {line[66:]: line[:64] for line in lines}
    assert set(listed) == set(staged()) - {"tftpboot/manifest.sha256"}
    assert all(files.sha256(Path("build") / path) == digest for path, digest in listed.items())
    assert list(listed) == sorted(listed)


def test_the_generation_before_stays_for_nodes_that_are_booting() -> None:
    """A node with the old menu still finds its images; two generations and an hour later they are gone."""
    go()
    first = {path for path in staged() if "/boot/" in path or "rootimg" in path}
    build("two")
    go()
    go()  # staging again without a new image (nodeset does) is no generation
    assert first <= set(staged())
    build("three")
    go()
    assert first <= set(staged())
    for folder in Path("build").glob("**/[0-9a-f]*"):
        if len(folder.name) == 16 and "one" in {path.read_text() for path in folder.iterdir()}:
            os.utime(folder, (time.time() - 4000,) * 2)
    go()
    assert not first & set(staged())
    assert "two" in staged().values()


def test_the_images_that_menus_named_last_stay() -> None:
    """A week of A, two hours of B, back to A, then C: nodes with the menu before hold A, so B goes and A stays."""

    def age(hours: float) -> None:
        for folder in Path("build").glob("**/[0-9a-f]*"):
            if len(folder.name) == 16:
                then = folder.stat().st_mtime - hours * 3600
                os.utime(folder, (then, then))

    for content, hours in (("A", 168), ("B", 2), ("A", 2), ("C", 0)):
        build(content)
        go()
        age(hours)
    assert {"A", "C"} <= set(staged().values())
    assert "B" not in staged().values()


@pytest.mark.parametrize(
    "damage", [b"\xff\xfe", b"0" * 64 + b"  a\0b\n", b"short\n", b"0" * 64 + b"  ../../etc/passwd\n"]
)
def test_a_damaged_manifest_is_made_again(damage: bytes) -> None:
    """A torn disk block in the manifest ends in a new manifest, not in a traceback at every run."""
    go()
    good = paths.manifest(SITE).read_bytes()
    paths.manifest(SITE).write_bytes(damage)
    assert all(path.is_relative_to("build") and ".." not in path.parts for path in published(SITE))
    go()
    assert paths.manifest(SITE).read_bytes() == good


def test_foreign_images_are_no_garbage() -> None:
    """What another tool keeps in the same place is not ours to collect."""
    go()
    foreign = [Path("build/install/netboot/debian12/x86_64/compute") / name for name in ("rootimg", "0123456789abcdef")]
    for folder in foreign:
        files.write_atomic(folder / "etc", "precious")
        os.utime(folder, (0, 0))
    build("two")
    go()
    assert all((folder / "etc").exists() for folder in foreign)


def test_bytes_that_are_not_the_digest_are_not_published() -> None:
    """Somebody wrote into build/: the image is refused, and what is published keeps its bytes."""
    go()
    paths.root_image(IMAGE).write_text("otherwise")
    paths.root_image_digest(IMAGE).write_text("0" * 64 + "\n")
    with pytest.raises(BootmillError, match="is not what was built"):
        go()
    assert "otherwise" not in staged().values()


def test_an_altered_published_image_is_published_again() -> None:
    """A file under a digest's name holds that digest's bytes, whatever somebody did to it."""
    go()
    image = next(Path("build/install").rglob("rootimg.cpio.gz"))
    image.write_text("OOO")
    go()
    assert image.read_text() == "one"


def test_menus_that_left_are_removed_and_foreign_files_stay() -> None:
    """A removed node's menu goes; what an administrator put beside it is not ours to delete."""
    go()
    files.write_atomic(Path("build/tftpboot/memtest"), "mine")
    files.write_atomic(Path("build/tftpboot/pxelinux.cfg/0A01"), "somebody's menu")
    (paths.MENUS / "pxelinux.cfg/01-aa").unlink()
    menu("pxelinux.cfg/01-bb", "menu two")
    go()
    assert "tftpboot/pxelinux.cfg/01-aa" not in staged()
    assert staged()["tftpboot/pxelinux.cfg/01-bb"] == "# Made by Bootmill\nmenu two"
    assert staged()["tftpboot/memtest"] == "mine"
    assert staged()["tftpboot/pxelinux.cfg/0A01"] == "somebody's menu"


def test_a_foreign_menu_is_never_replaced() -> None:
    """On a head node that served others before, their default menu is an error, not a loss."""
    files.write_atomic(Path("build/tftpboot/pxelinux.cfg/01-aa"), "somebody's menu")
    with pytest.raises(BootmillError, match=r"(?s)01-aa is there and was not made by Bootmill.*before-bootmill"):
        go()
    assert Path("build/tftpboot/pxelinux.cfg/01-aa").read_text() == "somebody's menu"


def test_an_unchanged_menu_is_not_touched() -> None:
    """Staging again writes nothing: a node that is fetching is not disturbed, backups stay small."""
    go()
    before = {path: path.stat().st_mtime_ns for path in Path("build/tftpboot").rglob("*") if path.is_file()}
    go()
    assert {path: path.stat().st_mtime_ns for path in Path("build/tftpboot").rglob("*") if path.is_file()} == before


def test_missing_boot_programs_are_named_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line installs what is missing."""
    monkeypatch.setattr(programs, "PROGRAMS", {"a": ("/nowhere/a", "pkg-a"), "b": ("/nowhere/b", "pkg-b")})
    with pytest.raises(MissingToolError, match=r"(?s)/nowhere/a, /nowhere/b.*apt-get install pkg-a pkg-b"):
        programs.publish_nbp(SITE)


def test_a_discovery_image_is_published_under_its_digest() -> None:
    """Kernel and initrd of each architecture, as a pair; the generation before stays, what is no pair is refused."""
    for path in (paths.discovery_kernel("x86_64"), paths.discovery_initrd("x86_64")):
        files.write_atomic(path, "look")
    digest = files.sha256(paths.discovery_kernel("x86_64"))
    pair = hashlib.sha256(bytes.fromhex(digest) * 2).hexdigest()
    files.write_atomic(paths.discovery_digest("x86_64"), f"{pair}\n")
    publish(SITE, (IMAGE,), ("x86_64",), ())
    folder = f"tftpboot/boot/discovery-x86_64/{pair[:16]}"
    assert {f"{folder}/kernel", f"{folder}/initrd.img"} <= set(staged())
    assert f"{digest}  {folder}/kernel" in paths.manifest(SITE).read_text().splitlines()
    files.write_atomic(paths.discovery_initrd("x86_64"), "other")
    with pytest.raises(BootmillError, match=r"(?s)discovery-x86_64 are not the pair.*doit clean discovery"):
        publish(SITE, (IMAGE,), ("x86_64",), ())
