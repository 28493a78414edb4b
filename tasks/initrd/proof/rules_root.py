"""The rules of the root image: E14, E17 (its folders, its init, its fstab), E18, W07.  Each function is one rule."""

import stat
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from tasks.initrd import firststage
from tasks.initrd.archives.archive import Archive
from tasks.initrd.loader import execve, scripts
from tasks.initrd.loader.execve import Start
from tasks.initrd.loader.sysroot import is_file, resolve
from tasks.initrd.proof import fstab, verdict
from tasks.initrd.proof.finding import End, Finding, Moment
from tasks.initrd.proof.first import libraries
from tasks.initrd.proof.rules_kernel import found_by_modprobe
from tasks.initrd.proof.subject import Machine, RootImage, Subject

BUILD_AGAIN = "build it again: doit clean pack, doit"
# How our init unpacks: compression → applet of busybox, or program.
APPLETS: Mapping[str, str] = {"gzip": "gunzip", "xz": "xzcat", "bzip2": "bzcat", "lzma": "lzcat"}
PROGRAMS: Mapping[str, str] = {suffix.strip("."): path for suffix, path in firststage.UNPACKERS.items()}
UNPACKERS = {**APPLETS, "zstd": PROGRAMS["zst"], "lz4": PROGRAMS["lz4"]}
# Format → the options of the kernel that it takes, each with its module.
MODULES: Mapping[str, Mapping[str, str]] = {
    "squashfs": {"CONFIG_SQUASHFS": "squashfs", "CONFIG_BLK_DEV_LOOP": "loop", "CONFIG_OVERLAY_FS": "overlay"},
    "erofs": {"CONFIG_EROFS_FS": "erofs", "CONFIG_BLK_DEV_LOOP": "loop", "CONFIG_OVERLAY_FS": "overlay"},
    "nfs": {"CONFIG_NFS_FS": "nfs", "CONFIG_OVERLAY_FS": "overlay"},
}
FOLDERS = ("dev", "proc", "run", "sys")
MOST = 20  # findings of one rule
SECRETS = "etc/ssh/ssh_host_"
UNSET = {b"", b"uninitialized\n", b"uninitialized"}


def e14(subject: Subject, machine: Machine) -> Iterator[Finding]:
    """E14: our init has the unpacker of the root image, the kernel its file system and that one's compression."""
    url = verdict.value(machine.words, "imgurl") or ""
    root = subject.root
    if url.startswith("nfs:"):
        yield from lost_modules(subject, "nfs", url)
    elif root is not None:
        if root.format in MODULES:
            yield from lost_modules(subject, root.format, root.name)
            yield from lost_compression(subject, root)
        else:
            yield from lost_unpacker(subject, root)


def lost_modules(subject: Subject, kind: str, name: str) -> Iterator[Finding]:
    """Yield the modules for a file system that are neither in the initrd nor in the kernel."""
    for option, module in MODULES[kind].items():
        if module in subject.carried.builtin or (subject.config and subject.config.builtin(option)):
            continue
        if module in subject.carried and (found_by_modprobe(subject, module) or not subject.ours):
            continue
        yield Finding(
            rule="E14",
            text=f"{name}: modprobe finds no {module} in the initrd, and the kernel has no {option}=y",
            cause=f"the {kind} root cannot be mounted",
            remedy=subject.mend(f"add {module} to {subject.place('drivers')}"),
            end=End(moment=Moment.HAND_OVER, message=verdict.stops(f"no {module}")),
            soft=not subject.carried.told and subject.config is None,
        )


def lost_compression(subject: Subject, root: RootImage) -> Iterator[Finding]:
    """Yield a compression of squashfs that the kernel was built without."""
    option = f"CONFIG_SQUASHFS_{root.compression.upper()}"
    if root.format == "squashfs" and root.compression and subject.config and not subject.config.builtin(option):
        yield Finding(
            rule="E14",
            text=f"{root.name} is compressed with {root.compression}, and the kernel has no {option}=y",
            cause="the squashfs root cannot be mounted",
            remedy="pack the root image with a compression that this kernel has",
            end=End(moment=Moment.HAND_OVER, message=verdict.stops("the squashfs image cannot be mounted")),
        )


def lost_unpacker(subject: Subject, root: RootImage) -> Iterator[Finding]:
    """Yield a compression that nothing in the initrd unpacks, and a format that nobody knows."""
    if not root.format:
        yield Finding(
            rule="E14",
            text=f"{root.name} is neither cpio, tar, squashfs nor erofs",
            cause="init does not know how to unpack it",
            remedy=BUILD_AGAIN,
            end=End(moment=Moment.UNPACK, message=verdict.stops("the root image does not unpack")),
        )
    elif root.compression not in {"none", ""} and not unpacks(subject, root.compression):
        yield Finding(
            rule="E14",
            text=f"{root.name} is packed with {root.compression}, and the initrd has nothing that unpacks it",
            cause="the root image cannot be unpacked",
            remedy=subject.mend(f"add the package that brings it ({root.compression}) to {subject.place('packages')}"),
            end=End(moment=Moment.UNPACK, message=verdict.stops("the root image does not unpack")),
            soft=not subject.ours,
        )


def unpacks(subject: Subject, how: str) -> bool:
    """Whether an initrd brings a program for a compression."""
    name = UNPACKERS.get(how, "")
    if name.startswith("/"):
        return is_file(subject.tree, resolve(subject.tree, name).path)
    content = subject.scanner.busybox(firststage.BUSYBOX)
    return not content or not name or scripts.has_applet(content, name)


# -- what it hands over to -------------------------------------------------------------------------------------------


def e17_root(subject: Subject, machine: Machine) -> Iterator[Finding]:
    """E17: the root image has an init that passes E01 to E04 in its own tree."""
    archive = subject.root.archive if subject.root else None
    if archive is None or subject.root is None:
        return
    path = verdict.value(machine.words, "init") or "/sbin/init"
    start = execve.start(archive.tree, path, subject.kernel.arch, subject.compat)
    if start.fault:
        yield Finding(
            rule="E17",
            text=f"{subject.root.name}: {start.fault.text} ({start.fault.rule})",
            cause="after the hand-over it is the first program",
            remedy=f"add what brings it (systemd-sysv) to {subject.place('packages')}, or take it out of `exclude`",
            end=root_end(archive, path, start),
        )
        return
    for missing in libraries(archive.tree, start):
        yield Finding(
            rule="E17",
            text=f"{subject.root.name}: {missing} (E04)",
            cause=f"after the hand-over {path} cannot run: error while loading shared libraries",
            remedy=f"add the package that brings it to {subject.place('packages')}, or take it out of `exclude`",
            end=End(moment=Moment.ROOT, message=verdict.killed(verdict.NOT_FOUND)),
        )


def root_end(archive: Archive, path: str, start: Start) -> End:
    """Return where a boot ends whose root has no init that starts: our init looks before it hands over."""
    real = resolve(archive.tree, path).path
    if real is None:
        return End(moment=Moment.HAND_OVER, message=verdict.stops(f"the root image has no {path}"))
    if start.fault and start.fault.rule == "E01" and start.fault.error == 13:
        return End(moment=Moment.HAND_OVER, message=verdict.stops(f"{path} in the root image is not executable"))
    if start.fault and start.fault.rule in {"E02", "E03"} and start.fault.error == 2:
        return End(moment=Moment.HAND_OVER, message=verdict.stops("the root image has no interpreter of its init"))
    return End(moment=Moment.ROOT, message=verdict.killed(1))


def e17_folders(subject: Subject) -> Iterator[Finding]:
    """E17: the root image has the folders that are moved into it; our init makes those that lack."""
    archive = subject.root.archive if subject.root else None
    if archive is None or subject.root is None:
        return
    lost = [name for name in FOLDERS if not stat.S_ISDIR(archive.tree.mode(name) or 0)]
    if lost:
        yield Finding(
            rule="E17",
            text=f"{subject.root.name} has no folder {', '.join(f'/{name}' for name in lost)}",
            cause="what is mounted there is moved into the root: our init makes them, others do not",
            remedy=f"take them out of `exclude`: {subject.place('exclude')}",
            soft=True,
        )


def e17_fstab(subject: Subject) -> Iterator[Finding]:
    """E17: each line of the root image's fstab says what fstab(5) wants."""
    archive = subject.root.archive if subject.root else None
    real = resolve(archive.tree, "/etc/fstab").path if archive else None
    if archive is None or subject.root is None or real is None or not is_file(archive.tree, real):
        return
    text = archive.tree.read(real).decode(errors="replace")
    found = fstab.mistakes(text, lambda path: resolve(archive.tree, path).path is not None)
    for mistake in islice(found, MOST):
        yield Finding(
            rule="E17",
            text=f"{subject.root.name}: /etc/fstab line {mistake.line}: {mistake.text}",
            cause=mistake.cause,
            remedy=f"correct {subject.place('fstab')}, or the file in the tree",
            soft=not mistake.grave,
        )


# -- what it is, and what it must not hold ---------------------------------------------------------------------------


def e18(subject: Subject) -> Iterator[Finding]:
    """E18: the root image is the one whose digest the menus name, and it unpacks to its end."""
    root = subject.root
    if root is None:
        return
    if root.promised and root.digest != root.promised:
        yield Finding(
            rule="E18",
            text=f"{root.name}: its sha256 is {root.digest[:16]}…, its digest file says {root.promised[:16]}…",
            cause="nodes compare what they fetch with the digest in their menu",
            remedy=BUILD_AGAIN,
            end=End(moment=Moment.FETCH, message=verdict.stops("sha256 differs")),
        )
    problems = [each for segment in root.archive.segments for each in segment.problems] if root.archive else []
    for problem in problems[:MOST]:
        yield Finding(
            rule="E18",
            text=f"{root.name}: {problem.text}",
            cause="the root image does not unpack as it was meant",
            remedy=BUILD_AGAIN,
            end=End(moment=Moment.UNPACK, message=verdict.stops("the root image does not unpack"))
            if problem.rule == "E09"
            else None,
            soft=problem.rule != "E09",
        )


def w07(subject: Subject) -> Iterator[Finding]:
    """W07: no node's identity is in the image: ssh host keys, machine-id, random seed."""
    archive = subject.root.archive if subject.root else None
    if archive is None or subject.root is None:
        return
    for path in identities(archive):
        yield Finding(
            rule="W07",
            text=f"{subject.root.name} holds /{path}",
            cause="all nodes share it: host keys are no secret then, identities and seeds are the same",
            remedy=f"add /{path} to {subject.place('exclude')}; nodes make their own at their first start",
        )


def identities(archive: Archive) -> Sequence[str]:
    """Return the files that no two nodes may share."""
    tree = archive.tree
    keys = [name for name in tree.entries if name.startswith(SECRETS) and name.endswith("_key")]
    for name in ("etc/machine-id", "var/lib/dbus/machine-id"):
        if is_file(tree, name) and tree.read(name) not in UNSET:
            keys.append(name)
    return sorted([*keys, *(name for name in ("var/lib/systemd/random-seed",) if is_file(tree, name))])
