"""The only door to Jinja2: strict, LF, and nothing in the environment but what the caller gives."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import jinja2
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


@cache
def sandbox() -> ImmutableSandboxedEnvironment:
    """Return the environment for expressions in the inventory: no file, no import, no attribute of Python's own."""
    return ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined)


def expression(text: str, values: Mapping[str, object]) -> str:
    """Return the value of an inventory expression such as ``10.1.0.{{ 10 + n[0] }}``; `ValueError` says what is wrong."""
    try:
        return sandbox().from_string(text).render(values)
    except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise ValueError(str(error)) from error
