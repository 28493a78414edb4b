"""Our lines in a hosts file that has lines of its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import BootmillError
from tasks.hostsfile import BEGIN, END, MARK, WHOLE, contradictions, merged, staged

DEBIAN = (
    "127.0.0.1\tlocalhost\n127.0.1.1\tmgt.renci.ben mgt\n\n::1 localhost ip6-localhost\n# mine\n192.0.2.7 printer\n"
)
OURS = (
    f"{WHOLE} from inventory/: edits are lost.\n127.0.0.1       localhost\nff02::1         ip6-allnodes\n\n"
    "10.1.0.1        mgt.renci.ben mgt\n"
)

line = st.text(st.characters(exclude_characters="\n", codec="utf-8"), max_size=30) | st.sampled_from(
    [
        "127.0.0.1 localhost",
        "::1 localhost",
        "10.1.0.1 n01",
        "# a remark",
        "",
        "\t",
        "#BEGIN",
        f"x {BEGIN}",
        f"{BEGIN}-like block of puppet",
        f"{END} of puppet",
        "10.1.0.1 a\r",
    ]
)
foreign = (
    st.lists(line.filter(lambda text: not MARK.match(text)), max_size=8)
    .flatmap(lambda lines: st.sampled_from(["\n".join(lines), "".join(f"{one}\n" for one in lines)]))
    .filter(lambda text: not text.startswith(WHOLE))
)
ours = st.lists(
    st.sampled_from(["127.0.0.1 localhost", "::1 localhost", "10.1.0.1 n01.x n01", "10.1.0.2 n02.x n02", "# ours"]),
    max_size=6,
).map(lambda lines: "".join(f"{one}\n" for one in lines))


def test_ours_go_behind_what_is_there() -> None:
    """The machine's own lines stay byte for byte; of our loopback lines those go in that it does not have."""
    block = "ff02::1         ip6-allnodes\n\n10.1.0.1        mgt.renci.ben mgt\n"
    assert merged(DEBIAN, OURS) == f"{DEBIAN}{BEGIN}\n{block}{END}\n"


def test_an_empty_file_gets_the_loopback() -> None:
    """A machine without a hosts file can talk to itself afterwards."""
    assert merged("", OURS) == BEGIN + OURS.removeprefix(OURS.splitlines()[0]) + END + "\n"


def test_our_block_stays_in_its_place() -> None:
    """Lines behind our block stay behind it."""
    once = merged("127.0.0.1 localhost\n", "10.1.0.1 a\n") + "192.0.2.7 printer"
    assert merged(once, "10.1.0.2 b\n") == f"127.0.0.1 localhost\n{BEGIN}\n10.1.0.2 b\n{END}\n192.0.2.7 printer"


def test_a_second_block_of_ours_goes() -> None:
    """A file that was put together from two has our lines once."""
    block = merged("", "10.1.0.1 a\n")
    assert merged(f"1.2.3.4 x\n{block}5.6.7.8 y\n{block}9.9.9.9 z\n", "10.1.0.2 b\n") == (
        f"1.2.3.4 x\n{BEGIN}\n10.1.0.2 b\n{END}\n5.6.7.8 y\n9.9.9.9 z\n"
    )


def test_a_file_that_is_ours_as_a_whole_is_replaced() -> None:
    """What an earlier build put in place of the whole file does not stay beside the new lines."""
    assert merged(OURS, "10.1.0.2 b\n") == f"{BEGIN}\n10.1.0.2 b\n{END}\n"


@pytest.mark.parametrize("first", ["192.0.2.7 printer", "192.0.2.7 printer.x printer", "# mine", f"{BEGIN}-like x"])
def test_lines_that_were_added_to_a_file_of_ours_stay(first: str) -> None:
    """Ours are known by their form, those of a machine that is gone, too; others stay where they were added."""
    last = "192.0.2.8 scanner # mine\n127.0.0.1 localhost me\n"
    block = OURS.partition("\n")[2].partition("\n")[2]  # without the header, and without the line for 127.0.0.1
    gone = "10.1.0.9        n09.renci.ben n09 nine\nfd00:0:1:2:3:4:5:6 n09.renci.ben n09\n10.1.0.109      b b.x\n"
    existing = f"{first}\n{OURS}{gone}{last}"
    assert merged(existing, OURS) == staged(existing, OURS) == f"{first}\n{BEGIN}\n{block}{END}\n{last}"
    assert staged(staged(existing, OURS), OURS) == staged(existing, OURS)
    behind = staged(f"{OURS}{gone}{first}\n", OURS)
    assert behind.startswith(f"{BEGIN}\n")
    assert behind.endswith(f"{END}\n{first}\n")


@pytest.mark.parametrize(
    "existing", ["", OURS, OURS.replace("\n", "\r\n"), OURS.replace("       ", " "), f"{BEGIN}\n{END}\n"]
)
def test_a_file_without_lines_of_others_is_staged_as_ours(existing: str) -> None:
    """Empty, as we made it, through another editor, with another version's columns, or our block alone."""
    assert staged(existing, OURS) == OURS


def test_lines_of_others_are_staged_with_ours() -> None:
    """A file that somebody else made is merged."""
    assert staged(DEBIAN, OURS) == merged(DEBIAN, OURS)


def test_what_was_staged_over_others_lines_can_be_merged() -> None:
    """Marks in what we rendered make no second pair of marks."""
    once = merged("192.0.2.7 printer\n", OURS)
    assert merged(merged("1.2.3.4 x\n", once), OURS) == merged("1.2.3.4 x\n", OURS)
    assert "192.0.2.7 printer\n" in merged("1.2.3.4 x\n", once)


@pytest.mark.parametrize("behind", ["-like block of puppet", " of puppet", "s", ": x", "\rx"])
def test_another_tools_marks_are_its_own(behind: str) -> None:
    """What lies between them is not replaced, and they need no partner."""
    existing = f"{BEGIN}{behind}\n192.0.2.7 printer\n{END}{behind}\n{BEGIN}{behind}\n"
    assert merged(existing, OURS).startswith(existing)


@pytest.mark.parametrize("behind", ["\r", " ", "\t \r"])
def test_an_editors_line_ends_leave_our_marks(behind: str) -> None:
    """Blanks and a CR behind a mark are no other mark."""
    existing = f"{BEGIN}{behind}\n10.1.0.9 old\n{END}{behind}\n192.0.2.7 printer\n"
    assert merged(existing, "10.1.0.2 b\n") == f"{BEGIN}\n10.1.0.2 b\n{END}\n192.0.2.7 printer\n"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (f"a b\n{BEGIN}\n10.1.0.1 a\n", 2),
        (f"10.1.0.1 a\n{END}\n", 2),
        (f"{BEGIN}\n{BEGIN}\n{END}\n", 1),
        (f"{BEGIN}\n{END}\n{END}\n", 3),
    ],
)
def test_marks_that_do_not_pair_are_an_error(text: str, number: int) -> None:
    """Which lines are ours would be a guess, and a wrong one would lose somebody's lines."""
    with pytest.raises(BootmillError, match=f"line {number} of the hosts file"):
        merged(text, OURS)


@given(foreign, ours, ours)
def test_merging_twice_is_merging_once(existing: str, one: str, other: str) -> None:
    """The old block leaves nothing behind, and nothing is ever there twice."""
    result = merged(merged(existing, one), other)
    assert result == merged(existing, other)
    assert merged(result, other) == result
    assert sum(line == BEGIN for line in result.split("\n")) == 1


@given(foreign, foreign.map(lambda text: text + "\n" if text and not text.endswith("\n") else text), ours)
def test_foreign_lines_are_kept_byte_for_byte(after: str, before: str, own: str) -> None:
    """Whatever stands before and behind our block is there afterwards, in its order."""
    result = merged(f"{before}{BEGIN}\nold\n{END}\n{after}", own)
    assert result.startswith(f"{before}{BEGIN}\n")
    assert result.endswith(f"\n{END}\n{after}")


def test_the_result_is_not_taken_for_ours_as_a_whole() -> None:
    """The header by which whole files of ours are known is not in it: who replaces those must not replace this."""
    assert WHOLE in OURS
    assert WHOLE not in merged("192.0.2.7 printer\n", OURS)


def test_contradictions_are_told() -> None:
    """A foreign line with another address for a name of ours is named with its line, Debian's 127.0.1.1 above all."""
    told = contradictions(DEBIAN, OURS)
    assert [sentence[: sentence.index(":")] for sentence in told] == [
        "line 2 of the hosts file says that mgt.renci.ben is 127.0.1.1, the inventory says 10.1.0.1",
        "line 2 of the hosts file says that mgt is 127.0.1.1, the inventory says 10.1.0.1",
    ]
    assert len(contradictions(merged(f"1.2.3.4 x\n10.9.9.9 MGT\n{BEGIN}\n{END}\n10.8.8.8 mgt", OURS), OURS)) == 2


@pytest.mark.parametrize(
    "text",
    [
        "10.1.0.1 mgt\n",
        "# 10.9.9.9 mgt\n",
        "fd00::1 mgt\n",
        "10.9.9.9 mgt2\n",
        OURS,
        f"{OURS}10.1.0.9        mgt.renci.ben mgt\n",
    ],
)
def test_what_does_not_contradict_is_not_told(text: str) -> None:
    """The same address, a remark, the other address family, another name, and what we wrote ourselves."""
    assert contradictions(text, OURS) == []
