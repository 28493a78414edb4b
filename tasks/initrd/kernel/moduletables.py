"""The tables by which modprobe finds modules, written for those that are in a first stage (modules.dep(5)).

busybox's modprobe reads the texts, loads the modules of a line of modules.dep from right to left, and knows no soft
dependencies: here they are among the others.
"""

from collections.abc import Iterable, Iterator, Sequence

from tasks.initrd.kernel.modindex import text as text
from tasks.initrd.kernel.modules import KernelModules, Module
from tasks.initrd.loader.sysroot import resolve


def tables(known: KernelModules, packed: Sequence[Module]) -> Iterator[tuple[str, str]]:
    """Yield path and text of modules.dep and modules.alias for the modules that are packed."""
    base = resolve(known.tree, f"/lib/modules/{known.version}").path or f"lib/modules/{known.version}"
    yield f"{base}/modules.dep", "".join(dependency_lines(known, packed, f"{base}/"))
    yield f"{base}/modules.alias", "".join(alias_lines(known, sorted(module.name for module in packed)))


def dependency_lines(known: KernelModules, packed: Iterable[Module], base: str) -> Iterator[str]:
    """Yield the lines of modules.dep; all that a module needs, indirectly too, as depmod writes it."""
    for module in sorted(packed, key=lambda each: each.path):
        order = [each.path for each in known.closure([module.name])]
        first = order[: order.index(module.path)]
        words = [f"{module.path.removeprefix(base)}:", *(path.removeprefix(base) for path in reversed(first))]
        yield " ".join(words) + "\n"


def alias_lines(known: KernelModules, names: Iterable[str]) -> Iterator[str]:
    """Yield the lines of modules.alias that lead to some modules."""
    for name in names:
        yield from (f"alias {pattern} {name}\n" for pattern in known.index.aliases.get(name, ()))
