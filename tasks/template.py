"""The only door to Jinja2: strict, LF, and nothing in the environment but what the caller gives."""

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import jinja2
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tasks.errors import BootmillError


@cache
def environment(folder: Path) -> jinja2.Environment:
    """Return the environment for the templates of one folder.  An undefined name is an error, never an empty word."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - configuration files and shell, not HTML; values are validated at the border
    )


def render(template: Path, **values: object) -> str:
    """Render a template file."""
    try:
        return environment(template.parent).get_template(template.name).render(values)
    except jinja2.TemplateError as error:
        line = getattr(error, "lineno", None)
        where = f"{template}:{line}" if line else str(template)
        message = f"{where}: {error.message}"
        raise BootmillError(message, hint="the template and the values that it is given do not fit") from error


# -- expressions in the inventory ------------------------------------------------------------------------------------

LONGEST = 1000  # characters of an expression, and of any text that it makes
FIELD = re.compile(r"%[^%A-Za-z]*(?:[0-9]{3}|\*|\()")  # printf: a hundred characters and more, any width, by key
METHODS = frozenset({"endswith", "isdigit", "lower", "removeprefix", "removesuffix", "split", "startswith", "upper"})


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja2 for values: no file, no import, no attribute of Python's own, no loop, and nothing that can grow large.

    Jinja2's own sandbox keeps secrets, not time and memory: ``'a' * 10**9``, ``ljust`` and ``range`` are in it.
    """

    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def __init__(self) -> None:
        """Keep a handful of filters and no global function."""
        super().__init__(undefined=jinja2.StrictUndefined)
        self.globals.clear()
        names = ("abs", "default", "first", "int", "last", "lower", "string", "upper")
        self.filters = {**{name: self.filters[name] for name in names}, "format": printf, "replace": replaced}

    def is_safe_callable(self, obj: Any) -> bool:
        """Allow the methods of texts that cannot make them longer."""
        return isinstance(getattr(obj, "__self__", None), str) and getattr(obj, "__name__", "") in METHODS

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Calculate with numbers; put texts together; fill in printf fields.  Lists are not multiplied."""
        if operator == "%" and isinstance(left, str):
            return printf(left, right)
        texts = isinstance(left, str) and isinstance(right, str)
        if operator == "**" or not ((texts and operator == "+") or (is_number(left) and is_number(right))):
            message = f"'{operator}' is for numbers" if operator != "**" else "'**' is not used here"
            raise TypeError(message)
        return super().call_binop(context, operator, left, right)


def is_number(value: object) -> bool:
    """Return whether a value is a number that arithmetic keeps small."""
    return isinstance(value, int | float) and abs(value) < 10**30


def printf(text: str, *values: Any) -> str:
    """Fill in printf fields (``'%02d'|format(n[0])``) that are less than a hundred characters wide."""
    if FIELD.search(text):
        message = f"the field in {text!r} has no plain width"
        raise ValueError(message)
    return text % (values[0] if len(values) == 1 else values)


def replaced(text: object, old: str, new: str) -> str:
    """Replace a text inside another; neither may be longer than a value is, so that a chain of them cannot explode."""
    if not old or max(len(str(text)), len(new)) > LONGEST:
        message = "the replaced text is empty or the result too long"
        raise ValueError(message)
    return str(text).replace(old, new)


@cache
def sandbox() -> Sandbox:
    """Return the environment for expressions in the inventory."""
    return Sandbox()


@lru_cache(maxsize=10_000)
def compiled(text: str) -> jinja2.Template:
    """Compile an expression once, however many nodes have it (a millisecond each); statements are refused."""
    if len(text) > LONGEST:
        message = f"an expression has {LONGEST} characters at most"
        raise ValueError(message)
    if "{%" in text or "{#" in text:
        message = "only {{ expressions }} are understood, no statements {% %} and no comments {# #}"
        raise ValueError(message)
    return sandbox().from_string(text)


def expression(text: str, values: Mapping[str, object]) -> str:
    """Return the value of an inventory expression (``10.1.0.{{ 10 + n[0] }}``); `ValueError` says what is wrong."""
    try:
        result = compiled(text).render(values)
    except (RecursionError, MemoryError, SyntaxError, AttributeError) as error:
        message = "the expression is too involved"
        raise ValueError(message) from error
    except SecurityError as error:
        message = str(error) if "unsafe" in str(error) else "only methods that shorten texts can be called"
        raise ValueError(message) from error
    except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise ValueError(str(error)) from error
    if len(result) > LONGEST:
        message = f"the result has more than {LONGEST} characters"
        raise ValueError(message)
    return result
