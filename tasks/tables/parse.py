"""xCAT's free texts → values that an inventory takes.  Pure; `ValueError` says what is wrong with a text."""

import re
from ipaddress import IPv4Address, IPv4Network

LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
MAC = re.compile(r"[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}")
WORD = re.compile(r"[\x21-\x7e]+")
UNSAFE = frozenset("\"'\\{};$`<>|&")
MEMORY = re.compile(r"([0-9]{1,8})\s*([MmGg]?)[Bb]?")
MODEL = re.compile(r"[\w .+-]{1,64}")
DRIVER = re.compile(r"[A-Za-z0-9_-]+")
OSIMAGE = re.compile(r"[a-z]+[0-9.]*-[a-z0-9_]+-(?:netboot|install)-[a-z][a-z0-9_]*")
HEAD = "<xcatmaster>"  # xCAT's word for "whatever address of the head node is in that network"


def matching(pattern: re.Pattern[str], text: str, what: str) -> str:
    """Return a text that matches as a whole."""
    if not pattern.fullmatch(text):
        message = f"{text!r} is no {what}"
        raise ValueError(message)
    return text


def label(text: str) -> str:
    """Return a host name: one DNS label."""
    return matching(LABEL, text, "host name: small letters, digits and inner hyphens, 63 at most")


def is_label(text: str) -> bool:
    """Return whether a text is a host name."""
    return LABEL.fullmatch(text) is not None


def short_name(text: str) -> str:
    """Return the first label of a host's name; nothing for an address."""
    name = text.partition(".")[0]
    return name if is_label(name) and not re.fullmatch(r"[0-9.]+", text) else ""


def address(text: str) -> IPv4Address:
    """Return an IPv4 address."""
    try:
        return IPv4Address(text.strip())
    except ValueError as error:
        message = f"{text!r} is no IPv4 address"
        raise ValueError(message) from error


def subnet(net: str, mask: str) -> IPv4Network:
    """Return a network from its address and its mask: 255.255.255.0, /24, 24."""
    try:
        return IPv4Network(f"{net.strip()}/{mask.strip().removeprefix('/')}")
    except ValueError as error:
        message = f"{net} {mask} is no IPv4 network"
        raise ValueError(message) from error


def mac(text: str) -> str:
    """Return a machine's MAC address; xCAT also writes it without separators."""
    plain = ":".join(re.findall("..", text)) if re.fullmatch(r"[0-9A-Fa-f]{12}", text) else text
    plain = matching(MAC, plain, "MAC address").lower().replace("-", ":")
    if int(plain[:2], 16) & 1 or plain == "00:00:00:00:00:00":
        message = f"{text} is a multicast or empty address, no machine has it"
        raise ValueError(message)
    return plain


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
    return tuple(kernel_word(word) for word in text.split())


def kernel_word(text: str) -> str:
    """Return one kernel argument: nothing that a boot menu takes for its own syntax."""
    if not WORD.fullmatch(text) or set(text) & UNSAFE:
        message = f"{text!r} is no plain kernel argument (one word, no quotes or shell characters)"
        raise ValueError(message)
    return text


def listed(text: str) -> tuple[str, ...]:
    """Return the items between commas or blanks, each once."""
    return tuple(dict.fromkeys(item for item in re.split(r"[,\s]+", text) if item))
