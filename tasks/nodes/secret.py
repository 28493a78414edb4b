"""Secrets, read at their use: from the environment or from a file below inventory/.  Never shown, never stored."""

import os
import stat
from pathlib import Path

from tasks.errors import BootmillError
from tasks.inventory.model import SecretKind, SecretRef

LONGEST = 1024  # bytes; no password is longer, and a wrong path may lead to anything


def read(ref: SecretRef, inventory_dir: Path) -> str:
    """Return the secret behind a reference, without the newline that ends its file.

    `BootmillError` where there is none, or where others may read its file; the secret itself is in no message.
    """
    if ref.kind is SecretKind.ENV:
        text = os.environ.get(ref.where, "")
        if not text:
            message = f"the secret {ref} is not there: the environment variable {ref.where} is not set"
            raise BootmillError(message, hint=f"read -rs {ref.where} && export {ref.where}")
        return checked(text, ref)
    return checked(file_text(ref, inventory_dir), ref)


def checked(text: str, ref: SecretRef) -> str:
    """Return a secret that can go over the wire as it is."""
    if not text or not text.isprintable():
        message = f"the secret {ref} is empty or holds control characters"
        raise BootmillError(message, hint="one line of printable characters is a password")
    return text


def file_text(ref: SecretRef, inventory_dir: Path) -> str:
    """Return the first line of a secret's file, which only its owner may read and which lies below inventory/."""
    path = inventory_dir / ref.where
    if not path.resolve().is_relative_to(inventory_dir.resolve()):
        message = f"the secret {ref} lies outside {inventory_dir}"
        raise BootmillError(message, hint="a secret's file lies below the inventory")
    try:
        # O_NONBLOCK: a FIFO would wait for a writer for ever
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                message = f"the secret {ref} cannot be read: {path} is no file"
                raise BootmillError(message)
            if status.st_mode & 0o077:
                message = f"the secret {ref} is no secret: others may read {path}"
                raise BootmillError(message, hint=f"chmod 600 {path}   (and change the password)")
            raw = file.read(LONGEST)
    except OSError as error:
        message = f"the secret {ref} cannot be read: {path}: {error.strerror}"
        raise BootmillError(message, hint=f"(umask 077; cat > {path})") from error
    try:
        return raw.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        message = f"the secret {ref} is no UTF-8 text"
        raise BootmillError(message) from None
