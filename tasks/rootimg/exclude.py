"""Which paths of the tree go into the image: an exclusion list with re-inclusions.  Pure."""

import fnmatch
import re
from collections.abc import Iterable, Sequence

from tasks.rootimg.manifest import Item


def keep(items: Sequence[Item], patterns: Iterable[str]) -> list[Item]:
    """Return the items that the patterns leave, in order.

    A pattern is absolute; ``*`` matches ``/`` too (as find -path does).  The last pattern that matches a path decides;
    ``+`` in front brings the path back.  Folders above a kept path are kept.
    """
    rules = [(pattern.startswith("+"), re.compile(fnmatch.translate(pattern.lstrip("+")))) for pattern in patterns]
    kept = {item.path for item in items if wanted(f"/{item.path}", rules)}
    for path in list(kept):
        parent = path.rpartition("/")[0]
        while parent and parent not in kept:
            kept.add(parent)
            parent = parent.rpartition("/")[0]
    return [item for item in items if item.path in kept]


def wanted(path: str, rules: Sequence[tuple[bool, re.Pattern[str]]]) -> bool:
    """Return the verdict of the last rule that matches; without one the path stays."""
    return next((verdict for verdict, pattern in reversed(rules) if pattern.match(path)), True)
