"""xCAT's regular expression rows: what they come to for a node, and the Jinja2 expression that says the same.  Pure.

    /pattern/text/            the first match in the node's name becomes the text, as it stands
    |pattern|text (sum) ...|  the same, and each ( ) in the text is calculated: $1 + - * / % on whole numbers
    |text (sum) ...|          the pattern is made from the name: $1, $2 … are its numbers, without leading zeros

After transRegexAttrs in xCAT's Table.pm, traps included: ``$1`` outside of parentheses stays ``$1``, what is left and
right of a match that is not anchored stays, and a name that does not match comes out unchanged.  There the sums are
Perl under ``use integer``; what is more than a sum is refused here instead of guessed at.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from tasks import template
from tasks.tables.sums import Sum, calculate, jinja, parse

SLASHES = re.compile(r"/([^/]*)/([^/]*)/")
BARS = re.compile(r"\|(.*)\|", re.DOTALL)
NUMBERS = re.compile(r"[0-9]+")
EASY_PIECE = r"[\D0]*(\d+)"
FOREIGN = re.compile(r"\[\[:|\(\?[^:=!<P]|\(\*|\\[pPXKRGhHvVNQELUlukg]")  # Perl's alone, or another meaning in Python
IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
# A word before a parenthesis is a call; these exist in Perl, so that the result is theirs and not nothing.
PERL_WORDS = frozenset(
    {
        *("abs", "and", "chr", "cmp", "cos", "defined", "do", "eq", "exp", "ge", "gt", "hex", "if", "int", "lc", "le"),
        *("length", "log", "lt", "m", "map", "my", "ne", "not", "oct", "or", "ord", "q", "qq", "qr", "qw", "rand"),
        *("ref", "s", "sin", "sqrt", "tr", "uc", "undef", "x", "xor", "y"),
        *("a2idx", "a2zidx", "dim2idx", "skip", "ipadd", "mknum"),  # xCAT's own
    }
)
LONGEST = 1000


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A row's value taken apart.  `pattern` is None in the easy form; with `sums`, parentheses are calculated."""

    pattern: str | None
    text: str
    sums: bool


def is_rule(value: str) -> bool:
    """Return whether xCAT would take a value for a rule."""
    return bool(SLASHES.fullmatch(value) or (len(value) > 1 and BARS.fullmatch(value)))


def taken_apart(value: str) -> Rule:
    """Return the parts of a value that `is_rule`."""
    if plain := SLASHES.fullmatch(value):
        return Rule(pattern=plain[1], text=plain[2], sums=False)
    inside = value[1:-1]
    pattern, bar, text = inside.partition("|")
    return Rule(pattern=pattern, text=text, sums=True) if bar else Rule(pattern=None, text=inside, sums=True)


def evaluate(value: str, node: str) -> str:
    """Return what a value comes to for a node; text that is no rule comes out as it is, nothing as an empty text.

    `ValueError` says what is refused: Perl that is no sum, a pattern that only Perl understands.
    """
    if len(value) > LONGEST:
        message = f"a rule has {LONGEST} characters at most"
        raise ValueError(message)
    if not is_rule(value):
        return value
    rule = taken_apart(value)
    match = compiled(pattern_for(rule, node)).search(node)
    if match is None:
        return node
    text = rule.text
    while rule.sums and (group := first_group(text)):
        start, end = group
        text = text[:start] + sum_value(text[start:end], match) + text[end:]
        if len(text) > LONGEST:
            message = "the result is too long"
            raise ValueError(message)
    return node[: match.start()] + text + node[match.end() :]


def tears(value: str, node: str) -> bool:
    """Return whether a rule with sums fits only the end of a name: xCAT then loses the sums (xen1 and ``n(\\d+)``)."""
    if not is_rule(value):
        return False
    rule = taken_apart(value)
    match = compiled(pattern_for(rule, node)).search(node)
    return bool(match and match.start() and rule.sums and first_group(rule.text))


def pattern_for(rule: Rule, node: str) -> str:
    """Return a rule's pattern; the easy form's is made from the numbers in the name."""
    if rule.pattern is not None:
        return rule.pattern
    return EASY_PIECE * len(re.findall(EASY_PIECE, node, re.ASCII)) + ".*$"


@lru_cache(maxsize=1000)
def compiled(pattern: str) -> re.Pattern[str]:
    """Return Perl's pattern as one of Python's; `ValueError` where the two would not mean the same."""
    if FOREIGN.search(pattern):
        message = f"the pattern {pattern!r} is Perl's alone"
        raise ValueError(message)
    try:
        return re.compile(pattern.replace(r"\z", r"\Z"), re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:
        message = f"the pattern {pattern!r} is broken: {error}"
        raise ValueError(message) from error


def first_group(text: str) -> tuple[int, int] | None:
    """Return where the first parenthesis and its partner are; None where there is no such pair."""
    start = text.find("(")
    depth = 0
    for index in range(max(start, 0), len(text)):
        depth += {"(": 1, ")": -1}.get(text[index], 0)
        if depth == 0:
            return (start, index + 1) if start >= 0 and ")" not in text[:start] else None
    return None


def sum_value(text: str, match: re.Match[str]) -> str:
    """Return what a parenthesis comes to; Perl calculates it together with what is left of the match in the name."""
    before, after = match.string[: match.start()], match.string[match.end() :]
    if after:
        message = (
            f"the pattern leaves {after!r} of {match.string!r} over, with which Perl would calculate: end it in .*$"
        )
        raise ValueError(message)
    if before and (not IDENTIFIER.fullmatch(before) or before in PERL_WORDS):
        message = f"the pattern leaves {before!r} of {match.string!r} over, with which Perl would calculate"
        raise ValueError(message)
    value = calculate(parse(text), (match[0], *match.groups()))
    return "" if before else value  # Perl: a call of a function that does not exist, which comes to nothing


# -- the same in Jinja2 ----------------------------------------------------------------------------------------------


def expression(value: str, nodes: Sequence[str]) -> str | None:
    """Return the expression that comes to what a rule does, for each of the nodes; None where none is found."""
    rule = taken_apart(value)
    try:
        matches = [compiled(pattern_for(rule, node)).search(node) for node in nodes]
        found = [match for match in matches if match]
        text = assembled(rule, found) if nodes and len(found) == len(nodes) else None
        wanted = [evaluate(value, node) for node in nodes]
    except ValueError:
        return None
    return text if text is not None and agrees(text, nodes, wanted) else None


def agrees(text: str, nodes: Sequence[str], wanted: Sequence[str]) -> bool:
    """Return whether an expression has the wanted value for each node."""
    try:
        return all(template.expression(text, known(node)) == value for node, value in zip(nodes, wanted, strict=True))
    except ValueError:
        return False


def known(node: str) -> dict[str, object]:
    """Return what an expression knows of a node: its name and the numbers in it."""
    return {"name": node, "n": tuple(int(number) for number in NUMBERS.findall(node))}


def assembled(rule: Rule, matches: Sequence[re.Match[str]]) -> str | None:
    """Return the candidate: what is left of the match, the text with its sums, what is right of it."""
    before = named([match.string[: match.start()] for match in matches], matches)
    after = named([match.string[match.end() :] for match in matches], matches)
    inside = translated(rule, matches)
    return None if before is None or after is None or inside is None else before + inside + after


def translated(rule: Rule, matches: Sequence[re.Match[str]]) -> str | None:
    """Return a rule's text with each outermost parenthesis as ``{{ }}``."""
    done, rest = "", rule.text
    while rule.sums and (group := first_group(rest)):
        start, end = group
        inner = summed(parse(rest[start:end]), matches)
        if inner is None:
            return None
        done += literal(rest[:start]) + inner
        rest = rest[end:]
    return done + literal(rest)


def summed(tree: Sum, matches: Sequence[re.Match[str]]) -> str | None:
    """Return a sum as an expression; a lone ``$1`` is a text, anywhere else a number."""
    if isinstance(tree, int) and tree < 0:
        return named([match[-tree] or "" for match in matches], matches)
    text = jinja(tree, lambda group: number_of(group, matches))
    return None if text is None else f"{{{{ {text} }}}}"


def number_of(group: int, matches: Sequence[re.Match[str]]) -> str | None:
    """Return ``n[i]`` where the i-th number of each name is what the group has caught."""
    caught = [match[group] or "" for match in matches]
    if not all(text.isascii() and text.isdigit() for text in caught):
        return None
    wanted = [int(text) for text in caught]
    columns = zip(*(map(int, NUMBERS.findall(match.string)) for match in matches), strict=False)
    return next((f"n[{index}]" for index, column in enumerate(columns) if list(column) == wanted), None)


def named(texts: Sequence[str], matches: Sequence[re.Match[str]]) -> str | None:
    """Return texts, one a node, in terms of the name: always the same, the name itself, one of its numbers."""
    names = [match.string for match in matches]
    return next((candidate for candidate in candidates(texts) if agrees(candidate, names, texts)), None)


def candidates(texts: Sequence[str]) -> list[str]:
    """Return the expressions worth trying for texts that come from names."""
    numbers = [f"{{{{ n[{index}] }}}}" for index in range(9)]
    padded = [f"{{{{ '%0{len(texts[0])}d' % n[{index}] }}}}" for index in range(9)] if 0 < len(texts[0]) < 20 else []
    return [literal(texts[0]), "{{ name }}", *numbers, *padded]


def literal(text: str) -> str:
    """Return a text that stands for itself in an expression."""
    return text.replace("{", "{{ '{' }}") if "{{" in text or "{%" in text or "{#" in text else text


def fitted(nodes: Sequence[str], values: Sequence[str]) -> str | None:
    """Return an expression for values that count with the nodes' numbers (10.1.0.11, 10.1.0.12 …), or None.

    Each number in the values is the same for all nodes, or one of the name's plus or minus the same amount.
    """
    pieces = [NUMBERS.split(value) for value in values]
    if len(nodes) < 2 or any(piece != pieces[0] for piece in pieces) or "{" in "".join(pieces[0]):
        return None
    text = pieces[0][0]
    for column, piece in zip(zip(*map(NUMBERS.findall, values), strict=True), pieces[0][1:], strict=True):
        number = counted(nodes, column)
        if number is None:
            return None
        text += number + piece
    return text if agrees(text, nodes, values) else None


def counted(nodes: Sequence[str], column: Sequence[str]) -> str | None:
    """Return one number of the values as text or as ``{{ n[0] + 10 }}``."""
    if len(set(column)) == 1:
        return column[0]
    for index, numbers in enumerate(zip(*(map(int, NUMBERS.findall(node)) for node in nodes), strict=False)):
        offsets = {int(value) - number for value, number in zip(column, numbers, strict=True)}
        if len(offsets) == 1:
            offset = offsets.pop()
            shown = f" {'+' if offset > 0 else '-'} {abs(offset)}" if offset else ""
            return f"{{{{ n[{index}]{shown} }}}}"
    return None
