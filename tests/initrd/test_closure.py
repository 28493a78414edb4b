"""The library closure of this machine's own programs is what its dynamic loader maps for them."""

import re
import shutil
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks import cpio
from tasks.initrd.loader.closure import Closure, Scanner, closure
from tasks.initrd.loader.elf import MAGIC, Elf
from tasks.initrd.loader.sysroot import ArchiveTree, DiskTree

HOST = DiskTree(Path("/"))
FOLDERS = ("usr/bin", "usr/sbin")
SAMPLE = ("/usr/bin/bash", "/usr/bin/busybox", "/usr/bin/openssl", "/usr/bin/apt-get", "/usr/bin/ssh")
EXTRA = ("dlopened", "variant")  # reasons for what the loader maps later, or on other CPUs


def programs() -> list[str]:
    """Return this machine's ELF executables, each once."""
    found = [f"{folder}/{name}" for folder in FOLDERS for name in HOST.names(folder)]
    regular = [path for path in found if stat.S_ISREG(HOST.mode(path) or 0) and (HOST.mode(path) or 0) & 0o111]
    return [path for path in regular if HOST.read_at(path, 0, 4) == MAGIC]


def listed(program: str, interpreter: str) -> tuple[set[str], set[str]]:
    """Return what a program's loader maps for it, by real path, and what it misses."""
    argv = [interpreter, "--list", program]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, errors="surrogateescape")
    found = re.findall(r"=> (/.+) \(0x", done.stdout) + re.findall(r"^\t(/.+) \(0x", done.stdout, re.MULTILINE)
    return {str(Path(path).resolve()) for path in found}, set(re.findall(r"(\S+) => not found", done.stdout))


def mapped(found: Closure) -> set[str]:
    """Return the real paths of a program's libraries and loader, without what is opened later."""
    later = {f"/{path}" for path, why in found.files.items() if why.startswith(EXTRA)}
    while more := {f"/{path}" for path, why in found.files.items() if owner(why) in later} - later:
        later |= more
    return {f"/{path}" for path, why in found.files.items() if why != "asked for"} - later


def owner(reason: str) -> str:
    """Return the real path of the library by whose need another is in."""
    words = re.match(r"needed by (\S+),", reason)
    return str(Path(words[1]).resolve()) if words else ""


@pytest.mark.integration
def test_every_program_of_this_machine() -> None:
    """No library more, no library less than the real loader maps, for every program in /usr/bin and /usr/sbin."""
    scanner = Scanner(HOST)
    views = {path: scanner.objects.view(path) for path in programs()}
    loaders = {path: view.interpreter for path, view in views.items() if isinstance(view, Elf) and view.interpreter}
    assert len(loaders) > 100
    with ThreadPoolExecutor(4) as pool:
        theirs = dict(zip(loaders, pool.map(lambda pair: listed(f"/{pair[0]}", pair[1]), loaders.items()), strict=True))
    wrong = []
    for path, loader in loaders.items():
        found = closure(HOST, (f"/{path}",), scanner=scanner)
        ours = mapped(found) - {str(Path(loader).resolve())}
        lost = {each.name for each in found.missing}
        if (ours, lost) != (theirs[path][0] - {str(Path(loader).resolve())}, theirs[path][1]):
            wrong.append((path, ours ^ theirs[path][0], lost ^ theirs[path][1]))
    assert wrong == []


@pytest.mark.integration
@pytest.mark.skipif(shutil.which("lddtree") is None, reason="lddtree is missing: apt-get install pax-utils")
@pytest.mark.parametrize("program", SAMPLE)
def test_lddtree_agrees(program: str) -> None:
    """A second opinion, of a scanner that executes nothing either; it runs where pyelftools is."""
    argv = [sys.executable, str(shutil.which("lddtree")), "-l", program]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    theirs = {str(Path(path).resolve()) for path in done.stdout.split()}
    assert mapped(closure(HOST, (program,))) == theirs - {program}


def test_a_copy_is_closed() -> None:
    """Looked at as a root of its own, what was copied needs nothing more: that is the proof."""
    found = closure(HOST, ("/bin/bash",), nsswitch=False)
    entries = [cpio.regular(path, HOST.read(path), 0o755) for path in found.files]
    entries += [cpio.symlink(path, target) for path, target in found.links.items()]
    copy = closure(ArchiveTree.of(cpio.with_parents(entries)), ("/bin/bash",))
    assert (copy.missing, copy.warnings) == ([], [])
    assert copy.files.keys() == found.files.keys()
