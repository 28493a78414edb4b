"""The rules of the kernel and its modules: E10-E13 and W11.  Each function is one rule."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tasks.initrd.kernel.carried import Carried, firmware_of, needs
from tasks.initrd.kernel.firmware import NEEDED, Lost, lost_in
from tasks.initrd.kernel.kconfig import INITRD, Answer, unpacks
from tasks.initrd.kernel.modindex import canonical, parse_dependencies, text
from tasks.initrd.loader import execve
from tasks.initrd.loader.sysroot import resolve
from tasks.initrd.proof import verdict
from tasks.initrd.proof.finding import End, Finding, Moment
from tasks.initrd.proof.subject import AT_ONCE, Subject

MOST = 6  # names in a sentence
# Drivers that come up without the firmware that they name, and what is lost then.
WITHOUT_FIRMWARE: Mapping[str, str] = {
    "tg3": "all cards but the 5701 A0 come up; old ones lose TSO (tg3_request_firmware)",
    "r8169": "the card runs with what is in it (rtl_request_firmware)",
    "e100": "the card runs without interrupt bundling (e100_request_firmware)",
}
NO_NIC = End(moment=Moment.NETWORK, message=verdict.stops("no network interface"))


def e10(subject: Subject) -> Iterator[Finding]:
    """E10: this kernel can unpack each segment (CONFIG_RD_*); without its configuration, its age tells."""
    seen: set[str] = set()
    for segment in subject.packed.segments:
        how = segment.compression
        answer = unpacks(how, subject.config, subject.kernel.version)
        if (answer.certain and answer.hopeful) or how in seen:
            continue
        seen.add(how)
        option = INITRD[how][0] if how in INITRD else "an unpacker"
        if answer is Answer.LIKELY:
            continue
        doubt = "" if answer.certain else ", judged by its age, for its configuration is not known"
        yield Finding(
            rule="E10",
            text=f"{subject.what}: a part of it is packed as {how}, and the kernel has no {option}=y{doubt}",
            cause=f"Initramfs unpacking failed: compression method {how} not configured",
            remedy=subject.mend(f"choose another `compression`: {subject.place('compression')}", "pack it as gzip"),
            soft=not answer.certain,
        )


def e10_unknown(subject: Subject) -> Iterator[Finding]:
    """E10: where no configuration is known, what is taken for granted by the kernel's age is said."""
    hows = sorted({each.compression for each in subject.packed.segments} - {"none"})
    by_age = [how for how in hows if unpacks(how, subject.config, subject.kernel.version) is Answer.LIKELY]
    if by_age:
        yield Finding(
            rule="E10",
            text=f"the kernel's configuration is not known; by its age it unpacks {', '.join(by_age)}",
            cause="a kernel built without that unpacker would find no first program",
            remedy="give the configuration: --config FILE (the distribution's /boot/config-VERSION)",
            soft=True,
        )


def e11(subject: Subject, known: Carried) -> Iterator[Finding]:
    """E11: the modules are this kernel's: the folder's name, the vermagic and the machine of each."""
    version = subject.kernel.version
    if not version or (subject.config and not subject.config.builtin("CONFIG_MODULES")):
        return
    if known.versions and version not in known.versions:
        yield Finding(
            rule="E11",
            text=f"{subject.what}: its modules are for {', '.join(known.versions[:MOST])}, the kernel is {version}",
            cause=f"modules are looked for in /lib/modules/{version}, and those of another kernel are refused",
            remedy=subject.mend(
                f"choose the kernel: {subject.place('kernel')}", "take the kernel and the initrd of one version"
            ),
            end=End(moment=Moment.START, message=verdict.stops("no module of the initrd fits the kernel")),
        )
    wrong = [f"{name} ({why})" for name in sorted(known.infos) if (why := misfit(subject, known, name))]
    if wrong:
        more = f" and {len(wrong) - MOST} more" if len(wrong) > MOST else ""
        yield Finding(
            rule="E11",
            text=f"{subject.what}: modules that the kernel refuses: {', '.join(wrong[:MOST])}{more}",
            cause=f"Exec format error: the version magic is not that of {version}",
            remedy=subject.mend("build it again: doit clean rootimg initrd, doit", "take modules of this very kernel"),
            end=End(moment=Moment.START, message=verdict.stops("modules are refused")) if len(wrong) > MOST else None,
            soft=not subject.ours and len(wrong) <= MOST,
        )


def misfit(subject: Subject, known: Carried, name: str) -> str:
    """Return why the kernel refuses a module, "" where it does not (kernel/module/version.c: same_magic())."""
    info = known.infos[name]
    native = execve.NATIVE.get(subject.kernel.arch)
    if native and info.machine and info.machine != native[0]:
        return f"for {execve.MACHINES.get(info.machine, f'machine {info.machine}')}"
    built_for = info.vermagic.partition(" ")[0]
    if not built_for or built_for == subject.kernel.version:
        return ""
    checked = subject.config is None or subject.config.builtin("CONFIG_MODVERSIONS")
    return "" if info.versioned and checked else f"for {built_for}"


def e12(subject: Subject, known: Carried, driver: str | None) -> Iterator[Finding]:
    """E12: the NIC's driver is there, with its dependencies, soft ones and its bus; or built into the kernel."""
    if driver is None:
        return
    found = needs(known, driver, expected(subject))
    name = canonical(driver)
    if not found.lost and subject.ours and name in known.paths and not loaded(subject, name):
        yield Finding(
            rule="E12",
            text=f"{subject.what}: nothing leads to {name}: it is neither in /{AT_ONCE} nor in modules.dep and .alias",
            cause="init loads what its list names and what modprobe finds for the hardware",
            remedy="build it again: doit clean initrd, doit",
            end=NO_NIC,
        )
    for lost, asker in found.lost[:MOST]:
        doubt = " (and nobody tells what is built into the kernel)" if not known.told else ""
        by = f", which {asker} needs," if asker else ", the driver of the NIC that boots,"
        yield Finding(
            rule="E12",
            text=f"{subject.what}: {lost}{by} is not in the initrd{doubt}{damaged(known, lost)}",
            cause=f"a node with this NIC ends without a network interface: {name} does not load",
            remedy=subject.mend(f"add {name} to {subject.place('drivers')}", f"add the module {lost} to it"),
            end=NO_NIC,
            soft=not known.told and not subject.ours,
        )
    for lost, asker in found.soft[:MOST]:
        if lost in subject.source_modules:
            yield Finding(
                rule="E12",
                text=f"{subject.what}: {lost}, which {asker} asks for (softdep), is not in the initrd",
                cause=f"{asker} loads, and may not come up",
                remedy=f"add {lost} to {subject.place('drivers')}",
            )


def expected(subject: Subject) -> frozenset[str]:
    """Return the modules that the initrd was made with, or could have been."""
    return frozenset(map(canonical, subject.at_once)) | subject.source_modules


def loaded(subject: Subject, name: str) -> bool:
    """Whether our init loads a module that is there: by its list, or by modprobe for the hardware that asks for it."""
    if name in {canonical(path) for path in subject.at_once}:
        return True
    base = f"/lib/modules/{subject.kernel.version}"
    aliased = any(line.rpartition(" ")[2] == name for line in text(subject.tree, f"{base}/modules.alias").splitlines())
    return aliased and found_by_modprobe(subject, name)


def found_by_modprobe(subject: Subject, name: str) -> bool:
    """Whether modules.dep of the initrd lists a module."""
    table = text(subject.tree, f"/lib/modules/{subject.kernel.version}/modules.dep")
    return name in {canonical(path) for path in parse_dependencies(table)}


def damaged(known: Carried, name: str) -> str:
    """Return what is known of a module's file that is no module."""
    return next((f": /{path} is damaged ({why})" for path, why in known.broken if canonical(path) == name), "")


def e12_at_once(subject: Subject) -> Iterator[Finding]:
    """E12: what our init loads at once is there."""
    if subject.ours and resolve(subject.tree, f"/{AT_ONCE}").path is None:
        yield Finding(
            rule="E12",
            text=f"{subject.what}: there is no /{AT_ONCE}",
            cause="init loads no driver by its name; modprobe still loads those that the hardware asks for",
            remedy="build it again: doit clean initrd, doit",
        )
    lost = [path for path in subject.at_once if resolve(subject.tree, path).path is None]
    if lost:
        yield Finding(
            rule="E12",
            text=f"{subject.what}: init would load {', '.join(lost[:MOST])}, which is not in the initrd",
            cause="nodes that need it have no network interface",
            remedy="build it again: doit clean initrd, doit",
        )
    damaged_ones = frozenset(path for path, _ in subject.carried.broken)
    broken = [path for path in subject.at_once if path in damaged_ones]
    if broken:
        yield Finding(
            rule="E12",
            text=f"{subject.what}: {', '.join(broken[:MOST])} in the initrd is no kernel module",
            cause="nodes that need it have no network interface",
            remedy="build it again: doit clean rootimg initrd, doit",
        )


def e13(subject: Subject, known: Carried, driver: str | None) -> Iterator[Finding]:
    """E13: the firmware that the NIC's driver names is there, packed in a way that the kernel can load."""
    if driver is None:
        return
    wishes = firmware_of(known, needs(known, driver).order)
    gone = lost_in(subject.tree, subject.kernel.version, wishes, subject.config)
    for module in sorted({each.driver for each in gone}):
        packed = [each for each in gone if each.driver == module and each.why]
        absent = [each for each in gone if each.driver == module and not each.why]
        if packed:
            yield packed_firmware(subject, packed)
        if absent:
            yield lost_firmware(subject, absent)


def packed_firmware(subject: Subject, lost: Sequence[Lost]) -> Finding:
    """Return the finding for a driver's firmware that is there, but packed."""
    driver, needed = lost[0].driver, lost[0].needed
    return Finding(
        rule="E13",
        text=f"{subject.what}: {some(map(either, lost))}, firmware of {driver}: {lost[0].why}",
        cause="Direct firmware load failed with error -2: CONFIG_FW_LOADER_COMPRESS_* is not set",
        remedy=subject.mend("add the firmware package of the distribution's own kernel", "unpack it"),
        end=NO_NIC if needed else None,
        soft=not needed or subject.config is None,
    )


def lost_firmware(subject: Subject, lost: Sequence[Lost]) -> Finding:
    """Return the finding for a driver's firmware that is not there."""
    driver, needed = lost[0].driver, lost[0].needed
    without = WITHOUT_FIRMWARE.get(driver, "its cards may come up all the same: drivers do not say")
    gives_up = f"{driver} asks for it when it finds its card, and gives up ({NEEDED.get(driver)})"
    package = f"add its package (firmware-…, in Debian's non-free-firmware) to {subject.place('packages')}"
    return Finding(
        rule="E13",
        text=f"{subject.what}: the firmware of {driver} is not in the initrd: {some(map(either, lost))}",
        cause=gives_up if needed else f"without it {without}",
        remedy=subject.mend(
            f"{package}, or say `waive: [E13]` there if the cards of these nodes do without", "add the firmware to it"
        ),
        end=NO_NIC if needed else None,
        soft=not needed,
    )


def either(lost: Lost) -> str:
    """Return a file's name, with those that would do in its place."""
    return " or ".join(lost.names)


def some(names: Iterable[str]) -> str:
    """Return names for a sentence, not too many."""
    listed = [*names]
    return ", ".join(listed[:MOST]) + (f" and {len(listed) - MOST} more" if len(listed) > MOST else "")


def w11(subject: Subject, known: Carried) -> Iterator[Finding]:
    """W11: modules.dep knows each module and is not older than one: modprobe finds what it lists, nothing else."""
    base = resolve(subject.tree, f"/lib/modules/{subject.kernel.version}").path
    if not known.paths or base is None:
        return
    table = text(subject.tree, f"/{base}/modules.dep")
    if not table:
        unlisted = sorted(known.paths)
        why = "there is no modules.dep"
    else:
        names = {canonical(path) for path in parse_dependencies(table)}
        unlisted = [name for name in sorted(known.paths) if name not in names]
        why = f"modules.dep does not know {some(unlisted)}"
    if unlisted:
        yield Finding(
            rule="W11",
            text=f"{subject.what}: {why}",
            cause="modprobe finds only what modules.dep lists; insmod by path still works",
            remedy=subject.mend("build it again: doit clean initrd, doit", "run depmod -b on its tree, and pack it"),
        )
