"""``doit deploy``: from the words to what is told of it."""

import importlib
import json
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from tasks.deploy import compose, services
from tasks.deploy import control as controls
from tasks.deploy import ledger as books
from tasks.deploy import root as roots
from tasks.deploy.apply import Outcome, Told, by_service, carry_out
from tasks.deploy.control import Control
from tasks.deploy.intent import Builder, Item, Source, sources
from tasks.deploy.ledger import LEDGER
from tasks.deploy.services import NAMED_CONF, NAMED_OPTIONS, SERVICES, Service
from tasks.deploy.validate import Candidate, check
from tasks.deploy.words import DEPLOY, Order
from tasks.errors import BootmillError
from tasks.inventory.model import Cluster, Site


def deploy_cluster(cluster: Cluster, rendered: Sequence[str], words: Sequence[str]) -> None:
    """Put a cluster's files in place; the modules `rendered` know which there may be (``outputs(cluster)``)."""
    modules = [importlib.import_module(name) for name in rendered]
    deploy(cluster.site.only("dhcp_server"), [path for module in modules for path in module.outputs(cluster)], words)


def deploy(site: Site, outputs: Sequence[Path], words: Sequence[str], *, control: Control | None = None) -> None:
    """Put rendered files in place on the head node; `outputs` are all that are rendered, `site` has destdir."""
    order = DEPLOY.understand(words)
    root = Path(order.values.get("--root", "/")).absolute()
    if not root.is_dir():
        message = f"{root} is no folder"
        raise BootmillError(message, hint="--root names the folder that holds the head node's /etc")
    root = root.resolve()
    dry = "--dry-run" in order.on
    with nullcontext() if dry else exclusive(root):
        outcome = perform(
            root, order, sources(outputs, Path(site.destdir)), control or controls.found(root), site.dhcp_server
        )
    print(as_json(root, outcome) if "--json" in order.on else as_text(outcome, dry=dry))
    if outcome.failures:
        raise BootmillError(
            "\n".join(outcome.failures), hint="what was replaced is saved; mend the cause, then deploy again"
        )


def exclusive(root: Path) -> AbstractContextManager[None]:
    """Hold the lock of a root, as one who may write there."""
    roots.refuse_unwritable(root, [LEDGER, services.HOSTS])
    return books.locked(root)


def perform(root: Path, order: Order, source: Source, control: Control, dhcp_server: str | None) -> Outcome:
    """Find out what is to be done, have it checked, and do it unless it is only to be shown."""
    ledger = books.read(root)
    carried = books.carried(root, ledger)
    builder = Builder(root, ledger, carried)
    back: int | None = None
    asked = services.named(order.words)
    if "--undo" in order.on:
        back = books.newest(root, ledger)
        if back is None:
            message = f"nothing was deployed below {root} that could be undone"
            raise BootmillError(message, hint="what is rendered is put in place by: doit deploy")
        items = [*builder.undone(books.load(root, back))]
        items = [item for item in items if not asked or item.service.name in asked]
    else:
        items = [*builder.rendered(source, chosen(source, asked, ledger, control, dhcp_server))]
        if not source.services() & (asked or source.services()):
            message = "nothing is rendered that could be deployed"
            raise BootmillError(message, hint="render it first: doit")
    builder.refuse(items, take_over="--take-over" in order.on)
    todo = by_service(items)
    notes = check(root, [candidate(service, mine) for service, mine in todo], live=control.name != "nobody")
    notes += [*builder.remarks, *unused_options(root, items), *other_servers(items, ledger, control)]
    if "--dry-run" in order.on:
        return Outcome(items=tuple(items), told=foretold(todo, control), notes=notes)
    roots.refuse_unwritable(root, [item.path for item in items if item.changes])
    outcome = carry_out(root, items, ledger, carried, control)
    outcome.notes = notes
    if back and outcome.backup and not asked and not outcome.failures:  # half an undo is none
        numbers = books.numbers(root)
        ledger.undone = {made: of for made, of in {**ledger.undone, outcome.backup: back}.items() if made in numbers}
    if ledger != books.read(root):  # an undo; or another server was chosen, and its files were in place
        books.write(root, ledger)
    return outcome


def chosen(
    source: Source, asked: Iterable[str], ledger: books.Ledger, control: Control, dhcp_server: str | None
) -> frozenset[str]:
    """Return the names of the services that are deployed: those asked for, else all; of DHCP servers only one."""
    rendered = source.services()
    names = frozenset(asked) or rendered
    dhcp = [service for service in SERVICES if service.role == "dhcp"]
    mine = {services.server(service) for service in dhcp if service.name in names & rendered}
    if len(mine) < 2 and not asked:
        return names
    told = {services.of(path).name for path in ledger.told}
    server = services.serving(
        mine,
        asked={services.server(service) for service in dhcp if service.name in asked} or services.asked(dhcp_server),
        before={services.server(service) for service in dhcp if service.name in told},
        running={services.server(service) for service in dhcp if len(mine) > 1 and control.unit(service)},
    )
    others = {service.name for service in dhcp if services.server(service) != server}
    return frozenset(names - others)


def other_servers(items: Iterable[Item], ledger: books.Ledger, control: Control) -> list[str]:
    """Forget the DHCP servers that were deployed before another one took their place; return what is to be done."""
    dhcp = [service for service in SERVICES if service.role == "dhcp"]
    serving = {services.server(item.service) for item in items if item.service.role == "dhcp" and item.new}
    others = [service for service in dhcp if serving and services.server(service) not in serving]
    ledger.told = {path: digest for path, digest in ledger.told.items() if services.of(path) not in others}
    return [
        f"{service.name} still runs as {unit} and would answer, too: systemctl disable --now {unit}"
        for service in others
        if (unit := control.unit(service))
    ]


def candidate(service: Service, items: Iterable[Item]) -> Candidate:
    """Return what a service's checker is asked about."""
    mine = [*items]
    texts = {item.path: item.new.content if item.new else None for item in mine}
    return Candidate(service, texts, frozenset(item.path for item in mine if item.changes or not item.told))


def foretold(todo: Iterable[tuple[Service, list[Item]]], control: Control) -> list[Told]:
    """Return what would be told to whom."""
    told = []
    for service, items in todo:
        if service.units and not all(item.told for item in items):
            runs = control.unit(service) is not None
            told.append(Told(service=service.name, result=str(service.verb) if runs else "none"))
    return told


def unused_options(root: Path, items: Iterable[Item]) -> list[str]:
    """Return the remark that named does not use our options: Debian has its own ``options``."""
    if not any(item.path == NAMED_OPTIONS and item.changes and item.new for item in items):
        return []
    conf = roots.look(root, NAMED_CONF)
    if conf is None or compose.includes(compose.text(conf.content), NAMED_OPTIONS):
        return []
    return [
        f"{NAMED_CONF} does not include {NAMED_OPTIONS.name}: named goes on with its own options; to use the "
        f'inventory\'s, write include "{NAMED_OPTIONS}"; in the place of named.conf.options'
    ]


# -- telling -----------------------------------------------------------------------------------------------------------


def as_json(root: Path, outcome: Outcome) -> str:
    """Return what was done for programs."""
    document = {
        "root": str(root),
        "files": [{"path": str(item.path), "service": item.service.name, "action": item.act} for item in outcome.items],
        "services": [{"name": told.service, "result": told.result, "said": told.said} for told in outcome.told],
        "backup": outcome.backup,
        "notes": outcome.notes,
        "failures": outcome.failures,
    }
    return json.dumps(document, indent=2)


def as_text(outcome: Outcome, *, dry: bool) -> str:
    """Return what was done for people."""
    lines = [f"{item.act:<8} {item.path}" for item in outcome.items if item.changes]
    for told in outcome.told:
        said = f": {told.said}" if told.said and told.result == "none" else ""
        lines.append(f"{told.result if told.result != 'none' else '-':<8} {told.service}{said}")
    lines += [f"note: {note}" for note in outcome.notes]
    if outcome.backup is not None:
        lines.append(f"what was there is saved as generation {outcome.backup}; doit deploy --undo brings it back")
    if not any(item.changes for item in outcome.items) and not outcome.told:
        lines.append("nothing to do: what is deployed is what is rendered")
    elif dry:
        lines.append("nothing was written: a dry run")
    return "\n".join(lines)
