"""The YAML reader: places, plain text, and files that want to mislead, to hide something, or never to end."""

import time
from pathlib import Path
from typing import Any

import pytest

from tasks.inventory.model import SecretKind, SecretRef
from tasks.inventory.reading import Document, Path_
from tasks.inventory.reading import read as read_file


def read(tmp_path: Path, text: str | bytes) -> Document:
    """Read a text as an inventory file."""
    path = tmp_path / "x.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_file(path)


def complaints(document: Document) -> list[str]:
    """Return a document's mistakes without the name of its file."""
    return [f"{mark.line}:{mark.column}: {text}" for mark, text in document.mistakes]


PLACES = """\
# a comment
site: ben
ünicode:   wörd
list: [a,  b]
block:
  - c
  -   d: e
      f: g
flow: {mac: x, bmc: {user: y}}
quoted: 'q'
secret:  !secret env:X
base: &base
  k: v
copy: *base
folded: >-
  two
  lines
"""


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        ((), 2, 1),
        (("site",), 2, 7),
        (("ünicode",), 3, 12),
        (("list",), 4, 7),
        (("list", 0), 4, 8),
        (("list", 1), 4, 12),
        (("block",), 6, 3),
        (("block", 0), 6, 5),
        (("block", 1), 7, 7),
        (("block", 1, "d"), 7, 10),
        (("block", 1, "f"), 8, 10),
        (("flow",), 9, 1),
        (("flow", "mac"), 9, 13),
        (("flow", "bmc"), 9, 16),
        (("flow", "bmc", "user"), 9, 28),
        (("quoted",), 10, 9),
        (("secret",), 11, 10),
        (("base",), 12, 1),
        (("base", "k"), 13, 6),
        (("copy",), 14, 7),
        (("copy", "k"), 14, 7),
        (("folded",), 15, 9),
        (("flow", "nowhere"), 9, 1),
        (("nowhere",), 2, 1),
    ],
)
def test_places(tmp_path: Path, path: Path_, line: int, column: int) -> None:
    """Every value knows where it was written; a mapping is where its key is; what is not there, what is around it."""
    mark = read(tmp_path, PLACES).mark(path)
    assert (mark.line, mark.column) == (line, column)
    assert str(mark) == f"{tmp_path}/x.yaml:{line}:{column}"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("0123", "0123"),
        ("1:30:11", "1:30:11"),
        ("10:18:33:44:55:26", "10:18:33:44:55:26"),
        ("5.10", "5.10"),
        ("1e3", "1e3"),
        ("0x10", "0x10"),
        ("2026-01-01", "2026-01-01"),
        (".inf", ".inf"),
        ("=", "="),
        ("'~'", "~"),
        ("''", ""),
        ('"null"', "null"),
        ("~", None),
        ("", None),
        ("null", None),
        ("[]", []),
        ("{}", {}),
        ("[a, [b]]", ["a", ["b"]]),
        ("!secret env:NAME", SecretRef(kind=SecretKind.ENV, where="NAME")),
        ("!secret 'file:a b'", SecretRef(kind=SecretKind.FILE, where="a b")),
        (">-\n  two\n  lines", "two lines"),
        ('"\\u00e9"', "é"),
    ],
)
def test_scalars_stay_text(tmp_path: Path, text: str, value: Any) -> None:
    """No word turns into a number, a date or a truth value: the schema decides what it is."""
    document = read(tmp_path, f"k: {text}\n")
    assert (document.value, complaints(document)) == ({"k": value}, [])


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "---\n", "---\n...\n", "\ufeff"])
def test_empty_files_are_empty(tmp_path: Path, text: str) -> None:
    """A file without a value, and one that is not there, says nothing and is no mistake."""
    document = read(tmp_path, text)
    assert (document.value, complaints(document), document.broken) == (None, [], False)
    missing = read_file(tmp_path / "missing.yaml")
    assert (missing.value, missing.mistakes) == (None, [])


@pytest.mark.parametrize("text", ["\ufeffa: b\n", "a: b\r\n", "%YAML 1.1\n---\na: b\n...\n"])
def test_other_editors(tmp_path: Path, text: str) -> None:
    """Byte order marks, DOS line ends and YAML's own frame are no part of the value."""
    document = read(tmp_path, text)
    assert (document.value, complaints(document)) == ({"a": "b"}, [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", ["3:1: 'a' is written twice (line 1)"]),
        ("x: {a: 1,\n    a: {a: 1, a: 2}}\n",
         ["2:5: 'a' is written twice (line 1)", "2:15: 'a' is written twice (line 2)"]),
        ("a:\n\tb: 1\n", ["2:1: broken YAML: while scanning for the next token found character that cannot start any "
                          "token (a tab? YAML indents with blanks)"]),
        ("a: [1\nb: 2\n", ["2:2: broken YAML: while parsing a flow sequence did not find expected ',' or ']'"]),
        ("a: b: c\n", ["1:5: broken YAML: mapping values are not allowed in this context"]),
        ("a: 1\n  b: 2\n", ["2:4: broken YAML: mapping values are not allowed in this context"]),
        ("'", ["1:2: broken YAML: while scanning a quoted scalar found unexpected end of stream"]),
        ("a: 1\n---\nb: 2\n", ["2:1: a second document begins here: one file is one document"]),
        ("a: 1\n<<: {b: 2}\n", ["2:1: merge keys (<<) are not used here: put shared attributes into groups.yaml"]),
        ("? [a]\n: 1\nb: 2\n", ["1:3: a key must be a plain word"]),
        ("? {a: b}\n: 1\n", ["1:3: a key must be a plain word"]),
        ("!x a: 1\n", ["1:1: a key must be a plain word"]),
        ("a: !ruby x\n", ["1:4: unknown tag !ruby: only !secret exists"]),
        ("a: !!python/object/apply:os.system [ls]\n",
         ["1:4: tags are not used here; only a secret has one: !secret env:NAME"]),
        ("a: !!int 5\n", ["1:4: unknown tag tag:yaml.org,2002:int: only !secret exists"]),
        ("a: !secret {b: c}\n", ["1:4: tags are not used here; only a secret has one: !secret env:NAME"]),
        ("a: *b\n", ["1:4: the alias *b is not defined above"]),
        ("a: &a [*a]\n", ["1:8: the alias *a refers to itself"]),
        ("a: |\n  one\n  two\n", ["1:4: this text holds a line break: write one plain line"]),
        ('a: "x\\ty"\n', ["1:4: this text holds the control character U+0009: write one plain line"]),
        ('a: "\\e[31m"\n', ["1:4: this text holds the control character U+001B: write one plain line"]),
        ('"a\\n": b\n', ["1:1: this text holds a line break: write one plain line"]),
        ('a: "\\u202e"\n', ["1:4: this text holds the control character U+202E: write one plain line"]),
        ("a: x\u202ey\n", ["1:5: control character U+202E: remove it"]),
        ("a: x\x1b[31m\nb: \x00\n",
         ["1:5: control character U+001B: remove it", "2:4: control character U+0000: remove it"]),
        ("a: 1\x0bb: 2\n", ["1:5: control character U+000B: remove it"]),
        ("a: 1\x85b: 2\n", ["1:5: control character U+0085: remove it"]),
        ("a: 1\u2028b: 2\n", ["1:5: control character U+2028: remove it"]),
        ("a: 1\rb: 2\n", ["1:5: control character U+000D: remove it"]),
        ("a: \ufffe\n", ["1:4: control character U+FFFE: remove it"]),
        (b"a: 1\nb: \xff\n", ["2:1: is not UTF-8 text: save it as UTF-8"]),
        ("a: 1\n".encode("utf-16"), ["1:1: is not UTF-8 text: save it as UTF-8"]),
    ],
)  # fmt: skip
def test_mistakes(tmp_path: Path, text: str | bytes, expected: list[str]) -> None:
    """What YAML lets pass, or what another program would read differently, is told with its place."""
    assert complaints(read(tmp_path, text)) == expected


@pytest.mark.parametrize("word", ["hunter2", "plain:hunter2", "'env:hunter2\\n'", "env:", "[hunter2]", "{hunter2: x}"])
def test_a_secret_is_never_repeated(tmp_path: Path, word: str) -> None:
    """What stands behind !secret and is no reference may be the secret itself: the complaint does not show it."""
    found = complaints(read(tmp_path, f"a: !secret {word}\n"))
    assert bool(found) != word.startswith("'env:")
    assert "hunter2" not in str(found)


def bomb(levels: int, width: int = 10) -> str:
    """Return aliases of aliases that stand for `width` ** `levels` values."""
    lines = ["a0: &a0 x"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * width)}]" for level in range(1, levels)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (bomb(30), "multiplies too often"),
        (bomb(400, width=2), "multiplies too often"),
        ("[" * 100_000, "is nested more than 20 deep"),
        ("a: " + "{a: " * 100_000, "is nested more than 20 deep"),
        ("- " * 10_000, "is nested more than 20 deep"),
        ("? " * 10_000, "is nested more than 20 deep"),
        ("".join(f"{' ' * depth}a:\n" for depth in range(300)), "is nested more than 20 deep"),
    ],
    ids=["bomb", "thin bomb", "flow lists", "flow mappings", "block lists", "complex keys", "block mappings"],
)
def test_hostile_files_end_quickly(tmp_path: Path, text: str, sentence: str) -> None:
    """A small file that unfolds into millions of values, or nests without end, is refused at once."""
    begun = time.process_time()
    found = complaints(read(tmp_path, text))
    assert sentence in found[-1]
    assert time.process_time() - begun < 2


def test_aliases_are_copies(tmp_path: Path) -> None:
    """An alias stands for what its anchor names, as often as a cluster may need."""
    text = "base: &b {user: root}\n" + "".join(f"n{number}: *b\n" for number in range(1000))
    document = read(tmp_path, text)
    assert complaints(document) == []
    assert document.value["n999"] == {"user": "root"}


def test_unreadable_files_are_mistakes(tmp_path: Path) -> None:
    """A folder in a file's place is told as a mistake of the inventory."""
    (tmp_path / "x.yaml").mkdir()
    document = read_file(tmp_path / "x.yaml")
    assert complaints(document) == ["1:1: cannot be read: Is a directory"]
    assert document.broken
