"""Libraries that no header names, for programs open them while they run: what can be known of them.

* libgcc_s.so.1: glibc opens it when a thread is cancelled or ends by pthread_exit(3), and aborts without it.
* libnss_*.so.2: glibc opens them for the services in /etc/nsswitch.conf (nss(5)); since 2.34 `files` and `dns` are in
  libc itself.
* what programs list in the ELF note of the dlopen metadata specification (uapi-group.org/specifications).
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tasks.initrd.loader.objects import Loaded, Objects
from tasks.initrd.loader.plan import Caution, printable
from tasks.initrd.loader.process import Process
from tasks.initrd.loader.sysroot import Sysroot, is_file, resolve

LIBC, LIBGCC = "libc.so.6", "libgcc_s.so.1"
THREADS = ("pthread_cancel", "pthread_exit")
NOTE_OWNER, NOTE_TYPE = "FDO", 0x407C0C0A
MAX_WISHES = 64  # dlopened libraries that one object may list
NSSWITCH = "/etc/nsswitch.conf"
BUILT_IN = ("files", "dns")
SINCE_BUILT_IN = b"GLIBC_2.34\0"
# Databases of nsswitch.conf and the calls that look into them.
CALLS = {
    "hosts": ("getaddrinfo", "gethostbyname", "gethostbyname_r", "gethostbyname2", "gethostbyaddr", "getnameinfo"),
    "passwd": ("getpwnam", "getpwnam_r", "getpwuid", "getpwuid_r", "getpwent"),
    "group": ("getgrnam", "getgrnam_r", "getgrgid", "getgrgid_r", "getgrent", "initgroups", "getgrouplist"),
    "shadow": ("getspnam", "getspnam_r"),
}


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A library that `asker` opens: the first of `names` that is there.  `rule` grades its absence, "" none does."""

    asker: Loaded
    names: tuple[str, ...]
    reason: str
    rule: str
    loss: str


def load(process: Process, *, nsswitch: bool) -> None:
    """Map what the objects of a process open while they run, and what that needs in turn."""
    seen: set[str] = set()
    while new := [each for real, each in process.files.items() if real not in seen]:
        seen |= {each.real for each in new}
        for wish in [*noted(process.objects, new), *threads(process, new), *services(process, new, nsswitch=nsswitch)]:
            if not any(process.dlopen(wish.asker, name, wish.reason) for name in wish.names) and wish.rule:
                process.cautions.append(Caution(rule=wish.rule, path=wish.asker.opened, text=wish.loss))


def noted(objects: Objects, loaded: Iterable[Loaded]) -> Iterator[Wish]:
    """Yield what objects list in their notes."""
    for each in loaded:
        for note in objects.notes(each.real, NOTE_OWNER, NOTE_TYPE) if each.elf.notes else ():
            yield from (wish_of(each, row) for row in rows_of(note))


def rows_of(note: bytes) -> list[dict[str, object]]:
    """Return the well-formed rows of a note: a list of objects, each with a list of SONAMEs."""
    try:
        rows = json.loads(note.rstrip(b"\0"))
    except (ValueError, RecursionError):
        return []
    listed = rows[:MAX_WISHES] if isinstance(rows, list) else []
    return [row for row in listed if isinstance(row, dict) and isinstance(row.get("soname"), list)]


def wish_of(asker: Loaded, row: dict[str, object]) -> Wish:
    """Return what one row of a note asks for."""
    listed = row["soname"]
    assert isinstance(listed, list)
    names = tuple(name for name in listed[:MAX_WISHES] if isinstance(name, str) and name and "\0" not in name)
    feature = printable(str(row.get("feature", ""))[:80])
    loss = f"{asker.opened} opens {printable(' or '.join(names))} while it runs (required), which is missing"
    rule = "W03" if row.get("priority") == "required" else ""
    return Wish(asker=asker, names=names, reason=f"dlopened by {asker.opened} for {feature}", rule=rule, loss=loss)


def threads(process: Process, loaded: Iterable[Loaded]) -> Iterator[Wish]:
    """Yield libgcc_s where an object ends threads: glibc would abort the program without it."""
    if not process.rules.is_glibc:
        return
    for each in loaded:
        calls = process.objects.imports(each.real, THREADS)
        if calls:
            loss = f"{each.opened} calls {calls[0]}, for which glibc opens {LIBGCC}, which is missing: it would abort"
            reason = f"dlopened by libc for {calls[0]} of {each.opened}"
            yield Wish(asker=process.named(LIBC), names=(LIBGCC,), reason=reason, rule="W03", loss=loss)


def services(process: Process, loaded: Iterable[Loaded], *, nsswitch: bool) -> Iterator[Wish]:
    """Yield the libraries of the name services that objects ask."""
    libc = process.named(LIBC)
    if not process.rules.is_glibc or libc is process.main:
        return
    databases = read_nsswitch(process.objects.tree) if nsswitch else {}
    inside = BUILT_IN if SINCE_BUILT_IN in libc.elf.strings else ()
    for each in loaded:
        for database, calls in CALLS.items():
            if each.elf.soname == LIBC or not process.objects.mentions(each.real, calls):
                continue
            for service in databases.get(database, BUILT_IN[: 2 if database == "hosts" else 1]):
                if service not in inside:
                    yield service_wish(libc, each, database, service)


def service_wish(libc: Loaded, user: Loaded, database: str, service: str) -> Wish:
    """Return the library of one service of nsswitch.conf."""
    name = f"libnss_{service}.so.2"
    reason = f"dlopened by libc for {database}: {printable(service)} ({NSSWITCH}), asked by {user.opened}"
    loss = f"{NSSWITCH} asks {printable(service)} for {database}, but {printable(name)} is missing"
    return Wish(asker=libc, names=(name,), reason=reason, rule="W04", loss=loss)


def read_nsswitch(tree: Sysroot) -> dict[str, tuple[str, ...]]:
    """Return {database: services} of nsswitch.conf(5), without the actions in brackets; empty where it is not."""
    real = resolve(tree, NSSWITCH).path
    if real is None or not is_file(tree, real):
        return {}
    try:
        text = tree.read_at(real, 0, 1 << 16).decode(errors="replace")
    except OSError:
        return {}
    lines = [line.partition("#")[0].partition(":") for line in text.split("\n")]
    return {name.strip(): service_names(rest) for name, colon, rest in lines if colon}


def service_names(text: str) -> tuple[str, ...]:
    """Return the services of one line, each once."""
    outside = "".join(part.partition("]")[2] if number else part for number, part in enumerate(text.split("[")))
    return tuple(dict.fromkeys(word for word in outside.split() if "/" not in word and word.isprintable()))
