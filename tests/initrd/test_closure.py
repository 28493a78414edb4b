"""The library closure finds what the dynamic loader maps, and says what is missing.

The oracle is ld.so itself, asked about this machine's own programs (LD_TRACE_LOADED_OBJECTS, ld.so(8)).
"""

import re
import subprocess
from pathlib import Path

import pytest

from tasks import cpio
from tasks.initrd import elf
from tasks.initrd.closure import closure
from tasks.initrd.sysroot import ArchiveTree, DiskTree, resolve

HOST = DiskTree(Path("/"))
PROGRAMS = ("/bin/bash", "/bin/busybox", "/usr/bin/python3", "/usr/bin/openssl", "/usr/sbin/sshd", "/usr/bin/apt-get")


def mapped(program: str) -> set[str]:
    """Return the real paths that the loader maps for a program, the program's own apart."""
    head = Path(program).resolve().read_bytes()
    interpreter = elf.parse(head).interpreter
    assert interpreter is not None
    said = subprocess.run([interpreter, "--list", program], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"(?:=> )?(/\S+) \(0x", said)
    return {str(Path(path).resolve()) for path in [*found, interpreter]}


@pytest.mark.integration
@pytest.mark.parametrize("program", [name for name in PROGRAMS if Path(name).exists()])
def test_the_closure_is_what_the_loader_maps(program: str) -> None:
    """No library more, no library less than ld.so uses for this program."""
    found = closure(HOST, (program,))
    assert found.missing == []
    reasons = {f"/{path}": reason for path, reason in found.files.items()}
    assert {path for path, why in reasons.items() if why != "asked for" and "variant" not in why} == mapped(program)


def sample(tmp_path: Path, *drop: str) -> ArchiveTree:
    """Return an archive tree with this machine's bash closure, less some files, on merged /usr."""
    found = closure(HOST, ("/bin/bash",))
    kept = [path for path in found.files if not any(name in path for name in drop)]
    entries = [cpio.regular(path, HOST.read(path), 0o755) for path in kept]
    entries += [cpio.symlink(path, target) for path, target in found.links.items()]
    return ArchiveTree.of(cpio.with_parents(entries))


def test_the_copy_is_closed(tmp_path: Path) -> None:
    """Looked at as a root of its own, what was copied needs nothing more: that is the proof."""
    assert closure(sample(tmp_path), ("/bin/bash",)).missing == []


def test_a_missing_library_is_named_with_who_needs_it(tmp_path: Path) -> None:
    """A dropped library is told with the file that asks for it."""
    missing = closure(sample(tmp_path, "libtinfo"), ("/bin/bash",)).missing
    assert len(missing) == 1
    assert missing[0] == "libtinfo.so.6 (needed by /usr/bin/bash)"


def test_a_missing_interpreter_is_named(tmp_path: Path) -> None:
    """Without the ELF interpreter the kernel panics with `no init found`: it is the first thing to be missed."""
    missing = closure(sample(tmp_path, "ld-linux"), ("/bin/bash",)).missing
    assert any("ELF interpreter of /bin/bash" in line for line in missing)


@pytest.mark.parametrize(
    ("script", "missing"),
    [
        (b"#!/bin/bash\n", []),
        (b"#! /bin/bash -e\n", []),
        (b"#!/bin/nothing\n", ["/bin/nothing (interpreter of /init)"]),
        (b"#!/bin/bash\r\n", ["/bin/bash\r (interpreter of /init)"]),
        (b"#!\n", ["/init: its #! line leads to no interpreter"]),
        (b"", ["/init: invalid ELF header"]),
        (b"!/sbin/busybox.anaconda sh\n", ["/init: invalid ELF header"]),
    ],
    ids=["plain", "argument", "missing", "DOS", "empty line", "empty file", "the seed's typo"],
)
def test_scripts_bring_their_interpreter(script: bytes, missing: list[str], tmp_path: Path) -> None:
    """A script's interpreter and its libraries belong to the closure, as the kernel reads the #! line."""
    tree = sample(tmp_path)
    tree.entries["init"] = cpio.regular("init", script, 0o755)
    assert closure(tree, ("/init",)).missing == missing


def test_a_chain_of_interpreters_ends(tmp_path: Path) -> None:
    """Scripts that interpret each other are refused as the kernel refuses them, and the search ends."""
    tree = sample(tmp_path)
    tree.entries["init"] = cpio.regular("init", b"#!/init\n", 0o755)
    assert "/init: its #! line leads to no interpreter" in closure(tree, ("/init",)).missing


@pytest.mark.parametrize(
    ("path", "real"),
    [
        ("/a/f", "real/f"),
        ("/abs/f", "real/f"),
        ("/../../real/f", "real/f"),
        ("/up/f", "real/f"),
        ("/loop", None),
        ("/dangling", None),
        ("/real/f/x", None),
        ("/host", None),
    ],
)
def test_links_are_followed_inside_the_tree(path: str, real: str | None, tmp_path: Path) -> None:
    """Absolute targets start at the tree's root, .. stops there, loops end, the head node's files are never reached."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real/f").write_text("")
    for name, target in {
        "a": "real",
        "abs": "/real",
        "up": "../../../../real",
        "loop": "loop",
        "dangling": "nothing",
        "host": "/etc/hostname",
    }.items():
        (tmp_path / name).symlink_to(target)
    assert resolve(DiskTree(tmp_path), path).path == real


@pytest.mark.parametrize("size", [0, 3, 16, 63, 64, 200, 1000])
def test_a_cut_off_library_is_no_library(size: int) -> None:
    """Damaged ELF files end in a sentence, never in another exception."""
    with pytest.raises(ValueError, match=r"ELF|too short"):
        elf.parse(Path("/bin/busybox").read_bytes()[:size])
