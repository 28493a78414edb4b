"""The kernel's own unpacker is the judge: what it makes of many segments is what we say of them.

One boot: segments of every compressor in a row, with all that the kernel drops silently among them.  A small init lists
what it finds in its root.
"""

import bz2
import hashlib
import lzma
import os
import re
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

import pytest

from tasks import compression, cpio, newc, paths
from tasks.initrd.archives import segments
from tasks.inventory.model import Cluster, Compression
from tasks.lab import direct

pytestmark = [
    pytest.mark.boot,
    pytest.mark.skipif(
        shutil.which("qemu-system-x86_64") is None,
        reason="qemu-system-x86_64 is not installed (apt-get install qemu-system-x86)",
    ),
]
INIT = b"""#!/bin/busybox sh
busybox=/bin/busybox
$busybox find / -xdev -exec $busybox stat -c 'ENTRY %f %u %g %h %t:%T %N' {} +
$busybox find / -xdev -type f -exec $busybox sha256sum {} + | $busybox sed 's/^/SUM /'
echo END OF LIST
"""
ENTRY = re.compile(r"^ENTRY (\w+) (\d+) (\d+) (\d+) (\w+:\w+) '?(.*?)'?(?: -> '(.*)')?\r?$", re.MULTILINE)
SUM = re.compile(r"^SUM (\w{64})  (.*?)\r?$", re.MULTILINE)
BUILT_IN = {"", "dev", "dev/console", "root"}  # what every kernel has inside (usr/default_cpio_list)
DROPPED = {"no/folder", "typeless", "folder-with-data", "far", "full"}
HOW = (Compression.ZSTD, Compression.XZ, Compression.GZIP)


def busybox(packed: bytes) -> list[cpio.Entry]:
    """Return busybox, its libraries and the links to them out of a first stage."""
    (segment,) = segments.split(packed)
    wanted = re.compile(r"(usr/)?(lib|lib64|bin)(/.*)?$")
    return [entry for entry in segment.entries if wanted.match(entry.name) and "/modules" not in entry.name]


def member(name: str, mode: int, body: bytes = b"", *, inode: int = 0, links: int = 1) -> bytes:
    """Return one member that our writer would not write."""
    raw = name.encode() + b"\0"
    head = newc.pack(inode, mode, 7, 8, links, 0, len(body), 0, 0, 0, 0, len(raw), 0) + raw
    return head + newc.padding(len(head)) + body + newc.padding(len(body))


def dropped() -> bytes:
    """Return an archive with everything that the kernel drops, and one collision of inode numbers."""
    return b"".join(
        [
            member("no/folder", stat.S_IFREG | 0o644, b"lost"),
            member("typeless", 0o644),
            member("folder-with-data", stat.S_IFDIR | 0o755, b"data"),
            member("far", stat.S_IFLNK | 0o777, b"x" * 4096),
            member("full", stat.S_IFDIR | 0o755),
            member("full/of", stat.S_IFREG | 0o644, b"things"),
            member("full", stat.S_IFREG | 0o644, b"in the way"),
            member("one", stat.S_IFREG | 0o644, b"the first content", inode=9, links=2),
            member("two", stat.S_IFREG | 0o644, b"another content!!", inode=9, links=2),
            member("TRAILER!!!", 0),
        ]
    )


def archive(*entries: cpio.Entry) -> bytes:
    """Return an archive with the folders that are needed."""
    return b"".join(cpio.write(cpio.with_parents(entries)))


def segment_list(base: Iterable[cpio.Entry]) -> Iterable[bytes]:
    """Yield segments of every kind, as they are to lie in the file."""
    yield archive(cpio.regular("kernel/x86/microcode/AuthenticAMD.bin", os.urandom(5001)))
    yield bytes(512)
    whole = cpio.with_parents([*base, cpio.regular("init", INIT, 0o755), cpio.regular("etc/old", b"old", 0o600)])
    yield b"".join(compression.compress(cpio.write(whole), Compression.GZIP))
    for how in HOW:
        links = [cpio.Entry(name=f"links/{how}-{n}", mode=stat.S_IFREG, hardlink=f"links/{how}") for n in range(3)]
        files = [cpio.regular(f"links/{how}", os.urandom(2000), 0o4711), cpio.regular(f"{how} x", how.encode() * 99999)]
        yield b"".join(compression.compress([archive(*files, *links)], how))
    yield bz2.compress(archive(cpio.regular("bzip2", os.urandom(70_000)), cpio.symlink("etc/old", "/bzip2")))
    yield lzma.compress(
        archive(cpio.regular("lzma", b"lzma"), cpio.device("dev/x", 0o060640, 8, 17)), lzma.FORMAT_ALONE
    )
    yield b"".join(compression.compress([dropped()], Compression.GZIP))
    yield b"".join(compression.compress([archive(cpio.regular("lz4-inside", os.urandom(9 << 20)))], Compression.LZ4))
    yield bytes(5)  # lz4 ends at a size of zero; the next segment need not be aligned
    unfinished = [cpio.regular("plain", b"no trailer", 0o640)]
    yield b"".join(compression.compress(cpio.write(unfinished, trailer=False), Compression.ZSTD, level=19))
    yield b"".join(compression.compress([archive(cpio.regular("lz4-last", b"lz4"))], Compression.LZ4))


def expected(found: Iterable[segments.Segment]) -> dict[str, tuple[object, ...]]:
    """Return the tree that we say the kernel makes: path → mode, owners, device, content or target."""
    tree: dict[str, tuple[object, ...]] = {}
    for segment in found:
        for entry in segment.entries:
            content = entry.read()
            mode = entry.mode if not stat.S_ISLNK(entry.mode) else stat.S_IFLNK | 0o777
            said = hashlib.sha256(content).hexdigest() if stat.S_ISREG(entry.mode) else content.decode()
            tree[entry.name] = (mode, entry.uid, entry.gid, entry.device, said)
    return tree


def listed(console: str) -> dict[str, tuple[object, ...]]:
    """Return the tree that the node has, in the same words."""
    sums = {name.lstrip("/"): digest for digest, name in SUM.findall(console)}
    tree: dict[str, tuple[object, ...]] = {}
    for mode, uid, gid, _, device, path, target in ENTRY.findall(console):
        name = path.lstrip("/")
        major, minor = (int(number, 16) for number in device.split(":"))
        tree[name] = (int(mode, 16), int(uid), int(gid), (major, minor), sums.get(name, target))
    return tree


def test_the_kernel_makes_what_we_say(built: Path, cluster: Cluster, tmp_path: Path) -> None:
    """Every path has the mode, owners, device and bytes that `split()` says; what it says is dropped is not there."""
    image = next(each for each in cluster.osimages if each.method == "netboot")
    initrd = tmp_path / "initrd.img"
    initrd.write_bytes(b"".join(segment_list(busybox((built / paths.initrd(image)).read_bytes()))))
    found = segments.split(initrd)
    told = [str(problem) for segment in found for problem in segment.problems]
    for name in DROPPED:
        assert [text for text in told if text.startswith(f"E08 /{name} ")], name
    assert [text for text in told if text.startswith("E08 /two and /one have one inode number")]
    assert len(told) == len(DROPPED) + 1, told
    machine = direct.Bare(kernel=built / paths.kernel(image), initrd=initrd, memory=512)
    seen = direct.boot(machine, until=re.compile("^END OF LIST"), seconds=300)
    assert seen.end is direct.End.SEEN, seen.console[-3000:]
    ours, theirs = expected(found), listed(seen.console)
    assert theirs["one"] == theirs["two"] == ours["two"]  # the second content is that of both
    for name in DROPPED:
        ours.pop(name)
    assert theirs.pop("full")[0] == stat.S_IFDIR | 0o755  # the folder stayed
    assert {name: what for name, what in theirs.items() if name not in BUILT_IN} == {
        name: what for name, what in ours.items() if name not in BUILT_IN
    }
