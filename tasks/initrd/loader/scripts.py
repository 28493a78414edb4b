"""Scripts: which program the kernel starts for a #! line (fs/binfmt_script.c), and what that program needs in turn."""

import re
import shlex
from dataclasses import dataclass

LINE = 256  # bytes that the kernel looks at: BINPRM_BUF_SIZE, include/uapi/linux/binfmts.h
MAX_SCRIPTS = 5  # interpreters one after another: fs/exec.c, exec_binprm()
PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
BLANKS = b" \t"
END = re.compile(rb"[ \t\0]")
BUSYBOX = b"BusyBox v"
ASSIGNMENT = re.compile(r"\w+=")


@dataclass(frozen=True, kw_only=True)
class Shebang:
    """What a #! line says: the interpreter's path, and all that follows as one argument, "" where nothing does."""

    interpreter: str
    argument: str = ""


def shebang(head: bytes) -> Shebang | None:
    """Return what the kernel makes of a script's first 256 bytes; None where it would not start it (error -8).

    A line that is cut off at 256 bytes is taken where at least the interpreter's name ends before; a carriage return is
    a part of the name, or of the argument, as any other character.
    """
    head = head[:LINE].ljust(LINE, b"\0")
    if not head.startswith(b"#!"):
        return None
    line, newline, _ = head[2:].partition(b"\n")
    if not newline:
        if END.search(line.lstrip(BLANKS)) is None:
            return None  # it may be cut off within the name
        line = line[:-1]
    named = line.strip(BLANKS)
    end = END.search(named)
    name, rest = (named[: end.start()], named[end.start() :]) if end else (named, b"")
    argument = b"" if rest.startswith(b"\0") else rest.lstrip(BLANKS).partition(b"\0")[0]
    return Shebang(interpreter=text(name), argument=text(argument)) if name else None


def script_interpreter(head: bytes) -> str | None:
    """Return the path of the interpreter that the kernel starts for a script, None where it finds none."""
    found = shebang(head)
    return found.interpreter if found else None


def text(raw: bytes) -> str:
    """Return a path's characters; bytes that are no UTF-8 become surrogates."""
    return raw.decode(errors="surrogateescape")


def applet(line: Shebang) -> str:
    """Return the applet that busybox would run as a script's interpreter: its own name, else its argument."""
    called = line.interpreter.rpartition("/")[2]
    return line.argument if called.startswith("busybox") else called


def is_busybox(content: bytes) -> bool:
    """Whether a program is busybox, under whatever name."""
    return BUSYBOX in content


def has_applet(content: bytes, name: str) -> bool:
    """Whether a busybox has an applet: the names stand in the program, between NUL bytes (applets/applet_tables.c)."""
    return bool(name) and b"\0" + name.encode(errors="surrogateescape") + b"\0" in content


def env_command(argument: str) -> str:
    """Return the command that env(1) starts for ``#!/usr/bin/env ARGUMENT``; "" where it says none.

    The kernel hands over one argument; env splits it only with -S.
    """
    for option in ("--split-string=", "--split-string ", "-vS", "-S"):
        if argument.startswith(option):
            return first_command(argument.removeprefix(option))
    return "" if argument.startswith("-") or ASSIGNMENT.match(argument) else argument


def first_command(words: str) -> str:
    """Return the first word that is neither an option nor an assignment."""
    try:
        split = shlex.split(words)
    except ValueError:
        split = words.split()
    return next((word for word in split if not word.startswith("-") and not ASSIGNMENT.match(word)), "")
