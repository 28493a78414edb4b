"""Ask a daemon's own checker about a text before the text takes the place of the old one."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tasks import files, paths, run
from tasks.errors import BootmillError

# What dhcpd says around every refusal: who wrote it, and where to report bugs of dhcpd.  (-q would silence all of it.)
BANNER = "For info, please visit https://www.isc.org/software/dhcp/\n"
EPILOGUE = "\nIf you think you have received this message due to a bug"


@contextmanager
def candidate(name: str) -> Iterator[Path]:
    """Give an empty folder (absolute) for texts that are to be checked.

    It is below ``build/`` wherever the output lies, so that a check writes nothing outside.  After a refusal it stays,
    for the user to look at and to try the checker by hand; the next run removes it.
    """
    folder = (paths.BUILD / "checks" / name).absolute()
    files.remove_tree(folder)
    folder.mkdir(parents=True)
    yield folder
    files.remove_tree(folder)


def ask(
    argv: Sequence[str | Path],
    *,
    about: Path,
    env: Mapping[str, str] | None = None,
    without: re.Pattern[str] | None = None,
) -> None:
    """Run a checker; its refusal is a `BootmillError` that shows its words and says that `about` was not replaced.

    What it says `without` meaning that anything is wrong is left out.
    """
    done = run.run(argv, env=env, check=False)
    if done.code == 0:
        return
    said = "\n".join(heart(text) for text in (done.stdout, done.stderr) if text)
    said = without.sub("", said) if without else said
    message = f"{about}: not replaced: {run.blame(str(argv[0]), done.code, said)}"
    by_hand = {**run.libraries(argv[0]), **(env or {})}
    raise BootmillError(message, hint=run.pasteable([str(word) for word in argv], env=by_hand, cwd=None))


def heart(said: str) -> str:
    """Return what a checker said about the text, without what it always says."""
    return said.rpartition(BANNER)[2].partition(EPILOGUE)[0].rstrip()
