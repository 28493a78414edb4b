"""Only the right image is handed over to: whatever a server sends, in whatever form, or does not send."""

import bz2
import gzip
import hashlib
import io
import lzma
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tasks import cpio
from tests.initrd.firststages import FLOOR, Stage

pytestmark = pytest.mark.integration
INIT = b"#!/bin/sh\necho up\n"
QUICK = "pause() { :; }\n"


def archive() -> bytes:
    """Return a root as a cpio archive."""
    entries = [cpio.regular("sbin/init", INIT, 0o755), cpio.regular("big", bytes(300_000)), cpio.symlink("a", "big")]
    return b"".join(cpio.write(cpio.with_parents(entries)))


def segments() -> bytes:
    """Return a root as it is built: several gzip members, the trailer only in the last."""
    first = b"".join(cpio.write([cpio.directory("sbin"), cpio.regular("sbin/init", b"old", 0o755)], trailer=False))
    files = [cpio.regular("sbin/init", INIT, 0o755), cpio.regular("bin/sh", b"", 0o755)]
    second = b"".join(cpio.write(cpio.with_parents(files)))
    return gzip.compress(first, mtime=0) + gzip.compress(second, mtime=0)


def tape() -> bytes:
    """Return a root as a tar archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo("sbin/init")
        member.size, member.mode = len(INIT), 0o755
        tar.addfile(member, io.BytesIO(INIT))
    return out.getvalue()


def by(program: str, *options: str) -> Callable[[bytes], bytes]:
    """Return a compressor that is a program of this machine."""

    def pack(data: bytes) -> bytes:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (package {program})")
        return subprocess.run([program, *options], input=data, stdout=subprocess.PIPE, check=True).stdout

    return pack


FORMS: dict[str, Callable[[], bytes]] = {
    "cpio": archive,
    "cpio.gz": lambda: gzip.compress(archive()),
    "cpio.xz": lambda: lzma.compress(archive()),
    "cpio.bz2": lambda: bz2.compress(archive()),
    "cpio.zst": lambda: by("zstd", "-q")(archive()),
    "members": segments,
    "tar": tape,
    "tar.gz": lambda: gzip.compress(tape()),
    "tar.xz": lambda: lzma.compress(tape()),
}


class Server:
    """A web server with one file, which may fail in several ways."""

    def __init__(self, body: bytes) -> None:
        """Serve a body under any name."""
        self.body = body
        self.asked: list[str] = []
        self.after: int | None = None  # bytes until it falls silent
        self.date = "Mon, 23 Nov 2026 10:11:12 GMT"
        self.release = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            """Answers every GET with the file."""

            def do_GET(self) -> None:
                """Send it, or a part of it."""
                server.asked.append(self.path)
                missing = self.path.endswith("missing")
                self.send_response_only(404 if missing else 200)
                self.send_header("Date", server.date)
                self.send_header("Content-Length", str(len(server.body)))
                self.end_headers()
                if not missing:
                    self.wfile.write(server.body[: server.after])
                if server.after is not None:
                    self.wfile.flush()
                    server.release.wait(30)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/root"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """End it."""
        self.release.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[[bytes], Server]]:
    """Return a function that starts a server for some bytes."""
    servers: list[Server] = []

    def start(body: bytes) -> Server:
        servers.append(Server(body))
        return servers[-1]

    yield start
    for each in servers:
        each.close()


def words(body: bytes, *urls: str) -> str:
    """Return shell commands that set the words for an image."""
    sources = " ".join(f"imgurl={url}" for url in urls)
    return QUICK + f"read_words 'tries=2 {sources} imgsha256={hashlib.sha256(body).hexdigest()}'\n"


WHOLE = "get_image; prepare_root; hand_over"


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_unpacked(machine: Stage, serve: Callable[[bytes], Server], form: str) -> None:
    """The bytes say what an image is; the name in the URL does not."""
    body = FORMS[form]()
    if form.endswith("zst"):
        (machine.root / "fakes/zstd").symlink_to(shutil.which("zstd") or "")
    said = machine.says(words(body, serve(body).url) + "get_image")
    assert "root image: sha256 is right" in said
    assert "root image unpacked" in said
    assert (machine.root / "newroot/sbin/init").read_bytes() == INIT
    assert (machine.root / "newroot/sbin/init").stat().st_mode & 0o777 == 0o755


def test_a_file_system_is_kept_as_it_is(machine: Stage, serve: Callable[[bytes], Server]) -> None:
    """A squashfs is stored, not unpacked, and mounted below a tmpfs that takes the changes."""
    body = b"hsqs" + bytes(100_000)
    machine.says(words(body, serve(body).url) + "get_image; cp -r $newroot kept; prepare_root")
    assert (machine.root / "kept/image").read_bytes() == body
    mounts = [line.replace(str(machine.root), "") for line in machine.calls("mount")]
    assert "mount -t squashfs -o ro,loop /run/store/image /run/lower" in mounts
    assert mounts[-1].startswith("mount -t overlay -o lowerdir=/run/lower,upperdir=/run/store/upper,")


def test_the_right_image_is_handed_over_to(machine: Stage, serve: Callable[[bytes], Server]) -> None:
    """From the first byte to switch_root; the mounts move along, the clock is left alone where it may be right."""
    body = segments()
    said = machine.says(words(body, serve(body).url) + "hostname=n01\n" + WHOLE)
    assert "handing over to /sbin/init" in said
    assert machine.calls()[-1] == f"switch_root {machine.root}/newroot /sbin/init"
    moved = [line.split()[3] for line in machine.calls("mount -o move")]
    assert moved == ["/dev", "/proc", "/sys", "/run"]
    assert (machine.root / "newroot/etc/hostname").read_text() == "n01\n"
    assert machine.calls("mount")[0].startswith("mount -o remount,exec,suid,dev")


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (lambda body: body[:-30] + bytes([body[-30] ^ 1]) + body[-29:], "is not the image that the menu names"),
        (lambda body: body[:200] + bytes([body[200] ^ 1]) + body[201:], "is not the image that the menu names"),
        (lambda body: body[: len(body) // 2], "is not the image that the menu names"),
        (lambda body: body + b"x", "is not the image that the menu names"),
        (lambda _: archive(), "is not the image that the menu names"),
        (lambda _: b"", "is not the image that the menu names"),
        (lambda _: b"<html>captive portal</html>", "is not the image that the menu names"),
    ],
    ids=["bit flipped", "bit flipped early", "cut off", "longer", "another", "empty", "no image"],
)
def test_another_image_is_never_handed_over_to(
    machine: Stage, serve: Callable[[bytes], Server], spoil: Callable[[bytes], bytes], cause: str
) -> None:
    """Whatever is not exactly what the digest says ends in the screen after all rounds."""
    body = gzip.compress(archive(), mtime=0)
    server = serve(spoil(body))
    done = machine.run(words(body, server.url) + WHOLE)
    assert done.returncode == 9, done.stdout + done.stderr
    assert f"{cause}" in done.stdout
    assert "Remedy:" in done.stdout
    assert len(server.asked) == 2
    assert not machine.calls("switch_root")


def test_the_second_source_is_tried(machine: Stage, serve: Callable[[bytes], Server]) -> None:
    """One place without the file, one with another file, one that is right: and nothing of the wrong one is left."""
    body = FORMS["cpio.gz"]()
    wrong = b"".join(cpio.write([cpio.regular("evil", b"x")]))
    bad, good = serve(wrong), serve(body)
    said = machine.says(words(body, f"{bad.url}/missing", bad.url, good.url) + "get_image")
    assert "cannot fetch" in said
    assert "404" in said
    assert "is not the image that the menu names" in said
    assert not (machine.root / "newroot/evil").exists()
    assert (machine.root / "newroot/sbin/init").exists()


def test_a_stalled_server_is_left(machine: Stage, serve: Callable[[bytes], Server]) -> None:
    """A server that falls silent in the middle does not hold the boot: the next one is asked."""
    body = archive()
    silent, good = serve(body), serve(body)
    silent.after = 200_000
    said = machine.says(words(body, silent.url, good.url) + "stall=1\nget_image")
    assert f"nothing came from {silent.url} for 1 s" in said
    assert "root image unpacked" in said


def test_a_right_digest_over_a_broken_image(machine: Stage, serve: Callable[[bytes], Server]) -> None:
    """A digest that was taken of something broken is no reason to boot it, nor to fetch it again."""
    body = gzip.compress(archive())[:-2000] + bytes(2000)
    server = serve(body)
    done = machine.run(words(body, server.url) + WHOLE)
    assert "FAILED: the root image does not unpack" in done.stdout
    assert len(server.asked) == 1
    assert not machine.calls("switch_root")


@pytest.mark.parametrize(
    ("available", "cause"),
    [(8, "does not fit into the memory: 8 of 1000 MiB are left"), (13, "the root image has 20 MiB packed")],
)
def test_an_image_that_is_too_large(
    machine: Stage, serve: Callable[[bytes], Server], available: int, cause: str
) -> None:
    """A node with too little memory says so at once, before the kernel kills what it likes."""
    (machine.root / "proc/meminfo").write_text(f"MemTotal: 1024000 kB\nMemAvailable: {available * 1024} kB\n")
    server = serve(bytes(20 << 20))
    server.after = 10_000
    done = machine.run(words(server.body, server.url) + "stall=5\n" + WHOLE)
    assert cause in done.stdout.split("FAILED: ")[1]
    assert len(server.asked) == 1
    assert not machine.calls("switch_root")


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("", "no imgurl="),
        ("imgurl=http://10.1.0.1/x", "no imgsha256="),
        ("imgurl=http://10.1.0.1/x imgsha256=abc", "no imgsha256="),
        ("imgurl=http://10.1.0.1/x unverified", "no imgsha256="),
        ("imgurl=ftp://10.1.0.1/x imgsha256=" + 64 * "a", "none of http:, tftp:, nfs:"),
        ("imgurl=--help imgsha256=" + 64 * "a", "none of http:, tftp:, nfs:"),
        ("imgurl=tftp://-l/x imgsha256=" + 64 * "a", "none of http:, tftp:, nfs:"),
        ("imgurl=nfs://10.1.0.1/x imgsha256=" + 64 * "a", "cannot be verified"),
    ],
)
def test_nothing_unverified_is_fetched(machine: Stage, line: str, cause: str) -> None:
    """No digest, no image; the one exception must be asked for by its name."""
    machine.fake("wget")
    done = machine.run(QUICK + f"read_words '{line}'\n" + WHOLE)
    assert cause in done.stdout.split("FAILED: ")[1].split("\n")[0]
    assert not machine.calls("wget")


def test_nfs(machine: Stage) -> None:
    """An NFS server's tree is mounted read-only, a tmpfs takes the changes."""
    machine.fake("mount", 'case "$*" in *vers=3*) exit 1 ;; esac')
    machine.says(QUICK + "read_words 'imgurl=nfs://10.1.0.1/export/n01 unverified'\nget_image")
    nfs = [line for line in machine.calls("mount") if "-t nfs" in line]
    assert nfs[1].endswith(f"vers=4.2,addr=10.1.0.1 10.1.0.1:/export/n01 {machine.root}/run/lower")
    assert nfs[1].startswith("mount -i -t nfs -o ro,nolock,")


@pytest.mark.parametrize(
    ("now", "date", "expected"),
    [
        (0, "Mon, 23 Nov 2026 10:11:12 GMT", "1795428672"),
        (FLOOR + 5, "Mon, 23 Nov 2026 10:11:12 GMT", ""),
        (0, "Mon, 23 Nov 2015 10:11:12 GMT", ""),
        (0, "Mon, 23 Nov 2026 10:11:12 GMT; $(reboot)", "1795428672"),
        (0, "yesterday", ""),
        (0, "Mon, 99 Foo 2026 10:11:12 GMT", ""),
    ],
)
def test_a_dead_clock(machine: Stage, now: int, date: str, expected: str) -> None:
    """A clock before our own sources is set by the server's date, if that one can be right; another is left alone."""
    fake = f'date() {{ case "$*" in "-u +%s") echo {now} ;; *-s*) echo "$3" >set ;; *) command date "$@" ;; esac; }}\n'
    (machine.root / "run/fetch").mkdir()
    (machine.root / "run/fetch/headers").write_text(f"  HTTP/1.1 200 OK\n  Date: {date}\r\n")
    said = machine.says(fake + "set_clock")
    assert ("clock set to" in said) == bool(expected)
    if expected:
        assert (machine.root / "set").read_text() == f"@{expected}\n"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"\xfd7zXZ\x00\x00", "xz"),
        (b"BZh91AY", "bzip2"),
        (b"\x5d\x00\x00\x80\x00", "lzma"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"\x02\x21\x4c\x18", "lz4"),
        (b"\x04\x22\x4d\x18", "lz4"),
        (b"070701000", "cpio"),
        (b"070702000", "cpio"),
        (b"hsqs\x00", "squashfs"),
        (bytes(257) + b"ustar\x0000", "tar"),
        (bytes(1024) + b"\xe2\xe1\xf5\xe0", "erofs"),
        (b"", "empty"),
        (b"<html>", "unknown"),
        (b"070707", "unknown"),
        (bytes(2000), "unknown"),
    ],
)
def test_kinds(machine: Stage, content: bytes, kind: str) -> None:
    """Each form is known by its first bytes."""
    (machine.root / "file").write_bytes(content)
    assert machine.says("kind_of file") == kind


def test_an_unpacker_that_is_not_there(machine: Stage, serve: Callable[[bytes], Server]) -> None:
    """busybox has no zstd: the screen says which program is missing."""
    body = b"\x28\xb5\x2f\xfd" + bytes(100)
    done = machine.run(words(body, serve(body).url) + "zstd() { :; }\nunset -f zstd\n" + WHOLE)
    assert "packed with zstd, and the first stage has no zstd" in done.stdout
    assert not machine.calls("switch_root")


def link(path: Path, target: str) -> None:
    """Make a link and the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


@pytest.mark.parametrize(
    ("links", "path", "expected"),
    [
        ({}, "/sbin/init", "/sbin/init"),
        ({"init": "/sbin/init"}, "/init", "/sbin/init"),
        ({"init": "../../../sbin/init"}, "/init", "/sbin/init"),
        ({"bin": "/sbin"}, "/bin/init", "/sbin/init"),
        ({"a": "b", "b": "a"}, "/a", ""),
        ({"etc": "/outside"}, "/etc/passwd", ""),
        ({}, "/no/init", ""),
    ],
)
def test_links_are_followed_inside_the_root(machine: Stage, links: dict[str, str], path: str, expected: str) -> None:
    """Absolute links mean the new root, not the first stage."""
    (machine.root / "newroot/sbin").mkdir()
    (machine.root / "newroot/sbin/init").write_bytes(INIT)
    for name, target in links.items():
        link(machine.root / "newroot" / name, target)
    said = machine.says(f"inside {path} || :")
    assert said == (f"{machine.root}/newroot{expected}" if expected else "")


@pytest.mark.parametrize(
    ("init", "mode", "cause"),
    [
        (None, 0, "the root image has no /sbin/init"),
        (INIT, 0o644, "is not an executable file"),
        (INIT, 0o755, "has no /bin/sh, which /sbin/init needs"),
        (b"\x7fELF" + bytes(60) + b"/lib/ld-linux.so.2\0" + bytes(60), 0o755, "has no /lib/ld-linux.so.2, which"),
    ],
)  # fmt: skip
def test_an_init_that_cannot_start(machine: Stage, init: bytes | None, mode: int, cause: str) -> None:
    """What would be a kernel panic after switch_root is a screen before it."""
    (machine.root / "newroot/sbin").mkdir()
    if init is not None:
        (machine.root / "newroot/sbin/init").write_bytes(init)
        (machine.root / "newroot/sbin/init").chmod(mode)
    done = machine.run("hand_over")
    assert cause in done.stdout
    assert not machine.calls("switch_root")


def test_links_of_the_image_are_respected(machine: Stage) -> None:
    """systemd-resolved's resolv.conf stays a link, and nothing is written through a link that leads out of the root."""
    outside = machine.root / "outside"
    outside.write_text("untouched")
    link(machine.root / "newroot/etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")
    link(machine.root / "newroot/etc/hostname", str(outside))
    machine.says("echo evil | leave hostname; echo nameserver 1 | leave resolv.conf")
    assert outside.read_text() == "untouched"
    assert (machine.root / "newroot/etc/resolv.conf").is_symlink()


def test_the_screen_chooses_what_comes(machine: Stage) -> None:
    """onfail=reboot starts anew after a pause that differs from node to node; rescue gives a shell first."""
    done = machine.run("read_words 'onfail=reboot rescue'\nsleep() { echo \"slept $1\"; }\nfail 'it rained'\n")
    seconds = int(done.stdout.split("slept ")[1].split()[0])
    assert 60 <= seconds < 120
    assert machine.calls("reboot") == ["reboot -f"]
    assert "rescue: a shell on the console" in done.stdout


def test_the_end_needs_no_random_numbers(machine: Stage) -> None:
    """Without /dev there are none: the pause is a minute then, not half a sum that ends process 1."""
    machine.fake("od")
    done = machine.run("read_words onfail=reboot\nsleep() { echo \"slept $1\"; }\nfail 'it rained'\n")
    assert "slept 60" in done.stdout
    assert machine.calls("reboot") == ["reboot -f"]
    assert "slept 2.0" in machine.says('sleep() { echo "slept $1"; }\npause 2')


def test_a_console_without_a_keyboard_does_not_spin(machine: Stage) -> None:
    """onfail=shell: where the shell ends at once, the next one comes a second later."""
    done = machine.run("read_words onfail=shell\nsleep() { echo \"slept $1\"; exit 7; }\nfail 'it rained'\n")
    assert done.returncode == 7
    assert "slept 1" in done.stdout
    assert len(machine.calls("cttyhack")) == 1


def test_a_length_that_is_none(machine: Stage) -> None:
    """A server's `Content-Length: 0899` is octal to a shell, and a mistake there ends process 1: it is passed over."""
    (machine.root / "run/fetch").mkdir()
    (machine.root / "run/fetch/headers").write_text("  HTTP/1.1 200 OK\n  Content-Length: 0899\n")
    said = machine.says("bytes=0 idle=0 length='' meter=999999\ngoes_well 5 && echo \"well:$length\"")
    assert said.endswith("well:")


@pytest.mark.parametrize(
    ("asked", "point", "given"),
    [
        ("rescue", "handover", True),
        ("rescue", "image", False),
        ("rescue=image", "image", True),
        ("", "handover", False),
    ],
)
def test_a_shell_where_it_is_asked_for(machine: Stage, asked: str, point: str, given: bool) -> None:
    """A shell comes at the points that the word names."""
    assert ("rescue:" in machine.says(f"read_words '{asked}'\nshell_at {point}")) == given


def test_an_unexpected_end_is_a_screen(machine: Stage) -> None:
    """Process 1 must not end: where the script would, a screen says so."""
    done = machine.run("prepare() { exit 3; }\nmain\n")
    assert "FAILED: the first stage ended unexpectedly" in done.stdout
