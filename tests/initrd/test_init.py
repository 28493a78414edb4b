"""The first stage's scripts: sound for both shells that may run them, and no program called that is not packed."""

import re
import shutil
import subprocess

import pytest

from tasks.initrd import firststage
from tests.initrd.firststages import FLOOR, IMAGE

SCRIPTS = {"init": {"image": IMAGE, "floor": FLOOR, "start": True}, "udhcpc": {}}
BUILTIN = {"[", "echo", "kill", "printf"}  # busybox has them too, but the shell's own is taken
BEGINNING = re.compile(r"(?:^|[|;&({)])\s*(?:(?:if|then|else|do|exec|while|!)\s+)*([a-z][a-z0-9_]*)(?=\s|$)", re.M)


def script(name: str) -> str:
    """Return a rendered script."""
    return firststage.script(name, **SCRIPTS[name])


def commands(text: str) -> set[str]:
    """Return the words at which commands begin, as far as a regular expression sees them."""
    return set(BEGINNING.findall(re.sub(r"^\s*#.*", "", text, flags=re.M)))


@pytest.mark.integration
@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("shell", [["busybox", "sh", "-n"], ["dash", "-n"]], ids=["busybox", "dash"])
def test_the_shell_parses_it(name: str, shell: list[str]) -> None:
    """Both shells of first stages read the script without an error."""
    subprocess.run([*shell, "/dev/stdin"], input=script(name), text=True, check=True)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_command_is_known_to_be_needed(name: str) -> None:
    """What the scripts call is in APPLETS, which the proof looks for, or is a function of theirs."""
    called = commands(script(name)) & set(listed()) - BUILTIN
    assert called >= {"udhcpc": {"ip", "hostname"}, "init": {"wget", "mount", "switch_root"}}[name]
    assert not called - set(firststage.APPLETS)


def listed() -> list[str]:
    """Return the applets of this machine's busybox."""
    if shutil.which("busybox") is None:
        pytest.skip("busybox is not installed (package busybox)")
    return subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.integration
def test_the_distribution_has_the_applets() -> None:
    """Debian's busybox has all that is called; the list names nothing that is not."""
    assert not set(firststage.APPLETS) - set(listed())
    text = "".join(map(script, SCRIPTS))
    unused = {name for name in firststage.APPLETS if not re.search(rf"(?<![\w-]){name}(?![\w=-])", text)}
    assert not unused, f"in APPLETS, but not called: {sorted(unused)}"


def test_no_name_of_a_file_is_left_to_chance() -> None:
    """The script turns off patterns before it reads any word, and nothing is evaluated."""
    text = script("init")
    assert text.index("\nset -f") < text.index("read_words")
    assert not re.search(r"\beval\b", text)
