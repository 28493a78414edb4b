"""The first stage fetches root images of every kind in a virtual machine, or ends in a screen that says why."""

import gzip
import hashlib
import io
import re
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tasks import cpio, paths
from tasks.initrd.loader.closure import closure
from tasks.initrd.loader.sysroot import DiskTree
from tasks.inventory.model import Cluster
from tasks.lab import direct
from tasks.lab.direct import Bare, Boot, End

pytestmark = pytest.mark.skipif(
    shutil.which("qemu-system-x86_64") is None, reason="QEMU is not installed (apt-get install qemu-system-x86)"
)
# What the root does: it says what it was handed over, and switches the machine off.
INIT = b"""#!/bin/busybox sh
read -r up _ </proc/uptime
echo "ROOT IS UP after $up s"
echo "HOST $(busybox cat /proc/sys/kernel/hostname)"
while read -r line; do echo "LEASE $line"; done </run/bootmill/lease
while read -r line; do echo "RESOLV $line"; done </etc/resolv.conf
while read -r line; do echo "MOUNT $line"; done </proc/mounts
busybox ip -4 -o addr show dev eth0
echo "ROOT IS DONE"
busybox poweroff -f
"""
SECONDS = 300  # an emulated machine among others
ESCAPE = b"../../../../../../escaped"


@dataclass(frozen=True, kw_only=True)
class Web:
    """A web server on the loopback address: what it serves, what it was asked for."""

    port: int
    bodies: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def word(self, name: str, body: bytes) -> str:
        """Serve a root image; return the words for the kernel command line."""
        self.bodies[f"/{name}"] = body
        return f"imgurl=http://{direct.HOST}:{self.port}/{name} imgsha256={hashlib.sha256(body).hexdigest()}"


@pytest.fixture
def web() -> Iterator[Web]:
    """Serve for one test."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # http.server's name for it
            served.asked.append(self.path)
            body = served.bodies.get(self.path)
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Web(port=server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def root(built: Path, cluster: Cluster) -> list[cpio.Entry]:
    """Return a root of a few files: busybox with what it needs, and an init that says what it sees."""
    tree = DiskTree(built / paths.rootimg_tree(next(iter(cluster.stateless()))))
    needed = closure(tree, ("/bin/busybox",))
    entries = [cpio.regular(path, tree.read(path), 0o755) for path in needed.files]
    entries += [cpio.symlink(path, target) for path, target in needed.links.items()]
    folders = [cpio.directory(name) for name in ("etc", "proc", "sys", "dev", "run")]
    links = [cpio.symlink("bin", "usr/bin"), cpio.symlink("sbin", "usr/sbin")]
    return cpio.with_parents([*entries, *folders, *links, cpio.regular("usr/sbin/init", INIT, 0o755)])


def archive(entries: list[cpio.Entry]) -> bytes:
    """Return a root as cpio."""
    return b"".join(cpio.write(entries))


def tape(entries: list[cpio.Entry]) -> bytes:
    """Return a root as a packed tar archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:xz") as tar:
        for entry in entries:
            member = tarfile.TarInfo(entry.name)
            member.mode = entry.mode & 0o7777
            member.type = {0o04: tarfile.DIRTYPE, 0o12: tarfile.SYMTYPE}.get(entry.mode >> 12, tarfile.REGTYPE)
            member.linkname = entry.read().decode() if member.issym() else ""
            member.size = entry.size if member.isreg() else 0
            tar.addfile(member, io.BytesIO(entry.read()))
    return out.getvalue()


def squashed(entries: list[cpio.Entry], scratch: Path) -> bytes:
    """Return a root as a squashfs."""
    if shutil.which("mksquashfs") is None:
        pytest.skip("mksquashfs is not installed (package squashfs-tools)")
    folder = scratch / "tree"
    folder.mkdir()
    subprocess.run(["cpio", "--extract", "--quiet"], input=archive(entries), cwd=folder, check=True)
    image = scratch / "root.squashfs"
    subprocess.run(["mksquashfs", str(folder), str(image), "-quiet", "-no-progress", "-noD", "-noF"], check=True)
    return image.read_bytes()


def boot(built: Path, cluster: Cluster, words: str, *, until: str = "ROOT IS DONE", nic: str = "virtio_net") -> Boot:
    """Boot the sample's initrd with some words until a line shows."""
    image = next(iter(cluster.stateless()))
    machine = Bare(
        kernel=built / paths.kernel(image), initrd=built / paths.initrd(image), append=f"tries=1 {words}", nic=nic
    )
    return direct.boot(machine, until=re.compile(until), stop=re.compile(r"FAILED: "), seconds=SECONDS)


def test_cpio_by_http(built: Path, cluster: Cluster, web: Web, root: list[cpio.Entry]) -> None:
    """Two gzip members, as root images are built: a lease, the stages in order, reports, and all is handed over."""
    half = len(root) // 2
    first = b"".join(cpio.write(root[:half], trailer=False))
    second = b"".join(cpio.write([*(entry for entry in root if entry.name in parents(root[half:])), *root[half:]]))
    words = web.word("root.cpio.gz", gzip.compress(first) + gzip.compress(second))
    status = f"status=http://{direct.HOST}:{web.port}/log BOOTIF=01-52-54-00-12-34-56"
    done = boot(built, cluster, f"{words} {status}", nic="e1000")
    assert done.end is End.SEEN, done.console[-4000:]
    stages = ["first stage of", "link on eth0", "lease 10.0.2.15/24", "fetching http", "root image: sha256 is right"]
    stages += ["root image unpacked", "handing over", "ROOT IS UP"]
    places = [done.console.find(stage) for stage in stages]
    assert places == sorted(places), done.console[-4000:]
    assert -1 not in places
    assert "LEASE ip=10.0.2.15" in done.console
    assert "RESOLV nameserver 10.0.2.3" in done.console
    assert re.search(r"MOUNT rootfs / tmpfs rw,relatime,", done.console), "noexec and its like are gone"
    asked = [path.partition("?")[2].partition("&")[0] for path in web.asked if path.startswith("/log?")]
    assert asked == ["stage=network", "stage=verified", "stage=handover"]


def parents(entries: list[cpio.Entry]) -> set[str]:
    """Return the names of the folders that entries lie in."""
    return {entry.name.rsplit("/", depth)[0] for entry in entries for depth in range(1, entry.name.count("/") + 1)}


def test_tar_with_a_static_address(built: Path, cluster: Cluster, web: Web, root: list[cpio.Entry]) -> None:
    """No DHCP: address, gateway, host name and name server are those of ip=."""
    address = "ip=10.0.2.77::10.0.2.2:255.255.255.0:n77::off:10.0.2.3"
    done = boot(built, cluster, f"{web.word('root', tape(root))} {address}")
    assert done.end is End.SEEN, done.console[-4000:]
    assert "lease 10.0.2.77/255.255.255.0 host n77 on eth0" in done.console
    assert "HOST n77" in done.console
    assert "inet 10.0.2.77/24" in done.console


def test_squashfs(built: Path, cluster: Cluster, web: Web, root: list[cpio.Entry], tmp_path: Path) -> None:
    """A squashfs is the lower layer, a tmpfs takes the changes."""
    done = boot(built, cluster, web.word("root", squashed(root, tmp_path)))
    assert done.end is End.SEEN, done.console[-4000:]
    assert re.search(r"MOUNT root / overlay rw,", done.console)
    assert "MOUNT /dev/loop0 /run/bootmill/lower squashfs ro" in done.console


def test_another_image_is_refused(built: Path, cluster: Cluster, web: Web, root: list[cpio.Entry]) -> None:
    """One bit is enough: a screen with the cause, and nothing of the image has run."""
    words = web.word("root", archive(root))
    body = bytearray(web.bodies["/root"])
    body[-600] ^= 1
    web.bodies["/root"] = bytes(body)
    done = boot(built, cluster, words, until="Remedy: ")
    assert done.end is End.STOPPED
    assert "is not the image that the menu names (sha256 differs)" in done.line
    assert "ROOT IS UP" not in done.console


def test_nothing_leaves_the_cage(built: Path, cluster: Cluster, web: Web, root: list[cpio.Entry]) -> None:
    """An archive with a name that climbs out of the root cannot write beside it, even before its digest is known."""
    holder = b"Q" * len(ESCAPE)
    climbing = cpio.with_parents([*root, cpio.regular(holder.decode(), b"x", 0o755)])
    words = web.word("root", archive(climbing).replace(holder, ESCAPE))
    done = boot(built, cluster, words)
    assert done.end is End.STOPPED
    assert "does not unpack: cpio: " in done.line
    assert "Read-only file system" in done.line
