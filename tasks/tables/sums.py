"""The sums in xCAT's rules: ``(($1-1)/4+1)``, whole numbers as Perl's ``use integer`` calculates them.  Pure.

sum    = term { ("+" | "-") term }          "/" cuts off toward zero, "%" has the sign of its left side, as in C
term   = factor { ("*" | "/" | "%") factor }
factor = "-" factor | "(" sum ")" | number | $digits | word
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

TOKEN = re.compile(r"\s*(?:(?P<number>[0-9]+)|\$(?P<group>[0-9]{1,3})|(?P<word>[A-Za-z_]\w*)|(?P<sign>[-+*/%()]))")
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


Sum = Number | Operation | int  # an int below zero is a group: -1 is $1
PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2}


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
        message = f"{self.text!r} is more than a sum of whole numbers and $1, $2 …"
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
        if kind == "word" and self.token != "(":
            return Number(text=token)
        if kind == "group" and token.strip("0"):
            return -int(token)
        if token == "-" and kind == "sign" and depth < MAX_DEPTH:
            return Operation(sign="-", left=Number(text="0"), right=self.factor(depth + 1))
        if token != "(":
            self.refuse()
        tree = self.sum(depth + 1)
        if self.next() != ")":
            self.refuse()
        return tree


def calculate(tree: Sum, groups: Sequence[str | None]) -> str:
    """Return what a sum comes to.  A lone ``$1`` is its text, leading zeros and all; `groups[0]` is the whole match."""
    if isinstance(tree, Number):
        return tree.text
    if isinstance(tree, int):
        return caught(tree, groups)
    return str(whole(tree, groups))


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
    own = PRECEDENCE[tree.sign]
    left, right = jinja(tree.left, number_of, own), jinja(tree.right, number_of, own + 1)
    if left is None or right is None:
        return None
    if right == "0" and tree.sign in "+-":
        return jinja(tree.left, number_of, above)
    text = f"{left} {'//' if tree.sign == '/' else tree.sign} {right}"
    return f"({text})" if own < above else text
