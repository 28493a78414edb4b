"""The noderange language: xCAT's own cases, what we do otherwise, bounds, and properties against brute force."""

import contextlib
import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.inventory import noderange

DATA = Path(__file__).parent / "data" / "noderange.json"
CASES: list[dict[str, Any]] = json.loads(DATA.read_text())
LAB = {
    "mgt": ("head",),
    "n01": ("compute", "rack1"),
    "n02": ("compute", "rack1"),
    "n03": ("compute", "rack2"),
    "n10": ("compute", "rack2"),
    "kvm1": ("guest",),
}
MODELS = {"n01": "PE 860", "n02": "PE 860", "n03": "PE 2950", "n10": "PE 2950"}


def model(node: str, attribute: str) -> str | None:
    """Return an attribute of a node of the laboratory."""
    return {"model": MODELS.get(node), "port": node[-1]}[attribute]


def evaluate(case: dict[str, Any]) -> tuple[str, ...]:
    """Evaluate a case of the table."""
    if case["kind"] == "names":
        return noderange.names(case["expr"])
    nodes = {
        node: tuple(group for group, members in case["groups"].items() if node in members) for node in case["nodes"]
    }
    attributes: dict[str, dict[str, str]] = case.get("attrs", {})
    return noderange.select(
        case["expr"], nodes, lambda node, name: attributes[name].get(node), read=lambda path: str(case["files"][path])
    )


@pytest.mark.parametrize("case", CASES, ids=[f"{number}-{case['expr']}" for number, case in enumerate(CASES)])
def test_cases(case: dict[str, Any]) -> None:
    """What xCAT, confluent and ClusterShell write in their tests and manuals means the same here, or is our error."""
    if "error" in case:
        with pytest.raises(ValueError, match=re.escape(case["error"])):
            evaluate(case)
        return
    found = evaluate(case)
    if "expected" in case:
        in_order = noderange.natural(case["expected"])
        assert (list(found) if case["kind"] == "select" else noderange.natural(found)) == in_order
    else:
        assert len(found) == case["expected_len"]
    if "folded" in case:
        assert noderange.fold(found) == case["folded"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("n01", "n01"),
        (" n01 , n02 ", "n01 n02"),
        ("n10,n02", "n02 n10"),
        ("compute", "n01 n02 n03 n10"),
        ("@compute", "n01 n02 n03 n10"),
        ("compute@@rack1", "n01 n02"),
        ("compute@rack1,mgt", "n01 n02 mgt"),
        ("mgt,compute@rack1", "n01 n02 mgt"),
        ("(mgt,compute)@rack1", "n01 n02"),
        ("all,-compute", "kvm1 mgt"),
        ("-compute,all", "kvm1 mgt"),
        ("n01,-n01,n01", ""),
        ("(n01,-n01),n01", "n01"),
        ("all,-compute@rack1", "kvm1 mgt n03 n10"),
        ("all,-(compute,mgt)", "kvm1"),
        ("rack[1-2],-n0[1,3]", "n02 n10"),
        ("@rack[1-2]", "n01 n02 n03 n10"),
        ("n01-n03", "n01 n02 n03"),
        ("n01:n03", "n01 n02 n03"),
        ("n[01-03/2]", "n01 n03"),
        ("n01+2", "n01 n02 n03"),
        ("/n.*/", "n01 n02 n03 n10"),
        ("/n.*", "n01 n02 n03 n10"),
        ("/n0", ""),
        ("/n(01|10)/,mgt", "mgt n01 n10"),
        ("/n[0,1]{1}[,1]/", "n01"),
        ("all@/.*1/", "kvm1 n01"),
        (r"/n\d{2,3}", "n01 n02 n03 n10"),
        ("model==PE 860", "n01 n02"),
        ("compute@model==PE 860", "n01 n02"),
        ("model!=PE 860", "kvm1 mgt n03 n10"),
        ("model==", "kvm1 mgt"),
        ("model=~860", "n01 n02"),
        ("model=~/^PE (860|2950)$/", "n01 n02 n03 n10"),
        ("model!~PE", "kvm1 mgt"),
        ("compute,-model=~^PE.860", "n03 n10"),
        ("^few", "n01 n02"),
        ("compute,-^few", "n03 n10"),
        ("^empty,mgt", "mgt"),
    ],
)
def test_select(text: str, expected: str) -> None:
    """Every operator of the grammar selects what the design says, in natural order."""
    files = {"few": "# a comment\nrack1,n03  # and three\n\n-n03\n", "empty": "#\n"}
    assert noderange.select(text, LAB, model, read=files.__getitem__) == tuple(noderange.natural(expected.split()))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("n04", "unknown node or group 'n04' (did you mean n10 or n03?)"),
        ("compte", "unknown node or group 'compte' (did you mean compute?)"),
        ("@mgt", "unknown group 'mgt'"),
        ("x1,n01,y2", "unknown node or group 'x1', unknown node or group 'y2'"),
        ("zz[1-9]", "and 6 more unknown names"),
        ("all,-n1", "unknown node or group 'n1' (did you mean n10 or n01?)"),
        ("n03-n01", "'n03-n01' runs backwards: write n01-n03"),
        ("n[03-01]", "'n[03-01]': the range 03-01 runs backwards: write 01-03"),
        ("n[01-010]", "'n[01-010]': 01 and 010 are padded to different widths"),
        ("n08-n010", "'n08-n010': 08 and 010 are padded to different widths"),
        ("n01-n3", "'n01-n3': 01 and 3 are padded to different widths"),
        ("rack1u1-rack2u3", "only one number may vary in a range; write brackets: rack[1-2]u[1-3]"),
        ("n[1-9/0]", "a step of 0 never ends"),
        ("n[a-b]", "brackets hold numbers and ranges such as 01-10 or 1-9/2, not 'a-b'"),
        ("n[]", "brackets hold numbers"),
        ("n[1", "a '[' is not closed"),
        ("n1]", "is not understood beside brackets"),
        ("n+", "write a name with a number, '+' and how many more: n01+3"),
        ("mgt+1", "write a name with a number"),
        ("", "the noderange is empty"),
        (" ", "the noderange is empty"),
        ("n01,,n02", "a name is missing before ','"),
        ("n01,", "a name is missing at the end"),
        ("@", "a name is missing at the end"),
        ("-n01", "'-n01' only says what to leave out"),
        ("n01@(-n02)", "only says what to leave out"),
        ("(n01", "a '(' is not closed"),
        ("n01)", "a ')' closes nothing at character 4"),
        ("n01(n02)", "a ',' or '@' is missing before '('"),
        ("/n[/", "'n[' is no regular expression"),
        ("/*/", "'*' is no regular expression"),
        ("/a{9999999999999999999}/", "is no regular expression"),
        ("/a/b", "',' or '@' must follow the regular expression 'a'"),
        ("/", "a regular expression is missing"),
        ("model=PE", "write == (or !=, =~, !~)"),
        ("colour==red", "unknown attribute 'colour'"),
        ("^none", "'^none': the file of names cannot be read: No such file or directory"),
        ("^loop", "'^loop': a file of names cannot be read here"),
        ("n;reboot", "'n;reboot' is no node name"),
        ("n01 n02", "'n01 n02' is no node name"),
        ("n٣", "is no node name"),
        ("n[٣]", "brackets hold numbers"),
    ],
)
def test_mistakes(text: str, sentence: str) -> None:
    """A wrong noderange is one sentence that names the faulty part and, for a name, what is near."""

    def read(path: str) -> str:
        if path == "loop":
            return "^loop\n"
        raise FileNotFoundError(2, "No such file or directory", path)

    with pytest.raises(ValueError, match=re.escape(sentence)) as caught:
        noderange.select(text, LAB, model, read=read)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "n[1-99999999999]",
        "n[1-1000001]",
        "n[1-1000]x[1-1001]",
        "n1-n99999999",
        "n1+99999999999",
        f"n[1-{'9' * 5000}]",
        f"n1-n{'9' * 5000}",
        f"n1+{'9' * 5000}",
        "(" * 100_000,
        "(" * 60 + "n1" + ")" * 60,
        "/" + "(" * 50_000,
        "n1,," * 10_000,
        "[" * 100_000,
    ],
    ids=lambda text: text[:20],
)
@pytest.mark.parametrize("call", [noderange.names, lambda text: noderange.select(text, LAB)], ids=["names", "select"])
def test_bounds(call: Any, text: str) -> None:
    """A noderange that asks for more than a machine can hold is refused at once, in a short sentence."""
    with pytest.raises(ValueError, match=r"refused|digits|deep|no regular expression|missing|not closed") as caught:
        call(text)
    assert len(str(caught.value)) < 500


def test_bounds_hold_for_the_sum() -> None:
    """Several ranges are bounded together."""
    with pytest.raises(ValueError, match="stands for 1,000,001 names"):
        noderange.names("n[1-1000000],m1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("n01", "n01"),
        ("n[01-03]", "n01 n02 n03"),
        ("n[9-11]", "n9 n10 n11"),
        ("n1,n1,n[1-2]", "n1 n2"),
        ("kvm1, n[01-02]", "kvm1 n01 n02"),
        ("f[1-2]n[1-2]", "f1n1 f1n2 f2n1 f2n2"),
        ("n98+3", "n98 n99 n100 n101"),
        ("a-1", "a-1"),
        ("a-1-a-3", "a-1 a-2 a-3"),
        ("web-web", "web-web"),
        ("n[1-3]-ipmi", "n1-ipmi n2-ipmi n3-ipmi"),
    ],
)
def test_names(text: str, expected: str) -> None:
    """A key of nodes.yaml names each node once, in the order written, without asking an inventory."""
    assert noderange.names(text) == tuple(expected.split())


@pytest.mark.parametrize("text", ["/n.*/", "@compute", "all,-n1", "n1@n2", "(n1)", "^file", "model==x"])
def test_names_refuses_what_selects(text: str) -> None:
    """Groups, regexes, exclusions and files choose among nodes: they cannot name new ones."""
    with pytest.raises(ValueError, match="names, brackets and ranges only"):
        noderange.names(text)


def test_a_node_goes_before_a_group_of_the_same_name() -> None:
    """Where a group is called like a node, the plain word is the node and ``@`` reaches the group."""
    nodes = {"a": ("b",), "b": (), "c": ("b",)}
    assert noderange.select("b", nodes) == ("b",)
    assert noderange.select("@b", nodes) == ("a", "c")


def test_a_name_that_looks_like_a_range_is_a_name() -> None:
    """``n1-n3`` is the node of that name where there is one."""
    assert noderange.select("n1-n3", {"n1-n3": (), "n1": (), "n3": ()}) == ("n1-n3",)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["n10", "n2", "n1"], ["n1", "n2", "n10"]),
        (["n010", "n10", "n9"], ["n9", "n10", "n010"]),
        (["b", "a1", "a"], ["a", "a1", "b"]),
        (["1", "a", "0"], ["0", "1", "a"]),
        (["n" + "9" * 5000, "n1"], ["n1", "n" + "9" * 5000]),
        (["n²", "n1"], ["n1", "n²"]),
    ],
)
def test_natural(names: list[str], expected: list[str]) -> None:
    """Numbers in names are compared as numbers, whatever their length and whatever stands around them."""
    assert noderange.natural(names) == expected


def test_fold_does_not_resolve_groups() -> None:
    """Folding takes names for names: a word that ClusterShell takes for a group is refused, not looked up."""
    assert noderange.fold([]) == ""
    assert noderange.fold(["n02", "kvm1", "n01", "n03"]) == "kvm1,n[01-03]"
    with pytest.raises(ValueError, match="not all node names"):
        noderange.fold(["n[1"])


# -- properties ------------------------------------------------------------------------------------------------------

NAMES = [f"n{number:02d}" for number in range(1, 13)]
GROUPS = {"even": NAMES[1::2], "low": NAMES[:6], "third": NAMES[2::3]}
INVENTORY = {name: tuple(group for group, members in GROUPS.items() if name in members) for name in NAMES}
Pair = tuple[str, frozenset[str]]  # a noderange and, by set algebra, what it means


def atoms() -> st.SearchStrategy[Pair]:
    """Make names, groups, brackets with steps, ranges and regexes."""
    ends = st.tuples(st.integers(1, 12), st.integers(1, 12)).map(sorted)
    return st.one_of(
        st.sampled_from(NAMES).map(lambda name: (name, frozenset({name}))),
        st.sampled_from(sorted(GROUPS)).map(lambda group: (group, frozenset(GROUPS[group]))),
        st.sampled_from(sorted(GROUPS)).map(lambda group: (f"@{group}", frozenset(GROUPS[group]))),
        ends.map(lambda pair: (f"n{pair[0]:02d}-n{pair[1]:02d}", frozenset(NAMES[pair[0] - 1 : pair[1]]))),
        ends.map(lambda pair: (f"n{pair[0]:02d}+{pair[1] - pair[0]}", frozenset(NAMES[pair[0] - 1 : pair[1]]))),
        st.tuples(ends, st.integers(1, 5)).map(
            lambda both: (
                f"n[{both[0][0]:02d}-{both[0][1]:02d}/{both[1]}]",
                frozenset(NAMES[both[0][0] - 1 : both[0][1] : both[1]]),
            )
        ),
        st.sampled_from("0123456789").map(
            lambda digit: (f"/n.{digit}/", frozenset(name for name in NAMES if name[2] == digit))
        ),
    )


def combine(children: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    """Make intersections and parenthesised unions with exclusions of smaller noderanges."""

    def union(parts: list[tuple[bool, Pair]], first: Pair, at: int) -> Pair:
        items = [(False, first), *parts]
        items.insert(at % len(items), items.pop(0))
        wanted = frozenset[str]().union(*(pair[1] for out, pair in items if not out))
        unwanted = frozenset[str]().union(*(pair[1] for out, pair in items if out))
        return f"({','.join('-' * out + pair[0] for out, pair in items)})", wanted - unwanted

    return st.one_of(
        st.tuples(children, children).map(lambda two: (f"{two[0][0]}@{two[1][0]}", two[0][1] & two[1][1])),
        st.builds(union, st.lists(st.tuples(st.booleans(), children), max_size=4), children, st.integers(0, 4)),
    )


@settings(max_examples=300, deadline=None)
@given(st.recursive(atoms(), combine, max_leaves=12))
def test_select_is_set_algebra(pair: Pair) -> None:
    """However operators are nested, the result is what plain set operations give, in natural order."""
    text, expected = pair
    assert noderange.select(text, INVENTORY) == tuple(sorted(expected))


@settings(max_examples=200, deadline=None)
@given(st.sets(st.from_regex(r"[a-c]{1,2}(0?[0-9]{1,2})?(-[x-y][0-9])?", fullmatch=True), max_size=20))
def test_fold_and_names_are_inverse(names: set[str]) -> None:
    """What is folded for people can be read back, with its padding (but for names that look like ranges: a1-a0)."""
    folded = noderange.fold(names)
    assert set(noderange.names(folded) if folded else ()) == names


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="n01a9-@,()[]/^+=!~:. #\\{}*|", max_size=30))
def test_any_text_is_an_answer_or_a_sentence(text: str) -> None:
    """No text gives anything but nodes or a `ValueError`."""
    with contextlib.suppress(ValueError):
        assert set(noderange.select(text, LAB, model, read=lambda path: path)) <= set(LAB)
    with contextlib.suppress(ValueError):
        assert noderange.names(text)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.from_regex(r"[a-b]{0,2}[0-9]{0,3}[a-b]?[0-9]{0,2}", fullmatch=True)))
def test_natural_order_agrees_with_counting(names: list[str]) -> None:
    """Two names that differ in one number stand as the numbers do."""
    placed = noderange.natural(names)
    assert sorted(placed) == sorted(names)
    for first, second in itertools.pairwise(placed):
        one, two = re.fullmatch(r"([a-b]+)([1-9][0-9]*)", first), re.fullmatch(r"([a-b]+)([1-9][0-9]*)", second)
        if one and two and one[1] == two[1]:
            assert int(one[2]) <= int(two[2])
