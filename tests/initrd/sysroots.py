"""Small trees to look for libraries in, and the real loaders' opinion of them."""

import functools
import re
import subprocess
import sys
from pathlib import Path

from tasks import cpio
from tasks.initrd.loader.sysroot import ArchiveTree, DiskTree, resolve
from tests.initrd import elves

LIB = "/lib/x86_64-linux-gnu"  # Debian's first default folder
MUSL = "/lib/ld-musl-x86_64.so.1"
Contents = dict[str, bytes | str | None]  # path → a file's bytes, a link's target, None for a folder

# Run by a Python of its own: what is not there after chroot must not be needed.
TRACE = """
import os, sys
root, proc, *argv = sys.argv[1:]
if proc == "proc":
    os.makedirs(f"{root}/proc", exist_ok=True)
    assert not os.system(f"mount --rbind /proc '{root}/proc'")
os.chroot(root)
os.chdir("/")
os.execve(argv[0], argv, {"LD_TRACE_LOADED_OBJECTS": "1"})
"""


@functools.cache
def glibc() -> bytes:
    """Return this machine's dynamic loader."""
    return Path(elves.LOADER).read_bytes()


def with_glibc(contents: Contents) -> Contents:
    """Return a tree that has Debian's loader at its places."""
    return {f"{LIB}/ld-linux-x86-64.so.2": glibc(), elves.LOADER: f"{LIB}/ld-linux-x86-64.so.2", **contents}


def on_disk(root: Path, contents: Contents) -> DiskTree:
    """Write a tree below a folder; files are executable."""
    for name, content in contents.items():
        path = root / name.strip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
            path.chmod(0o755)
        elif isinstance(content, str):
            path.symlink_to(content)
        else:
            path.mkdir(exist_ok=True)
    return DiskTree(root)


def in_memory(contents: Contents) -> ArchiveTree:
    """Return the tree that the kernel would unpack from an archive of the same files."""
    return ArchiveTree.of(cpio.with_parents(entry_of(name.strip("/"), content) for name, content in contents.items()))


def entry_of(name: str, content: bytes | str | None) -> cpio.Entry:
    """Return the archive entry of a file, a link or a folder."""
    if isinstance(content, bytes):
        return cpio.regular(name, content, 0o755)
    return cpio.symlink(name, content) if isinstance(content, str) else cpio.directory(name)


def traced(root: Path, *argv: str, proc: bool = False) -> str:
    """Return what a real loader says in the tree, libraries or complaints; `argv[0]` is started in a name space."""
    start = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-I", "-S", "-c", TRACE]
    done = subprocess.run(
        [*start, str(root), "proc" if proc else "", *argv], capture_output=True, text=True, check=False, timeout=60
    )
    return done.stdout + done.stderr


def mapped(tree: DiskTree, said: str) -> set[str]:
    """Return the real paths of the libraries that a loader says it maps, itself and the kernel's vdso apart."""
    paths = re.findall(r"=> (/\S+) \(0x", said) + re.findall(r"^\t(\S+) \(0x", said, re.MULTILINE)
    found = {resolve(tree, path).path for path in paths if "/ld-" not in path}
    return {path for path in found if path is not None}


def lost(said: str) -> set[str]:
    """Return the names that a loader says it does not find, or finds broken."""
    words = r"(?:\t| )(\S+) => not found|loading shared libraries: ([^:\s]+):|Error loading shared library ([^:\s]+):"
    return {name.rpartition("/")[2] for names in re.findall(words, said) for name in names if name}
