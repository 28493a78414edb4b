"""A node as a QEMU machine: the command line is a pure function, `Machine` the switch behind the node's BMC."""

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from tasks import files, paths, run
from tasks.errors import BootmillError
from tasks.inventory.model import Cluster, Firmware, Node
from tasks.lab import network, state
from tasks.lab.bmc import PowerVerb

# Kernel driver → QEMU device.  QEMU has no tg3, bnx2 or igb: a node with such a card names another one in `nic`.
DEVICES = {
    "8139cp": "rtl8139",
    "e100": "i82559c",
    "e1000": "e1000",
    "e1000e": "e1000e",
    "pcnet32": "pcnet",
    "virtio_net": "virtio-net-pci",
    "vmxnet3": "vmxnet3",
}
OVMF = Path("/usr/share/OVMF")
OVMF_CODE = OVMF / "OVMF_CODE_4M.fd"
OVMF_VARS = OVMF / "OVMF_VARS_4M.fd"
TUN = Path("/dev/net/tun")
KVM = Path("/dev/kvm")
KVM_CREATE_VM = 0xAE01  # linux/kvm.h
PROBE_SECONDS = 4.0


def check_machines(cluster: Cluster) -> None:
    """Raise a `BootmillError` that names every node that cannot be a virtual machine here."""
    mistakes = [
        f"{node.name}: no virtual machine has a {node.nic} network card"
        for node in cluster.nodes
        if node.mac and node.name != cluster.site.master and node.nic not in DEVICES
    ]
    if mistakes:
        raise BootmillError("\n    ".join(mistakes), hint=f"set 'nic' to one of {', '.join(sorted(DEVICES))}")
    if not os.access(TUN, os.R_OK | os.W_OK):
        message = f"{TUN} cannot be opened: virtual machines are plugged into the switch with it"
        raise BootmillError(message, hint=f"modprobe tun; chmod 666 {TUN} (as udev does), or run it as root")
    if any(node.firmware is Firmware.UEFI for node in cluster.nodes) and not OVMF_CODE.exists():
        message = f"{OVMF_CODE} is not there, and the inventory has nodes with UEFI firmware"
        raise BootmillError(message, hint="apt-get install ovmf")


def qemu_argv(node: Node, *, tap: str, accelerator: str, network_once: bool) -> list[str]:
    """Return the command line of a node's virtual machine.

    The boot order is that of a fresh machine, disk before network; without a disk it ends at the network.
    `network_once` puts the network first for the first boot only, as ``rsetboot net`` does.
    ``graphics=off`` sends what BIOS and boot programs print to the serial port, where the node's console is.
    """
    uefi = node.firmware is Firmware.UEFI
    # OVMF has its own PXE, and a driver for virtio only: other cards need their ROM, which is iPXE.
    rom = ",romfile=" if uefi and node.nic == "virtio_net" else ""
    console = f"socket,id=console,path={state.console_socket(node.name)},server=on,wait=off"
    return [
        *("qemu-system-x86_64", "-name", node.name, "-machine", f"{'q35' if uefi else 'pc'},graphics=off"),
        *("-accel", accelerator, "-cpu", "max", "-smp", "1", "-m", str(node.memory)),
        *("-no-user-config", "-nodefaults", "-display", "none"),
        *("-chardev", f"{console},logfile={state.console_log(node.name)},logappend=on", "-serial", "chardev:console"),
        *("-qmp", f"unix:{qmp_socket(node.name)},server=on,wait=off"),
        *("-device", "virtio-rng-pci"),
        *("-netdev", f"tap,id=eth0,ifname={tap},script=no,downscript=no"),
        *("-device", f"{DEVICES[node.nic]},netdev=eth0,mac={node.mac}{rom}{',bootindex=1' if uefi else ''}"),
        *(pflash(node.name) if uefi else ["-boot", "order=cn,once=n" if network_once else "order=cn"]),
    ]


def pflash(name: str) -> list[str]:
    """Return the drives of UEFI firmware: shared code and the machine's own variables."""
    return [
        *("-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={OVMF_CODE}"),
        *("-drive", f"if=pflash,format=raw,unit=1,file={nvram(name)}"),
    ]


def qmp_socket(name: str) -> Path:
    """Return the socket over which a machine is told to reset or to press its power button."""
    return paths.LAB / "machines" / f"{name}.qmp"


def nvram(name: str) -> Path:
    """Return the UEFI variables of a machine; they outlive power cycles, as a real machine's do."""
    return paths.LAB / "machines" / f"{name}.vars"


class Machine:
    """A virtual machine with a power switch.  The switch answers soon; the machine follows, as behind a real BMC."""

    def __init__(
        self, node: Node, *, tap: str, accelerator: Callable[[], Awaitable[str]], say: Callable[[str], None]
    ) -> None:
        """Make a machine that is off.  `network_first` is asked at each power-on; `say` gets a line an act."""
        self.node = node
        self.tap = tap
        self.accelerator = accelerator
        self.say = say
        self.network_first: Callable[[], bool] = lambda: False
        self.process: run.Process | None = None
        self.lock = asyncio.Lock()
        self.jobs: set[asyncio.Task[None]] = set()

    def is_on(self) -> bool:
        """Return whether the machine has power."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """Return the pid of the virtual machine, 0 while it is off."""
        return self.process.pid if self.process is not None and self.is_on() else 0

    async def power(self, verb: PowerVerb) -> None:
        """Do what the switch was told; verbs follow one another in the order in which they came."""
        task = asyncio.create_task(self.act(verb))
        self.jobs.add(task)
        task.add_done_callback(self.done)
        if verb in {PowerVerb.ON, PowerVerb.OFF}:  # quick, and read back by every client at once
            await asyncio.wait([task], timeout=1)

    def done(self, task: asyncio.Task[None]) -> None:
        """Say what went wrong in an act that nobody waits for."""
        self.jobs.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.say(f"{self.node.name}: {error}")

    async def act(self, verb: PowerVerb) -> None:
        """Change the machine's power, after what was asked before."""
        async with self.lock:
            on = self.is_on()
            self.say(f"{self.node.name}: power {verb}{'' if on else ' (is off)'}")
            if verb is PowerVerb.SOFTOFF and on:
                await qmp(qmp_socket(self.node.name), "system_powerdown")
                return
            if on and verb is not PowerVerb.ON:
                await self.stop()
            if on is (verb in {PowerVerb.CYCLE, PowerVerb.RESET}) and verb is not PowerVerb.OFF:
                await self.start()

    async def start(self) -> None:
        """Switch the machine on."""
        name = self.node.name
        if self.node.firmware is Firmware.UEFI and not nvram(name).exists():
            files.write_atomic(nvram(name), OVMF_VARS.read_bytes())
        once = self.network_first()
        argv = qemu_argv(self.node, tap=self.tap, accelerator=await self.accelerator(), network_once=once)
        with (paths.LAB / "machines" / f"{name}.log").open("ab") as output:
            self.process = run.start(argv, output=output)
        self.say(f"{name}: on, boots from {'the network (asked by its BMC)' if once else 'disk, then network'}")

    async def stop(self) -> None:
        """Switch the machine off; by force after two seconds."""
        end = time.monotonic() + 2
        if self.process is not None and self.is_on():
            self.process.terminate()
            while self.is_on():
                if time.monotonic() > end:
                    self.process.kill()
                await asyncio.sleep(0.02)


async def qmp(path: Path, command: str) -> None:
    """Give one command to a running QEMU (docs/interop/qmp-spec); greeting, then the negotiation it insists on."""
    reader, writer = await asyncio.wait_for(asyncio.open_unix_connection(str(path)), 3)
    try:
        await asyncio.wait_for(reader.readline(), 3)
        for word in ("qmp_capabilities", command):
            writer.write(json.dumps({"execute": word}).encode() + b"\n")
            await asyncio.wait_for(reader.readline(), 3)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def may_use_kvm() -> bool:
    """Return whether the kernel lets this user make a virtual machine."""
    try:
        kvm = os.open(KVM, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.close(fcntl.ioctl(kvm, KVM_CREATE_VM, 0))
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(kvm)


async def choose_accelerator() -> str:
    """Return ``kvm`` where it works, else ``tcg``.

    A /dev/kvm that opens is no proof: nested, KVM may stop with "emulation failure" in the first real-mode code.  So a
    machine without memory to speak of runs its BIOS and iPXE once, and has to come as far as iPXE's greeting.
    """
    if shutil.which("qemu-system-x86_64", path=run.PATH) is None or not may_use_kvm():
        return "tcg"
    log = paths.LAB / "machines" / "kvm.log"
    argv = [
        *("qemu-system-x86_64", "-machine", "pc,graphics=off", "-accel", "kvm", "-cpu", "max", "-m", "64"),
        *("-no-user-config", "-nodefaults", "-display", "none", "-serial", "stdio"),
        *("-netdev", "hubport,id=none,hubid=0", "-device", "e1000,netdev=none"),
    ]
    with log.open("wb") as output:
        process = run.start(argv, output=output)
    end = time.monotonic() + PROBE_SECONDS
    try:
        while time.monotonic() < end and process.poll() is None:
            said = log.read_bytes()
            if b"Open Source Network Boot Firmware" in said:
                return "kvm"
            if b"emulation failure" in said or b"KVM internal error" in said:
                return "tcg"
            await asyncio.sleep(0.05)
        return "tcg"
    finally:
        process.kill()
        process.wait()


def machines(
    cluster: Cluster, *, accelerator: Callable[[], Awaitable[str]], say: Callable[[str], None]
) -> dict[str, Machine]:
    """Return a machine for every node with a MAC apart from the head node, by name."""
    return {
        node.name: Machine(node, tap=network.tap_name(index), accelerator=accelerator, say=say)
        for index, node in enumerate(cluster.nodes)
        if node.mac and node.name != cluster.site.master
    }
