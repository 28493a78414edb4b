"""Initrds that we did not make, and ones that somebody broke: the proof and a real boot agree on every one of them."""

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tasks import compression, cpio, paths
from tasks.inventory.model import Cluster, OsImage
from tasks.lab import direct, sweep
from tasks.lab.direct import Bare
from tasks.media.apt import Apt
from tests.boot import foreign, judging
from tests.boot.foreign import Pair

pytestmark = [
    pytest.mark.boot,
    pytest.mark.skipif(
        shutil.which("qemu-system-x86_64") is None,
        reason="qemu-system-x86_64 is not installed (apt-get install qemu-system-x86)",
    ),
]
MEMORY = 1024  # MiB
SHARE_OF_DRACUT = 0.6  # our initrd is at most this part of dracut's for any machine, with network
FIRST_STAGE = r"bootmill\[[\d. ]+\] first stage of"
OUR_WORDS = f"imgurl=http://{direct.HOST}/rootimg.cpio.gz imgsha256={64 * '0'}"  # what our init insists on
# Each tool's first sign of life, and the function that makes its initrd.
OTHERS: dict[str, tuple[Callable[[Apt, Path], Pair], str]] = {
    "initramfs-tools": (foreign.initramfs_tools, r"Loading, please wait\.\.\.|^Begin: "),
    "dracut": (foreign.dracut, r"systemd\[1\]: |dracut: dracut-"),
    "debian-installer": (foreign.installer, r"Starting system log daemon"),
}
BROKEN = (
    foreign.without_loader,
    foreign.without_library,
    foreign.without_hash,
    foreign.with_dos_ends,
    foreign.not_executable,
)


@dataclass(frozen=True, kw_only=True)
class Kitchen:
    """Makes each tool's initrd once."""

    apt: Apt
    folder: Path
    made: dict[str, Pair]

    def pair(self, name: str) -> Pair:
        """Return a tool's kernel and initrd."""
        if name not in self.made:
            self.made[name] = OTHERS[name][0](self.apt, self.folder / name)
        return self.made[name]


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory, package_cache: Path) -> Iterator[Kitchen]:
    """Return what makes the others' initrds; their trees are large and go when the tests of this file are over."""
    folder = tmp_path_factory.mktemp("foreign")
    yield Kitchen(apt=foreign.archive(package_cache, "amd64"), folder=folder, made={})
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def image(cluster: Cluster) -> OsImage:
    """Return the sample inventory's stateless osimage."""
    return next(each for each in cluster.osimages if each.method == "netboot")


@pytest.fixture(scope="module")
def ours(built: Path, image: OsImage) -> Pair:
    """Return the sample's kernel and initrd."""
    return Pair(kernel=built / paths.kernel(image), initrd=built / paths.initrd(image))


def compare(pair: Pair, alive: str, *, append: str = "") -> sweep.Row:
    """Judge a pair and boot it until its first sign of life; the row says whether both agree."""
    machine = Bare(kernel=pair.kernel, initrd=pair.initrd, memory=MEMORY, append=append)
    boot = direct.boot(machine, until=re.compile(alive))
    return sweep.row(pair.initrd.name, judging.judge(machine), boot)


@pytest.mark.parametrize("name", OTHERS)
def test_no_false_alarm(kitchen: Kitchen, name: str) -> None:
    """What boots is not refused: initramfs-tools', dracut's and debian-installer's initrds."""
    row = compare(kitchen.pair(name), OTHERS[name][1])
    assert row.outcome is sweep.Outcome.BOOTS, str(row)
    assert row.agrees, str(row)


def test_microcode_in_front(ours: Pair, tmp_path: Path) -> None:
    """An early segment without compression changes nothing."""
    initrd = tmp_path / "initrd.img"
    initrd.write_bytes(foreign.with_microcode(ours.initrd.read_bytes()))
    row = compare(Pair(kernel=ours.kernel, initrd=initrd), FIRST_STAGE, append=OUR_WORDS)
    assert row.outcome is sweep.Outcome.BOOTS, str(row)
    assert row.agrees, str(row)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda function: function.__name__)
def test_panic_is_foretold(
    ours: Pair, tmp_path: Path, broken: Callable[[Sequence[cpio.Entry]], list[cpio.Entry]]
) -> None:
    """What does not boot is refused, in the kernel's own words."""
    entries = list(cpio.read(compression.decompress(ours.initrd.read_bytes())))
    changed = broken(entries)
    assert changed != entries
    initrd = tmp_path / "initrd.img"
    initrd.write_bytes(b"".join(compression.compress(cpio.write(changed))))
    row = compare(Pair(kernel=ours.kernel, initrd=initrd), FIRST_STAGE, append=OUR_WORDS)
    assert row.outcome is sweep.Outcome.PANICS, str(row)
    assert row.agrees, str(row)


def test_smaller_than_dracut(kitchen: Kitchen, ours: Pair) -> None:
    """Our initrd is at most 60 % of dracut's for any machine with network, for the same kernel."""
    dracut = kitchen.pair("dracut")
    assert dracut.kernel.read_bytes() == ours.kernel.read_bytes()
    share = ours.initrd.stat().st_size / dracut.initrd.stat().st_size
    assert share <= SHARE_OF_DRACUT, f"{share:.0%}"
