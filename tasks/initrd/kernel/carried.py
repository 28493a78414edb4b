"""The kernel modules and the firmware that lie in an initrd, as the kernel and modprobe would find them there."""

import stat
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field

from tasks.initrd.kernel import drivers
from tasks.initrd.kernel.modindex import builtin_modinfo, canonical, merged, module_files, read_module, text
from tasks.initrd.kernel.modinfo import Modinfo
from tasks.initrd.loader.sysroot import Sysroot, resolve


@dataclass(frozen=True, kw_only=True)
class Carried:
    """The modules of one kernel in an initrd; names are canonical.

    `paths`, `infos`: where each lies, what it says.  `broken`: what is no module, with the reason.  `builtin`: those
    that are part of the kernel; `told`: whether anybody knows which these are.  `versions`: the kernels that the initrd
    has modules of.
    """

    paths: Mapping[str, str] = field(default_factory=dict)
    infos: Mapping[str, Modinfo] = field(default_factory=dict)
    broken: tuple[tuple[str, str], ...] = ()
    builtin: frozenset[str] = frozenset()
    builtin_infos: Mapping[str, Modinfo] = field(default_factory=dict)
    told: bool = False
    versions: tuple[str, ...] = ()

    def __contains__(self, name: str) -> bool:
        """Whether a module can be had: it is in the initrd, or in the kernel."""
        return name in self.paths or name in self.builtin


def carried(tree: Sysroot, version: str, source: Sysroot | None) -> Carried:
    """Return what an initrd holds of a kernel's modules; the `source` tree or its tables tell the built-in ones."""
    base = f"/lib/modules/{version}"
    known = next((each for each in (source, tree) if each and text(each, f"{base}/modules.builtin")), None)
    listed = text(known, f"{base}/modules.builtin").splitlines() if known else []
    infos = builtin_modinfo(text(known, f"{base}/modules.builtin.modinfo")) if known else {}
    paths, found, broken = files(tree, base)
    return Carried(
        paths=paths,
        infos=found,
        broken=tuple(broken),
        builtin=frozenset(map(canonical, listed)) | infos.keys(),
        builtin_infos=infos,
        told=known is not None,
        versions=tuple(versions(tree)),
    )


def files(tree: Sysroot, base: str) -> tuple[dict[str, str], dict[str, Modinfo], list[tuple[str, str]]]:
    """Return the modules below a folder: {name: path}, {name: what it says}, and what is broken."""
    real = resolve(tree, base).path
    paths: dict[str, str] = {}
    found: dict[str, Modinfo] = {}
    broken: list[tuple[str, str]] = []
    if real is None or not stat.S_ISDIR(tree.mode(real) or 0):
        return paths, found, broken
    for path in sorted(module_files(tree, real)):
        try:
            found[canonical(path)] = read_module(tree, path)
            paths[canonical(path)] = path
        except ValueError as error:
            broken.append((path, str(error)))
    return paths, found, broken


def versions(tree: Sysroot) -> Iterator[str]:
    """Yield the kernel versions that an initrd has module files of, sorted."""
    base = resolve(tree, "/lib/modules").path
    for name in tree.names(base) if base and stat.S_ISDIR(tree.mode(base) or 0) else ():
        folder = f"{base}/{name}"
        if stat.S_ISDIR(tree.mode(folder) or 0) and next(module_files(tree, folder), None):
            yield name


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a driver needs: `order` as found, `lost` (module, who asks), `soft`: lost, and asked for softly."""

    order: tuple[str, ...]
    lost: tuple[tuple[str, str], ...]
    soft: tuple[tuple[str, str], ...]


def needs(known: Carried, driver: str, expected: Set[str] = frozenset()) -> Needs:
    """Return a driver's modules: those whose symbols it uses, soft dependencies, and the drivers of its bus.

    `expected`: modules that the initrd was to have.  Of the drivers for a bus (virtio: PCI, MMIO) the first is what
    machines usually have: it is lost where it was expected, the others softly; where it was not, one is enough.
    """
    todo, seen = deque([(canonical(driver), "")]), {canonical(driver)}
    lost: list[tuple[str, str]] = []
    soft: list[tuple[str, str]] = []
    order: list[str] = []
    while todo:
        name, asker = todo.popleft()
        if name not in known:
            lost.append((name, asker))
            continue
        order.append(name)
        info = known.infos.get(name)
        if info is None:
            continue
        before = merged(info.all("softdep")).before
        soft += [(canonical(other), name) for other in before if canonical(other) not in known]
        hard = [*map(canonical, info.depends), *(canonical(other) for other in before if canonical(other) in known)]
        below = drivers.below(info.all("alias"))
        bus = [other for other in below if other in known or (other in expected and other == below[0])]
        soft += [(other, name) for other in below[1:] if other in expected and other not in known]
        if not bus and below:
            lost.append((" or ".join(below), name))
        for other in (*hard, *bus):
            if other not in seen:
                seen.add(other)
                todo.append((other, name))
    return Needs(order=tuple(order), lost=tuple(lost), soft=tuple(soft))


def firmware_of(known: Carried, modules: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return {module: the firmware that it may ask for}; some names are patterns."""
    infos = {name: known.infos.get(name) or known.builtin_infos.get(name) for name in modules}
    return {name: info.firmware for name, info in infos.items() if info and info.firmware}
