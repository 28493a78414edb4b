"""What a closure tells: the files to copy and why, the links on the way to them, what is missing, what is doubtful."""

from dataclasses import dataclass, field
from enum import StrEnum


class Lack(StrEnum):
    """What is wrong with a file that is needed; each has its own kernel or loader message."""

    PROGRAM = "program"  # the file itself is not there
    INTERPRETER = "interpreter"  # PT_INTERP is not there (error -2)
    SCRIPT = "script"  # the interpreter of a #! line is not there, or its applet (error -2, or 127)
    LIBRARY = "library"  # "error while loading shared libraries"
    MODE = "mode"  # there, but not executable, or no regular file (error -13)
    FORMAT = "format"  # there, but no executable format, damaged, or of another machine (error -8, -80)
    DEPTH = "depth"  # more than five interpreters of scripts after one another (error -40)
    LINE = "line"  # the #! line names no interpreter, or not within the first 256 bytes (error -8)


SENTENCES = {
    Lack.PROGRAM: "is missing",
    Lack.INTERPRETER: "is missing",
    Lack.SCRIPT: "is missing",
    Lack.LIBRARY: "is missing",
    Lack.MODE: "is not executable",
    Lack.FORMAT: "cannot be executed",
    Lack.DEPTH: "is behind too many #! lines",
    Lack.LINE: "has a #! line that leads to no interpreter",
}
ROLES = {Lack.INTERPRETER: "ELF interpreter of", Lack.SCRIPT: "interpreter of", Lack.LIBRARY: "needed by"}


@dataclass(frozen=True, kw_only=True)
class Missing:
    """A thing without which a program would not start.

    `name` is a path or, for a library, the name that was asked for; `by` the absolute path of the file that asks, empty
    where the caller did; `detail` the cause where more than absence is known.
    """

    lack: Lack
    name: str
    by: str = ""
    detail: str = ""

    def __str__(self) -> str:
        """Return one sentence for a person."""
        role = f" ({ROLES.get(self.lack, 'used by')} {self.by})" if self.by else ""
        detail = f": {self.detail}" if self.detail else ""
        return f"{printable(self.name)}{role} {SENTENCES[self.lack]}{detail}"


@dataclass(frozen=True, kw_only=True)
class Caution:
    """Something doubtful: the rule's name (`W02`, `E06`), the absolute path that it is about, a sentence."""

    rule: str
    path: str
    text: str

    def __str__(self) -> str:
        """Return the rule and the sentence."""
        return f"{self.rule}: {self.text}"


@dataclass(kw_only=True)
class Closure:
    """What must be copied so that programs start.  Paths are relative to the tree's root and free of links.

    `files` maps each file to the reason why it is in; `links` each symbolic link that was passed, those of folders too,
    to its target; `link_reasons` says whose way led over it.  `folders` are those that a path leaves again by ``..``: a
    copy needs them, though nothing of theirs.
    """

    files: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    link_reasons: dict[str, str] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)
    warnings: list[Caution] = field(default_factory=list)


def printable(text: str) -> str:
    """Return a name with its control characters and broken bytes spelled out: it may end on a terminal."""
    return text if text.isprintable() else text.encode("unicode_escape", "surrogatepass").decode()
