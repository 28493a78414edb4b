"""Whether the secrets that an inventory refers to are there, and whether they are secret.  None is ever read."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from tasks.inventory.check_base import Marks, Mistake, Tables
from tasks.inventory.check_site import references
from tasks.inventory.model import SecretKind, SecretRef


def doubts(tables: Tables, marks: Marks, folder: Path) -> Iterator[Mistake]:
    """Yield a warning for each secret that cannot be used as things are; each once, at its first place."""
    seen: set[int] = set()
    told: set[SecretRef] = set()
    for table, row, path, secret in references(tables):
        if id(secret) in seen:  # quicker than to compare ten thousand of them
            continue
        seen.add(id(secret))
        if secret not in told:
            told.add(secret)
            text = amiss(secret, folder)
            if text:
                yield marks.place(table, row, *path), "", text


def amiss(secret: SecretRef, folder: Path) -> str:
    """Return why a secret cannot be used now, nothing where it can."""
    if secret.kind is SecretKind.ENV:
        return "" if os.environ.get(secret.where) else f"the secret {secret} is not there: export {secret.where}"
    path = folder / secret.where
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return f"the secret {secret} cannot be read: {path}: {error.strerror}"
    if not stat.S_ISREG(mode):
        return f"the secret {secret} cannot be read: {path} is no file"
    return f"the secret {secret} is no secret: others may read {path} (chmod 600 {path})" if mode & 0o077 else ""
