"""What the boot proof finds: a rule that is broken, what that leads to, and how to mend it.  Pure.

Rules have a letter and a number: E01-E18 keep an image from being staged, W01-W12 are told.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum


class Grade(StrEnum):
    """How bad a finding is: an error stops staging, a warning is told, what is waived was an error."""

    ERROR = "error"
    WARNING = "warning"
    WAIVED = "waived"


class Moment(IntEnum):
    """When on its way a boot would end, in the order in which the kernel gets there."""

    LOADER = 1  # the boot program, or the kernel before its first message
    LOOKUP = 2  # is there a first program?
    EXEC = 3  # execve(2) of it
    LIBRARIES = 4  # its dynamic loader
    START = 5  # what init does first: mount, load drivers
    NETWORK = 6
    FETCH = 7  # the root image
    UNPACK = 8
    HAND_OVER = 9
    ROOT = 10  # the init of the root image


@dataclass(frozen=True, kw_only=True)
class End:
    """Where a boot would end, and the words on the console: the kernel's own, or ``init stops: ...``."""

    moment: Moment
    message: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One broken rule.

    `text` names the thing, `cause` says what it leads to, `remedy` the file and place to change.  `end` is where the
    boot would end, None where it goes on.  `soft`: an error's rule that is no more than doubt here (a kernel without a
    known configuration, another's initrd whose init may not need the thing).
    """

    rule: str
    text: str
    cause: str
    remedy: str
    end: End | None = None
    soft: bool = False
    waived: bool = False

    @property
    def grade(self) -> Grade:
        """Return how bad it is: the rule's letter decides, unless it is in doubt or waived."""
        if self.soft or self.rule[0] != "E":
            return Grade.WARNING
        return Grade.WAIVED if self.waived else Grade.ERROR

    def __str__(self) -> str:
        """Return the finding as reports show it."""
        return f"{self.grade} {self.rule}: {self.text}\n    {self.cause}\n    remedy: {self.remedy}"


def errors(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return those that keep an image from being staged."""
    return tuple(finding for finding in findings if finding.grade is Grade.ERROR)


def softened(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings as warnings: what holds for our own first stage only, or does not end a boot."""
    return tuple(replace(finding, soft=True, end=None) for finding in findings)


def waive(findings: Iterable[Finding], rules: Iterable[str]) -> tuple[Finding, ...]:
    """Return the findings with the errors of some rules waived."""
    names = frozenset(rules)
    return tuple(replace(each, waived=True) if each.rule in names else each for each in findings)


def unique(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return each finding once, errors first, by rule."""
    order = (Grade.ERROR, Grade.WAIVED, Grade.WARNING)
    return tuple(
        sorted(dict.fromkeys(findings), key=lambda each: (order.index(each.grade), each.rule[1:], each.rule, each.text))
    )
