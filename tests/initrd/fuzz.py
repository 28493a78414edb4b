"""Fuzz one reader: ``python -m tests.initrd.fuzz archive 3600 FOLDER`` (seconds; what is new to it lands in FOLDER).

It needs atheris, which is not among the packages of the test suite.  What it finds belongs into tests/initrd/corpus.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["tasks"]):
    from tests.initrd import hostile

OPTIONS = ("-max_len=65536", "-timeout=20", "-rss_limit_mb=2048")


def main(name: str, seconds: str, folder: str) -> None:
    """Fuzz a reader, beginning with what is known."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    known = str(hostile.CORPUS / name)
    atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", *OPTIONS, folder, known], hostile.READERS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
