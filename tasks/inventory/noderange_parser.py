"""The grammar of noderanges: text → tree, and one word → the names that it stands for.  Pure; knows no inventory.

    noderange  = item { "," item }            everything that is wanted, without everything behind a "-"
    item       = [ "-" ] operand { "@" operand }                     "@" is the intersection: it binds tighter
    operand    = "(" noderange ")" | "/" regex [ "/" ] | "^" file | "@" group | attribute operator value | word
    operator   = "==" | "!=" | "=~" | "!~"
    word       = a name, a group, n01-n10, n01:n10, n01+3, n[01-10,12], n[1-9/2], f[1-2]n[1-3]

After xCAT's NodeRange.pm.  A word is split into names only when it is looked up: ``a-1`` may be a node's name.
"""

import itertools
import math
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

LIMIT = 1_000_000  # names; beyond it somebody mistyped, and the memory of the machine is at stake
MAX_DEPTH = 50  # parentheses
MAX_DIGITS = 18
PIECES = re.compile(r"([0-9]+)")
WORD = re.compile(r"[A-Za-z0-9._:+-]*")
COMPARISON = re.compile(r"\s*([A-Za-z_][\w.-]*?)\s*(==|!=|=~|!~)")
SINGLE_EQUALS = re.compile(r"\s*[A-Za-z_][\w.]*\s*=")
BRACKET_ITEM = re.compile(r"\s*([0-9]+)(?:\s*[-:]\s*([0-9]+)(?:\s*/\s*([0-9]+))?)?\s*")
OUTSIDE = frozenset(",@()")


@dataclass(frozen=True, kw_only=True)
class Word:
    """A name, a group or a range, with or without brackets."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Group:
    """``@group``: a group, even where a node has the same name."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """``/regex/``: all nodes whose whole name matches."""

    regex: re.Pattern[str]


@dataclass(frozen=True, kw_only=True)
class NamesFile:
    """``^file``: the noderanges that a file holds, one a line."""

    path: str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """``attribute==value`` and its like; with a regular expression, `regex` is set."""

    attribute: str
    negated: bool
    value: str
    regex: re.Pattern[str] | None


@dataclass(frozen=True, kw_only=True)
class Intersection:
    """``a@b``: what is in all operands."""

    operands: "tuple[Operand, ...]"


@dataclass(frozen=True, kw_only=True)
class Union:
    """``a,b,-c``: what is in one of `wanted` and in none of `unwanted`, whatever the order in which they stand."""

    wanted: "tuple[Operand, ...]"
    unwanted: "tuple[Operand, ...]"


Operand = Word | Group | Pattern | NamesFile | Comparison | Intersection | Union


def parse(text: str) -> Union:
    """Return the tree of a noderange; `ValueError` says which part is wrong."""
    parser = Parser(text)
    tree = parser.union(0)
    if not parser.at_end():
        message = f"{shortened(text)!r}: a ')' closes nothing at character {parser.position + 1}"
        raise ValueError(message)
    return tree


class Parser:
    """A recursive descent over the text of one noderange."""

    def __init__(self, text: str) -> None:
        """Start at the first character."""
        self.text = text
        self.position = 0

    def peek(self) -> str:
        """Return the next character that is no blank, or an empty string at the end."""
        while self.position < len(self.text) and self.text[self.position].isspace():
            self.position += 1
        return self.text[self.position : self.position + 1]

    def take(self, character: str) -> bool:
        """Step over a character if it comes next."""
        if self.peek() != character:
            return False
        self.position += 1
        return True

    def at_end(self) -> bool:
        """Return whether only blanks are left."""
        return not self.peek()

    def union(self, depth: int) -> Union:
        """Parse items between commas, up to the end or to a closing parenthesis."""
        if depth > MAX_DEPTH:
            message = f"parentheses are nested more than {MAX_DEPTH} deep"
            raise ValueError(message)
        sides: tuple[list[Operand], list[Operand]] = ([], [])
        while True:
            excluded = self.take("-")
            sides[excluded].append(self.intersection(depth))
            if not self.take(","):
                break
        if not sides[0]:
            message = f"{shortened(self.text)!r} only says what to leave out: begin with what to take, as in all,-n01"
            raise ValueError(message)
        return Union(wanted=tuple(sides[0]), unwanted=tuple(sides[1]))

    def intersection(self, depth: int) -> Operand:
        """Parse operands between ``@``."""
        operands = [self.operand(depth)]
        while self.take("@"):
            operands.append(self.operand(depth))
        return operands[0] if len(operands) == 1 else Intersection(operands=tuple(operands))

    def operand(self, depth: int) -> Operand:
        """Parse one operand; what it is shows at its first character."""
        if self.take("("):
            inner = self.union(depth + 1)
            if not self.take(")"):
                message = f"{shortened(self.text)!r}: a '(' is not closed"
                raise ValueError(message)
            return inner
        if self.take("/"):
            return Pattern(regex=compiled(self.regex()))
        if self.take("^"):
            return NamesFile(path=self.until_outside() or self.missing())
        if self.take("@"):
            return Group(name=self.until_outside() or self.missing())
        found = COMPARISON.match(self.text, self.position)
        if found:
            self.position = found.end()
            return self.comparison(found[1], found[2])
        return self.word()

    def missing(self) -> str:
        """Complain that a name is missing here."""
        rest = self.peek()
        where = f"before {rest!r}" if rest else "at the end"
        message = (
            f"{shortened(self.text)!r}: a name is missing {where}" if self.text.strip() else "the noderange is empty"
        )
        raise ValueError(message)

    def until_outside(self) -> str:
        """Take the text up to the next operator that stands outside of brackets."""
        start = self.position
        inside = False
        while self.position < len(self.text):
            character = self.text[self.position]
            if not inside and character in OUTSIDE:
                break
            inside = (inside or character == "[") and character != "]"
            self.position += 1
        if inside:
            message = f"{shortened(self.text[start:])!r}: a '[' is not closed"
            raise ValueError(message)
        return self.text[start : self.position].strip()

    def word(self) -> Word:
        """Take a word: a name, a group, a range."""
        self.peek()
        text = self.until_outside() or self.missing()
        if SINGLE_EQUALS.match(text):
            message = f"{shortened(text)!r}: write == (or !=, =~, !~) to compare an attribute"
            raise ValueError(message)
        if self.peek() == "(":
            message = f"{shortened(self.text)!r}: a ',' or '@' is missing before '('"
            raise ValueError(message)
        return Word(text=text)

    def comparison(self, attribute: str, operator: str) -> Comparison:
        """Take the value behind an operator; a regular expression may stand between slashes, as in Perl."""
        negated = operator.startswith("!")
        if not operator.endswith("~"):
            return Comparison(attribute=attribute, negated=negated, value=self.until_outside(), regex=None)
        self.take("/")
        text = self.regex()
        return Comparison(attribute=attribute, negated=negated, value=text, regex=compiled(text))

    def regex(self) -> str:
        """Take a regular expression: up to its slash, or to an operator outside of the expression's own brackets."""
        start, depth, in_class = self.position, 0, False
        while self.position < len(self.text):
            character = self.text[self.position]
            if character == "/" or (not in_class and depth <= 0 and character in ",@)"):
                break
            if character == "\\":
                self.position += 1
            elif in_class:
                in_class = character != "]"
            else:
                in_class = character == "["
                depth += (character in "({") - (character in ")}")
            self.position += 1
        end = min(self.position, len(self.text))
        self.position = end
        self.take("/")
        if not self.at_end() and self.peek() not in ",@)":
            regex = shortened(self.text[start:end])
            message = f"{shortened(self.text)!r}: ',' or '@' must follow the regular expression {regex!r}"
            raise ValueError(message)
        return self.text[start:end]


def compiled(text: str) -> re.Pattern[str]:
    """Compile a user's regular expression; `ValueError` where it is none."""
    if not text:
        message = "a regular expression is missing behind '/' or '~'"
        raise ValueError(message)
    try:
        with warnings.catch_warnings():  # "possible nested set": the user's business
            warnings.simplefilter("ignore")
            return re.compile(text, re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        message = f"{shortened(text)!r} is no regular expression: {error}"
        raise ValueError(message) from error


# -- one word → names ------------------------------------------------------------------------------------------------


def expand(word: str) -> tuple[str, ...] | None:
    """Return the names of a word with brackets or of a range, in the order counted; None where it is a plain name.

    Only the text decides: ``n1-n3`` is a range here even if a node should be called so.
    """
    if "[" in word or "]" in word:
        return tuple(brackets(word))
    if not WORD.fullmatch(word):
        message = f"{shortened(word)!r} is no node name"
        raise ValueError(message)
    if "+" in word:
        return tuple(following(word))
    return between(word)


def brackets(word: str) -> Iterator[str]:
    """Return an iterator over the names of ``n[01-10,12]``; several brackets multiply, the last one counts fastest."""
    literals: list[str] = []
    choices: list[list[range]] = []
    widths: list[list[int]] = []
    rest = word
    while "[" in rest:
        literal, _, tail = rest.partition("[")
        inner, closed, rest = tail.partition("]")
        if not closed:
            message = f"{shortened(word)!r}: a '[' is not closed"
            raise ValueError(message)
        ranges = [bracket_item(item, word) for item in inner.split(",")]
        literals.append(literal)
        choices.append([numbers for numbers, _ in ranges])
        widths.append([width for _, width in ranges])
    for literal in (*literals, rest):
        if not re.fullmatch(r"[A-Za-z0-9._-]*", literal):
            message = f"{shortened(word)!r}: {shortened(literal)!r} is not understood beside brackets"
            raise ValueError(message)
    bounded(math.prod(sum(map(len, ranges)) for ranges in choices), word)
    parts = [
        [f"{literal}{number:0{width}d}" for numbers, width in zip(ranges, padding, strict=True) for number in numbers]
        for literal, ranges, padding in zip(literals, choices, widths, strict=True)
    ]
    return ("".join((*heads, rest)) for heads in itertools.product(*parts))


def bracket_item(item: str, word: str) -> tuple[range, int]:
    """Return the numbers of ``7``, ``01-10`` or ``1-9/2`` inside brackets, and the width that they are padded to."""
    found = BRACKET_ITEM.fullmatch(item)
    if found is None:
        inner = shortened(item.strip())
        message = f"{shortened(word)!r}: brackets hold numbers and ranges such as 01-10 or 1-9/2, not {inner!r}"
        raise ValueError(message)
    first, last, step = found[1], found[2] or found[1], found[3] or "1"
    stride = number(step, word)
    if stride == 0:
        message = f"{shortened(word)!r}: a step of 0 never ends"
        raise ValueError(message)
    counted, width = count(first, last, word)
    return counted[::stride], width


def between(word: str) -> tuple[str, ...] | None:
    """Return the names of ``n01-n10`` or ``n01:n10``; None where the two halves do not look alike.

    The halves of a range have the same number of hyphens, so that only the middle one can be the range's own:
    ``a-1-a-3`` is a-1 … a-3.
    """
    separators = [index for index, character in enumerate(word) if character in "-:"]
    if len(separators) % 2 == 0:
        return None
    middle = separators[len(separators) // 2]
    left, right = PIECES.split(word[:middle]), PIECES.split(word[middle + 1 :])
    if left[::2] != right[::2] or len(left) == 1:
        return None
    varying = [index for index in range(1, len(left), 2) if left[index] != right[index]]
    if len(varying) > 1:
        message = f"{shortened(word)!r}: only one number may vary in a range; write brackets: {crossed(left, right)}"
        raise ValueError(message)
    place = varying[0] if varying else 1
    if number(left[place], word) > number(right[place], word):
        message = f"{shortened(word)!r} runs backwards: write {word[middle + 1 :]}-{word[:middle]}"
        raise ValueError(message)
    numbers, width = count(left[place], right[place], word)
    bounded(len(numbers), word)
    head, tail = "".join(left[:place]), "".join(left[place + 1 :])
    return tuple(f"{head}{value:0{width}d}{tail}" for value in numbers)


def crossed(left: list[str], right: list[str]) -> str:
    """Return the brackets that say what a range of several varying numbers may have meant."""
    return "".join(a if a == b else f"[{a}-{b}]" for a, b in zip(left, right, strict=True))


def following(word: str) -> Iterator[str]:
    """Return an iterator over ``n01+3``: n01 and the three after it; the last number before the domain counts."""
    start, _, more = word.partition("+")
    host, dot, domain = start.partition(".")
    pieces = PIECES.split(host)
    if not (more.isascii() and more.isdigit()) or len(pieces) == 1:
        message = f"{shortened(word)!r}: write a name with a number, '+' and how many more: n01+3"
        raise ValueError(message)
    width, tail = len(pieces[-2]), f"{pieces[-1]}{dot}{domain}"
    first, extra = number(pieces[-2], word), number(more, word)
    bounded(extra + 1, word)
    head = "".join(pieces[:-2])
    return (f"{head}{value:0{width}d}{tail}" for value in range(first, first + extra + 1))


def count(first: str, last: str, word: str) -> tuple[range, int]:
    """Return the numbers from `first` to `last` and their width; `ValueError` if reversed or padded differently."""
    low, high = number(first, word), number(last, word)
    if low > high:
        message = f"{shortened(word)!r}: the range {first}-{last} runs backwards: write {last}-{first}"
        raise ValueError(message)
    padded = (len(first) > 1 and first[0] == "0") or (len(last) > 1 and last[0] == "0")
    if padded and len(first) != len(last):
        message = f"{shortened(word)!r}: {first} and {last} are padded to different widths"
        raise ValueError(message)
    return range(low, high + 1), len(first) if padded else 1


def number(digits: str, word: str) -> int:
    """Return a number of at most 18 digits."""
    if len(digits) > MAX_DIGITS:
        message = f"{shortened(word)!r}: the number has {len(digits)} digits"
        raise ValueError(message)
    return int(digits)


def bounded(size: int, word: str) -> None:
    """Refuse what would make more names than any cluster has."""
    if size > LIMIT:
        message = f"{shortened(word)!r} stands for {size:,} names: more than {LIMIT:,} are refused"
        raise ValueError(message)


def shortened(text: str) -> str:
    """Return a text for an error message, cut where it is too long to be read."""
    return text if len(text) <= 60 else f"{text[:57]}..."
