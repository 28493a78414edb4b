"""The expressions that nearly all nodes have, evaluated without Jinja2: text around sums of the numbers in a name.

``10.1.{{ n[0] // 250 }}.{{ n[0] % 250 + 1 }}`` and ``{{ name }}-ib`` cost a microsecond a node, not twenty.  What
is written in any other way, or goes wrong, is not ours: `compiled` returns None, or its result raises `ArithmeticError`
or `LookupError`, and Jinja2 (`tasks.template`) decides.  A test holds that both come to the same.  Pure.
"""

import ast
import operator
import re
from collections.abc import Callable
from functools import lru_cache

LONGEST = 200  # characters: longer ones are left to Jinja2
LARGEST = 10**18  # of any number on the way
FIELD = re.compile(r"\{\{(.*?)\}\}")
PLAIN = re.compile(r"[A-Za-z0-9_ \[\]()+*/%-]+")  # no dots, quotes or filters in what we evaluate

Numbers = tuple[int, ...]
Quick = Callable[[str, Numbers], str]
Number = Callable[[Numbers], int]
OPERATIONS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


@lru_cache(maxsize=10_000)
def compiled(text: str) -> Quick | None:
    """Return a function of a node's name and the numbers in it; None where the expression is not of this kind."""
    if len(text) > LONGEST or "{%" in text or "{#" in text or "\n" in text:
        return None
    pieces = FIELD.split(text)
    texts, fields = pieces[::2], [field(piece.strip()) for piece in pieces[1::2]]
    if any("{{" in piece or "}}" in piece for piece in texts):
        return None
    return joined(texts, [one for one in fields if one is not None]) if None not in fields else None


def joined(texts: list[str], fields: list[Quick]) -> Quick:
    """Return what puts texts and fields together."""
    if len(fields) == 1:
        (before, after), only = texts, fields[0]
        return lambda name, numbers: f"{before}{only(name, numbers)}{after}"
    first, rest = texts[0], list(zip(fields, texts[1:], strict=True))
    return lambda name, numbers: first + "".join(f"{one(name, numbers)}{after}" for one, after in rest)


def field(text: str) -> Quick | None:
    """Return what stands between ``{{`` and ``}}``, None where it is more than the name or a sum."""
    if text == "name":
        return lambda name, numbers: name
    if not PLAIN.fullmatch(text):
        return None
    try:
        number = term(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return (lambda name, numbers: str(number(numbers))) if number else None


def term(tree: ast.expr) -> Number | None:
    """Return a sum as a function of the numbers in a name: whole numbers, ``n[0]``, + - * // %."""
    match tree:
        case ast.Constant(value=int() as value) if not isinstance(value, bool) and abs(value) < LARGEST:
            return lambda numbers: value
        case ast.Subscript(value=ast.Name(id="n"), slice=ast.Constant(value=int() as index)) if index is not True:
            return lambda numbers: bounded(numbers[index])
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATIONS:
            return operation(OPERATIONS[type(op)], term(left), term(right))
    return None


def operation(act: Callable[[int, int], int], left: Number | None, right: Number | None) -> Number | None:
    """Return an operation on two sums."""
    if left is None or right is None:
        return None
    return lambda numbers: bounded(act(left(numbers), right(numbers)))


def bounded(number: int) -> int:
    """Return a number; `OverflowError` where it is so large that Jinja2's door would have a word on it."""
    if abs(number) >= LARGEST:
        raise OverflowError
    return number
