"""The sums in xCAT's rules: ``(($1-1)/4+1)``, whole numbers as Perl's ``use integer`` calculates them.  Pure.

sum    = term { ("+" | "-") term }          "/" cuts off toward zero, "%" has the sign of its left side, as in C
term   = factor { ("*" | "/" | "%") factor }
factor = "-" factor | "(" sum ")" | number | $digits | word | 'text' | function "(" sum { "," sum } ")"

The functions are xCAT's own (Table.pm); `functions` has them.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tasks.tables import functions

TOKEN = re.compile(
    r"\s*(?:(?P<number>[0-9]+)|\$(?P<group>[0-9]{1,3})|(?P<word>[A-Za-z_]\w*)|(?P<sign>[-+*/%(),])"
    r"""|'(?P<text>[^'\\]*)'|"(?P<quoted>[^"\\$@]*)")""",
    re.ASCII,
)
LEADING = re.compile(r"\s*([+-]?[0-9]+)(?![0-9.eE])")
LARGEST = 2**63
MAX_DEPTH = 50


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number, or a word that counts as one: Perl takes a bare word for a text, and a text in a sum for 0."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Operation:
    """Two sums and what is done with them."""

    sign: str
    left: "Sum"
    right: "Sum"


@dataclass(frozen=True, kw_only=True)
class Call:
    """A function of xCAT's and what it is given."""

    name: str
    given: "tuple[Sum, ...]"


Sum = Number | Operation | Call | int  # an int below zero is a group: -1 is $1
PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2}


@lru_cache(maxsize=1000)
def parse(text: str) -> Sum:
    """Return the tree of a parenthesis; `ValueError` where it is more than a sum."""
    parser = Parser(text)
    tree = parser.sum(0)
    if parser.token:
        parser.refuse()
    return tree


class Parser:
    """Reads a sum from left to right, one token ahead."""

    def __init__(self, text: str) -> None:
        """Read the first token."""
        self.text = text
        self.end = 0
        self.token = ""
        self.kind = ""
        self.next()

    def next(self) -> str:
        """Return the token and read the one behind it; an empty one is the end."""
        token = self.token
        found = TOKEN.match(self.text, self.end)
        if found is None and self.text[self.end :].strip():
            self.refuse()
        self.end = found.end() if found else len(self.text)
        self.kind = (found.lastgroup or "") if found else ""
        self.token = found[self.kind] if found else ""
        return token

    def refuse(self) -> None:
        """Say that this is no sum."""
        message = f"{self.text!r} is more than a sum of whole numbers, $1, $2 … and xCAT's functions"
        raise ValueError(message)

    def sum(self, depth: int) -> Sum:
        """Read terms."""
        if depth > MAX_DEPTH:
            self.refuse()
        left = self.term(depth)
        while self.kind == "sign" and self.token in "+-":
            left = Operation(sign=self.next(), left=left, right=self.term(depth))
        return left

    def term(self, depth: int) -> Sum:
        """Read factors."""
        left = self.factor(depth)
        while self.kind == "sign" and self.token in "*/%":
            left = Operation(sign=self.next(), left=left, right=self.factor(depth))
        return left

    def factor(self, depth: int) -> Sum:
        """Read a number, a group, a word, or a sum in parentheses."""
        kind, token = self.kind, self.next()
        if kind == "number" and (token == "0" or not token.startswith("0")):  # 010 is eight in Perl: too strange
            return Number(text=token)
        if kind in {"text", "quoted"}:
            return Number(text=token)
        if kind == "word" and self.token != "(":
            return Number(text=token)
        if kind == "word" and token in functions.KNOWN:
            return self.call(token, depth)
        if kind == "group" and token.strip("0"):
            return -int(token)
        if token == "-" and kind == "sign" and depth < MAX_DEPTH:
            return Operation(sign="-", left=Number(text="0"), right=self.factor(depth + 1))
        if token != "(" or kind != "sign":
            self.refuse()
        tree = self.sum(depth + 1)
        self.close()
        return tree

    def call(self, name: str, depth: int) -> Call:
        """Read what a function is given."""
        self.next()
        given = [self.sum(depth + 1)]
        while self.kind == "sign" and self.token == ",":
            self.next()
            given.append(self.sum(depth + 1))
        self.close()
        return Call(name=name, given=tuple(given))

    def close(self) -> None:
        """Read the parenthesis that closes."""
        if self.kind != "sign" or self.next() != ")":
            self.refuse()


def calculate(tree: Sum, groups: Sequence[str | None]) -> str:
    """Return what a sum comes to.  A lone ``$1`` is its text, leading zeros and all; `groups[0]` is the whole match."""
    if isinstance(tree, Number):
        return tree.text
    if isinstance(tree, int):
        return caught(tree, groups)
    if isinstance(tree, Call):
        return functions.called(tree.name, tuple(given(one, groups) for one in tree.given), as_number)
    return str(whole(tree, groups))


def given(tree: Sum, groups: Sequence[str | None]) -> str:
    """Return what a function is given; what the name does not have ends a list in Perl: that is refused."""
    if isinstance(tree, int) and (-tree >= len(groups) or groups[-tree] is None):
        message = f"a function is given ${-tree}, which the name does not have"
        raise ValueError(message)
    return calculate(tree, groups)


def caught(group: int, groups: Sequence[str | None]) -> str:
    """Return a group's text; Perl takes one that does not exist for nothing."""
    return (groups[-group] or "") if -group < len(groups) else ""


def whole(tree: Sum, groups: Sequence[str | None]) -> int:
    """Return a sum as a number; `ValueError` for a division by zero and for more than 64 bits."""
    if not isinstance(tree, Operation):
        return as_number(calculate(tree, groups))
    left, right = whole(tree.left, groups), whole(tree.right, groups)
    if tree.sign in "/%" and right == 0:
        message = "a division by zero"
        raise ValueError(message)
    match tree.sign:
        case "+":
            result = left + right
        case "-":
            result = left - right
        case "*":
            result = left * right
        case "/":
            result = quotient(left, right)
        case _:
            result = left - right * quotient(left, right)
    if not -LARGEST <= result < LARGEST:
        message = "a number of more than 64 bits"
        raise ValueError(message)
    return result


def quotient(left: int, right: int) -> int:
    """Divide as C does: the rest is cut off toward zero."""
    result = abs(left) // abs(right)
    return result if (left < 0) == (right < 0) else -result


def as_number(text: str) -> int:
    """Return a text as Perl's sums take it: the number at its beginning, else 0; ``1e3`` is refused."""
    found = LEADING.match(text)
    if found is None and re.match(r"\s*[+-]?\.?[0-9]", text):
        message = f"{text!r} is no whole number"
        raise ValueError(message)
    return int(found[1]) if found else 0


def jinja(tree: Sum, number_of: Callable[[int], str | None], above: int = 0) -> str | None:
    """Return a sum in Jinja2's words; `number_of` says what a group is there, None what has no words.

    `above` is the precedence of the operation around it: parentheses are written where they are needed.
    """
    if isinstance(tree, Number):
        return tree.text if tree.text.isdigit() else None
    if isinstance(tree, int):
        return number_of(-tree)
    if isinstance(tree, Call):
        return jinja(unfolded(tree), number_of, above) if tree.name == "dim2idx" else None
    own = PRECEDENCE[tree.sign]
    left, right = jinja(tree.left, number_of, own), jinja(tree.right, number_of, own + 1)
    if left is None or right is None:
        return None
    if right == "0" and tree.sign in "+-":
        return jinja(tree.left, number_of, above)
    if left == "0" and tree.sign == "+":
        return jinja(tree.right, number_of, above)
    text = f"{left} {'//' if tree.sign == '/' else tree.sign} {right}"
    return f"({text})" if own < above else text


def unfolded(call: Call) -> Sum:
    """Return dim2idx(row, columns, column, …) as the sum that it stands for."""
    one = Number(text="1")
    result: Sum = Operation(sign="-", left=call.given[0], right=one)
    for index, given in enumerate(call.given[1:]):
        sign, right = ("*", given) if index % 2 == 0 else ("+", Operation(sign="-", left=given, right=one))
        result = Operation(sign=sign, left=result, right=right)
    return Operation(sign="+", left=result, right=one)


def octets(tree: Sum) -> tuple[Sum, ...] | None:
    """Return the four sums of ``ipadd(10, 1, 0, 10, $1)``; None for anything else, or where a choice depends on $1."""
    if not isinstance(tree, Call) or tree.name != "ipadd" or len(tree.given) < 5:
        return None
    zero = Number(text="0")
    first, second, third, fourth, more, *ends = tree.given
    start, end = (*ends, zero, zero)[:2]
    if not all(isinstance(one, Number) and one.text.isdigit() for one in (fourth, start, end)):
        return None
    below, size = (int(calculate(one, ())) for one in (start, end))
    offset, size = max(int(calculate(fourth, ())) - below, 0), 256 - below - size
    if size < 1:
        return None
    added = Operation(sign="+", left=more, right=Number(text=str(offset)))
    carry = Operation(sign="/", left=added, right=Number(text=str(size)))
    rest = Operation(sign="%", left=added, right=Number(text=str(size)))
    return (
        first,
        second,
        Operation(sign="+", left=third, right=carry),
        Operation(sign="+", left=rest, right=Number(text=str(below))),
    )
