"""What a file is to say: ours alone, or what others wrote with our part in it.  Pure."""

import re
from pathlib import PurePosixPath

from tasks import files
from tasks.deploy.services import MERGED, NAMED_CONF, NAMED_LOCAL, NAMED_ZONES, Merge
from tasks.errors import BootmillError
from tasks.hostsfile import contradictions, merged

BEGIN = "// BEGIN Bootmill: written by doit deploy; what is outside of these two lines stays as it is"
END = "// END Bootmill"
MARK = re.compile(r"^[ \t]*// (BEGIN|END) Bootmill\b[^\n]*\n?", re.MULTILINE)
BLOCK = re.compile(
    rf"{MARK.pattern.replace('BEGIN|END', 'BEGIN')}.*?{MARK.pattern.replace('BEGIN|END', 'END')}", re.M | re.S
)
COMMENT = re.compile(r'"[^"\n]*"|//[^\n]*|#[^\n]*|/\*.*?\*/', re.DOTALL)
INCLUDE = f'include "{NAMED_ZONES}";'


def is_ours(content: bytes) -> bool:
    """Whether a text says in its beginning that Bootmill made it."""
    return files.OURS.search(content[:256]) is not None


def content(path: PurePosixPath, ours: bytes, existing: bytes | None) -> bytes:
    """Return what a file is to say, given what we rendered for it and what is there."""
    if MERGED.get(path) is Merge.HOSTS:
        return encoded(merged(text(existing or b""), text(ours)))
    return ours


def remarks(path: PurePosixPath, ours: bytes, existing: bytes | None) -> list[str]:
    """Return what a person should know of a file in which others have lines, too."""
    if MERGED.get(path) is not Merge.HOSTS or existing is None:
        return []
    return contradictions(text(existing), text(ours))


def text(content: bytes) -> str:
    """Return a file's text; bytes that are no UTF-8 come back from `encoded()` as they were."""
    return content.decode(errors="surrogateescape")


def encoded(content: str) -> bytes:
    """Return the bytes of a text."""
    return content.encode(errors="surrogateescape")


def include_place(named_conf: bytes | None, local: bytes | None) -> PurePosixPath | None:
    """Return the file that is to include our zones: Debian's place for one's own, else named.conf; None without named.

    None, too, where a person has written the line already.
    """
    if named_conf is None:
        return None
    for existing in (named_conf, local):
        if existing is not None and includes(BLOCK.sub("", text(existing))):
            return None
    return NAMED_LOCAL if local is not None and NAMED_LOCAL.name in code(text(named_conf)) else NAMED_CONF


def with_include(existing: str) -> str:
    """Return a part of named.conf with our include line between two marks, at its end or where it is already.

    `BootmillError` where the marks do not pair: what lies between them may be a person's.
    """
    if MARK.findall(existing) not in ([], ["BEGIN", "END"]):
        message = f"named's configuration has a mark of ours without its partner: {BEGIN!r} and {END!r} stand once each"
        raise BootmillError(message, hint="remove those marks and the include line of Bootmill; all else may stay")
    block = f"{BEGIN}\n{INCLUDE}\n{END}\n"
    if BLOCK.search(existing):
        return BLOCK.sub(lambda _: block, existing, count=1)
    return existing + ("" if not existing or existing.endswith("\n") else "\n") + block


def includes(existing: str, path: PurePosixPath = NAMED_ZONES) -> bool:
    """Whether a part of named.conf includes a file; a comment does not."""
    return re.search(rf'\binclude\s+"{re.escape(str(path))}"\s*;', code(existing)) is not None


def code(existing: str) -> str:
    """Return a part of named.conf without its comments."""
    return COMMENT.sub(lambda found: found[0] if found[0].startswith('"') else " ", existing)
