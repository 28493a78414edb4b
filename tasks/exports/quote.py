"""The last walls before a file: how a text is quoted, and a look at every line before it is written."""

import json
import re
from pathlib import Path

from tasks.errors import BootmillError

PLAIN = re.compile(r"[ !#-\[\]-~]*")  # printable ASCII without " and \
STRANGE = re.compile(r"[^ -~]")
# A string in double quotes as `quoted` makes it, and a mapping of such strings on one line, one level deep or two.
TEXT = r"[ !#-\[\]-~]*+"
STRING = rf'"{TEXT}(?:\\(?:["\\bfnrt]|u[0-9a-f]{{4}}|U[0-9a-f]{{8}}){TEXT})*+"'
FLAT = rf"\{{(?:{STRING}: (?:!unsafe )?{STRING}(?:, (?!\}})|(?=\}})))*+\}}"
DEEP = rf"\{{(?:{STRING}: (?:(?:!unsafe )?{STRING}|{FLAT})(?:, (?!\}})|(?=\}})))*+\}}"
WORD = re.compile(r"[A-Za-z0-9@+=:,./_-]+")  # one word for a shell, conserver.cf, conman.conf and ssh_config alike
NAME = "[a-z0-9-]{1,63}"


def quoted(text: str) -> str:
    """Return a text as a string of YAML (1.2, 7.3.1); up to U+FFFF it is one of JSON, too.

    All but printable ASCII is escaped: a parser that knows YAML 1.1 breaks lines at U+0085 and U+2028.
    """
    if PLAIN.fullmatch(text):
        return f'"{text}"'
    return STRANGE.sub(escaped, json.dumps(text, ensure_ascii=False))


def escaped(found: re.Match[str]) -> str:
    """Return a character by its number: JSON's pair of surrogates would be two characters in YAML."""
    number = ord(found[0])
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def wall(line: str) -> re.Pattern[str]:
    """Return the pattern of a whole file: comments, empty lines, and lines of this form."""
    return re.compile(rf"(?:(?:#[ -~]*|{line})?\n)*+")


def inspect(about: Path, text: str, pattern: re.Pattern[str]) -> None:
    """Raise where a line of a file is not of the file's form: whatever came through, it is not written."""
    found = pattern.match(text)
    if found and found.end() == len(text):
        return
    end = found.end() if found else 0
    number = text.count("\n", 0, end) + 1
    line = text[end:].partition("\n")[0]
    message = f"{about}: not replaced: its line {number} would be {line[:100]!r}, which is not its form"
    raise BootmillError(message, hint="look for strange characters in the inventory's names and variables")
