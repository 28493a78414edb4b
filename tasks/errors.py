"""Every error that Bootmill raises on purpose: what, where, and what to do.  Imports nothing.

An error is one sentence for a person.  Anything that is not a `BootmillError` is a bug and keeps its traceback.
"""


class BootmillError(Exception):
    """A mistake that the user can mend.  Exit code 1.

    `message` says what is wrong and where; `hint` says what to do about it.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Keep the sentence and the remedy apart: reporters may colour them."""
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Return the message and, on a line of its own, the remedy."""
        return f"{self.message}\n    {self.hint}" if self.hint else self.message


class InventoryError(BootmillError):
    """The inventory is wrong: `mistakes` holds all of them, one finished line each.  Exit code 3."""

    def __init__(self, mistakes: list[str]) -> None:
        """Take the finished lines in the order in which they are to be read."""
        count = f"{len(mistakes)} mistakes" if len(mistakes) > 1 else "1 mistake"
        super().__init__("\n".join([f"the inventory has {count}:", *mistakes]))
        self.mistakes = mistakes


class CommandError(BootmillError):
    """A process ended badly; the hint holds a command line that can be pasted, `said` all that it wrote."""

    def __init__(self, message: str, *, hint: str = "", said: str = "") -> None:
        """Keep the program's words: the message shows only the last of them."""
        super().__init__(message, hint=hint)
        self.said = said


class MissingToolError(BootmillError):
    """A program that is needed is not installed; the hint names the package that brings it."""


class UntrustedInputError(BootmillError):
    """A medium, a package or a network answer is damaged, incomplete or hostile."""
