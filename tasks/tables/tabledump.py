"""tabdump: the inventory as xCAT's tables, so that scripts that read them go on working."""

import json
from collections.abc import Iterable, Sequence

from tasks.inventory.model import Cluster
from tasks.inventory.noderange import near
from tasks.tables.columns import BY_NAME, TABLES, Table
from tasks.tables.csvtext import dumped
from tasks.tables.rows import rows
from tasks.tables.words import Usage

USAGE = Usage(
    synopsis="doit tabdump [-d] [TABLE] [--json]   (-d describes: the tables, or the columns of one)",
    options=(("-d", "describe"), ("--describe", "describe"), ("--json", "json")),
    most=2,
)
TAB = 7  # xCAT puts a second tab behind words that are shorter


def tabdump(cluster: Cluster, words: Sequence[str]) -> None:
    """Print a table, the names of all tables, or with -d what they hold; `BootmillError` for an unknown table.

    ``describe`` and ``-d`` are the same, wherever they stand.
    """
    print(answer(cluster, words), end="")


def answer(cluster: Cluster, words: Sequence[str]) -> str:
    """Return what tabdump prints."""
    plain, options = USAGE.understand(words)
    names = tuple(word for word in plain if word != "describe")
    describe = "describe" in options or len(names) < len(plain)
    if len(names) > 1:
        message = f"{names[1]!r} is one word too many"
        raise USAGE.misused(message)
    table = known(names[0]) if names else None
    if describe:
        return described(table, as_json="json" in options)
    if table is None:
        listed = [table.name for table in TABLES]
        return as_text(listed) if "json" in options else "".join(f"{name}\n" for name in listed)
    found = rows(cluster, table)
    if "json" in options:
        return as_text([{column: row.get(column) or None for column in table.columns} for row in found])
    return dumped(table, found)


def known(name: str) -> Table:
    """Return the table of this name."""
    if name not in BY_NAME:
        message = f"there is no table {name!r}{near(name, BY_NAME)}: tabdump alone lists them"
        raise USAGE.misused(message)
    return BY_NAME[name]


def described(table: Table | None, *, as_json: bool) -> str:
    """Return a line about each column of a table, or about each table."""
    pairs = list(table.described()) if table else [(table.name, table.about) for table in TABLES]
    return as_text(dict(pairs)) if as_json else explained(pairs)


def explained(pairs: Iterable[tuple[str, str]]) -> str:
    """Return words and what they mean as xCAT prints them: tabs between, an empty line after each but the last."""
    return "\n".join(f"{word}:{tabs(word)}{about}\n" for word, about in pairs)


def tabs(word: str) -> str:
    """Return one tab, or two behind a short word."""
    return "\t\t" if len(word) < TAB else "\t"


def as_text(value: object) -> str:
    """Return JSON for programs and people."""
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
