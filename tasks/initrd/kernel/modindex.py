"""The index of a kernel's modules: from the tables of depmod(8), or from the modules themselves where there are none.

An unpacked but not configured package has no modules.dep, nor has any kernel of an architecture whose postinst did not
run; then each module's own .modinfo says the same.  Only the shape of the dependencies differs: depmod writes all that
a module needs, indirectly too, a module names its direct ones.
"""

import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from tasks.errors import BootmillError, UntrustedInputError
from tasks.initrd.kernel import modinfo
from tasks.initrd.loader.sysroot import Sysroot, is_file, resolve

Table = Mapping[str, tuple[str, ...]]

LARGEST_TABLE = 4 << 20  # bytes; Debian's longest, modules.alias, has 1.3 MB
DEEPEST = 16  # folders below /lib/modules/VERSION; Debian's deepest module lies 9 below it
MOST_FILES = 65_536
TABLES = ("modules.dep", "modules.softdep", "modules.alias")
SUFFIXES = (".ko", ".ko.gz", ".ko.xz", ".ko.zst")


@dataclass(frozen=True, kw_only=True)
class Index:
    """What is known of the modules of one kernel; names are canonical.

    `paths`: module → path in the tree, not yet followed.  `depends`: the modules whose symbols it uses.
    `before`, `after`, `weak`: names or aliases that it softly depends on.  `aliases`: module → patterns, `-` as `_`.
    `builtin`: modules that are part of the kernel, `builtin_info`: what those say of themselves.
    `broken`: files that are no modules, with the reason.  `from_tables`: depmod's tables were there.
    """

    paths: Mapping[str, str]
    depends: Table
    before: Table
    after: Table
    weak: Table
    aliases: Table
    builtin: frozenset[str]
    builtin_info: Mapping[str, modinfo.Modinfo] = field(default_factory=dict)
    broken: tuple[str, ...] = ()
    from_tables: bool = True


@dataclass(frozen=True, kw_only=True)
class Soft:
    """Soft dependencies: what is to be loaded before a module and after it, where it is there."""

    before: tuple[str, ...]
    after: tuple[str, ...]


def canonical(name: str) -> str:
    """Return a module's name as the kernel compares it: ``-`` and ``_`` are one; of a path its last part."""
    return PurePosixPath(name).name.partition(".ko")[0].replace("-", "_")


def same_dashes(alias: str) -> str:
    """Return an alias with ``-`` as ``_``, except within brackets (kmod shared/util.c: alias_normalize())."""
    if "-" not in alias:
        return alias
    if "[" not in alias:
        return alias.replace("-", "_")
    parts = alias.split("[")
    rest = (
        inside + bracket + after.replace("-", "_") for inside, bracket, after in (p.partition("]") for p in parts[1:])
    )
    return "[".join([parts[0].replace("-", "_"), *rest])


def read_index(tree: Sysroot, version: str) -> Index:
    """Return the index of /lib/modules/VERSION; `BootmillError` where the tree has no such folder."""
    base = modules_folder(tree, version)
    if base is None:
        message = f"the tree has no /lib/modules/{version}"
        raise BootmillError(message, hint="add the package with this kernel's modules, or correct `kernel:`")
    info = builtin_modinfo(text(tree, f"/{base}/modules.builtin.modinfo"))
    builtin = info.keys() | set(map(canonical, text(tree, f"/{base}/modules.builtin").splitlines()))
    if all(is_file(tree, resolve(tree, f"/{base}/{name}").path) for name in TABLES):
        return from_tables(tree, f"/{base}", frozenset(builtin), info)
    return from_modules(tree, base, frozenset(builtin), info)


def modules_folder(tree: Sysroot, version: str) -> str | None:
    """Return the real folder of a kernel's modules, None where there is none.

    An unpacked package by itself has /usr/lib/modules and no link /lib that leads there.
    """
    places = (resolve(tree, f"{place}/{version}").path for place in ("/lib/modules", "/usr/lib/modules"))
    folders = (place for place in places if place and stat.S_ISDIR(tree.mode(place) or 0))
    return next(folders, None) if "/" not in version and version not in {"", ".", ".."} else None


def from_tables(tree: Sysroot, base: str, builtin: frozenset[str], info: Mapping[str, modinfo.Modinfo]) -> Index:
    """Return the index as depmod wrote it."""
    listed = parse_dependencies(text(tree, f"{base}/modules.dep"))
    if len(listed) > MOST_FILES:
        message = f"{base}/modules.dep lists more than {MOST_FILES} modules"
        raise UntrustedInputError(message)
    soft = parse_softdep(text(tree, f"{base}/modules.softdep"))
    return Index(
        paths={canonical(path): path if path.startswith("/") else f"{base}/{path}" for path in listed},
        depends={canonical(path): tuple(map(canonical, needs)) for path, needs in listed.items()},
        before={name: words.before for name, words in soft.items() if words.before},
        after={name: words.after for name, words in soft.items() if words.after},
        weak=parse_weakdep(text(tree, f"{base}/modules.weakdep")),
        aliases=parse_aliases(text(tree, f"{base}/modules.alias")),
        builtin=builtin,
        builtin_info=info,
    )


def from_modules(tree: Sysroot, base: str, builtin: frozenset[str], info: Mapping[str, modinfo.Modinfo]) -> Index:
    """Return the index as the modules tell it; `base` is the real folder."""
    paths: dict[str, str] = {}
    found: dict[str, modinfo.Modinfo] = {}
    broken: list[str] = []
    for path in sorted(module_files(tree, base), key=lambda path: not path.startswith(f"{base}/updates/")):
        name = canonical(path)
        if name in paths:
            continue  # depmod's order, too: what lies in updates/ replaces the kernel's own (depmod.d(5))
        try:
            found[name] = read_module(tree, path)
        except ValueError as error:
            broken.append(f"/{path}: {error}")
        else:
            paths[name] = f"/{path}"
    soft = {name: merged(each.all("softdep")) for name, each in found.items()}
    return Index(
        paths=paths,
        depends={name: tuple(map(canonical, each.depends)) for name, each in found.items()},
        before={name: words.before for name, words in soft.items() if words.before},
        after={name: words.after for name, words in soft.items() if words.after},
        weak={name: words for name, each in found.items() if (words := each.weakdeps)},
        aliases={name: tuple(map(same_dashes, texts)) for name, each in found.items() if (texts := each.all("alias"))},
        builtin=builtin,
        builtin_info=info,
        broken=tuple(broken),
        from_tables=False,
    )


def read_module(tree: Sysroot, path: str) -> modinfo.Modinfo:
    """Return what a module says of itself; a link leads to its target, inside the tree."""
    real = resolve(tree, path).path if stat.S_ISLNK(tree.mode(path) or 0) else path
    if real is None or not is_file(tree, real):
        message = "leads to no file"
        raise ValueError(message)
    return modinfo.read(tree, real)


def module_files(tree: Sysroot, base: str) -> Iterator[str]:
    """Yield the paths of the module files below a real folder; links to folders are not followed."""
    todo = [(base, 0)]
    count = 0
    while todo:
        folder, depth = todo.pop()
        for name in tree.names(folder):
            path = f"{folder}/{name}"
            if name.endswith(SUFFIXES):
                count += 1
                yield path
            elif depth < DEEPEST and stat.S_ISDIR(tree.mode(path) or 0):
                todo.append((path, depth + 1))
            if count > MOST_FILES:
                message = f"/{base} holds more than {MOST_FILES} modules"
                raise UntrustedInputError(message)


def builtin_modinfo(content: str) -> dict[str, modinfo.Modinfo]:
    """Return {module: what it says} of modules.builtin.modinfo: NUL-separated ``name.key=value`` (kbuild)."""
    sections: dict[str, list[str]] = {}
    for line in content.split("\0"):
        name, dot, rest = line.partition(".")
        if dot and "=" in rest:
            sections.setdefault(canonical(name), []).append(rest)
    return {name: modinfo.Modinfo(modinfo.keys("\0".join(lines).encode())) for name, lines in sections.items()}


def parse_dependencies(content: str) -> dict[str, tuple[str, ...]]:
    """Return {module path: paths that it needs, those needed most last} of modules.dep(5)."""
    pairs = (line.partition(":") for line in content.splitlines() if ":" in line and not line.startswith("#"))
    return {path.strip(): tuple(needs.split()) for path, _, needs in pairs}


def parse_softdep(content: str) -> dict[str, Soft]:
    """Return {module: soft dependencies} of modules.softdep, the lines of one module together."""
    lines: dict[str, list[str]] = {}
    for line in content.splitlines():
        words = line.split(None, 2)
        if len(words) == 3 and words[0] == "softdep":
            lines.setdefault(canonical(words[1]), []).append(words[2])
    return {name: merged(texts) for name, texts in lines.items()}


def merged(texts: Iterable[str]) -> Soft:
    """Return the soft dependencies of several ``pre: a b post: c``.

    cifs and others write ``gcm`` alone, by mistake: modprobe passes over it, here it counts as one with ``pre:``, for
    the module will ask for it when it is too late to load it.
    """
    before: dict[str, None] = {}
    after: dict[str, None] = {}
    for words in texts:
        kind = before
        for word in words.split():
            if word in {"pre:", "post:"}:
                kind = before if word == "pre:" else after
            else:
                kind[same_dashes(word)] = None
    return Soft(before=tuple(before), after=tuple(after))


def parse_weakdep(content: str) -> dict[str, tuple[str, ...]]:
    """Return {module: modules that it may ask for later} of modules.weakdep (kmod since 33)."""
    lines = (line.split() for line in content.splitlines() if line.startswith("weakdep "))
    return gathered((canonical(words[1]), word) for words in lines for word in map(same_dashes, words[2:]))


def parse_aliases(content: str) -> dict[str, tuple[str, ...]]:
    """Return {module: alias patterns} of modules.alias; a pattern with blanks in it keeps them."""
    lines = (line[6:].rpartition(" ") for line in content.splitlines() if line.startswith("alias "))
    return gathered((canonical(name), same_dashes(alias)) for alias, _, name in lines)


def gathered(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Return {first: all its seconds, in order}."""
    found: dict[str, list[str]] = {}
    for first, second in pairs:
        found.setdefault(first, []).append(second)
    return {first: tuple(seconds) for first, seconds in found.items()}


def text(tree: Sysroot, path: str) -> str:
    """Return a table of the tree, empty where it is missing; `UntrustedInputError` where it is far too large."""
    real = resolve(tree, path).path
    if not real or not is_file(tree, real):
        return ""
    content = tree.read_at(real, 0, LARGEST_TABLE + 1)
    if len(content) > LARGEST_TABLE:
        message = f"{path} has more than {LARGEST_TABLE >> 20} MiB"
        raise UntrustedInputError(message)
    return content.decode(errors="replace")
