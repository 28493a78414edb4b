"""tabdump: the inventory as xCAT's tables, so that scripts that read them go on working."""

import json
import operator
import re
from collections.abc import Callable, Iterable, Sequence

from tasks.inventory.model import Cluster
from tasks.inventory.noderange import near
from tasks.tables.columns import BY_NAME, TABLES, Table
from tasks.tables.csvtext import Row, dumped
from tasks.tables.rows import rows
from tasks.tables.words import Usage

USAGE = Usage(
    synopsis="doit tabdump [-d] [-w COLUMN==VALUE ...] [TABLE] [--json]"
    "   (-d describes: the tables, or the columns of one; -w compares: == != =~ !~ > >= < <=, ~ with % for any text)",
    options=(("-d", "describe"), ("--describe", "describe"), ("--json", "json"), ("-w", "where")),
)
COMPARISON = re.compile(r"(\w+)(==|!=|=~|!~|>=|<=|>|<)(.*)", re.DOTALL)
Test = Callable[[str], bool]
ORDERS: dict[str, Callable[[str, str], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
TAB = 7  # xCAT puts a second tab behind words that are shorter


def tabdump(cluster: Cluster, words: Sequence[str]) -> None:
    """Print a table, the names of all tables, or with -d what they hold; `BootmillError` for an unknown table.

    ``describe`` and ``-d`` are the same, wherever they stand.
    """
    print(answer(cluster, words), end="")


def answer(cluster: Cluster, words: Sequence[str]) -> str:
    """Return what tabdump prints."""
    plain, options = USAGE.understand(words)
    conditions = [found for word in plain if (found := COMPARISON.fullmatch(word))]
    names = tuple(word for word in plain if word != "describe" and not COMPARISON.fullmatch(word))
    describe = "describe" in options or "describe" in plain
    if len(names) > 1:
        message = f"{names[1]!r} is one word too many"
        raise USAGE.misused(message)
    table = known(names[0]) if names else None
    if (conditions or "where" in options) and (table is None or describe or not conditions):
        message = "-w compares columns of a table: doit tabdump -w 'groups==compute' nodelist"
        raise USAGE.misused(message)
    if describe:
        return described(table, as_json="json" in options)
    if table is None:
        listed = [table.name for table in TABLES]
        return as_text(listed) if "json" in options else "".join(f"{name}\n" for name in listed)
    tests = [(column, test(table, column, sign, value)) for column, sign, value in (one.groups() for one in conditions)]
    kept: Iterable[Row] = rows(cluster, table)
    for column, holds in tests:
        kept = [row for row in kept if (cell := row.get(column)) and holds(cell)]
    if "json" in options:
        return as_text([{column: row.get(column) or None for column in table.columns} for row in kept])
    return dumped(table, kept)


def known(name: str) -> Table:
    """Return the table of this name."""
    if name not in BY_NAME:
        message = f"there is no table {name!r}{near(name, BY_NAME)}: tabdump alone lists them"
        raise USAGE.misused(message)
    return BY_NAME[name]


def test(table: Table, column: str, sign: str, value: str) -> Test:
    """Return what compares a cell as xCAT's database does: ``~`` is LIKE; no comparison holds for an empty cell.

    There, % is any text and _ any character, capitals count like small letters, and a text between slashes is taken
    without them.
    """
    if column not in table.columns:
        message = f"there is no column {column!r} in the table {table.name}{near(column, table.columns)}"
        raise USAGE.misused(message)
    if sign in ORDERS:
        return lambda cell: ORDERS[sign](cell, value)
    parts = {"%": ".*", "_": "."}
    pattern = "".join(parts.get(one, re.escape(one)) for one in value.removeprefix("/").removesuffix("/"))
    like = re.compile(re.sub(r"(\.\*)+", ".*", pattern), re.IGNORECASE | re.DOTALL | re.ASCII)
    return lambda cell: bool(like.fullmatch(cell)) is (sign == "=~")


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
