"""Secrets: where they come from, and that nobody sees them."""

import os
from pathlib import Path

import pytest

from tasks.errors import BootmillError
from tasks.inventory.model import SecretKind, SecretRef
from tasks.nodes import secret

FILE = SecretRef(kind=SecretKind.FILE, where="keys/bmc")


def put(folder: Path, content: bytes, mode: int = 0o600) -> None:
    """Write the secret's file."""
    path = folder / "keys" / "bmc"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


@pytest.mark.parametrize(
    ("content", "text"), [(b"calvin\n", "calvin"), (b"calvin", "calvin"), (b" cal vin \r\n", " cal vin ")]
)
def test_a_file_gives_its_line(tmp_path: Path, content: bytes, text: str) -> None:
    """The newline that ends the file is no part of the password; blanks are."""
    put(tmp_path, content)
    assert secret.read(FILE, tmp_path) == text


def test_the_environment_gives_its_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret in the environment is its value."""
    monkeypatch.setenv("TEST_SECRET", "hobbes")
    assert secret.read(SecretRef(kind=SecretKind.ENV, where="TEST_SECRET"), tmp_path) == "hobbes"


def test_a_secret_that_is_not_set_says_how_to_set_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable."""
    monkeypatch.delenv("TEST_SECRET", raising=False)
    with pytest.raises(BootmillError, match="TEST_SECRET is not set"):
        secret.read(SecretRef(kind=SecretKind.ENV, where="TEST_SECRET"), tmp_path)


@pytest.mark.parametrize(
    ("content", "mode", "complaint"),
    [
        (b"calvin\n", 0o640, "others may read"),
        (b"calvin\n", 0o604, "others may read"),
        (b"\n", 0o600, "empty"),
        (b"cal\x00vin", 0o600, "control characters"),
        (b"calvin\nhobbes\n", 0o600, "control characters"),
        (b"calvin\xff", 0o600, "no UTF-8"),
    ],
)
def test_a_file_that_is_no_secret_is_refused(tmp_path: Path, content: bytes, mode: int, complaint: str) -> None:
    """Permissions and content are checked, and the error holds nothing of the content."""
    put(tmp_path, content, mode)
    with pytest.raises(BootmillError, match=complaint) as caught:
        secret.read(FILE, tmp_path)
    assert "calvin" not in str(caught.value)


@pytest.mark.parametrize("where", ["../outside", "/etc/hostname", "keys/link"])
def test_a_file_outside_the_inventory_is_refused(tmp_path: Path, where: str) -> None:
    """Neither a path nor a link leads out of inventory/."""
    inventory = tmp_path / "inventory"
    (inventory / "keys").mkdir(parents=True)
    (tmp_path / "outside").write_text("calvin")
    (inventory / "keys" / "link").symlink_to("../../outside")
    with pytest.raises(BootmillError, match="outside"):
        secret.read(SecretRef(kind=SecretKind.FILE, where=where), inventory)


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    """Something that is no file is refused, without waiting for a writer."""
    os.mkfifo(tmp_path / "bmc")
    with pytest.raises(BootmillError, match="is no file"):
        secret.read(SecretRef(kind=SecretKind.FILE, where="bmc"), tmp_path)
