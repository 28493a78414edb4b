"""ld.so.cache as the loader reads it, and /etc/ld.so.conf as ldconfig does."""

import random
import re
import struct
import subprocess
from pathlib import Path

import pytest

from tasks.initrd.loader.ldconf import conf_folders
from tasks.initrd.loader.loader_cache import CacheEntry, parse_cache
from tasks.initrd.loader.sysroot import DiskTree
from tests.initrd.sysroots import Contents, in_memory

Row = tuple[str, str, int, int]  # name, path, flags, hwcap
X86_64, I386, LEVEL = 0x303, 3, 1 << 62


def cache(
    rows: list[Row], *, order: str = "<", endian: int | None = None, levels: tuple[str, ...] = (), old: int = 0
) -> bytes:
    """Return a cache of the new format, behind `old` empty entries of the old one where that is not 0."""
    strings, table = b"", b""
    base = 48 + 24 * len(rows)
    places: dict[str, int] = {}
    for text in [*levels, *(text for row in rows for text in row[:2])]:
        places.setdefault(text, base + len(strings))
        strings += text.encode() + b"\0"
    for name, path, flags, hwcap in rows:
        table += struct.pack(f"{order}iIIIQ", flags, places[name], places[path], 0, hwcap)
    before = struct.pack(f"{order}12sI", b"ld.so-1.7.0", old) + bytes(12 * old) if old else b""
    before += bytes(-len(before) % 8)
    extension = base + len(strings) + len(before) if levels else 0
    flag = {"<": 2, ">": 3}[order] if endian is None else endian
    head = b"glibc-ld.so.cache1.1" + struct.pack(f"{order}IIB3xI12x", len(rows), len(strings), flag, extension)
    indexes = b"".join(struct.pack(f"{order}I", places[level]) for level in levels)
    end = struct.pack(f"{order}6I", 0xEAA42174, 1, 1, 0, extension + 24, len(indexes)) + indexes if levels else b""
    return before + head + table + strings + end


ROWS: list[Row] = [
    ("liba.so", "/v3/liba.so", X86_64, LEVEL),
    ("liba.so", "/lib/liba.so", X86_64, 0),
    ("liba.so", "/lib32/liba.so", I386, 0),
    ("liba.so", "/sse2/liba.so", X86_64, 1 << 26),
]


@pytest.mark.parametrize(("order", "old"), [("<", 0), ("<", 3), ("<", 4), (">", 0), (">", 1)])
def test_entries(order: str, old: int) -> None:
    """Those of the machine are found, plain or for a level of CPU; those of hardware bits of old say nothing."""
    found = parse_cache(cache(ROWS, order=order, levels=("x86-64-v3",), old=old), little_endian=order == "<")
    assert found.find("liba.so", "EM_X86_64", 64) == [
        CacheEntry(path="/v3/liba.so", level="x86-64-v3"),
        CacheEntry(path="/lib/liba.so", level=None),
    ]
    assert found.find("liba.so", "EM_386", 32) == [CacheEntry(path="/lib32/liba.so", level=None)]
    assert found.find("libb.so", "EM_X86_64", 64) == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"glibc-ld.so.cache1.1",
        b"ld.so-1.7.0\0" + bytes(4),
        cache(ROWS)[:60],
        cache(ROWS, order=">"),
        cache(ROWS, endian=3),
        cache(ROWS, endian=1),
        cache(ROWS).replace(b"1.1", b"1.2"),
        cache(ROWS)[:20] + b"\xff\xff\xff\xff" + cache(ROWS)[24:],
    ],
)
def test_what_the_loader_takes_for_no_cache(data: bytes) -> None:
    """Cut off, of another byte order, with a count that cannot be: as if it were not there."""
    assert parse_cache(data, little_endian=True).rows == {}


def test_a_byte_order_that_is_not_said() -> None:
    """Caches before glibc 2.33 do not say it, and are read."""
    assert parse_cache(cache(ROWS, endian=0), little_endian=True).rows


def test_damage_raises_nothing() -> None:
    """Whatever is flipped in a cache, it is read or it is not."""
    chance = random.Random(7)
    whole = cache(ROWS, levels=("x86-64-v3", "x86-64-v2"))
    for _ in range(3000):
        data = bytearray(whole[: chance.randrange(len(whole) + 1)])
        for _ in range(chance.randrange(8) if data else 0):
            data[chance.randrange(len(data))] = chance.randrange(256)
        parse_cache(bytes(data), little_endian=True).find("liba.so", "EM_X86_64", 64)


@pytest.mark.integration
def test_this_machines_cache() -> None:
    """All that `ldconfig -p` lists is read, nothing else."""
    said = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    theirs = set(re.findall(r"^\t(\S+) \(.*\) => (\S+)$", said, re.MULTILINE))
    found = parse_cache(Path("/etc/ld.so.cache").read_bytes(), little_endian=True)
    ours = {(name, each.path) for name in found.rows for each in found.find(name, "EM_none", 64)}
    assert ours == theirs


CONF: Contents = {
    "/etc/ld.so.conf": b"include ld.so.conf.d/*.conf other/x.conf\n/opt/a/ # us\nhwcap 1 x\n\n\t/opt/b=libc6\nrel\n",
    "/etc/ld.so.conf.d": "../conf",
    "/conf/2.conf": b"/opt/two:odd\n",
    "/conf/1.conf": b"include /etc/ld.so.conf\r\n/opt/one",
    "/conf/.hidden.conf": b"/opt/hidden",
    "/conf/3.txt": b"/opt/three",
    "/etc/other/x.conf": b"/opt/a\n",
}


def test_conf_with_includes() -> None:
    """Patterns are spread inside the tree, circles end, each folder is named once."""
    assert conf_folders(in_memory(CONF)) == ("/opt/a", "/opt/b", "/opt/one", "/opt/two:odd")


@pytest.mark.parametrize("conf", [b"", b"\xff\xfe", b"include", b"include *\n" * 1000, b"include " + b"/*" * 5000])
def test_odd_conf(conf: bytes) -> None:
    """Nothing comes of nonsense, and soon."""
    assert not any("\n" in folder for folder in conf_folders(in_memory({"/etc/ld.so.conf": conf})))


@pytest.mark.integration
def test_this_machines_conf() -> None:
    """Each folder that ldconfig says it reads, and is not its own, comes out of the configuration."""
    argv = ["/sbin/ldconfig", "-v", "-N", "-X"]
    said = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
    theirs = set(re.findall(r"^(/\S+): \(from /etc/ld.so.conf", said, re.MULTILINE))
    assert theirs <= set(conf_folders(DiskTree(Path("/"))))
