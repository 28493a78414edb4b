"""Files below a root folder (``/`` on a head node): looked at and put in place without following a link out of it."""

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tasks import files
from tasks.errors import BootmillError


@dataclass(frozen=True, kw_only=True)
class Found:
    """A file as it lies there: its bytes, who may read it, whose it is."""

    content: bytes
    mode: int = 0o644
    uid: int = 0
    gid: int = 0

    @property
    def rights(self) -> tuple[int, int, int]:
        """Return mode and owners."""
        return self.mode, self.uid, self.gid


def below(root: Path, path: PurePosixPath) -> Path:
    """Return where a path of the head node lies: /etc/hosts in /srv/image → /srv/image/etc/hosts."""
    return root / path.relative_to("/")


def look(root: Path, path: PurePosixPath) -> Found | None:
    """Return the file at a path, None where there is none; `BootmillError` where something else is in its place."""
    refuse_links(root, path)
    place = below(root, path)
    try:
        # Without O_NONBLOCK a named pipe would wait for a writer.
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        message = f"{place}: cannot be read: {error.strerror}"
        raise BootmillError(
            message, hint="Bootmill looks at what it replaces: move it aside, or run as root"
        ) from error
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode):
        os.close(descriptor)
        what = "a folder" if stat.S_ISDIR(state.st_mode) else "no ordinary file"
        message = f"{place} is {what}, and a file belongs there"
        raise BootmillError(message, hint=f"move it aside: mv {place} {place}.before-bootmill")
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
        return Found(content=file.read(), mode=stat.S_IMODE(state.st_mode), uid=state.st_uid, gid=state.st_gid)


def refuse_links(root: Path, path: PurePosixPath) -> None:
    """Raise a `BootmillError` where a part of the path is a symbolic link, or no folder."""
    place = root
    for part in path.parts[1:]:
        place = place / part
        try:
            mode = place.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            message = f"{place}: cannot be looked at: {error.strerror}"
            raise BootmillError(message, hint="run as root") from error
        if stat.S_ISLNK(mode):
            message = f"{place} is a symbolic link to {place.readlink()}: nothing is written through it"
            raise BootmillError(message, hint="put the file or folder itself in its place, then try again")
        if place != below(root, path) and not stat.S_ISDIR(mode):
            message = f"{place} is a file, and a folder belongs there"
            raise BootmillError(message, hint=f"move it aside: mv {place} {place}.before-bootmill")


def put(root: Path, path: PurePosixPath, new: Found) -> None:
    """Put a file in place: beside it first, renamed when it is whole.  Extended attributes of the old one stay."""
    refuse_links(root, path)
    place = below(root, path)
    with files.replacing(place, mode=new.mode) as out:
        if os.geteuid() == 0:
            os.fchown(out.fileno(), new.uid, new.gid)
            os.fchmod(out.fileno(), new.mode)  # a change of owner takes the set-id bits away
        copy_attributes(place, out.fileno())
        out.write(new.content)


def copy_attributes(place: Path, descriptor: int) -> None:
    """Copy a file's extended attributes (SELinux labels, access lists) where the file system has any."""
    try:
        names = os.listxattr(place, follow_symlinks=False)
        for name in names:
            os.setxattr(descriptor, name, os.getxattr(place, name, follow_symlinks=False))
    except OSError as error:
        if error.errno not in {errno.ENOENT, errno.ENOTSUP, errno.EPERM, errno.EACCES, errno.ENODATA}:
            raise


def remove(root: Path, path: PurePosixPath) -> None:
    """Take a file away; it may be gone already."""
    refuse_links(root, path)
    below(root, path).unlink(missing_ok=True)


def refuse_unwritable(root: Path, paths: list[PurePosixPath]) -> None:
    """Raise a `BootmillError` where this user may not write: before anything is written."""
    for path in paths:
        place = below(root, path).parent
        while not place.exists():
            place = place.parent
        if not os.access(place, os.W_OK | os.X_OK):
            message = f"{place} cannot be written to by this user"
            raise BootmillError(message, hint="run it as root, or look first: doit deploy --dry-run")
