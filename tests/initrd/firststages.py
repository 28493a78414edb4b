"""The first stage's scripts on this machine: the functions of init in a scratch folder, run by either shell.

Applets are busybox's, linked in a folder; what would change this machine (mount, ip, insmod …) is a script in another
folder before it, that writes down how it was called.
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tasks.initrd import firststage

IMAGE = "debian12-x86_64-netboot-compute"
FLOOR = 1_700_000_000
SHELLS = {"busybox": ("busybox", "sh"), "dash": ("dash",)}
DANGEROUS = (
    *("mount", "umount", "ip", "vconfig", "insmod", "modprobe", "udhcpc", "hostname", "reboot", "poweroff"),
    *("switch_root", "chroot", "cttyhack"),
)
# Outside of a virtual machine nothing is mounted, unpackers need no cage, and the end of the road is an end.
TAMED = """
empty_root() { rm -rf "$newroot" && mkdir "$newroot"; }
caged() { (cd "$newroot" && "$@"); }
rest() { exit 9; }
"""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A scratch machine: its folders (proc, sys, run, etc, newroot) and the shell that runs the functions."""

    root: Path
    interpreter: tuple[str, ...]

    def run(self, script: str, *, tame: str = TAMED, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run shell commands after all functions of init are defined."""
        library = firststage.script("init", image=IMAGE, floor=FLOOR, start=False)
        places = (
            f"proc={self.root}/proc sys={self.root}/sys state={self.root}/run work={self.root}/run/fetch"
            f" newroot={self.root}/newroot cage={self.root}/cage etc={self.root}/etc\nPATH={self.path}\n"
        )
        file = self.root / "script"
        file.write_text(library + places + tame + "read_words ''\n" + script)
        return subprocess.run(
            [*self.interpreter, str(file)],
            cwd=self.root,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def says(self, script: str) -> str:
        """Return what shell commands print; they must succeed."""
        done = self.run(script)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def lease(self, **given: str) -> None:
        """Run the script for DHCP as udhcpc does, with an answer in its environment."""
        command = [*self.interpreter, str(self.root / "etc/udhcpc.script"), "bound"]
        answer = {"PATH": self.path, "interface": "eth0", "ip": "10.1.0.11", **given}
        subprocess.run(command, env=answer, check=True)

    @property
    def path(self) -> str:
        """Return the search path: the fakes, then busybox's applets."""
        return f"{self.root}/fakes:{self.root}/applets"

    def fake(self, name: str, body: str = "") -> None:
        """Put a program before the real one; how it is called is written down."""
        file = self.root / "fakes" / name
        file.unlink(missing_ok=True)
        file.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.root}/calls\n{body}\n')
        file.chmod(0o755)

    def calls(self, name: str = "") -> list[str]:
        """Return how the fakes were called, in order; only those of one name where it is given."""
        file = self.root / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line for line in lines if line.startswith(name)]

    def nic(self, name: str, mac: str, *, link: bool = True, hardware: bool = True) -> None:
        """Add a network interface to sysfs."""
        folder = self.root / "sys/class/net" / name
        folder.mkdir(parents=True)
        (folder / "address").write_text(f"{mac}\n")
        (folder / "carrier").write_text(f"{int(link)}\n")
        if hardware:
            (folder / "device").mkdir()


def stage(root: Path, applets: Path, shell: str) -> Stage:
    """Return a scratch machine with nothing but memory."""
    for name in ("proc", "sys/class/net", "sys/devices", "run", "etc/bootmill", "newroot", "fakes"):
        (root / name).mkdir(parents=True)
    (root / "applets").symlink_to(applets)
    (root / "proc/uptime").write_text("1.25 0.00\n")
    (root / "proc/meminfo").write_text("MemTotal: 1024000 kB\nMemAvailable: 819200 kB\n")
    (root / "proc/mounts").write_text("rootfs / rootfs rw 0 0\n")
    (root / "proc/cmdline").write_text("\n")
    (root / "etc/bootmill/drivers").write_text("")
    program = shutil.which(SHELLS[shell][0]) or shell
    made = Stage(root=root, interpreter=(program, *SHELLS[shell][1:]))
    script = firststage.script("udhcpc").replace("/run/bootmill", str(root / "run"))
    (root / "etc/udhcpc.script").write_text(script.replace("#!/bin/busybox sh", f"#!{shutil.which('busybox')} sh"))
    (root / "etc/udhcpc.script").chmod(0o755)
    for name in DANGEROUS:
        made.fake(name)
    return made
