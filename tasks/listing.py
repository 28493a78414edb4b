"""The manifest as it is read back: a damaged one says less, it never ends in an error."""

import re
from pathlib import Path

LINE = re.compile(r"(?P<digest>[0-9a-f]{64})  (?P<path>[^\0/][^\0]*)")


def listed(manifest: Path) -> dict[str, str]:
    """Return {path below destdir: sha256} of a manifest; nothing where there is none."""
    try:
        lines = manifest.read_text(errors="replace").splitlines()
    except OSError:
        return {}
    found = [match for line in lines if (match := LINE.fullmatch(line)) and ".." not in match["path"].split("/")]
    return {match["path"]: match["digest"] for match in found}
