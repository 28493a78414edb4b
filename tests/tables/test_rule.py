"""xCAT's regular expression rows: the same results as xCAT's own code, and expressions that say the same."""

import json
import re
import time
from pathlib import Path

import pytest

from tasks.tables import rule
from tasks.template import expression

CASES = json.loads((Path(__file__).parent / "data/rules.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['node']} {case['value']}")
def test_as_xcat_does(case: dict[str, str | None]) -> None:
    """What xCAT's own code answered for a rule and a node is what comes out here."""
    assert rule.evaluate(str(case["value"]), str(case["node"])) == (case["result"] or "")


@pytest.mark.parametrize(
    ("value", "node", "reason"),
    [
        (r"|n(\d+)|10.0.0.(system('id'))|", "n01", "more than a sum"),
        (r"|n(\d+)|10.0.0.($1.1)|", "n01", "more than a sum"),
        (r"|n(\d+)|10.0.0.($1/0)|", "n01", "division by zero"),
        (r"|n(\d+)|10.0.0.($1+010)|", "n01", "more than a sum"),
        (r"|n(\d+)|(ipadd(10,0,0,1,$1,200,200))|", "n01", "more than 255"),
        (r"|n(\d+)|(ipadd(10,0,0,1,0-$1))|", "n01", "no number from 0 on"),
        (r"|n(\d+)|(dim2idx($1,4,$2))|", "n01", r"given $2, which"),
        (r"|n(\d+)|(rindex($1,4))|", "n01", "more than a sum"),
        (r"|n(\d+)|(dim2idx($1,9007199254740991,2))|", "n99", "53 bits"),
        (r"|n(\d+)|10.0.0.($1+0)|", "n1.cluster.com", "leaves '.cluster.com'"),
        (r"|(\d+)|10.0.0.($1+0)|", "a-b1", "leaves 'a-b'"),
        (r"|(\d+)|10.0.0.($1+0)|", "oct12", "leaves 'oct'"),
        (r"|n(\d+|10.0.0.($1+0)|", "n01", "is broken"),
        (r"|n(?{print 1})(\d+)|($1+0)|", "n01", "Perl's alone"),
        (r"|n([[:digit:]]+)|($1+0)|", "n01", "Perl's alone"),
        (r"|n(\d+)|($1*4611686018427387904*4)|", "n01", "64 bits"),
        (r"|(.*)|" + "($1)" * 200 + "|", "n" * 60, "too long"),
        (r"|(.*)|" + "(" * 100 + "$1" + ")" * 100 + "|", "n01", "more than a sum"),
    ],
)
def test_refused(value: str, node: str, reason: str) -> None:
    """What is more than a sum, or means something else in Perl, is refused with the reason, never guessed at."""
    with pytest.raises(ValueError, match=re.escape(reason)):
        rule.evaluate(value, node)


@pytest.mark.parametrize(
    ("value", "nodes", "wanted"),
    [
        (r"|(.*)|($1)-ipmi|", ["n01", "n02"], "{{ name }}-ipmi"),
        (r"/\z/-ipmi/", ["n01", "kvm1"], "{{ name }}-ipmi"),
        (r"|n(\d+)|10.1.0.($1+10)|", ["n01", "n02", "n10"], "10.1.0.{{ n[0] + 10 }}"),
        (r"|n(\d+)|10.0.0.($1+0)|", ["n08", "n099"], "10.0.0.{{ n[0] }}"),
        (
            r"|n(\d+)|10.0.($1/254).($1%254+1)|",
            ["n0001", "n0254", "n0300"],
            "10.0.{{ n[0] // 254 }}.{{ n[0] % 254 + 1 }}",
        ),
        (r"|sw((($1-1)/4)+1)|", ["n1", "n10"], "sw{{ (n[0] - 1) // 4 + 1 }}"),
        (r"|10.($1).0.($2*2)|", ["rack3node12", "rack1node7"], "10.{{ n[0] }}.0.{{ n[1] * 2 }}"),
        (r"|n(\d+)|p($1)|", ["n01", "n02"], "p{{ '%02d' % n[0] }}"),
        (r"|n(\d+)|10.0.0.($1-(2-$1))|", ["n5", "n9"], "10.0.0.{{ n[0] - (2 - n[0]) }}"),
        (
            r"|n(\d+)|(ipadd(10,1,0,1,$1-1,1,1))|",
            ["n1", "n254", "n255", "n600"],
            "10.1.{{ (n[0] - 1) // 254 }}.{{ (n[0] - 1) % 254 + 1 }}",
        ),
        (
            r"|row(\d+)-col(\d+)|p(dim2idx($1, 4, $2))|",
            ["row1-col1", "row2-col3"],
            "p{{ (n[0] - 1) * 4 + (n[1] - 1) + 1 }}",
        ),
    ],
)
def test_expressions(value: str, nodes: list[str], wanted: str) -> None:
    """A rule becomes the expression that a person would write, and it has xCAT's value for each node."""
    assert rule.expression(value, nodes) == wanted
    for node in nodes:
        assert expression(wanted, rule.known(node)) == rule.evaluate(value, node)


@pytest.mark.parametrize(
    ("value", "nodes"),
    [
        (r"|n(\d+)|10.0.0.($1+0)|", ["n01", "mgt"]),  # mgt does not match: it keeps its name
        (r"|^(.*)$|($1-ipmi)|", ["n01"]),
        (r"|n(\d+)|10.0.0.($1-5)/2|", []),
        (r"|n(\d+)|(skip($1,'3:2'))|", ["n1", "n5"]),  # no word for it in an inventory
        (r"|(\w)\d(\d)|10.0.($2+0).1|", ["n12", "n34"]),  # the second digit of a number is none of the numbers
    ],
)
def test_no_expression(value: str, nodes: list[str]) -> None:
    """Where no expression has the value for all nodes, there is none, rather than a wrong one."""
    made = rule.expression(value, nodes)
    assert made is None or not rule.agrees(made, nodes, [rule.evaluate(value, node) for node in nodes])


@pytest.mark.parametrize(
    ("nodes", "values", "wanted"),
    [
        (["n01", "n02", "n10"], ["10.1.0.111", "10.1.0.112", "10.1.0.120"], "10.1.0.{{ n[0] + 110 }}"),
        (["n5", "n6"], ["p1", "p2"], "p{{ n[0] - 4 }}"),
        (["n1", "n2"], ["10.0.0.7", "10.0.0.7"], "10.0.0.7"),
        (["n1", "n2"], ["10.0.0.1", "10.0.0.3"], None),
        (["n1", "n2"], ["01", "02"], None),
        (["n1"], ["1"], None),
        (["n1", "n2"], ["a1", "b2"], None),
        (["n01", "n02"], ["n01-ib", "n02-ib"], "{{ name }}-ib"),
        (
            ["n1", "n250", "n300"],
            ["10.1.0.11", "10.1.1.4", "10.1.1.54"],
            "10.1.{{ (n[0] + 10) // 256 }}.{{ (n[0] + 10) % 256 }}",
        ),
        (["n1", "n2"], ["10.1.0.255", "10.2.0.0"], None),
    ],
)
def test_fitted(nodes: list[str], values: list[str], wanted: str | None) -> None:
    """Values that count with the nodes' numbers become one expression; others do not."""
    assert rule.fitted(nodes, values) == wanted


@pytest.mark.parametrize("text", ["{{ 7 * 7 }}", "{% if %}", "{# #}", "{{{{", "a{b", "}}"])
def test_literal(text: str) -> None:
    """A text of xCAT's that looks like Jinja2 stays the text that it is."""
    assert expression(rule.literal(text), {}) == text


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("a,b", ("a", "b")),
        (r"|n(\d+)|ib0!10.2.0.($1+1),x(skip($1,'3'))|", (r"|n(\d+)|ib0!10.2.0.($1+1)|", r"|n(\d+)|x(skip($1,'3'))|")),
        ("|a($1),b|", ("|a($1)|", "|b|")),
        ("/x/a,b/", ("/x/a/", "/x/b/")),
    ],
)
def test_pieces(value: str, parts: tuple[str, ...]) -> None:
    """A rule that makes a list is the rules that make its items; a comma inside a sum is none of the list's."""
    assert rule.pieces(value, ",") == parts
    for node in ("n05", "n7"):
        whole = rule.evaluate(value, node)
        assert value[0] == "/" or whole.split(",") == [rule.evaluate(part, node) for part in parts]


@pytest.mark.parametrize(
    ("value", "tame"), [(r"|n(\d+)|($1)|", True), (r"|(a+)+b|($1)|", False), ("|.*.*.*.*.*x|a|", False)]
)
def test_tame(value: str, tame: bool) -> None:
    """Patterns that may try for long are watched by a clock."""
    assert rule.tame(value) is tame


def test_long_rules_end() -> None:
    """A rule of a megabyte is refused at once."""
    start = time.monotonic()
    with pytest.raises(ValueError, match="1000 characters"):
        rule.evaluate("|" + "(" * 1_000_000 + "|", "n01")
    assert time.monotonic() - start < 1
