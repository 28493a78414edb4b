"""/etc/ld.so.conf: the folders that ldconfig(8) would put into ld.so.cache (glibc elf/ldconfig.c, parse_conf).

The loader never reads this file, so it finds nothing here; it serves to say why: "run ldconfig -r on the tree".
"""

import fnmatch
from collections import deque

from tasks.initrd.loader.sysroot import Sysroot, is_file, resolve

CONF = "/etc/ld.so.conf"
# Bounds on what a hostile tree may make us do for a hint.
MAX_FILES = 128
MAX_SIZE = 1 << 16  # bytes of one file
MAX_FOLDERS = 1024
MAX_PATTERNS, MAX_PARTS, MAX_MATCHES, MAX_NAMES = 64, 16, 64, 1024


def conf_folders(tree: Sysroot, conf: str = CONF) -> tuple[str, ...]:
    """Return the folders that the configuration names, its includes too, in order, each once; () where there is none.

    One folder in a line, `#` begins a comment, ``include PATTERN…`` is relative to the file that says it; ``hwcap``
    lines say nothing any more, and a ``=libc6`` behind a folder never did.
    """
    todo, done = deque([conf]), set[str]()
    folders: dict[str, None] = {}
    patterns = 0
    while todo and len(done) < MAX_FILES and len(folders) < MAX_FOLDERS:
        path = todo.popleft()
        real = resolve(tree, path).path
        if real is None or real in done or not is_file(tree, real):
            continue
        done.add(real)
        for word, _, rest in (line.partition(" ") for line in conf_lines(tree, real)):
            if word == "include":
                wanted = rest.split()[: MAX_PATTERNS - patterns]
                patterns += len(wanted)
                todo.extend(name for pattern in wanted for name in matches(tree, beside(path, pattern)))
            elif word != "hwcap" and word.startswith("/"):
                folders[f"{word} {rest}".strip().split("=")[0].rstrip("/") or "/"] = None
    return tuple(folders)


def conf_lines(tree: Sysroot, real: str) -> list[str]:
    """Return a file's lines without comments, blanks made one; none where it cannot be read."""
    try:
        text = tree.read_at(real, 0, MAX_SIZE).decode(errors="surrogateescape")
    except OSError:
        return []
    lines = [" ".join(line.partition("#")[0].split()) for line in text.split("\n")]
    return [line for line in lines if line]


def beside(path: str, pattern: str) -> str:
    """Return a pattern as it is meant by a file at `path`."""
    return pattern if pattern.startswith("/") else f"{path.rpartition('/')[0]}/{pattern}"


def matches(tree: Sysroot, pattern: str) -> list[str]:
    """Return the paths inside the tree that a shell pattern matches, sorted (glob(3))."""
    parts = [part for part in pattern.split("/") if part]
    found = [""] if len(parts) <= MAX_PARTS else []
    for part in parts:
        found = [f"{folder}/{name}" for folder in found for name in matching(tree, folder, part)][:MAX_MATCHES]
    return found


def matching(tree: Sysroot, folder: str, part: str) -> list[str]:
    """Return the names in a folder that one component of a pattern matches."""
    if not any(sign in part for sign in "*?["):
        return [part]
    real = resolve(tree, folder).path
    if real is None:
        return []
    try:
        names = tree.names(real)[:MAX_NAMES]
    except OSError:
        return []
    return [name for name in names if fnmatch.fnmatchcase(name, part) and not name.startswith(".")]
