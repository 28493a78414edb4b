"""The fields of a newc member: 110 bytes of header in hexadecimal, as the kernel and cpio(5) define them.  Pure."""

import binascii
import struct
from dataclasses import dataclass

PLAIN = b"070701"
SUMMED = b"070702"  # the same with a sum of the body's bytes
OLD = b"070707"  # cpio -H odc: the kernel says "incorrect cpio method used"
HEADER = 110
TRAILER = "TRAILER!!!"
LARGEST = (1 << 32) - 1  # every field is 32 bits wide: files end below 4 GiB, dates in 2106
MAX_NAME = 4095  # PATH_MAX less the NUL: the kernel skips longer names silently
MAX_TARGET = 4095  # the same for what a symbolic link says
MAX_COMPONENT = 255  # NAME_MAX: a longer part of a path cannot be made
FIELDS = struct.Struct(">13I")


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """One member's numbers.  `inode` and `device` tell which names are one file; `special` is a device node's."""

    inode: int
    mode: int
    uid: int
    gid: int
    links: int
    mtime: int
    size: int
    device: tuple[int, int]
    special: tuple[int, int]
    name_size: int  # the NUL counts
    checksum: int
    summed: bool

    @property
    def name_room(self) -> int:
        """Return the bytes of the name with its padding: header and name end on a multiple of four."""
        return self.name_size + -(HEADER + self.name_size) % 4

    @property
    def room(self) -> int:
        """Return the bytes of the body with its padding."""
        return self.size + -self.size % 4


def parse(raw: bytes) -> Header:
    """Return the header in 110 bytes; `ValueError` says what is wrong with them.

    Strict: eight hexadecimal digits a field.  The kernel's simple_strtoul() stops at the first strange character and
    takes ``0x`` for a prefix, so it would read such a field as another number and lose its way behind it.
    """
    magic = raw[:6]
    if magic not in (PLAIN, SUMMED):
        message = "an old cpio format (070707), the kernel wants newc" if magic == OLD else "no cpio header"
        raise ValueError(message)
    if len(raw) < HEADER:
        message = "cut off in a header"
        raise ValueError(message)
    try:
        fields = FIELDS.unpack(binascii.unhexlify(raw[6:HEADER]))
    except binascii.Error as error:
        message = "a header with something else than hexadecimal digits"
        raise ValueError(message) from error
    inode, mode, uid, gid, links, mtime, size, major, minor, special_major, special_minor, name_size, checksum = fields
    return Header(
        inode=inode,
        mode=mode,
        uid=uid,
        gid=gid,
        links=links,
        mtime=mtime,
        size=size,
        device=(major, minor),
        special=(special_major, special_minor),
        name_size=name_size,
        checksum=checksum,
        summed=magic == SUMMED,
    )


def pack(*fields: int) -> bytes:
    """Return a header of 13 numbers in the format's order; `struct.error` where one has more than 32 bits."""
    return PLAIN + FIELDS.pack(*fields).hex().upper().encode()


def padding(length: int) -> bytes:
    """Return the zeros that bring a length to the next multiple of four."""
    return bytes(-length % 4)
