"""What Bootmill needs of the operating system: each program, file and library, and the Debian package that brings it.

Standard library only: this is read before anything is installed.

Packages with a daemon (`daemon=True`) are never installed.  apt would start the service at once and enable it for every
later boot: a head node that only builds would suddenly answer DHCP.  RUNLEVEL=1 is ignored under systemd, and a
policy-rc.d is a file in /usr/sbin of the user's machine that does not stop the enabling.  We need the programs alone
(``dhcpd -t``, ``nginx -t``; the laboratory's daemons run in name spaces of their own), so such a package is unpacked
into ``.venv/daemons``, without root.  That also escapes AppArmor, whose profiles go by path and would keep
/usr/sbin/dhcpd and /usr/sbin/named from reading a configuration below a checkout.
"""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DAEMONS = ROOT / ".venv" / "daemons"
PATH = f"{DAEMONS}/usr/sbin:{DAEMONS}/usr/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LIBRARY_FOLDERS = ("/usr/local/lib", "/usr/lib", "/usr/lib/*-linux-gnu*", "/usr/lib64", "/lib/*-linux-gnu*", "/lib")
APPARMOR = Path("/sys/module/apparmor/parameters/enabled")
APPARMOR_PROFILES = Path("/etc/apparmor.d")


class Level(IntEnum):
    """What a package is needed for; each level needs those below it, too."""

    BUILD = 1
    LAB = 2
    TEST = 3


@dataclass(frozen=True, kw_only=True)
class Need:
    """A Debian package and what we use of it: programs on PATH, files, shared libraries by soname."""

    package: str
    why: str
    level: Level = Level.BUILD
    programs: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    daemon: bool = False


def for_build(package: str, why: str, *programs: str, files: tuple[str, ...] = (), daemon: bool = False) -> Need:
    """Return a need of the build itself."""
    return Need(package=package, why=why, programs=programs, files=files, daemon=daemon)


def for_lab(package: str, why: str, *programs: str, files: tuple[str, ...] = (), daemon: bool = False) -> Need:
    """Return a need of the laboratory."""
    return Need(package=package, why=why, level=Level.LAB, programs=programs, files=files, daemon=daemon)


def for_test(package: str, why: str, *programs: str, daemon: bool = False) -> Need:
    """Return a need of the test suite."""
    return Need(package=package, why=why, level=Level.TEST, programs=programs, daemon=daemon)


GRUB_EFI = "/usr/lib/grub/x86_64-efi/monolithic"
GRUB_IA32 = "/usr/lib/grub/i386-efi/monolithic"
SYSLINUX = "/usr/lib/syslinux/modules/bios"

NEEDS = (
    for_build("apt", "fetches packages for install media", "apt-get", "apt-cache"),
    for_build("dpkg", "unpacks packages", "dpkg-deb", "dpkg-query"),
    for_build("mmdebstrap", "makes root trees without being root", "mmdebstrap"),
    for_build("uidmap", "gives an ordinary user the ids of a root tree", "newuidmap", "newgidmap"),
    for_build("util-linux", "name spaces, so that nothing is mounted on the machine itself", "unshare", "nsenter"),
    for_build("mount", "mounts inside name spaces", "mount", "umount"),
    for_build("xorriso", "writes install media", "xorriso"),
    Need(package="libarchive13", why="reads ISO images and archives", libraries=("libarchive.so.13",)),
    for_build("mtools", "writes the EFI partition of install media", "mformat", "mmd", "mcopy"),
    for_build("isolinux", "boots install media on BIOS machines", files=("/usr/lib/ISOLINUX/isolinux.bin",)),
    for_build("syslinux-common", "modules of isolinux and pxelinux", files=(f"{SYSLINUX}/ldlinux.c32",)),
    for_build("pxelinux", "boot program for BIOS machines", files=("/usr/lib/PXELINUX/pxelinux.0",)),
    for_build(
        "grub-efi-amd64-bin",
        "boot program for UEFI machines",
        files=(f"{GRUB_EFI}/grubnetx64.efi", f"{GRUB_EFI}/gcdx64.efi"),
    ),
    for_build("grub-efi-ia32-bin", "boot program for 32-bit UEFI machines", files=(f"{GRUB_IA32}/grubnetia32.efi",)),
    for_build(
        "ipxe", "boot programs that speak HTTP", files=("/usr/lib/ipxe/undionly.kpxe", "/usr/lib/ipxe/snponly.efi")
    ),
    for_build("openssh-client", "makes the site's key, reaches nodes", "ssh", "ssh-keygen"),
    for_build("bind9-utils", "checks zones", "named-checkconf", "named-checkzone"),
    for_build("chrony", "checks chrony's configuration", "chronyd", daemon=True),
    for_build("isc-dhcp-server", "checks dhcpd.conf", "dhcpd", daemon=True),
    for_build("kea-common", "what Kea's servers share", "kea-lfc", daemon=True),
    for_build("kea-dhcp4-server", "checks kea-dhcp4.conf", "kea-dhcp4", daemon=True),
    for_build("kea-dhcp6-server", "checks kea-dhcp6.conf", "kea-dhcp6", daemon=True),
    for_build("dnsmasq-base", "checks dnsmasq's configuration", "dnsmasq", daemon=True),
    for_build("nginx", "checks the web server's configuration", "nginx", daemon=True),
    for_lab("qemu-system-x86", "the virtual machines", "qemu-system-x86_64"),
    for_lab(
        "ovmf",
        "their UEFI firmware",
        files=("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ),
    for_lab("iproute2", "their network", "ip", "bridge"),
    for_lab("bubblewrap", "the head node's view of the file system", "bwrap"),
    for_lab("bind9", "the head node's name server", "named", daemon=True),
    for_lab("tftpd-hpa", "the head node's TFTP server", "in.tftpd", daemon=True),
    for_test("ipmitool", "a second opinion on IPMI", "ipmitool", daemon=True),
    for_test("freeipmi-tools", "a third opinion on IPMI", "ipmipower"),
    for_test("conserver-server", "a second opinion on consoles", "conserver", daemon=True),
    for_test("conman", "a second opinion on consoles", "conmand", "conman", daemon=True),
    for_test("genders", "a second opinion on nodes' attributes", "nodeattr"),
    for_test("bind9-dnsutils", "asks name servers", "dig"),
    for_test("busybox", "unpacks what we packed", "busybox"),  # satisfied by busybox-static, which it would replace
    for_test("bzip2", "packs what we unpack", "bzip2"),
    for_test("cpio", "unpacks what we packed", "cpio"),
    for_test("libarchive-tools", "unpacks what we packed", "bsdcpio"),
    for_test("lz4", "unpacks what we packed", "lz4"),
    for_test("pigz", "packs what we unpack", "pigz"),
    for_test("xz-utils", "unpacks what we packed", "xz"),
    for_test("zstd", "unpacks what we packed", "zstd"),
    for_test("qemu-user", "runs the compressors on other CPUs", "qemu-x86_64"),
    for_test("kmod", "a second opinion on kernel modules", "depmod", "modinfo", "modprobe"),
    for_test("qemu-system-arm", "boots an initrd for another processor", "qemu-system-aarch64"),
    for_test("squashfs-tools", "unpacks what we packed, makes root images", "unsquashfs", "mksquashfs"),
    for_test("dash", "runs the first stage like busybox does", "dash"),
    for_test("curl", "fetches like a node", "curl"),
    for_test("tftp-hpa", "fetches like a node", "tftp"),
    for_test("patch", "a second opinion on diffs", "patch"),
    for_test("pax-utils", "a second opinion on which libraries a program needs", "lddtree"),
    Need(
        package="musl",
        why="its loader says which libraries it finds",
        level=Level.TEST,
        files=("/lib/ld-musl-x86_64.so.1",),
    ),
    for_test("shellcheck", "reads shell scripts for mistakes", "shellcheck"),
    for_test("git", "makes a clean clone", "git"),
)


def needs(level: Level) -> list[Need]:
    """Return what a level needs, that of the levels below included."""
    return [need for need in NEEDS if need.level <= level]


def package_of(program: str) -> str:
    """Return the Debian package that brings a program; where the table does not know it, its own name."""
    return next((need.package for need in NEEDS if program in need.programs), program)


def remedy(program: str) -> str:
    """Return how a program comes to this machine; a daemon's is only unpacked, apt would start and enable it."""
    if any(program in need.programs and need.daemon for need in NEEDS):
        return f"python3 -m tasks   brings it, out of the package {package_of(program)} (no service is installed)"
    return f"apt-get install {package_of(program)}   (or: python3 -m tasks doctor)"


def find_program(program: str, *, path: str = PATH) -> Path | None:
    """Return where a program lies."""
    found = shutil.which(program, path=path)
    return Path(found) if found else None


def find_library(soname: str) -> Path | None:
    """Return where the dynamic loader will find a shared library; no process is started for it."""
    found = (path for folder in LIBRARY_FOLDERS for path in Path("/").glob(f"{folder[1:]}/{soname}"))
    return next(found, None)


def found(need: Need) -> list[Path | None]:
    """Return where each program, file and library of a need lies, None for what is missing."""
    programs = [None if need.daemon and confined(name) else find_program(name) for name in need.programs]
    files = [path if path.exists() else None for path in map(Path, need.files)]
    return [*programs, *files, *map(find_library, need.libraries)]


def is_met(need: Need) -> bool:
    """Return whether nothing of a need is missing."""
    return None not in found(need)


def missing(level: Level) -> list[Need]:
    """Return the needs of a level that are not met."""
    return [need for need in needs(level) if not is_met(need)]


def confined(program: str) -> bool:
    """Return whether AppArmor holds the machine's own daemon, so that it cannot read a checkout's configuration."""
    own = find_program(program)
    if own is None or own.is_relative_to(DAEMONS) or not (APPARMOR_PROFILES / str(own)[1:].replace("/", ".")).exists():
        return False
    return APPARMOR.exists() and APPARMOR.read_text().strip() == "Y"


def apt_line(packages: Iterable[str]) -> str:
    """Return the one line that brings the packages, as a person would type it."""
    return f"sudo apt-get install --no-install-recommends {' '.join(sorted(set(packages)))}"
