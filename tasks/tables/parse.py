"""xCAT's free texts → values that an inventory takes.  Pure; `ValueError` says what is wrong with a text.

What an attribute may look like at all is said in `tasks.inventory.texts`; here is what xCAT writes otherwise.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from tasks.inventory import texts

Parser = Callable[[str], str]
Ends = Callable[[str], tuple[IPv4Address, IPv4Address] | tuple[IPv6Address, IPv6Address]]
MEMORY = re.compile(r"([0-9]{1,8})\s*([MmGg]?)[Bb]?")
OSIMAGE = re.compile(r"[a-z]+[0-9.]*-[a-z0-9_]+-(?:netboot|install)-[a-z][a-z0-9_]*")
HEAD = "<xcatmaster>"  # xCAT's word for "whatever address of the head node is in that network"


def fail(text: str, what: str) -> str:
    """Raise the `ValueError` that says what a text is not."""
    message = f"{text!r} is no {what}"
    raise ValueError(message)


def is_label(text: str) -> bool:
    """Return whether a text is a host name."""
    return texts.LABEL.fullmatch(text) is not None


def short_name(text: str) -> str:
    """Return the first label of a host's name; nothing for an address."""
    name = text.partition(".")[0]
    return name if is_label(name) and not re.fullmatch(r"[0-9.]+", text) else ""


@lru_cache(maxsize=1 << 17)
def address(text: str) -> IPv4Address:
    """Return an IPv4 address."""
    try:
        return IPv4Address(text.strip())
    except ValueError as error:
        message = f"{text!r} is no IPv4 address"
        raise ValueError(message) from error


def address6(text: str) -> IPv6Address:
    """Return an IPv6 address without a zone."""
    try:
        return texts.no_zone(IPv6Address(text.strip()))
    except ValueError as error:
        message = f"{text!r} is no IPv6 address"
        raise ValueError(message) from error


def subnet(net: str, mask: str) -> IPv4Network | IPv6Network:
    """Return a network from its address and its mask: 255.255.255.0, /24, 24; IPv6 also has it behind the address."""
    plain, _, bits = net.strip().partition("/")
    mask = mask.strip().removeprefix("/") or bits
    try:
        return IPv6Network(f"{plain}/{mask}") if ":" in plain else IPv4Network(f"{plain}/{mask}")
    except ValueError as error:
        message = f"{net} {mask} is no network"
        raise ValueError(message) from error


def mac(text: str) -> str:
    """Return a machine's MAC address; xCAT also writes it without separators."""
    return texts.mac(":".join(re.findall("..", text)) if re.fullmatch(r"[0-9A-Fa-f]{12}", text) else text)


def whole(text: str, least: int, most: int) -> str:
    """Return a whole number between two bounds, as text without leading zeros."""
    if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
        message = f"{text!r} is no number from {least} to {most}"
        raise ValueError(message)
    return str(int(text))


def memory(text: str) -> str:
    """Return MiB: ``1024``, ``4096M``, ``4G``."""
    found = MEMORY.fullmatch(text.strip())
    if found is None:
        message = f"{text!r} is no amount of memory"
        raise ValueError(message)
    return whole(str(int(found[1]) * (1024 if found[2].upper() == "G" else 1)), 64, 1 << 24)


def kernel_words(text: str) -> tuple[str, ...]:
    """Return the words of a kernel command line."""
    return tuple(texts.kernel_word(word) for word in text.split())


def listed(text: str) -> tuple[str, ...]:
    """Return the items between commas or blanks, each once."""
    return tuple(dict.fromkeys(item for item in re.split(r"[,\s]+", text) if item))


def truth(text: str) -> bool:
    """Return whether xCAT takes a setting for true."""
    return text.strip().lower() in {"1", "y", "yes", "enable", "true"}
