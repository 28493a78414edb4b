"""The kernel of a tree and the modules that its drivers need, in loading order."""

import difflib
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from tasks.errors import BootmillError, UntrustedInputError
from tasks.initrd.kernel import drivers, modinfo
from tasks.initrd.kernel.aliases import Aliases
from tasks.initrd.kernel.kconfig import Kconfig, config_of
from tasks.initrd.kernel.modindex import Index, canonical, module_files, modules_folder, read_index, same_dashes
from tasks.initrd.kernel.modinfo import Modinfo
from tasks.initrd.kernel.unpack import packing, unpack
from tasks.initrd.kernel.vermagic import misfit
from tasks.initrd.kernel.wanted import Wanted
from tasks.initrd.loader.sysroot import Sysroot, is_file, resolve

DAMAGED = "the tree is damaged, or the package is of another version: build the tree again, or run depmod in it"
MOST_SENTENCES = 50
# What distributions call a kernel in /boot; RHEL's rescue kernel is a second copy of the first.
IMAGES = re.compile(r"(?:vmlinuz|vmlinux|Image|zImage|kernel)-(?!0-rescue-)(.+)")


@dataclass(frozen=True, kw_only=True)
class Module:
    """A module to load.

    `path` is where it belongs in an initrd, unpacked; `source` is the file in the tree, real and maybe packed.  Both
    are relative.  `why` says who needs it.
    """

    name: str
    path: str
    source: str
    info: Modinfo
    why: str
    tree: Sysroot = field(repr=False, compare=False)

    @property
    def firmware(self) -> tuple[str, ...]:
        """Return the firmware that it may ask for; some are patterns."""
        return self.info.firmware

    @property
    def content(self) -> bytes:
        """Return the module unpacked: busybox's insmod takes it as it is."""
        data = self.tree.read(self.source)
        return data if packing(data[:6]) == "none" else unpack(data, modinfo.LARGEST_MODULE)


def kernel_modules(tree: Sysroot, version: str) -> "KernelModules":
    """Return the modules of a kernel version in a tree; `BootmillError` where it has none of that version."""
    return KernelModules(tree, version, read_index(tree, version))


class KernelModules:
    """The modules of one kernel in a tree: found by what people and buses call them, closed over what they need."""

    def __init__(self, tree: Sysroot, version: str, index: Index) -> None:
        """Take the index of /lib/modules/VERSION."""
        self.tree = tree
        self.version = version
        self.index = index
        self.infos: dict[str, Modinfo] = {}
        self.answers: dict[str, tuple[str, ...]] = {}

    def __contains__(self, name: str) -> bool:
        """Return whether the kernel has a module of this name, built in or not."""
        return canonical(name) in self.index.paths or self.is_builtin(name)

    def is_builtin(self, name: str) -> bool:
        """Return whether a module is part of the kernel itself (a module file of the same name goes first)."""
        return canonical(name) in self.index.builtin and canonical(name) not in self.index.paths

    def find(self, word: str) -> tuple[str, ...]:
        """Return the names of the modules that a word means, sorted, built-in ones too; none where it means nothing.

        A name, whatever its dashes; the class `nics` or `disks`; a modalias as a bus makes it; a pattern over aliases.
        As in modprobe the first of these that is there: the module's own name, aliases, the name of a built-in one, the
        aliases of those (libkmod-module.c: kmod_module_new_from_lookup()): crc32 is built in, and yet an alias.
        """
        if word in drivers.INSIDE:
            return self.classes[word]
        name = canonical(word) if "/" not in word else ""
        if name in self.index.paths:
            return (name,)
        if word not in self.answers:
            self.answers[word] = self.look_up(word, name)
        return self.answers[word]

    def look_up(self, word: str, name: str) -> tuple[str, ...]:
        """Return what a word means that is no module's own name."""
        plain = same_dashes(word)
        try:
            found = self.aliases.find(plain) or ({name} & self.index.builtin) or self.builtin_aliases.find(plain)
        except ValueError as error:
            message = f"kernel {self.version}: {word!r}: {error}"
            raise UntrustedInputError(message) from error
        return tuple(sorted(found))

    @cached_property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """Return the modules of each class, sorted."""
        known = self.index
        return {
            word: tuple(
                name
                for name, path in sorted(known.paths.items())
                if drivers.in_class(word, path, known.aliases.get(name, ()))
            )
            for word in drivers.INSIDE
        }

    @cached_property
    def aliases(self) -> Aliases:
        """Return the aliases of all modules."""
        return Aliases.of(self.index.aliases)

    @cached_property
    def builtin_aliases(self) -> Aliases:
        """Return the aliases of what is part of the kernel."""
        given = self.index.builtin_info.items()
        return Aliases.of({name: map(same_dashes, info.all("alias")) for name, info in given})

    def unknown(self, words: Iterable[str]) -> list[str]:
        """Return a sentence with near matches for each word that means no module."""
        return [self.complaint(word) for word in words if not self.find(word) and word not in drivers.INSIDE]

    def complaint(self, word: str) -> str:
        """Return the sentence for a driver that the kernel does not have, or that only modules.dep does not know."""
        name = canonical(word)
        if self.index.from_tables and name in map(canonical, module_files(self.tree, self.base)):
            return f"kernel {self.version}: driver {word!r} is there, but modules.dep does not know it: run depmod"
        near = difflib.get_close_matches(name, [*self.index.paths, *self.index.builtin], n=3)
        proposal = f": did you mean {' or '.join(near)}?" if near else ""
        return f"kernel {self.version} has no driver {word!r}{proposal}"

    @property
    def base(self) -> str:
        """Return the real folder of the modules."""
        return modules_folder(self.tree, self.version) or ""

    def closure(self, words: Iterable[str]) -> tuple[Module, ...]:
        """Return the drivers and all that they need, each once, in loading order: as asked for, after what they need.

        What is built in needs no module.  All unknown drivers, all missing or damaged files and all modules of another
        kernel are told in one `BootmillError`.
        """
        asked = list(words)
        unknown = self.unknown(asked)
        if unknown:
            raise BootmillError("\n".join(unknown), hint="see inventory/osimages.yaml")
        wanted = Wanted(self, asked)
        found = {name: self.file(name) for name in wanted.order()}
        wrong = [*wanted.missing, *(f"module {name}: {path}" for name, path in found.items() if name not in self.infos)]
        if wrong:
            raise BootmillError(some(wrong), hint=DAMAGED)
        modules = tuple(self.module(name, path, wanted.why[name]) for name, path in found.items())
        stale = [text for module in modules for text in self.unlisted(module)]
        if stale:
            raise BootmillError(some(stale), hint=DAMAGED)
        misfits = [f"module {module.name} {text}" for module in modules if (text := self.misfit(module))]
        if misfits:
            raise BootmillError(some(misfits), hint="install the modules of this kernel, or correct `kernel:`")
        return modules

    def file(self, name: str) -> str:
        """Return the real path of a module's file and keep what it says; where that fails, the reason."""
        path = self.index.paths[name]
        real = resolve(self.tree, path).path
        if real is None or not is_file(self.tree, real):
            return f"{path} is listed, but is not there"
        try:
            if name not in self.infos:
                self.infos[name] = modinfo.read(self.tree, real)
        except ValueError as error:
            return f"{path}: {error}"
        return real

    def module(self, name: str, real: str, why: str) -> Module:
        """Return a module whose file was read."""
        folder, _, file = self.index.paths[name].rpartition("/")
        path = f"{resolve(self.tree, folder).path}/{file.partition('.ko')[0]}.ko"
        return Module(name=name, path=path, source=real, info=self.infos[name], why=why, tree=self.tree)

    def unlisted(self, module: Module) -> Iterator[str]:
        """Yield what a module says that it needs and modules.dep does not list: that is older than the modules."""
        listed = {*self.index.depends[module.name], *self.index.builtin}
        for name in sorted(set(map(canonical, module.info.depends)) - listed):
            yield f"modules.dep does not say that {module.name} needs {name}"

    def misfit(self, module: Module) -> str | None:
        """Return why this kernel would refuse a module, None where it fits."""
        foreign = "/weak-updates/" in f"/{module.path}"
        return misfit(module.info, self.version, self.config, foreign=foreign)

    @cached_property
    def config(self) -> Kconfig | None:
        """Return the kernel's configuration, None where the tree does not tell it."""
        return config_of(self.tree, self.version)


def some(sentences: list[str]) -> str:
    """Return sentences below each other; of very many the first ones."""
    more = [f"… and {len(sentences) - MOST_SENTENCES} more"] if len(sentences) > MOST_SENTENCES else []
    return "\n".join([*sentences[:MOST_SENTENCES], *more])


def kernels(tree: Sysroot) -> dict[str, str]:
    """Return {version: path of its image, real} of the kernels in /boot and, as Fedora has them, in /lib/modules."""
    found: dict[str, str] = {}
    for folder, pattern in (("/boot", IMAGES), ("/lib/modules", re.compile("(.+)"))):
        real = resolve(tree, folder).path
        for name in tree.names(real) if real and stat.S_ISDIR(tree.mode(real) or 0) else []:
            match = pattern.fullmatch(name)
            path = resolve(tree, f"{folder}/{name}" + ("/vmlinuz" if folder == "/lib/modules" else "")).path
            if match and path and is_file(tree, path):
                found.setdefault(match[1], path)
    return found


def kernel_version(tree: Sysroot, wanted: str | None) -> str:
    """Return the kernel version of a tree: the one that is there, or the one that the osimage names.

    Never the first match: with several kernels and no choice, the image would change with the sorting order.
    """
    found = sorted(kernels(tree))
    if wanted in found:
        return str(wanted)
    if wanted is not None:
        message = f"kernel {wanted} is not in the tree (there: {', '.join(found) or 'none'})"
        raise BootmillError(
            message, hint="correct `kernel:` in inventory/osimages.yaml, or add the package that brings it"
        )
    if len(found) == 1:
        return found[0]
    if found:
        message = f"the tree holds {len(found)} kernels: {', '.join(found)}"
        raise BootmillError(message, hint="choose one with `kernel:` in inventory/osimages.yaml")
    message = "the tree holds no kernel"
    raise BootmillError(
        message, hint="add its package (linux-image-amd64, linux-image-arm64) to the osimage's packages"
    )
