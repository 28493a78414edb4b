"""Serials: with the content, and never back."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.configs import serial as serials_file
from tasks.configs.serial import HEADER, following, later, published, read
from tasks.errors import BootmillError
from tasks.serials import CIRCLE, Known, is_newer

A, B, C = "a" * 16, "b" * 16, "c" * 16


@pytest.mark.parametrize(
    ("known", "digest", "floor", "expected"),
    [
        ([], A, 1, 1),
        ([], A, 2026112200, 2026112200),
        ([Known(7, A)], A, 1, 7),
        ([Known(7, A)], B, 1, 8),
        ([Known(7, A), Known(9, B)], B, 1, 9),  # built, but the state file is an older commit
        ([Known(7, A), Known(9, B)], A, 1, 10),  # undone since
        ([Known(9, B), Known(7, A)], C, 1, 10),
        ([Known(7, A), Known(7, B)], A, 1, 8),  # two machines gave out the same number
        ([Known(7, A), Known(7, A)], A, 1, 7),
        ([Known(7, "")], A, 1, 8),  # a zone file of an earlier version
        ([Known(7, A)], A, 100, 100),  # a floor lifts at once
        ([Known(7, A)], B, 100, 100),
        ([Known(100, A)], A, 100, 100),
        ([Known(100, A)], B, 100, 101),
        ([Known(CIRCLE - 1, A)], B, 1, 1),  # 0 is skipped
        ([Known(CIRCLE - 1, A)], A, 1, CIRCLE - 1),  # 1 is two steps ahead of it, but the smaller number
        ([Known(CIRCLE - 1, A)], B, 100, 100),
        ([Known(CIRCLE - 1, A), Known(3, B)], B, 1, 3),  # 3 is newer
        ([Known(5, A)], B, CIRCLE - 1, 6),  # that floor is behind
        ([Known(5, A)], A, 5 + CIRCLE // 2, 5),  # half the way round: secondaries would not take it
        ([Known(5, A)], A, 4 + CIRCLE // 2, 4 + CIRCLE // 2),
    ],
)
def test_the_serial_that_follows(known: list[Known], digest: str, floor: int, expected: int) -> None:
    """Same content, same serial; other content, the next; never below the floor; RFC 1982 all the way round."""
    assert following(known, digest, floor) == expected


serials = st.integers(1, CIRCLE - 1) | st.sampled_from([1, 2, CIRCLE // 2, CIRCLE // 2 + 1, CIRCLE - 1])


@given(serials, serials)
def test_later_is_one_of_both(one: int, other: int) -> None:
    """In either order the same, and never the one that the other is newer than."""
    found = later(one, other)
    assert found == later(other, one)
    assert found in {one, other}
    assert not any(is_newer(serial, found) for serial in (one, other))


steps = st.one_of(
    st.tuples(st.just("edit"), st.sampled_from([A, B, C])),
    st.tuples(st.just("clean"), st.none()),
    st.tuples(st.just("forget"), st.none()),
    st.tuples(st.just("floor"), serials),
)


@given(st.lists(steps, max_size=30), serials)
def test_any_history(history: list[tuple[str, object]], floor: int) -> None:
    """Edits, undone edits, a deleted build/, a lost state file, other floors: newer at each change, else the same.

    A floor that the serial is below of (as secondaries see it) is a change.
    """
    state: Known | None = None
    file: Known | None = None
    content = A
    served: Known | None = None
    for what, value in [("edit", A), *history]:
        if what == "edit":
            content = str(value)
        elif what == "clean":
            file = None
        elif what == "forget" and file:
            state = None
        elif what == "floor":
            floor = int(str(value))
        serial = following([known for known in (state, file) if known], content, floor)
        assert 0 < serial < CIRCLE
        if served is not None:
            changed = served.digest != content or (floor > served.serial and is_newer(floor, served.serial))
            assert is_newer(serial, served.serial) if changed else serial == served.serial
            assert not (changed and floor < CIRCLE // 2 and served.serial < CIRCLE // 2) or serial >= floor
        served = state = file = Known(serial, content)


# -- files -----------------------------------------------------------------------------------------------------------


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """The file begins with what it is, has a line for each zone in their order, and a missing one knows nothing."""
    path = tmp_path / "serials.yaml"
    assert read(path) == {}
    known = {"renci.ben": Known(CIRCLE - 1, A), "0-26.2.0.192.in-addr.arpa": Known(1, B)}
    path.write_text(serials_file.text(known))
    assert path.read_text() == HEADER + (
        f"0-26.2.0.192.in-addr.arpa: {{serial: 1, digest: {B}}}\nrenci.ben: {{serial: 4294967295, digest: {A}}}\n"
    )
    assert read(path) == known
    assert list(read(path)) == sorted(known)


@pytest.mark.parametrize(
    "line",
    [
        "<<<<<<< HEAD",
        "renci.ben: 7",
        f"renci.ben: {{serial: 0, digest: {A}}}",
        f"renci.ben: {{serial: 4294967296, digest: {A}}}",
        f"renci.ben: {{serial: 7, digest: {A[1:]}}}",
        f" renci.ben: {{serial: 7, digest: {A}}}",
        f"Renci ben: {{serial: 7, digest: {A}}}",
        f"ok.ben: {{serial: 7, digest: {A}}}",
        "\x00",
        "\ufffd",
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    """A line that is not as we write it, or a zone that is there twice, is an error with its place."""
    path = tmp_path / "serials.yaml"
    path.write_text(f"# remark\n\nok.ben: {{serial: 7, digest: {A}}}\n{line}\n")
    with pytest.raises(BootmillError, match=r"serials\.yaml:4: ") as caught:
        read(path)
    assert "higher serial" in caught.value.hint


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    """Not even those make a traceback."""
    path = tmp_path / "serials.yaml"
    path.write_bytes(b"\xff\xfe\n")
    with pytest.raises(BootmillError, match=r"serials\.yaml:1: "):
        read(path)


@pytest.mark.parametrize(
    ("text", "known"),
    [
        (f"$TTL 300\n@ IN SOA a b (\n    7 ; serial, content {A}\n    3600 ; refresh\n", [Known(7, A)]),
        ("    3735928559 ; serial: of the content, it does not only rise\n", [Known(3735928559, "")]),
        ("    4294967296 ; serial\n", []),
        ("@ IN SOA a b ( 7 3600 )\n", []),
        ("", []),
    ],
)
def test_a_published_zone_knows_its_serial(tmp_path: Path, text: str, known: list[Known]) -> None:
    """Files of ours, those of an earlier version too; from others nothing is learnt."""
    path = tmp_path / "db.renci.ben"
    path.write_text(text)
    assert published(path) == known
    assert published(tmp_path / "db.other") == []
    assert published(tmp_path) == []
