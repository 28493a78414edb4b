"""xCAT's CSV (`tabdump`): a ``#`` before the column names, every value quoted, nothing for an empty one.

#node,ip,hostnames,otherinterfaces,comments,disable
"n01","10.1.0.11",,"-ipmi:10.1.0.111",,
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks.tables.columns import BY_NAME, Table

OFF = frozenset({"1", "yes"})  # what xCAT takes for true in the column `disable`
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")
MOST_BYTES = 1 << 28


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row: its table, where it was written (0: nowhere), and its cells by column, the empty ones left out."""

    table: str
    cells: Mapping[str, str]
    line: int = 0

    def get(self, column: str) -> str:
        """Return a cell, an empty text where there is none."""
        return self.cells.get(column, "")

    @property
    def key(self) -> str:
        """Return the first column's cell: whom the row belongs to."""
        return self.get(BY_NAME[self.table].columns[0])


def row(table: str, /, **cells: str) -> Row:
    """Return a row without its empty cells; an unknown column is a `KeyError`."""
    unknown = cells.keys() - set(BY_NAME[table].columns)
    if unknown:
        raise KeyError(table, sorted(unknown))
    return Row(table=table, cells={column: cell for column, cell in cells.items() if cell})


def dumped(table: Table, rows: Iterable[Row]) -> str:
    """Return a table as tabdump prints it."""
    lines = ["#" + ",".join(table.columns)]
    lines += [",".join(quoted(row.get(column)) for column in table.columns) for row in rows]
    return "".join(f"{line}\n" for line in lines)


def quoted(cell: str) -> str:
    """Return a cell as xCAT writes it."""
    return '"' + cell.replace('"', '""') + '"' if cell else ""


def read(path: Path) -> tuple[tuple[Row, ...], list[str]]:
    """Return a table's rows and what is wrong with the file, each with its place.

    Columns that the table does not have are kept: whoever uses the rows has to account for them.
    """
    try:
        if not path.is_file():
            return (), [f"{path}: is no file"]
        if path.stat().st_size > MOST_BYTES:
            return (), [f"{path}: is larger than {MOST_BYTES >> 20} MiB"]
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        return (), [f"{path}: is not UTF-8 text"]
    except OSError as error:
        return (), [f"{path}: cannot be read: {error.strerror}"]
    return parsed(text, path)


def parsed(text: str, path: Path) -> tuple[tuple[Row, ...], list[str]]:
    """Return the rows of a table's text, and what is wrong with it."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    mistakes: list[str] = []
    rows: list[Row] = []
    columns: list[str] = []
    try:
        for cells in reader:
            if not any(cells):
                continue
            if not columns:
                columns = [cells[0].removeprefix("#"), *cells[1:]]
                mistakes += header_mistakes(path, cells, columns)
            elif len(cells) != len(columns):
                mistakes.append(f"{path}:{reader.line_num}: has {len(cells)} fields, the header has {len(columns)}")
            else:
                kept = {column: cell for column, cell in zip(columns, cells, strict=True) if cell}
                rows.append(Row(table=path.stem, cells=kept, line=reader.line_num))
    except csv.Error as error:
        mistakes.append(f"{path}:{reader.line_num}: is no CSV: {error}")
    return tuple(rows), mistakes


def header_mistakes(path: Path, cells: list[str], columns: list[str]) -> list[str]:
    """Return what is wrong with the line of column names."""
    first = BY_NAME[path.stem].columns[0]
    if not cells[0].startswith("#") or columns[0] != first:
        return [f"{path}:1: is no table of tabdump: its first line begins with #{first},"]
    doubled = sorted({column for column in columns if columns.count(column) > 1})
    return [f"{path}:1: has the column {column!r} twice" for column in doubled]
