"""``python3 -m tasks [doit arguments]``: the first run sets everything up, later runs go straight to doit.

    python3 -m tasks                      build everything up to `stage`
    python3 -m tasks list                 any other arguments of doit, from any working directory
    python3 -m tasks test [arguments]     the test suite, with what it needs (arguments of pytest)
    python3 -m tasks doctor [--json]      what is missing on this machine; installs nothing

Standard library only, and no syntax that an old Python does not know: it must live to say that it is too old.
A later run costs a few stat(2) calls here: all else is in tasks.bootstrap, imported when something is missing.
"""

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
OLDEST = (3, 11)
LOCKS = {"build": "requirements.lock", "lab": "requirements.lock", "test": "requirements-test.lock"}


def main(words: "list[str]") -> int:
    """Bring what is missing, then become doit (or pytest); return an exit code where it does not come to that."""
    if sys.version_info < OLDEST:
        return become_newer(words)
    if os.path.dirname(os.path.abspath(__file__)) in sys.path:  # `python3 /path/to/tasks` puts the folder itself there
        sys.path.remove(os.path.dirname(os.path.abspath(__file__)))
    if ROOT not in sys.path:
        sys.path.insert(0, ROOT)
    if words[:1] == ["doctor"]:
        from tasks import doctor

        return doctor.main(words[1:])
    level = level_of(words)
    if not is_ready(level):
        from tasks import bootstrap

        code = bootstrap.main(level)
        if code:
            return code
    return become(words)


def level_of(words: "list[str]") -> str:
    """Return what the arguments need: the build alone, virtual machines, or the test suite."""
    if words[:1] == ["test"]:
        return "test"
    return "lab" if any(word == "lab" or word.startswith("lab:") for word in words) else "build"


def stamp_path(level: str) -> str:
    """Return the file that says that a level's programs and libraries were all found."""
    return os.path.join(VENV, "ready-" + level)


def fingerprint(level: str) -> str:
    """Return what a stamp is worth: this Python, the lock and the table of system packages, by size and date."""
    words = ["%d.%d" % sys.version_info[:2]]
    for name in (LOCKS[level], "system.py"):
        status = os.stat(os.path.join(ROOT, "tasks", name))
        words.append("%s %d %d" % (name, status.st_size, status.st_mtime_ns))
    return " ".join(words)


def is_ready(level: str) -> bool:
    """Return whether an earlier run brought everything and all of it is still there."""
    try:
        with open(stamp_path(level), encoding="utf-8") as file:
            key, *paths = file.read().splitlines()
    except (OSError, ValueError):
        return False
    return key == fingerprint(level) and all(map(os.path.exists, paths))


def become(words: "list[str]") -> int:
    """Replace this process by doit or pytest, which work in the checkout; returns only where that is impossible."""
    python = os.path.join(VENV, "bin", "python")
    words = [from_root(word) for word in words]
    if words[:1] == ["test"]:
        strict = ["-rs", "-p", "tests.no_skips"] if os.environ.get("CI") in ("true", "1") else []
        argv = [python, "-m", "pytest", *strict, *words[1:]]
    else:
        argv = [python, "-m", "doit", *words]
    daemons = os.path.join(VENV, "daemons", "usr")
    more = [os.path.join(daemons, "sbin"), os.path.join(daemons, "bin"), "/usr/sbin", "/sbin"]
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), *more])
    os.chdir(ROOT)
    sys.stdout.flush()
    os.execv(python, argv)


def from_root(word: str) -> str:
    """Turn a path that was typed in another folder into one that means the same in the checkout.

    Only words with a slash are taken for paths, and only those that start with a dot or are there: ``hosts`` is a task
    even where a file of that name lies.
    """
    here = os.getcwd()
    typed_as_path = word.startswith(("./", "../")) or ("/" in word and os.path.exists(word))
    if here == ROOT or os.path.isabs(word) or not typed_as_path:
        return word
    path = os.path.normpath(os.path.join(here, word))
    return os.path.relpath(path, ROOT) if path.startswith(ROOT + os.sep) else path


def become_newer(words: "list[str]") -> int:
    """Go on with a newer Python where the machine has one beside the old, else say what to do."""
    from shutil import which

    for minor in range(30, OLDEST[1] - 1, -1):
        newer = which("python3.%d" % minor)
        if newer:
            os.execv(newer, [newer, os.path.join(ROOT, "tasks"), *words])
    text = "Bootmill needs Python %d.%d or newer, this is %s (%s)." % (*OLDEST, sys.version.split()[0], sys.executable)
    print(text, file=sys.stderr)
    print("    Debian 12, Ubuntu 24.04 and newer have it; else: sudo apt-get install python3.11", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
