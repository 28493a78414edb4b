"""What a run would do: every file that it would write, every node that changes, why, and what has to follow."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tasks import paths
from tasks.deploy import services
from tasks.deploy.difference import Change, Kind, Pair, node_changes, pairs, tables
from tasks.deploy.effects import Reboot, reboots
from tasks.deploy.render import Causes, Maker, Renderer, gone, whole
from tasks.deploy.textdiff import Diff, diff
from tasks.errors import BootmillError
from tasks.family import MenuChange
from tasks.inventory.model import Cluster, Node, natural_key

Places = Callable[[str, str, str], object | None]  # table, row, attribute → file:line:column


# Attributes of a node that its boot menus tell of; empty: it came or went.
OF_MENUS = frozenset({"", "console", "ip", "kernel_args", "mac", "osimage", "service_node", "state"})
# The same of what is around it.
AROUND_MENUS = {
    "networks": frozenset({"", "next_server", "subnet"}),
    "osimages": frozenset({"", "kernel_args", "method"}),
}


def no_menus() -> Sequence[MenuChange]:
    """Return no menus."""
    return ()


def never(name: str) -> bool:
    """Return that nothing is known to be up to date."""
    return False


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What a plan is made from: what was built last, what the inventory says now, and how files are made of it."""

    old: Cluster | None  # None: nothing was built yet
    new: Cluster
    families: Sequence[Maker]
    places: Places
    settled: Callable[[str], bool] = never  # whether a run would leave this family's files alone
    render: Renderer = whole
    menus: Callable[[], Sequence[MenuChange]] = no_menus  # the boot menus that a run would write


@dataclass(frozen=True, kw_only=True)
class Cause:
    """A change, and the line of the inventory where its new value stands."""

    change: Change
    place: str

    def __str__(self) -> str:
        """Return it as compilers write: the place first."""
        return f"{self.place}: {self.change}" if self.place else str(self.change)


@dataclass(frozen=True, kw_only=True)
class FilePlan:
    """A file that a run would write or remove."""

    path: Path
    act: str  # create, change, remove
    diff: Diff
    causes: tuple[Cause, ...]
    service: str  # whom deploy would tell of it; empty: nobody


@dataclass(frozen=True, kw_only=True)
class NodePlan:
    """A node that changes."""

    name: str
    causes: tuple[Cause, ...]
    files: tuple[Path, ...]
    reboot: bool  # because of one of these changes


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All of it."""

    files: tuple[FilePlan, ...]
    nodes: tuple[NodePlan, ...]
    others: tuple[Cause, ...]  # changes outside of the nodes
    services: tuple[str, ...]
    reboots: tuple[Reboot, ...]
    notes: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether a run would change anything."""
        return bool(self.files or self.nodes or self.others)


def planned(sight: Sight, *, most: int | None = None) -> Plan:
    """Return the plan; each diff has at most `most` hunks.  Reads files, writes none."""
    old, new = sight.old, sight.new
    others = tables(old, new) if old else []
    changed = [(pair, node_changes(pair)) for pair in pairs(old, new)] if old else []
    notes = [] if old else ["nothing is known of an earlier build: causes and nodes cannot be told"]
    files = [file for family in sight.families for file in family_files(sight, family, others, changed, most)]
    menus, complaint = menu_changes(sight)
    whose = owners(menus, changed)
    mine = menu_files(sight, menus, whose, others, changed, most)
    again = [*reboots(new, changed, others)]
    if old:
        again = with_menus(new, again, [change.node for change in menus if change.boots], mine)
    booting = {reboot.node for reboot in again if any(change.row == reboot.node for change in reboot.why)}
    nodes = [
        NodePlan(
            name=pair.name,
            causes=tuple(cause(sight, change) for change in changes),
            files=tuple(file.path for file in mine.get(pair.name, ())),
            reboot=pair.name in booting,
        )
        for pair, changes in changed
    ]
    everything = [*files, *(file for found in mine.values() for file in found)]
    told = {file.service for file in everything}
    return Plan(
        files=tuple(everything),
        nodes=tuple(nodes),
        others=tuple(cause(sight, change) for change in others),
        services=tuple(service.name for service in services.SERVICES if service.name in told and service.units),
        reboots=tuple(again),
        notes=(*notes, *complaint),
    )


def cause(sight: Sight, change: Change) -> Cause:
    """Return a change with its place: of the attribute, else of what is around it, else of the row."""
    name = change.attribute
    if change.kind is Kind.REMOVED:  # nothing is written there any more
        return Cause(change=change, place="")
    while True:
        mark = sight.places(change.table, change.row, name)
        if mark is not None:
            return Cause(change=change, place=str(mark))
        if not name:
            return Cause(change=change, place="")
        name = name.rpartition(".")[0]


Changed = Sequence[tuple[Pair, list[Change]]]


def family_files(
    sight: Sight, family: Maker, others: Sequence[Change], changed: Changed, most: int | None
) -> Iterator[FilePlan]:
    """Yield the files of a family that a run would write or remove."""
    if sight.settled(family.name):
        return
    texts = sight.render(family, sight.new)
    before = {path: content(path) for path in texts}
    changing = [path for path, text in texts.items() if before[path] != text]
    why: dict[Path, list[Change]] = {}
    if sight.old and changing:
        why = Causes(family, sight.old, sight.new, changing).of(others, changed)
    for path in changing:
        causes = [cause(sight, change) for change in why.get(path, ())]
        yield file_plan(path, before[path], texts[path], causes, sight, most)
    for path in gone(family, sight.new):
        yield file_plan(path, content(path), None, [], sight, most)


def menu_changes(sight: Sight) -> tuple[Sequence[MenuChange], list[str]]:
    """Return the boot menus that a run would write or remove, and why they cannot be told."""
    try:
        return sight.menus(), []
    except BootmillError as error:
        return (), [f"boot menus cannot be told yet: {error.message}"]


def owners(menus: Sequence[MenuChange], changed: Changed) -> dict[Path, str]:
    """Return whose each menu is; one that goes belongs to the node that had its name."""
    before = {paths.MENUS / name: pair.name for pair, _ in changed if pair.old for name in names_of(pair.old)}
    return {menu.path: menu.node or before.get(menu.path, "") for menu in menus}


def names_of(node: Node) -> Iterable[str]:
    """Return the names of a node's menus."""
    return paths.menu_names(node).values()


def menu_files(
    sight: Sight,
    menus: Sequence[MenuChange],
    whose: Mapping[Path, str],
    others: Sequence[Change],
    changed: Changed,
    most: int | None,
) -> dict[str, list[FilePlan]]:
    """Return the menus' files by node, with what is behind them."""
    own = {pair.name: changes for pair, changes in changed}
    around = [change for change in others if change.top in AROUND_MENUS.get(change.table, ())]
    told: dict[str, list[Cause]] = {"": [cause(sight, change) for change in around]}
    result: dict[str, list[FilePlan]] = {}
    for menu in menus:
        name = whose[menu.path]
        if name not in told:
            told[name] = [cause(sight, change) for change in menu_causes(sight.new, name, own, around)]
        causes = told[name] if name else ()  # what is of all nodes has no attribute behind it
        found = file_plan(menu.path, menu.old, menu.new, causes, sight, most)
        result.setdefault(name, []).append(found)
    return result


def menu_causes(
    new: Cluster, name: str, own: Mapping[str, Sequence[Change]], around: Sequence[Change]
) -> Iterator[Change]:
    """Yield the changes behind a node's menus: its own, its network's, its osimage's, its service node's address."""
    yield from (change for change in own.get(name, ()) if change.top in OF_MENUS)
    node = new.by_name.get(name)
    if node is None:
        return
    if around:
        network = new.finder.find(node.ip)
        rows = {("networks", network.name if network else ""), ("osimages", node.osimage)}
        yield from (change for change in around if (change.table, change.row) in rows)
    if node.service_node:
        yield from (change for change in own.get(node.service_node, ()) if change.top == "ip")


def with_menus(
    new: Cluster, known: Sequence[Reboot], nodes: Iterable[str], files: Mapping[str, Sequence[FilePlan]]
) -> list[Reboot]:
    """Return the nodes that must boot again, those among them whose menu has another kernel, image or command line."""
    names = {reboot.node for reboot in known} | {new.site.master}
    more = [
        Reboot(name, tuple(one.change for one in files[name][0].causes))
        for name in dict.fromkeys(nodes)
        if name not in names
    ]
    return sorted([*known, *more], key=lambda reboot: natural_key(reboot.node)) if more else [*known]


def content(path: Path) -> str | None:
    """Return a file's text, None where there is none; `BootmillError` where something else is in its place."""
    try:
        return path.read_bytes().decode(errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError as error:
        message = f"{path} is a folder, and a file belongs there"
        raise BootmillError(message, hint=f"move it aside: mv {path} {path}.before-bootmill") from error
    except OSError as error:
        message = f"{path}: cannot be read: {error.strerror}"
        raise BootmillError(message, hint="look at its owner: was an earlier build run as root?") from error


def file_plan(
    path: Path, old: str | None, new: str | None, causes: Iterable[Cause], sight: Sight, most: int | None
) -> FilePlan:
    """Return what happens to one file."""
    act = "remove" if new is None else "create" if old is None else "change"
    destdir = Path(sight.new.site.destdir)
    target = PurePosixPath("/") / path.relative_to(destdir) if path.is_relative_to(destdir) else None
    service = services.of(target) if target and target.is_relative_to("/etc") else None
    return FilePlan(
        path=path,
        act=act,
        diff=diff(old or "", new or "", most=most),
        causes=tuple(causes),
        service=service.name if service and service.units else "",
    )
