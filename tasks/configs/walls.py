"""The last walls before files that name addresses: nothing else passes, whatever the border let through.

Pure.  An `IPv6Address` is no wall by itself: what stands behind its ``%`` may be any text.
"""

import re
from collections.abc import Iterable

from tasks.errors import BootmillError

ADDRESS = re.compile(r"[0-9A-Fa-f.:]{2,45}(?:/[0-9]{1,3})?")  # of both families, or a subnet
HOST = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z.-]{0,251}[0-9A-Za-z])?")


def address(value: object) -> str:
    """Return an address, or a subnet, as text: hexadecimal digits, dots, colons, and a length behind a slash."""
    text = str(value)
    return text if ADDRESS.fullmatch(text) else refuse(text, "address")


def addresses(values: Iterable[object]) -> tuple[str, ...]:
    """Return addresses as text."""
    return tuple(map(address, values))


def host(text: str) -> str:
    """Return a host name or an address."""
    return text if HOST.fullmatch(text) or ADDRESS.fullmatch(text) else refuse(text, "host name or address")


def refuse(text: str, what: str) -> str:
    """Raise the error for a text."""
    message = f"{text!r} is no {what}: it cannot be written into a configuration file"
    raise BootmillError(message, hint="correct it in inventory/ (an IPv6 address is written without its zone, %eth0)")
