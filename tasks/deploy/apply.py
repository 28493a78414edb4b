"""Carry it out: save what is replaced, write, tell each daemon once; put a service back that does not take its files.

Everything has been checked when this begins.  A kill at any instant leaves each file old or new; the ledger says what a
daemon was told only after it was, so the next run writes what is missing and tells who was not told.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tasks.deploy import ledger as books
from tasks.deploy import root as roots
from tasks.deploy.control import Control
from tasks.deploy.intent import Item
from tasks.deploy.ledger import Generation, Ledger, Saved, sha256
from tasks.deploy.services import SERVICES, Service
from tasks.errors import BootmillError


@dataclass(frozen=True, kw_only=True)
class Told:
    """What became of one service: reload, restart, none (nobody to tell) or failed; and a sentence."""

    service: str
    result: str
    said: str = ""


@dataclass(kw_only=True)
class Outcome:
    """What a run did."""

    items: tuple[Item, ...]
    told: list[Told] = field(default_factory=list)
    backup: int | None = None
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def by_service(items: Iterable[Item]) -> list[tuple[Service, list[Item]]]:
    """Return the items of each service that has anything to do, in the table's order; files in the order of writing."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.service.name, []).append(item)
    result = []
    for service in SERVICES:
        mine = groups.get(service.name, [])
        if any(item.changes or not item.told for item in mine):
            # What is taken away goes last: by then nothing names it any more.
            mine.sort(key=lambda item: (item.new is None, service.rank(item.path), item.path))
            result.append((service, mine))
    return result


def carry_out(root: Path, items: Sequence[Item], ledger: Ledger, carried: Generation, control: Control) -> Outcome:
    """Write files and tell daemons; `Outcome.failures` has a sentence for each service that was put back."""
    outcome = Outcome(items=tuple(items))
    changed = {item.path: saved(item) for item in items if item.changes}
    if changed:
        ledger.open = outcome.backup = books.save(root, {**changed, **still(carried, changed)})
        books.write(root, ledger)
    for service, mine in by_service(items):
        settle(root, service, mine, control, outcome)
        if not any(told.service == service.name and told.result == "failed" for told in outcome.told):
            for item in mine:
                remember(ledger, item)
            books.write(root, ledger)
    if ledger.open is not None:
        ledger.open = None
        books.write(root, ledger)
        books.forget(root)
    return outcome


def saved(item: Item) -> Saved:
    """Return an item as it goes into the backup."""
    return Saved(old=item.old, new=sha256(item.new.content) if item.new else None, foreign=item.foreign or item.edited)


def still(carried: Generation, changed: Generation) -> Generation:
    """Return what a killed run saved, with what takes its place now: the state before that run is the older one."""
    return {
        path: Saved(old=one.old, new=changed[path].new if path in changed else one.new, foreign=one.foreign)
        for path, one in carried.items()
    }


def remember(ledger: Ledger, item: Item) -> None:
    """Note that a file's daemon has taken it."""
    if item.new is None:
        ledger.told.pop(item.path, None)
    else:
        ledger.told[item.path] = sha256(item.new.content)


def settle(root: Path, service: Service, items: Sequence[Item], control: Control, outcome: Outcome) -> None:
    """Write one service's files and tell it; put everything back where it does not take them."""
    unit = None
    try:
        for item in items:
            write(root, item)
        if all(item.told for item in items):
            return
        unit = control.unit(service)
        if unit is not None:
            control.tell(service, unit)
            outcome.told.append(Told(service=service.name, result=str(service.verb)))
        elif service.units:
            said = not_running(service, control)
            outcome.told.append(Told(service=service.name, result="none", said=said))
    except (BootmillError, OSError) as error:
        outcome.told.append(Told(service=service.name, result="failed", said=str(error)))
        again = put_back(root, service, unit, items, control)
        outcome.failures.append(f"{service.name}: {error}\n    {again}")


def write(root: Path, item: Item) -> None:
    """Put one file in place, or take it away."""
    if not item.changes:
        return
    if item.new is None:
        roots.remove(root, item.path)
    else:
        roots.put(root, item.path, item.new)


def put_back(root: Path, service: Service, unit: str | None, items: Sequence[Item], control: Control) -> str:
    """Restore a service's files and tell it again; returns a sentence on how that ended."""
    try:
        for item in reversed(items):
            if not item.changes:
                continue
            if item.old is None:
                roots.remove(root, item.path)
            else:
                roots.put(root, item.path, item.old)
    except (BootmillError, OSError) as error:
        return f"its files could not be put back: {error}; they are in {root}{books.BACKUPS}"
    if unit is None:
        return "its files are as they were"
    try:
        control.tell(service, unit)
    except BootmillError as error:
        return f"its files are as they were, but it does not take those either: {error}"
    return "its files are as they were, and it took them again"


def not_running(service: Service, control: Control) -> str:
    """Return the sentence for a service that nobody can be told of."""
    if control.name == "nobody":
        return "not told: its daemon does not run in this root"
    start = "systemctl enable --now" if control.name == "systemd" else "service"
    end = "" if control.name == "systemd" else " start"
    return f"not running here, so not told; to start it: {start} {service.units[0]}{end}"
