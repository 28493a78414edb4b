"""Patterns match what the C library's fnmatch matches, for kmod asks that; the oracles are libc and modprobe."""

import ctypes
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.initrd.kernel import modindex
from tasks.initrd.kernel.aliases import Aliases, Budget, literal, matches
from tasks.initrd.kernel.modules import kernel_modules
from tasks.initrd.loader.sysroot import DiskTree
from tests.initrd import kernels

PARTS = ("a", "b", "-", "0", "*", "?", "[ab]", "[!a]", "[^a-b]", "[0-9]", "[-a]", "[]a]", "[*?]", "\\*", "\\a")
PATTERNS = st.lists(st.sampled_from(PARTS), max_size=8).map("".join)
WORDS = st.text(alphabet="ab-*?[]05", max_size=10)


def says_libc(pattern: str, word: str) -> bool:
    """Ask fnmatch(3)."""
    return bool(ctypes.CDLL(None).fnmatch(pattern.encode(), word.encode(), 0) == 0)


@pytest.mark.integration
@given(PATTERNS, WORDS)
@example("pci:v*d0000164[0-3]*", "pci:v1d00001642s")
@example("pci:v*d0000164[!0-3]*", "pci:v1d00001642s")
@example("[^a-c]x", "dx")
@example("a*b*c*d", "abcbcd")
@example("*", "")
def test_matching_is_libcs(pattern: str, word: str) -> None:
    """The same answer for all that aliases are made of."""
    assert matches(pattern, word, Budget()) is says_libc(pattern, word)


@pytest.mark.parametrize(
    ("pattern", "word", "matched"),
    [
        ("a", "a", True),
        ("a", "ab", False),
        ("a*", "a", True),
        ("*a", "bba", True),
        ("*a*", "bab", True),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("[0-9]x", "5x", True),
        ("[0-9]x", "ax", False),
        ("[!0-9]x", "ax", True),
        ("[^0-9]x", "5x", False),
        ("[0-9a-f]", "e", True),
        ("[-a]", "-", True),
        (r"\*", "*", True),
        (r"\*", "a", False),
    ],
)
def test_patterns(pattern: str, word: str, matched: bool) -> None:
    """The forms that aliases have."""
    assert matches(pattern, word, Budget()) is matched


@pytest.mark.parametrize(("pattern", "begin"), [("abc", "abc"), ("a*c", "a"), ("a[0]", "a"), ("?", ""), ("a\\*", "a")])
def test_what_a_pattern_begins_with(pattern: str, begin: str) -> None:
    """Most aliases are passed over by their beginning."""
    assert literal(pattern) == begin


@pytest.mark.parametrize(
    ("alias", "normal"),
    [("a-b", "a_b"), ("a[0-9]-b", "a[0-9]_b"), ("a-[0-9][a-f]-", "a_[0-9][a-f]_"), ("a[-", "a[-"), ("a]-", "a]_")],
)
def test_dashes_are_underscores_outside_of_brackets(alias: str, normal: str) -> None:
    """As kmod compares them."""
    assert modindex.same_dashes(alias) == normal


def test_a_pattern_finds_patterns_as_they_are_written() -> None:
    """``pci:v000014E4d*`` is every card of one maker, though the aliases have stars of their own."""
    known = Aliases.of(
        {"tg3": ["pci:v000014E4d00001600sv*"], "exact": ["pci:v000014E4d1"], "other": ["pci:v00008086d*"]}
    )
    assert known.find("pci:v000014E4d*") == {"tg3", "exact"}
    assert known.find("pci:*") == {"tg3", "exact", "other"}
    assert known.find("pci:v00008086d00001234sv0") == {"other"}


def test_work_is_bounded() -> None:
    """A pattern that would take for ever takes a bounded number of steps."""
    with pytest.raises(ValueError, match="too wild"):
        matches("a*" * 1000 + "b", "a" * 100_000, Budget(100_000))
    with pytest.raises(ValueError, match="too wild"):
        matches("*[" + "a" * 100_000 + "]", "b" * 100_000, Budget(1_000_000))


# -- modprobe as the oracle ------------------------------------------------------------------------------------------

KEYS = {
    "tg3.ko": ("alias=pci:v000014E4d00001600sv*sd*bc*sc*i*", "alias=pci:v000014E4d0000164[0-3]sv*sd*bc*sc*i*"),
    "any-14e4.ko": ("alias=pci:v000014E4d*sv*sd*bc02sc*i*",),
    "crc-one.ko": ("alias=crc", "alias=crypto-crc"),
    "crc_two.ko": ("alias=crc", "softdep=pre: tg3 post: any-14e4"),
    "acpi.ko": ("alias=acpi*:PNP0C0A:*", "alias=of:N*T*Cvirtio,mmioC*", "alias=devname:x"),
}
WORDS_ASKED = (
    *("tg3", "crc-one", "crc_two", "any_14e4", "crc", "crypto-crc", "crypto_crc", "nothing", "of:NxTyCvirtio,mmioCz"),
    *(
        f"pci:v000014E4d0000{end}sc3i4"
        for end in ("1600sv1sd2bc02", "1642sv1sd2bc02", "1642sv1sd2bc1", "1644sv1sd2bc02")
    ),
    *("acpi:PNP0C0A:", "acpix:PNP0C0A:x", "acpi:PNP0C0B:"),
)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tree with a made-up kernel that depmod has looked at."""
    root = tmp_path_factory.mktemp("tree")
    kernels.write_kernel(root, KEYS)
    subprocess.run(["depmod", "--basedir", root, kernels.VERSION], check=True, capture_output=True)
    return root


@pytest.mark.integration
@pytest.mark.parametrize("word", WORDS_ASKED)
def test_modprobe_finds_the_same(word: str, kernel: Path) -> None:
    """A word means what it means to modprobe."""
    command = ["modprobe", "--dirname", str(kernel), "--set-version", kernels.VERSION, "--resolve-alias", word]
    said = subprocess.run(command, check=False, capture_output=True, text=True).stdout.split()
    assert list(kernel_modules(DiskTree(kernel), kernels.VERSION).find(word)) == sorted(said)


@pytest.mark.integration
def test_depmod_writes_what_the_modules_say(kernel: Path) -> None:
    """The index made of depmod's tables is the one made of the modules."""
    tree = DiskTree(kernel)
    written = modindex.read_index(tree, kernels.VERSION)
    base = modindex.modules_folder(tree, kernels.VERSION)
    assert written.from_tables
    assert base
    told = modindex.from_modules(tree, base, written.builtin, {})
    assert (told.before, told.after) == (written.before, written.after)
    assert {name: sorted(texts) for name, texts in told.aliases.items()} == {
        name: sorted(texts) for name, texts in written.aliases.items()
    }
