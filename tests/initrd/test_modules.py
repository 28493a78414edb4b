"""Drivers are found by name, alias or class, with all that they depend on, or refused with near matches."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from tasks.errors import BootmillError, UntrustedInputError
from tasks.initrd.kernel import modindex, modules
from tasks.initrd.kernel.modules import KernelModules, kernel_modules
from tasks.initrd.loader.sysroot import DiskTree, resolve
from tests.initrd import kernels
from tests.initrd.kernels import VERSION

NET = "drivers/net/ethernet"
MODULES = {
    f"{NET}/broadcom/tg3.ko": (
        *("depends=libphy,ptp", "softdep=pre: crc post: after-it", "firmware=tigon/tg3.bin"),
        *("alias=pci:v000014E4d00001600sv*sd*bc*sc*i*", "alias=pci:v000014E4d0000164[0-3]sv*sd*bc*sc*i*"),
    ),
    f"{NET}/broadcom/bnx2.ko": ("alias=pci:v000014E4d0000164Csv*sd*bc*sc*i*",),
    "drivers/net/phy/libphy.ko": (),
    "drivers/net/phy/realtek.ko": ("depends=libphy", "alias=mdio:0000000000011100*"),
    "drivers/ptp/ptp.ko": ("depends=pps_core",),
    "drivers/pps/pps_core.ko": (),
    "drivers/net/virtio_net.ko.xz": ("depends=net_failover", "alias=virtio:d00000001v*"),
    "drivers/net/net_failover.ko.gz": (),
    "drivers/net/dummy.ko": ("alias=rtnl-link-dummy",),
    "drivers/net/usb/r8152.ko": ("alias=usb:v0BDAp8152d*dc*dsc*dp*ic*isc*ip*in*",),
    "drivers/net/wireless/wifi.ko": ("alias=pci:v00008086d*sv*sd*bc*sc*i*",),
    "drivers/virtio/virtio_pci.ko.zst": ("alias=pci:v00001AF4d*sv*sd*bc*sc*i*",),
    "drivers/ata/ahci.ko": ("alias=pci:v*d*sv*sd*bc01sc06i01*",),
    "drivers/scsi/sd_mod.ko": ("alias=scsi:t-0x00*",),
    "drivers/scsi/scsi_debug.ko": (),
    "fs/soft.ko": ("softdep=crc",),
    "lib/crc-one.ko": ("alias=crc", "alias=crypto-crc"),
    "lib/crc_two.ko": ("alias=crc",),
    "lib/after_it.ko": (),
    "lib/weak.ko": ("weakdep=zlast",),
    "lib/zlast.ko": (),
}
BUILTIN = "kernel/drivers/net/loopback.ko\nkernel/lib/crc.ko\n"
BUILTIN_INFO = "loopback.license=GPL\0crc.alias=crypto-other\0edge_nic.firmware=edge.bin\0"


def depmod(tree: DiskTree) -> None:
    """Write what depmod would make of the modules."""
    index = modindex.read_index(tree, VERSION)
    assert not index.from_tables
    place = f"/usr/lib/modules/{VERSION}/"

    def needs(name: str) -> list[str]:
        direct = index.depends[name]
        return list(dict.fromkeys([*direct, *(other for each in direct for other in needs(each))]))

    paths = {name: path.removeprefix(place) for name, path in index.paths.items()}
    lines = [f"{paths[name]}: {' '.join(paths[other] for other in needs(name))}\n" for name in paths]
    texts = {
        each: [key.partition("=")[2] for key in keys if key.startswith("softdep=")] for each, keys in MODULES.items()
    }
    soft = [f"softdep {modindex.canonical(each)} {text}\n" for each, values in texts.items() for text in values]
    alias = [f"alias {text} {name}\n" for name, values in index.aliases.items() for text in values]
    kernels.write_tables(
        tree,
        dep="".join(lines),
        softdep="# comment\n" + "".join(soft),
        alias="".join(alias),
        weakdep="weakdep weak zlast\n",
    )


@pytest.fixture(params=["modules.dep", "modinfo"])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> DiskTree:
    """Return a tree with one kernel and a few modules, packed in several ways, with depmod's tables and without."""
    made = kernels.write_kernel(tmp_path, MODULES)
    kernels_own = {"builtin": BUILTIN, "builtin_modinfo": BUILTIN_INFO}
    for name, text in kernels_own.items():
        (tmp_path / "lib/modules" / VERSION / f"modules.{name.replace('_', '.')}").write_text(text)
    if request.param == "modules.dep":
        depmod(made)
    return DiskTree(tmp_path)


def known(tree: DiskTree) -> KernelModules:
    """Return the modules of the one kernel."""
    return kernel_modules(tree, VERSION)


def order(tree: DiskTree, *drivers: str) -> list[str]:
    """Return the loading order by name."""
    return [module.name for module in known(tree).closure(drivers)]


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("tg3", ("tg3",)),
        ("virtio-net", ("virtio_net",)),
        ("virtio_net", ("virtio_net",)),
        ("crc-one", ("crc_one",)),
        ("pci:v000014E4d00001600sv00001028sd000001B2bc02sc00i00", ("tg3",)),
        ("pci:v000014E4d00001642sv00001028sd000001B2bc02sc00i00", ("tg3",)),
        ("pci:v000014E4d00001644sv00001028sd000001B2bc02sc00i00", ()),
        ("pci:v000014E4d*", ("bnx2", "tg3")),
        ("pci:v000014E4d0000164C*", ("bnx2",)),
        ("crypto_crc", ("crc_one",)),
        ("crypto-other", ("crc",)),
        ("crc", ("crc_one", "crc_two")),  # built in under that name, but modprobe looks at aliases first
        ("loopback", ("loopback",)),
        ("edge-nic", ("edge_nic",)),
        ("nics", ("bnx2", "realtek", "tg3", "virtio_net")),
        ("disks", ("ahci", "sd_mod")),
        ("tg", ()),
        ("../tg3", ()),
        ("", ()),
    ],
)
def test_a_word_means_modules(word: str, names: tuple[str, ...], tree: DiskTree) -> None:
    """A name, an alias as a bus makes it, a pattern over aliases, a class: as modprobe finds them."""
    assert known(tree).find(word) == names


@pytest.mark.parametrize(
    ("drivers", "names"),
    [
        (("tg3",), ["crc_one", "crc_two", "libphy", "pps_core", "ptp", "tg3", "after_it"]),
        (("virtio-net",), ["net_failover", "virtio_pci", "virtio_net"]),
        (("soft",), ["crc_one", "crc_two", "soft"]),
        (("loopback",), []),
        (("zlast", "bnx2", "libphy"), ["zlast", "bnx2", "libphy"]),
        (("weak",), ["weak"]),
        (("weak", "zlast"), ["zlast", "weak"]),
        (("pci:v000014E4d0000164C*", "bnx2"), ["bnx2"]),
    ],
    ids=["all kinds", "its bus", "no pre:", "built in", "as asked for", "weak, alone", "weak, with it", "twice"],
)
def test_dependencies_come_first(drivers: tuple[str, ...], names: list[str], tree: DiskTree) -> None:
    """Each module once, after what it needs, the rest as asked for; the same from tables and from modules."""
    assert order(tree, *drivers) == names


def test_both_ways_to_the_index_agree(tmp_path: Path) -> None:
    """depmod's tables and the modules themselves say the same of everything."""
    tree = kernels.write_kernel(tmp_path, MODULES)
    told = modindex.read_index(tree, VERSION)
    depmod(tree)
    written = modindex.read_index(tree, VERSION)
    assert (told.from_tables, written.from_tables) == (False, True)
    assert {name: resolve(tree, path).path for name, path in told.paths.items()} == {
        name: resolve(tree, path).path for name, path in written.paths.items()
    }
    assert (told.before, told.after, told.weak) == (written.before, written.after, written.weak)
    assert told.aliases == written.aliases
    everything = sorted(told.paths)
    ways = [KernelModules(tree, VERSION, index).closure(everything) for index in (told, written)]
    assert [module.name for module in ways[0]] == [module.name for module in ways[1]]


def test_packed_modules_are_unpacked(tree: DiskTree) -> None:
    """The initrd gets plain .ko files, for busybox's insmod knows no others."""
    found = known(tree).closure(["virtio_net"])
    assert [module.path.rpartition(".")[2] for module in found] == ["ko"] * 3
    assert [module.source.rpartition(".")[2] for module in found] == ["gz", "zst", "xz"]
    assert all(module.content.startswith(b"\x7fELF") for module in found)
    assert found[-1].path == f"usr/lib/modules/{VERSION}/kernel/drivers/net/virtio_net.ko"


def test_each_module_carries_its_reason(tree: DiskTree) -> None:
    """Why a module is in can be told."""
    reasons = {module.name: module.why for module in known(tree).closure(["tg3"])}
    assert reasons["tg3"] == "asked for"
    assert reasons["libphy"] == "needed by tg3"
    assert reasons["after_it"] == "follows tg3"


def test_firmware_is_read_from_the_module(tree: DiskTree) -> None:
    """What a driver may ask for is known without loading it."""
    assert {module.name: module.firmware for module in known(tree).closure(["tg3"])}["tg3"] == ("tigon/tg3.bin",)


def test_unknown_drivers_are_named_all_at_once_with_near_matches(tree: DiskTree) -> None:
    """A typing error is an error with a proposal; the seed's tool left the driver out in silence."""
    with pytest.raises(BootmillError) as caught:
        order(tree, "tg33", "nosuch", "pci:v0000DEADd*", "tg3")
    assert str(caught.value).splitlines()[:3] == [
        f"kernel {VERSION} has no driver 'tg33': did you mean tg3?",
        f"kernel {VERSION} has no driver 'nosuch'",
        f"kernel {VERSION} has no driver 'pci:v0000DEADd*'",
    ]


@pytest.mark.parametrize("name", ["tg3", "TG3", "loopback", "edge-nic", "virtio-net"])
def test_a_kernel_contains_names(name: str, tree: DiskTree) -> None:
    """Whether a kernel has a module, built in or not, can be asked before it is wanted."""
    assert (name in known(tree)) is (name != "TG3")
    assert known(tree).is_builtin(name) is (name in {"loopback", "edge-nic"})


# -- damage and malice -----------------------------------------------------------------------------------------------


def made(root: Path, given: dict[str, Iterable[str]], dep: str | None = None, **tables: str) -> DiskTree:
    """Return a tree with some modules and, where `dep` is given, tables."""
    tree = kernels.write_kernel(root, given)
    if dep is not None:
        kernels.write_tables(tree, dep=dep, **tables)
    return tree


def test_missing_and_damaged_files_are_told_together(tmp_path: Path) -> None:
    """What cannot be loaded stops the build, all of it at once."""
    dep = "kernel/a.ko: kernel/gone.ko\nkernel/gone.ko:\nkernel/bad.ko:\nkernel/b.ko: kernel/unheard-of.ko\n"
    tree = made(tmp_path, {"a.ko": (), "b.ko": ()}, dep)
    (tmp_path / "lib/modules" / VERSION / "kernel/bad.ko").write_bytes(b"not at all")
    with pytest.raises(BootmillError) as caught:
        order(tree, "a", "bad", "b")
    text = str(caught.value)
    assert "module b needs unheard_of, which is not there" in text
    assert "/kernel/gone.ko is listed, but is not there" in text
    assert "/kernel/bad.ko: no ELF file" in text


def test_a_damaged_module_is_not_in_an_index_made_of_modules(tmp_path: Path) -> None:
    """It is remembered with its reason, and the others stay usable."""
    tree = made(tmp_path, {"a.ko": (), "b.ko": ()})
    (tmp_path / "lib/modules" / VERSION / "kernel/b.ko").write_bytes(b"\x7fELF")
    (tmp_path / "lib/modules" / VERSION / "kernel/c.ko").symlink_to("/etc/hostname")
    index = modindex.read_index(tree, VERSION)
    assert sorted(index.paths) == ["a"]
    assert [text.rpartition("/")[2] for text in index.broken] == ["b.ko: no ELF file", "c.ko: leads to no file"]


def test_paths_in_tables_do_not_leave_the_tree(tmp_path: Path) -> None:
    """modules.dep may name any path: it is one of the tree, never of this machine."""
    outside = tmp_path / "outside.ko"
    outside.write_bytes(kernels.module())
    dep = f"../../../../../../..{outside}:\n/usr/lib/modules/{VERSION}/kernel/old.ko:\n"
    tree = made(tmp_path / "root", {"old.ko": ()}, dep)
    with pytest.raises(BootmillError, match=r"outside.ko is listed, but is not there"):
        order(tree, "outside")
    assert order(tree, "old") == ["old"]  # tools before 2008 wrote absolute paths


@pytest.mark.parametrize(
    ("dep", "soft", "names"),
    [
        ("kernel/a.ko: kernel/b.ko\nkernel/b.ko: kernel/a.ko\n", "", ["a", "b"]),
        ("kernel/a.ko: kernel/a.ko\n", "", ["a"]),
        ("kernel/a.ko: kernel/b.ko\nkernel/b.ko:\n", "softdep b pre: a\n", ["b", "a"]),
        ("kernel/a.ko:\nkernel/b.ko:\n", "softdep a pre: b\nsoftdep b pre: a\n", ["a", "b"]),
        ("kernel/a.ko:\nkernel/b.ko:\n", "softdep a pre: b post: b\n", ["a", "b"]),
    ],
    ids=["hard", "itself", "soft against hard", "soft", "before and after"],
)
def test_cycles_end(dep: str, soft: str, names: list[str], tmp_path: Path) -> None:
    """Dependencies in a circle are loaded once each; where a soft one closes the circle, it gives way."""
    assert order(made(tmp_path, {"a.ko": (), "b.ko": ()}, dep, softdep=soft), "a") == names


def test_long_chains_need_no_stack(tmp_path: Path) -> None:
    """A chain of thousands of modules is walked step by step."""
    count = 5000
    dep = "".join(f"kernel/m{number}.ko: kernel/m{number + 1}.ko\n" for number in range(count))
    tree = made(tmp_path, {f"m{count}.ko": ()}, dep)
    with pytest.raises(BootmillError, match=r"m4999\.ko is listed, but is not there(?s:.*)… and 4951 more"):
        order(tree, "m0")


def test_endless_tables_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that is far larger than any kernel's is refused."""
    monkeypatch.setattr(modindex, "LARGEST_TABLE", 100)
    tree = made(tmp_path, {"a.ko": ()}, "x" * 101)
    with pytest.raises(UntrustedInputError, match=r"modules\.dep has more than"):
        order(tree, "a")


def test_countless_modules_are_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with more modules than any kernel has is refused."""
    monkeypatch.setattr(modindex, "MOST_FILES", 3)
    tree = made(tmp_path, {f"m{number}.ko": () for number in range(4)})
    with pytest.raises(UntrustedInputError, match="holds more than 3 modules"):
        order(tree, "m0")
    kernels.write_tables(tree, dep="".join(f"m{number}.ko:\n" for number in range(4)))
    with pytest.raises(UntrustedInputError, match="lists more than 3 modules"):
        order(tree, "m0")


def test_wild_aliases_cost_a_bounded_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Aliases made to keep a matcher busy are given up with a sentence."""
    monkeypatch.setattr("tasks.initrd.kernel.aliases.MOST_STEPS", 1000)
    evil = "".join(f"alias *{'a*' * 20}b{number} m\n" for number in range(100))
    tree = made(tmp_path, {"m.ko": ()}, "kernel/m.ko:\n", alias=evil)
    with pytest.raises(UntrustedInputError, match="too many and too wild"):
        order(tree, "a" * 200)


def test_a_version_is_no_path(tmp_path: Path) -> None:
    """What names the kernel names one folder."""
    tree = made(tmp_path, {"a.ko": ()})
    for version in ("..", "", ".", f"../modules/{VERSION}", "6.2"):
        with pytest.raises(BootmillError, match="the tree has no /lib/modules"):
            kernel_modules(tree, version)


# -- versions --------------------------------------------------------------------------------------------------------


def test_what_lies_in_updates_replaces_the_kernels_own(tmp_path: Path) -> None:
    """As depmod has it (depmod.d(5)): a driver of the vendor goes before the one in the kernel."""
    tree = made(tmp_path, {"drivers/a.ko": (), "../updates/a.ko": ()})
    assert known(tree).closure(["a"])[0].path.endswith("/updates/a.ko")


def test_a_module_of_another_kernel_is_refused(tmp_path: Path) -> None:
    """The kernel would refuse it at boot; both versions are named."""
    tree = made(tmp_path, {"a.ko": (), "b.ko": ()})
    for name in ("a", "b"):
        path = tmp_path / "lib/modules" / VERSION / f"kernel/{name}.ko"
        path.write_bytes(kernels.module(vermagic="5.10.0-9-amd64 SMP mod_unload"))
    with pytest.raises(BootmillError) as caught:
        order(tree, "a", "b")
    assert str(caught.value).splitlines()[:2] == [
        f"module {name} was built for kernel 5.10.0-9-amd64, not for {VERSION}"
        " (vermagic: 5.10.0-9-amd64 SMP mod_unload)"
        for name in ("a", "b")
    ]


def test_modules_in_weak_updates_may_be_of_another_build(tmp_path: Path) -> None:
    """Enterprise distributions link drivers of older builds there: their symbols' checksums decide, in the kernel."""
    tree = made(tmp_path, {"a.ko": ()})
    base = tmp_path / "lib/modules"
    (base / "6.1.0-0/extra").mkdir(parents=True)
    (base / "6.1.0-0/extra/vendor.ko").write_bytes(
        kernels.module(vermagic="6.1.0-0 SMP preempt mod_unload modversions")
    )
    (base / VERSION / "weak-updates").mkdir()
    (base / VERSION / "weak-updates/vendor.ko").symlink_to("../../6.1.0-0/extra/vendor.ko")
    module = known(tree).closure(["vendor"])[0]
    assert module.path == f"usr/lib/modules/{VERSION}/weak-updates/vendor.ko"
    assert module.source == "usr/lib/modules/6.1.0-0/extra/vendor.ko"


def test_the_kernels_configuration_decides_about_the_other_words(tmp_path: Path) -> None:
    """A module without SMP does not fit an SMP kernel, even of the same version."""
    tree = made(tmp_path, {"a.ko": ()})
    (tmp_path / f"boot/config-{VERSION}").write_text("CONFIG_SMP=y\nCONFIG_MODULE_UNLOAD=y\nCONFIG_MODVERSIONS=y\n")
    with pytest.raises(BootmillError, match=r"another configuration: preempt "):
        order(tree, "a")
    with (tmp_path / f"boot/config-{VERSION}").open("a") as file:
        file.write("CONFIG_PREEMPT_BUILD=y\n")
    assert order(tree, "a") == ["a"]


def test_an_unpacked_package_has_no_link_from_lib(tmp_path: Path) -> None:
    """A kernel package by itself, of a system with merged /usr, holds /usr/lib/modules only."""
    tree = made(tmp_path, {"a.ko": ()})
    (tmp_path / "lib").unlink()
    assert order(tree, "a") == ["a"]


def test_tables_older_than_the_modules_are_refused(tmp_path: Path) -> None:
    """A module that modules.dep does not know, and a need that it does not list: the initrd would lack it."""
    tree = made(tmp_path, {"a.ko": ("depends=b",), "b.ko": (), "new.ko": ()}, "kernel/a.ko:\nkernel/b.ko:\n")
    with pytest.raises(BootmillError, match=r"modules\.dep does not say that a needs b"):
        order(tree, "a")
    with pytest.raises(BootmillError, match=r"driver 'new' is there, but modules\.dep does not know it: run depmod"):
        order(tree, "new")
    (tmp_path / "lib/modules" / VERSION / "modules.dep").unlink()
    assert order(tree, "a", "new") == ["b", "a", "new"]


def test_the_kernel_is_the_only_one_or_the_chosen_one(tmp_path: Path) -> None:
    """One kernel needs no choice, two do, and a wrong choice is told with what there is."""
    tree = made(tmp_path, {"a.ko": ()})
    assert modules.kernel_version(tree, None) == VERSION
    (tmp_path / "boot/vmlinuz-6.1.0-2-amd64").write_text("")
    with pytest.raises(BootmillError, match=r"2 kernels: 6\.1\.0-1-amd64, 6\.1\.0-2-amd64"):
        modules.kernel_version(tree, None)
    assert modules.kernel_version(tree, VERSION) == VERSION
    with pytest.raises(BootmillError, match=r"kernel 5\.10 is not in the tree"):
        modules.kernel_version(tree, "5.10")


def test_kernels_are_found_where_distributions_put_them(tmp_path: Path) -> None:
    """vmlinux of ppc64el, and Fedora's place beside the modules; links and folders are no second kernels."""
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/vmlinux-6.1-ppc").write_text("")
    (tmp_path / "boot/vmlinuz").write_text("")
    (tmp_path / "boot/vmlinuz-folder").mkdir()
    (tmp_path / "boot/vmlinuz-0-rescue-4c1b").write_text("")
    (tmp_path / "lib/modules/6.8.fc40").mkdir(parents=True)
    (tmp_path / "lib/modules/6.8.fc40/vmlinuz").write_text("")
    found = modules.kernels(DiskTree(tmp_path))
    assert found == {"6.1-ppc": "boot/vmlinux-6.1-ppc", "6.8.fc40": "lib/modules/6.8.fc40/vmlinuz"}


def test_no_kernel_at_all(tmp_path: Path) -> None:
    """A tree without a kernel says which package brings one."""
    (tmp_path / "boot").mkdir()
    with pytest.raises(BootmillError, match=r"(?s)no kernel.*linux-image"):
        modules.kernel_version(DiskTree(tmp_path), None)
