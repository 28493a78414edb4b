"""Files made of parts: only what changed is rendered and checked, and the file is what rendering everything gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import assemble
from tasks.assemble import Slice
from tasks.errors import BootmillError
from tasks.family import Aggregate, Around, Family
from tasks.inventory.model import BootState, Firmware, Netboot, Node, Whole

OUT = Path("build/etc/list")


class Row(NamedTuple):
    """A name."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A title."""

    title: str


class Press:
    """A family that notes what it was asked to render and to check."""

    def __init__(self, *, between: str = "") -> None:
        """Nothing was asked."""
        self.rendered: list[str] = []
        self.checked: list[Mapping[str, str]] = []
        self.refuses = False
        self.between = between

    def text(self, _frame: Frame, rows: Any) -> Mapping[str, str]:
        """Return two files' parts; names with an x are in the second alone."""
        self.rendered += [row.name for row in rows]
        return {
            "one": "".join(f"{row.name}\n" for row in rows if "x" not in row.name),
            "two": "".join(f"- {row.name}\n" for row in rows),
        }

    def around(self, frame: Frame, sums: Mapping[str, str]) -> Mapping[str, Around]:
        """Return what stands around the parts."""
        head = f"# Made by Bootmill: {frame.title}\n"
        return {
            "one": Around(path=OUT, head=head, between=self.between, tail="end\n"),
            "two": Around(path=OUT.with_suffix(".two"), head=f"{head}{sums.get('two', '')}\n"),
        }

    def check(self, _frame: Frame, texts: Mapping[str, str]) -> None:
        """Note what is asked."""
        if self.refuses:
            message = "refused"
            raise BootmillError(message)
        self.checked.append(texts)

    @property
    def family(self) -> Family[Frame]:
        """Return the family."""
        return Family(
            name="press",
            frame=lambda _: Frame(title="t"),
            rows=lambda _, nodes: tuple(Row(node.name) for node in nodes),
            text=self.text,
            around=self.around,
            outputs=lambda _: [OUT, OUT.with_suffix(".two")],
            check=self.check,
        )


def node(name: str) -> Node:
    """Return a node of this name."""
    return Node(
        name=name, groups=(), aliases=(), ip=IPv4Address("10.0.0.1"), mac=None, model="generic", firmware=Firmware.BIOS,
        netboot=Netboot.PXE, osimage=None, state=BootState.LOCAL, console=None, kernel_args=(), bmc=None, port=None,
        memory=64, nic="e1000",
    )  # fmt: skip


def shards(*parts: str) -> list[Whole]:
    """Return a shard of nodes for each text of names."""
    return [Whole(tuple(map(node, part.split()))) for part in parts]


def run(press: Press, *parts: str, title: str = "t", code: str = "code") -> str:
    """Write the files as the task does; return the first one's text."""
    run_files(press, *parts, title=title, code=code)
    return OUT.read_text()


def run_files(press: Press, *parts: str, title: str = "t", code: str = "code") -> None:
    """Write the files as the task does."""
    frame = Frame(title=title)
    press.rendered.clear()
    press.checked.clear()
    slices = assemble.sliced(press.family, frame, shards(*parts), code)
    assemble.write(press.family, frame, slices, code)


@pytest.fixture(autouse=True)
def _checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in an empty checkout."""
    monkeypatch.chdir(tmp_path)


def test_parts_stand_in_the_order_of_the_inventory() -> None:
    """Head, parts, tail; a separator only between parts that say something."""
    assert run(Press(between=",\n"), "a b", "x", "c") == "# Made by Bootmill: t\na\nb\n,\nc\nend\n"


def test_only_what_changed_is_rendered_and_checked() -> None:
    """The other parts come from the file that is there; the checker sees the frame with the new part."""
    press = Press(between=";\n")
    run(press, "a b", "x", "c d", "e")
    text = run(press, "a b", "x", "c f", "e")
    assert press.rendered == ["c", "f"]
    assert press.checked[0]["one"] == "# Made by Bootmill: t\nc\nf\nend\n"
    assert text == "# Made by Bootmill: t\na\nb\n;\nc\nf\n;\ne\nend\n"
    assert OUT.with_suffix(".two").read_text().endswith("- a\n- b\n- x\n- c\n- f\n- e\n")


@pytest.mark.parametrize("change", [{"title": "other"}, {"code": "newer"}])
def test_another_frame_or_other_code_renders_everything(change: Any) -> None:
    """Every part depends on both."""
    press = Press()
    run(press, "a", "b")
    run(press, "a", "b", **change)
    assert set(press.rendered) == {"a", "b"}


def test_a_file_that_was_touched_is_not_believed() -> None:
    """An edit by hand, even of the same size and date, brings back nothing of it."""
    press = Press()
    before = run(press, "a", "b")
    OUT.write_text(before.replace("\na\n", "\nQ\n"))
    assert run(press, "a", "b") == before
    OUT.unlink()
    assert run(press, "a", "b") == before


def test_a_refusal_leaves_the_files() -> None:
    """Nothing is written before the checker agreed to all of it."""
    press = Press()
    before = run(press, "a")
    press.refuses = True
    with pytest.raises(BootmillError, match="refused"):
        run(press, "a", "b")
    assert OUT.read_text() == before
    press.refuses = False
    assert run(press, "a", "b") == before.replace("a\n", "a\nb\n", 1)


def test_a_persons_own_file_is_not_replaced() -> None:
    """A file without our header is somebody's."""
    OUT.parent.mkdir(parents=True)
    OUT.write_text("mine\n")
    with pytest.raises(BootmillError, match="was not made by Bootmill"):
        run(Press(), "a")
    assert OUT.read_text() == "mine\n"


class Sharing(Press):
    """A family whose first file may hold lines of others: those that begin with ``!``."""

    out = Path("root/etc/list")

    def around(self, frame: Frame, sums: Mapping[str, str]) -> Mapping[str, Around]:
        """Have the first file merged."""
        found = {**super().around(frame, sums)}
        found["one"] = replace(found["one"], path=self.out, merge=merge, remarks=lambda there, _: own(there))
        return found


def own(there: str) -> list[str]:
    """Return the lines of others."""
    return [line for line in there.splitlines() if line.startswith("!")]


def merge(there: str, ours: str) -> str:
    """Return our text behind the lines of others, ours alone without any."""
    return "".join(f"{line}\n" for line in own(there)) + ours


def share(press: Sharing, *parts: str) -> str:
    """Write the files; return the one that may be shared."""
    run_files(press, *parts)
    return press.out.read_bytes().decode("latin-1")


def test_lines_of_others_stay_and_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """However often they are edited, in whatever encoding; a file with them has no parts that could be taken over."""
    press = Sharing()
    press.out.parent.mkdir(parents=True)
    press.out.write_bytes(b"!mine \xe9\n")
    press.out.chmod(0o600)
    ours = "# Made by Bootmill: t\n{}end\n"
    assert share(press, "a", "b") == "!mine \xe9\n" + ours.format("a\nb\n")
    assert capsys.readouterr().err == "root/etc/list: !mine ?\n"
    assert share(press, "a", "c") == "!mine \xe9\n" + ours.format("a\nc\n")
    assert press.rendered == ["a", "c"]
    assert press.out.stat().st_mode & 0o777 == 0o600
    before = press.out.stat().st_mtime_ns
    share(press, "a", "c")
    assert press.out.stat().st_mtime_ns == before
    press.out.write_text(press.out.read_text("latin-1") + "!more\n")
    assert share(press, "a") == "!mine \xc3\xa9\n!more\n" + ours.format("a\n")
    press.out.write_text("# Made by Bootmill: t\nold\n")
    assert share(press, "a", "b") == ours.format("a\nb\n")
    share(press, "a", "c")
    assert press.rendered == ["c"]


def test_lines_that_are_added_to_a_file_of_ours_stay() -> None:
    """What looks as it was left is ours; an edit makes it one that others have lines in, also one that may be told."""
    press = Sharing()
    before = share(press, "a")
    press.out.write_text(f"{before}!mine\n")
    whole = assemble.render(press.family, Frame(title="t"), shards("a", "b"))
    after = share(press, "a", "b")
    assert after == "!mine\n" + before.replace("a\n", "a\nb\n", 1)
    assert whole[press.out].decode() == after


def test_remarks_are_few(capsys: pytest.CaptureFixture[str]) -> None:
    """A long file of somebody's does not fill the terminal."""
    assemble.tell(Path("x"), [f"{number}\x1b[m" for number in range(12)])
    assert capsys.readouterr().err == "".join(f"x: {number}?[m\n" for number in range(10)) + "x: 2 more such lines\n"


def test_below_build_what_is_ours_is_made_again() -> None:
    """An edit there is lost, as the header says; a file that somebody else put there is merged as anywhere."""
    press = Sharing()
    press.out = OUT
    before = share(press, "a")
    OUT.write_text(f"{before}!mine\n")
    assert share(press, "a") == before
    OUT.write_text("!mine\n")
    assert share(press, "a") == f"!mine\n{before}"


NAMES = st.lists(st.sampled_from(["a", "b", "c x", "x", "d e", "f"]), max_size=6, unique=True)


@settings(max_examples=60, deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=6))
def test_any_way_leads_to_what_rendering_everything_gives(history: list[list[str]]) -> None:
    """After any sequence of edits the files are those of a fresh checkout, down to the sum in the head."""
    press = Press(between="|\n")
    for parts in history:
        run(press, *parts)
        whole = assemble.render(press.family, Frame(title="t"), shards(*parts))
        assert {path: path.read_bytes() for path in whole} == whole


def test_an_aggregate_is_made_of_all_rows() -> None:
    """Rows of shards that did not change are kept; the text sees them all, in order."""
    asked: list[str] = []

    def rows(_: Frame, nodes: Sequence[Node]) -> Any:
        asked.extend(one.name for one in nodes)
        return tuple(Row(one.name) for one in nodes)

    def text(_: Frame, found: Any) -> Mapping[Path, str]:
        return {OUT: "# Made by Bootmill\n" + " ".join(row[0] for part in found for row in part) + "\n"}

    family = Aggregate(
        name="sum", frame=lambda _: Frame(title="t"), rows=rows, text=text, outputs=lambda _: [OUT],
        check=lambda *_: None,
    )  # fmt: skip
    frame = Frame(title="t")
    for parts, expected in ((("a b", "c"), "a b c"), (("a b", "d"), "a b d")):
        assemble.write_aggregate(family, frame, assemble.sliced(family, frame, shards(*parts), "code"), "code")
        assert OUT.read_text() == f"# Made by Bootmill\n{expected}\n"
    assert asked == ["a", "b", "c", "a", "b", "c", "d", "d"]  # once for the slice, once for the rows; then the new one
    assert Slice(digest="x", shard=shards("a")[0]).digest == "x"
