"""Made-up kernels and modules, laid out as the real ones are: tests break them where they like."""

import gzip
import lzma
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import zstandard

from tasks.initrd.loader.sysroot import DiskTree

VERSION = "6.1.0-1-amd64"
VERMAGIC = f"{VERSION} SMP preempt mod_unload modversions "
PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.compress,
}


def module(
    *keys: str, bits: int = 64, order: str = "<", machine: int = 62, vermagic: str = VERMAGIC, versions: bool = True
) -> bytes:
    """Return a relocatable ELF file with a .modinfo of ``key=value`` texts."""
    info = b"".join(f"{text}\0".encode() for text in (*keys, *([f"vermagic={vermagic}"] if vermagic else [])))
    bodies = {".text": b"\x90" * 64, ".modinfo": info, **({"__versions": b"\1" * 64} if versions else {})}
    return elf(bodies, bits=bits, order=order, machine=machine)


def elf(bodies: Mapping[str, bytes], *, bits: int = 64, order: str = "<", machine: int = 62, kind: int = 1) -> bytes:
    """Return an ELF file of some sections; their names come last, then the section table, as ld writes them."""
    head = struct.Struct(order + ("HHIQQQIHHHHHH" if bits == 64 else "HHIIIIIHHHHHH"))
    row = struct.Struct(order + ("IIQQQQIIQQ" if bits == 64 else "10I"))
    names = b"\0" + b"".join(f"{name}\0".encode() for name in (*bodies, ".shstrtab"))
    content, rows = b"", [row.pack(*[0] * 10)]
    start = 16 + head.size
    for name, body in {**bodies, ".shstrtab": names}.items():
        at = names.index(f"\0{name}\0".encode()) + 1
        rows.append(row.pack(at, 1, 0, 0, start + len(content), len(body), 0, 0, 1, 0))
        content += body
    table = start + len(content)
    ident = b"\x7fELF" + bytes([bits // 32, 1 if order == "<" else 2, 1]) + bytes(9)
    header = head.pack(kind, machine, 1, 0, 0, table, 0, start, 0, 0, row.size, len(rows), len(rows) - 1)
    return ident + header + content + b"".join(rows)


def write_kernel(root: Path, modules: Mapping[str, Iterable[str]], *, version: str = VERSION) -> DiskTree:
    """Write modules ({path below kernel/: keys}) of a kernel into a tree on merged /usr; packed as their names say."""
    base = root / "usr/lib/modules" / version
    for name, keys in modules.items():
        path = base / "kernel" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        suffix = path.suffix if path.suffix != ".ko" else ""
        path.write_bytes(PACKERS[suffix](module(*keys, vermagic=VERMAGIC.replace(VERSION, version))))
    if not (root / "lib").is_symlink():
        (root / "lib").symlink_to("usr/lib")
    (root / "boot").mkdir(exist_ok=True)
    (root / f"boot/vmlinuz-{version}").write_bytes(b"")
    return DiskTree(root)


def write_tables(tree: DiskTree, *, version: str = VERSION, **tables: str) -> None:
    """Write tables of depmod: ``dep=…`` is modules.dep, those not given are empty."""
    base = tree.root / "usr/lib/modules" / version
    for name in ("dep", "softdep", "alias"):
        (base / f"modules.{name}").write_text(tables.pop(name, ""))
    for name, text in tables.items():
        (base / f"modules.{name.replace('_', '.')}").write_text(text)


# -- kernel images ---------------------------------------------------------------------------------------------------


def pe(machine: int, where: int = 0x40) -> dict[int, bytes]:
    """Return patches that make an image an EFI program."""
    return {0: b"MZ", 0x3C: struct.pack("<I", where), where: b"PE\0\0" + struct.pack("<H", machine)}


def patched(data: bytes, patches: Mapping[int, bytes]) -> bytes:
    """Return bytes with some written over."""
    result = bytearray(data)
    for at, piece in patches.items():
        result[at : at + len(piece)] = piece
    return bytes(result)


def bzimage(
    version: str = VERSION,
    *,
    protocol: int = 0x20F,
    flags: int = 3,
    payload: bytes = b"",
    patches: Mapping[int, bytes] = {},
) -> bytes:
    """Return an x86 kernel: four sectors of setup, then the payload (Documentation/arch/x86/boot.rst)."""
    setup = 4
    fields = {
        0x1F1: bytes([setup]),
        0x202: b"HdrS" + struct.pack("<H", protocol),
        0x20E: struct.pack("<H", 0x300),
        0x22C: struct.pack("<I", 0x7FFFFFFF),
        0x236: struct.pack("<H", flags),
        0x248: struct.pack("<II", 16, len(payload)),
        0x500: f"{version} (debian@example) #1 SMP".encode(),
    }
    return patched(bytes(512 * (setup + 1) + 16), {**fields, **patches}) + payload


def arm64(version: str = VERSION, *, efi: bool = True, extra: bytes = b"") -> bytes:
    """Return an arm64 Image (Documentation/arch/arm64/booting.rst)."""
    fields = {0x38: b"ARM\x64", 0x800: f"Linux version {version} (debian@example) #1".encode()}
    return patched(bytes(0x1000), {**fields, **(pe(0xAA64) if efi else {})}) + extra


def zboot(inner: bytes, packer: str = ".gz") -> bytes:
    """Return an EFI program that carries a packed kernel (drivers/firmware/efi/libstub/zboot-header.S)."""
    packed = PACKERS[packer](inner)
    head = {**pe(0xAA64), 4: b"zimg" + struct.pack("<II", 0x200, len(packed)), 0x18: b"any\0"}
    return patched(bytes(0x200), head) + packed


def ikconfig(text: str) -> bytes:
    """Return a configuration as it lies in a kernel (kernel/configs.c)."""
    return b"\0IKCFG_ST" + gzip.compress(text.encode()) + b"IKCFG_ED\0"
