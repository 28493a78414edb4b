"""xCAT's regular expression rows: what they come to for a node, and the Jinja2 expression that says the same.  Pure.

    /pattern/text/            the first match in the node's name becomes the text, as it stands
    |pattern|text (sum) ...|  the same, and each ( ) in the text is calculated: $1 + - * / % on whole numbers
    |text (sum) ...|          the pattern is made from the name: $1, $2 … are its numbers, without leading zeros

A sum may call xCAT's functions: ``(ipadd(10,1,0,10,$1))``, ``(dim2idx($1, 4, $2))``.

After transRegexAttrs in xCAT's Table.pm, traps included: ``$1`` outside of parentheses stays ``$1``, what is left and
right of a match that is not anchored stays, and a name that does not match comes out unchanged.  There the sums are
Perl under ``use integer``; what is more than a sum is refused here instead of guessed at.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address

from tasks import template
from tasks.inventory import arithmetic
from tasks.tables import functions
from tasks.tables.sums import Sum, calculate, jinja, octets, parse

SLASHES = re.compile(r"/([^/]*)/([^/]*)/")
BARS = re.compile(r"\|(.*)\|", re.DOTALL)
NUMBERS = re.compile(r"[0-9]+")
EASY_PIECE = r"[\D0]*(\d+)"
EASY = re.compile(EASY_PIECE, re.ASCII)
FOREIGN = re.compile(r"\[\[:|\(\?[^:=!<P]|\(\*|\\[pPXKRGhHvVNQELUlukg]")  # Perl's alone, or another meaning in Python
IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
# A word before a parenthesis is a call; these exist in Perl, so that the result is theirs and not nothing.
PERL_WORDS = frozenset(
    {
        *("abs", "and", "chr", "cmp", "cos", "defined", "do", "eq", "exp", "ge", "gt", "hex", "if", "int", "lc", "le"),
        *("length", "log", "lt", "m", "map", "my", "ne", "not", "oct", "or", "ord", "q", "qq", "qr", "qw", "rand"),
        *("ref", "s", "sin", "sqrt", "tr", "uc", "undef", "x", "xor", "y"),
        *functions.KNOWN,
    }
)
LONGEST = 1000
MOST_REPEATS = 4


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A row's value taken apart.  `pattern` is None in the easy form; with `sums`, parentheses are calculated."""

    pattern: str | None
    text: str
    sums: bool


def is_rule(value: str) -> bool:
    """Return whether xCAT would take a value for a rule."""
    return value[:1] in {"/", "|"} and bool(SLASHES.fullmatch(value) or (len(value) > 1 and BARS.fullmatch(value)))


@lru_cache(maxsize=1000)
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
    return applied(value, node)[0]


def applied(value: str, node: str) -> tuple[str, bool]:
    """Return what a value comes to for a node, and whether it is torn.

    A rule with sums that fits only the end of a name (xen1 and ``n(\\d+)``) is: xCAT loses the sums then.
    """
    if not is_rule(value):
        return value, False
    if len(value) > LONGEST:
        message = f"a rule has {LONGEST} characters at most"
        raise ValueError(message)
    rule = taken_apart(value)
    match = compiled(pattern_for(rule, node)).search(node)
    if match is None:
        return node, False
    before, sums, last = divided(rule)
    found = [text + sum_value(tree, match) for text, tree in zip(before, sums, strict=True)]
    text = "".join((node[: match.start()], *found, last, node[match.end() :]))
    if len(text) > LONGEST:
        message = "the result is too long"
        raise ValueError(message)
    return text, bool(sums) and match.start() > 0


@lru_cache(maxsize=1000)
def divided(rule: Rule) -> tuple[tuple[str, ...], tuple[Sum, ...], str]:
    """Return a rule's text as its outermost parentheses, what stands before each, and what stands behind the last."""
    before, sums, rest = [], [], rule.text
    while rule.sums and (group := first_group(rest)):
        start, end = group
        before.append(rest[:start])
        sums.append(parse(rest[start:end]))
        rest = rest[end:]
    return tuple(before), tuple(sums), rest


@lru_cache(maxsize=1000)
def tame(value: str) -> bool:
    """Return whether a rule's pattern cannot try for long: no group is repeated, and few things are."""
    pattern = taken_apart(value).pattern or ""
    return not re.search(r"\)[*+?{]", pattern) and len(re.findall(r"[*+{]", pattern)) <= MOST_REPEATS


@lru_cache(maxsize=10_000)
def pieces(value: str, separator: str) -> tuple[str, ...]:
    """Return the parts of a list; of a rule that makes a list, the rules that make its parts."""
    if not is_rule(value):
        return tuple(value.split(separator))
    rule, texts, depth = taken_apart(value), [""], 0
    for character in rule.text:
        depth += (character == "(") - (character == ")")
        if character == separator and depth <= 0:
            texts.append("")
        else:
            texts[-1] += character
    return tuple(rebuilt(rule, text) for text in texts)


@lru_cache(maxsize=10_000)
def without(value: str, prefix: str) -> str:
    """Return a text, or a rule whose text begins alike, without its beginning; nothing where it begins otherwise."""
    rule = taken_apart(value) if is_rule(value) else None
    text = rule.text if rule else value
    if not text.startswith(prefix):
        return ""
    rest = text.removeprefix(prefix)
    return rebuilt(rule, rest) if rule else rest


def rebuilt(rule: Rule, text: str) -> str:
    """Return a rule as xCAT writes it, with another text."""
    mark = "|" if rule.sums else "/"
    return mark + mark.join((text,) if rule.pattern is None else (rule.pattern, text)) + mark


def pattern_for(rule: Rule, node: str) -> str:
    """Return a rule's pattern; the easy form's is made from the numbers in the name."""
    if rule.pattern is not None:
        return rule.pattern
    return EASY_PIECE * len(EASY.findall(node)) + ".*$"


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


def sum_value(tree: Sum, match: re.Match[str]) -> str:
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
    value = calculate(tree, (match[0], *match.groups()))
    return "" if before else value  # Perl: a call of a function that does not exist, which comes to nothing


# -- the same in Jinja2 ----------------------------------------------------------------------------------------------


def expression(value: str, nodes: Sequence[str]) -> str | None:
    """Return the expression that seems to say what a rule does for the nodes; None where none is found."""
    rule = taken_apart(value)
    try:
        matches = [compiled(pattern_for(rule, node)).search(node) for node in nodes]
        found = [match for match in matches if match]
        return assembled(rule, found) if nodes and len(found) == len(nodes) else None
    except ValueError:
        return None


def agrees(text: str, nodes: Sequence[str], wanted: Sequence[str]) -> bool:
    """Return whether an expression has the wanted value for each node."""
    return all(meaning(text, node) == value for node, value in zip(nodes, wanted, strict=True))


@lru_cache(maxsize=1 << 19)
def meaning(text: str, node: str) -> str | None:
    """Return what an expression comes to for a node, None where it fails."""
    if quick := arithmetic.compiled(text):
        try:
            return quick(node, numbers(node))
        except (ArithmeticError, LookupError):
            pass
    try:
        return template.expression(text, known(node))
    except ValueError:
        return None


@lru_cache(maxsize=1 << 17)
def numbers(node: str) -> tuple[int, ...]:
    """Return the numbers in a node's name."""
    return tuple(map(int, NUMBERS.findall(node)))


def known(node: str) -> dict[str, object]:
    """Return what an expression knows of a node: its name and the numbers in it."""
    return {"name": node, "n": numbers(node)}


def assembled(rule: Rule, matches: Sequence[re.Match[str]]) -> str | None:
    """Return the candidate: what is left of the match, the text with its sums, what is right of it."""
    before = named([match.string[: match.start()] for match in matches], matches)
    after = named([match.string[match.end() :] for match in matches], matches)
    inside = translated(rule, matches)
    return None if before is None or after is None or inside is None else before + inside + after


def translated(rule: Rule, matches: Sequence[re.Match[str]]) -> str | None:
    """Return a rule's text with each outermost parenthesis as ``{{ }}``."""
    before, sums, last = divided(rule)
    inner = [summed(tree, matches) for tree in sums]
    if None in inner:
        return None
    return "".join(f"{literal(text)}{one}" for text, one in zip(before, inner, strict=True)) + literal(last)


def summed(tree: Sum, matches: Sequence[re.Match[str]]) -> str | None:
    """Return a sum as an expression; a lone ``$1`` is a text, anywhere else a number."""
    if isinstance(tree, int) and tree < 0:
        return named([match[-tree] or "" for match in matches], matches)
    trees = octets(tree) or (tree,)
    texts = [jinja(one, lambda group: number_of(group, matches)) for one in trees]
    return (
        ".".join(f"{text}" if text.isdigit() else f"{{{{ {text} }}}}" for text in map(str, texts))
        if all(texts)
        else None
    )


def number_of(group: int, matches: Sequence[re.Match[str]]) -> str | None:
    """Return ``n[i]`` where the i-th number of each name is what the group has caught."""
    caught = [match[group] or "" for match in matches]
    if not all(text.isascii() and text.isdigit() for text in caught):
        return None
    wanted = [int(text) for text in caught]
    columns = zip(*(numbers(match.string) for match in matches), strict=False)
    return next((f"n[{index}]" for index, column in enumerate(columns) if list(column) == wanted), None)


def named(texts: Sequence[str], matches: Sequence[re.Match[str]]) -> str | None:
    """Return texts, one a node, in terms of the name: always the same, the name itself, one of its numbers."""
    names = [match.string for match in matches]
    return next((candidate for candidate in candidates(texts) if agrees(candidate, names, texts)), None)


def candidates(texts: Sequence[str]) -> list[str]:
    """Return the expressions worth trying for texts that come from names."""
    plain = [f"{{{{ n[{index}] }}}}" for index in range(9)]
    padded = [f"{{{{ '%0{len(texts[0])}d' % n[{index}] }}}}" for index in range(9)] if 0 < len(texts[0]) < 20 else []
    return [literal(texts[0]), "{{ name }}", *plain, *padded]


def literal(text: str) -> str:
    """Return a text that stands for itself in an expression."""
    return text.replace("{", "{{ '{' }}") if "{{" in text or "{%" in text or "{#" in text else text


def fitted(nodes: Sequence[str], values: Sequence[str]) -> str | None:
    """Return an expression for values that follow from the nodes' names (10.1.0.11, 10.1.0.12 …; n01-ib0 …), or None.

    Either the name is in each of them, or each number in the values is the same for all nodes, or one of the name's
    plus or minus the same amount.
    """
    if len(nodes) < 2 or "{" in values[0]:
        return None
    with_name = {value.replace(node, "{{ name }}") for node, value in zip(nodes, values, strict=True)}
    guesses = (with_name.pop(),) if len(with_name) == 1 else (following(nodes, values), carried(nodes, values))
    return next((text for text in guesses if text is not None and agrees(text, nodes, values)), None)


def following(nodes: Sequence[str], values: Sequence[str]) -> str | None:
    """Return the expression for values whose numbers count with those of the nodes."""
    pieces = NUMBERS.split(values[0])
    if any(NUMBERS.split(value) != pieces for value in values):
        return None
    counts = [numbers(node) for node in nodes]
    text = pieces[0]
    for column, piece in zip(zip(*map(NUMBERS.findall, values), strict=True), pieces[1:], strict=True):
        number = counted(counts, column)
        if number is None:
            return None
        text += number + piece
    return text


def carried(nodes: Sequence[str], values: Sequence[str]) -> str | None:
    """Return the expression for addresses that count on from one last octet to the next."""
    try:
        totals = [int(IPv4Address(value)) for value in values]
    except ValueError:
        return None
    front = totals[0] >> 16
    for index, counts in enumerate(zip(*map(numbers, nodes), strict=False)):
        offset = totals[0] - (front << 16) - counts[0]
        if all(total - (front << 16) - count == offset for total, count in zip(totals, counts, strict=True)):
            number = f"(n[{index}] {'-' if offset < 0 else '+'} {abs(offset)})"
            return f"{front >> 8}.{front & 255}.{{{{ {number} // 256 }}}}.{{{{ {number} % 256 }}}}"
    return None


def counted(nodes: Sequence[tuple[int, ...]], column: Sequence[str]) -> str | None:
    """Return one number of the values as text or as ``{{ n[0] + 10 }}``; `nodes`: the numbers in each name."""
    if len(set(column)) == 1:
        return column[0]
    for index, counts in enumerate(zip(*nodes, strict=False)):
        offset = int(column[0]) - counts[0]
        if all(int(value) - number == offset for value, number in zip(column, counts, strict=True)):
            shown = f" {'+' if offset > 0 else '-'} {abs(offset)}" if offset else ""
            return f"{{{{ n[{index}]{shown} }}}}"
    return None
