"""The first run: in scratch checkouts, with wheels and packages of our own and an apt that only notes its words."""

import ast
import base64
import hashlib
import json
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tasks import __main__ as entry
from tasks import bootstrap, debs, doctor, system

ROOT = Path(__file__).parent.parent
CORE = ("__init__", "__main__", "bootstrap", "debs", "doctor", "errors", "run", "system")
NOBODY = 65534
SPEAKER = """import json, os, sys
print(json.dumps({{"program": "{name}", "cwd": os.getcwd(), "argv": sys.argv[1:]}}))
"""
APT = """#!/bin/sh
echo "${{DEBIAN_FRONTEND:-unset}} $*" >> {log}
case "$*" in *download*) cp {pool}/*.deb . ;; *install*) touch {made} ;; esac
"""


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A scratch checkout with its own wheels, its own PATH and an apt of ours."""

    root: Path
    bin: Path
    wheels: Path
    log: Path

    def need(self, text: str) -> None:
        """Replace the table of system packages."""
        table = self.root / "tasks/system.py"
        table.write_text(f"{(ROOT / 'tasks/system.py').read_text()}\n\nNEEDS = ({text})\n")

    def lock(self, name: str, *packages: str) -> None:
        """Write a lock over wheels of packages that only say how they were called."""
        lines = [f"{package}==1.0 --hash=sha256:{wheel(self.wheels, package)}" for package in packages]
        (self.root / "tasks" / name).write_text("\n".join(lines) + "\n")

    def start(self, *words: str, cwd: Path | None = None, user: int | None = None) -> "subprocess.Popen[str]":
        """Start ``python3 -m tasks``; from another folder, as ``python3 /path/to/tasks``."""
        # Another user may not reach the Python that runs these tests, but can the system's.
        python = getattr(sys, "_base_executable", sys.executable) if user is None else "/usr/bin/python3"
        argv = [python, str(self.root / "tasks") if cwd else "-m", *([] if cwd else ["tasks"]), *words]
        if user is not None:
            argv = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--", *argv]
        environment = {
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "HOME": str(self.root.parent),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_USER": "1",
        }
        return subprocess.Popen(
            argv,
            env=environment,
            cwd=cwd or self.root,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *words: str, cwd: Path | None = None, user: int | None = None) -> tuple[int, str, str]:
        """Run ``python3 -m tasks`` to its end; return exit code, stdout and stderr."""
        process = self.start(*words, cwd=cwd, user=user)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def apt_words(self) -> str:
        """Return what our apt was called with."""
        return self.log.read_text() if self.log.exists() else ""


def wheel(folder: Path, name: str) -> str:
    """Make a wheel whose module says how it was called; return its sha256."""
    about = f"{name}-1.0.dist-info"
    files = {
        f"{name}/__init__.py": "",
        f"{name}/__main__.py": SPEAKER.format(name=name),
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {path: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()) for path, text in files.items()}
    record = [f"{path},sha256={digests[path].rstrip(b'=').decode()},{len(files[path])}" for path in files]
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in {**files, f"{about}/RECORD": "\n".join([*record, f"{about}/RECORD,,", ""])}.items():
            archive.writestr(zipfile.ZipInfo(member), text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def script(path: Path, text: str) -> None:
    """Write a program."""
    path.write_text(text)
    path.chmod(0o755)


def make_checkout(folder: Path) -> Checkout:
    """Make a scratch checkout that lacks nothing but its Python packages."""
    made = Checkout(root=folder / "check out", bin=folder / "bin", wheels=folder / "wheels", log=folder / "apt.log")
    for path in (made.root / "tasks", made.bin, made.wheels, folder / "pool"):
        path.mkdir(parents=True)
    for name in CORE:
        shutil.copyfile(ROOT / "tasks" / f"{name}.py", made.root / "tasks" / f"{name}.py")
    made.lock("requirements.lock", "doit")
    made.lock("requirements-test.lock", "doit", "pytest")
    made.need("")
    script(made.bin / "apt-get", APT.format(log=made.log, made=folder / "frob", pool=folder / "pool"))
    script(made.bin / "sudo", "#!/bin/sh\nexit 1\n")
    return made


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """Give a checkout of one's own, before its first run."""
    return make_checkout(tmp_path)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Give a checkout after its first run, to look at only."""
    made = make_checkout(tmp_path_factory.mktemp("ready"))
    code, out, err = made.run("list")
    assert code == 0, err
    assert json.loads(out)["argv"] == ["list"]
    return made


@pytest.fixture
def built(ready: Checkout, tmp_path: Path) -> Checkout:
    """Give a checkout of one's own whose Python packages are there, and whose system was not looked at yet."""
    made = make_checkout(tmp_path)
    shutil.copytree(ready.root / ".venv", made.root / ".venv", symlinks=True)
    (made.root / ".venv/ready-build").unlink()
    return made


@pytest.fixture
def public() -> Iterator[Path]:
    """Give a folder that another user can reach and write, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="bootmill-test-") as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def as_ordinary_user() -> int | None:
    """Return the id to change to for an ordinary user's view; None for a user who is one already."""
    return NOBODY if os.geteuid() == 0 else None


def give_away(folder: Path) -> None:
    """Hand a tree to the ordinary user."""
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


# -- later runs ------------------------------------------------------------------------------------------------------


def test_later_run_is_silent(ready: Checkout) -> None:
    """A second run says nothing of its own and hands doit the arguments as they were typed."""
    code, out, err = ready.run("info", "--flag", "a b", "hosts")
    assert (code, err) == (0, "")
    assert json.loads(out) == {"program": "doit", "cwd": str(ready.root), "argv": ["info", "--flag", "a b", "hosts"]}


def test_later_run_costs_little(ready: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    """What we put before doit stays below 50 ms of processor time (the best of several, on a busy machine)."""

    def best(argv: list[str]) -> float:
        spans = []
        for _ in range(7):
            pid = os.posix_spawn(argv[0], argv, dict(os.environ), file_actions=[quiet])
            _, status, usage = os.wait4(pid, 0)
            assert status == 0
            spans.append(usage.ru_utime + usage.ru_stime)
        return min(spans)

    quiet = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
    monkeypatch.chdir(ready.root)
    direct = best([str(ready.root / ".venv/bin/python"), "-m", "doit"])
    ours = best([getattr(sys, "_base_executable", sys.executable), "-m", "tasks"])
    assert ours - direct < 0.05


def test_later_run_imports_no_first_run(ready: Checkout) -> None:
    """The way to doit passes by none of the modules that a first run needs."""
    python = getattr(sys, "_base_executable", sys.executable)
    done = subprocess.run([python, "-X", "importtime", "-m", "tasks"], cwd=ready.root, capture_output=True, text=True)
    names = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}  # doit's own are not in it: exec
    assert "runpy" in names
    assert not names & {"tasks.bootstrap", "tasks.system", "subprocess", "dataclasses"}


def test_paths_are_kept_from_another_folder(ready: Checkout, tmp_path: Path) -> None:
    """A path that was typed elsewhere still means the same file; a task's name is never taken for one."""
    (tmp_path / "dump").mkdir()
    (tmp_path / "dump/mac.csv").touch()
    (tmp_path / "hosts").touch()
    code, out, err = ready.run("import-xcat", "dump/mac.csv", "./new", "hosts", "n1/n2", cwd=tmp_path)
    assert code == 0, err
    said = json.loads(out)
    assert said["cwd"] == str(ready.root)
    assert said["argv"] == ["import-xcat", f"{tmp_path}/dump/mac.csv", f"{tmp_path}/new", "hosts", "n1/n2"]


def test_paths_inside_the_checkout_become_relative(ready: Checkout) -> None:
    """From a folder of the checkout a target is named as doit knows it."""
    code, out, err = ready.run("../build/etc/hosts", cwd=ready.root / "tasks")
    assert code == 0, err
    assert json.loads(out)["argv"] == ["build/etc/hosts"]


@pytest.mark.parametrize(
    ("words", "level"),
    [
        ([], "build"),
        (["list"], "build"),
        (["run", "stage"], "build"),
        (["lab", "up"], "lab"),
        (["-n2", "lab:up"], "lab"),
        (["test", "-x"], "test"),
        (["nodels", "test"], "build"),
    ],
)
def test_level_of(words: list[str], level: str) -> None:
    """The plain build asks for nothing that only virtual machines or tests need."""
    assert entry.level_of(words) == level


# -- Python ----------------------------------------------------------------------------------------------------------


def test_old_python_can_read_main() -> None:
    """Python 3.7 can parse the entry, so that it lives to say that it is too old."""
    ast.parse((ROOT / "tasks/__main__.py").read_text(), feature_version=(3, 7))


def test_old_python_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """An old Python, with no newer one beside it, ends in a sentence."""
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    monkeypatch.setattr(sys, "argv", ["tasks"])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / "tasks/__main__.py"), run_name="__main__")
    assert end.value.code == 1
    assert "Bootmill needs Python 3.11 or newer" in capsys.readouterr().err


def test_old_python_hands_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An old Python with a newer one beside it hands everything over."""
    script(tmp_path / "python3.12", "#!/bin/sh\n")
    called: list[list[str]] = []
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "execv", lambda program, argv: called.append([program, *argv]))
    entry.main(["list"])
    assert called[0][2:] == [str(ROOT / "tasks"), "list"]
    assert called[0][0] == str(tmp_path / "python3.12")


# -- first runs ------------------------------------------------------------------------------------------------------


def test_interrupted_installation_is_begun_anew(checkout: Checkout) -> None:
    """What a killed first run left behind is replaced, not trusted."""
    (checkout.root / ".venv/bin").mkdir(parents=True)
    script(checkout.root / ".venv/bin/python", "#!/bin/sh\necho half\n")
    code, out, err = checkout.run()
    assert code == 0, err
    assert json.loads(out)["program"] == "doit"


def test_changed_lock_is_installed(built: Checkout) -> None:
    """A lock that changed is installed by the next run, and what is not in it goes."""
    (built.root / ".venv/lib/stale").touch()
    built.lock("requirements.lock", "doit", "extra")
    code, _, err = built.run()
    assert code == 0
    assert "installing 2 Python packages" in err
    assert list(built.root.glob(".venv/lib/*/site-packages/extra"))
    assert not (built.root / ".venv/lib/stale").exists()


def test_wrong_digest_is_refused(checkout: Checkout) -> None:
    """A package that is not the one in the lock is not installed, and the next run tries again."""
    lock = checkout.root / "tasks/requirements.lock"
    lock.write_text(f"doit==1.0 --hash=sha256:{'0' * 64}\n")
    code, out, err = checkout.run()
    assert (code, out) == (1, "")
    assert "DO NOT MATCH THE HASHES" in err
    assert "try it by hand" in err
    assert "Traceback" not in err
    assert not (checkout.root / ".venv/installed.lock").exists()


def test_tests_bring_their_own(built: Checkout) -> None:
    """`test` adds the test suite's packages to a built environment and starts pytest."""
    code, out, err = built.run("test", "-x")
    assert code == 0, err
    assert json.loads(out)["argv"] == ["-x"]
    assert json.loads(out)["program"] == "pytest"
    assert "making" not in err
    assert built.run()[2] == ""


def test_two_first_runs_at_once(checkout: Checkout) -> None:
    """Of two runs at once one installs and the other waits for it."""
    runs = [checkout.start() for _ in range(2)]
    said = [process.communicate(timeout=120) for process in runs]
    assert [process.returncode for process in runs] == [0, 0], said
    assert sum("installing" in err for _, err in said) == 1


# -- system packages -------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: run the tests with sudo")
def test_root_installs_missing_packages(built: Checkout, tmp_path: Path) -> None:
    """Root gets the packages installed: no question, no recommended package, and nothing removed for it."""
    built.need(f"Need(package='frob', why='tests', files=({str(tmp_path / 'frob')!r},)),")
    code, _, err = built.run()
    assert code == 0, err
    install = next(line for line in built.apt_words().splitlines() if " install " in line)
    assert install.startswith("noninteractive install ")
    assert {"--no-remove", "--no-install-recommends", "--yes", "frob"} <= set(install.split())


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: run the tests with sudo")
def test_vanished_program_is_brought_again(built: Checkout, tmp_path: Path) -> None:
    """The stamp of an earlier run does not outlive the programs that it names."""
    built.need(f"Need(package='frob', why='tests', files=({str(tmp_path / 'frob')!r},)),")
    assert built.run()[0] == 0
    assert built.run()[2] == ""
    (tmp_path / "frob").unlink()
    built.log.unlink()
    assert built.run()[0] == 0
    assert "frob" in built.apt_words()


def test_ordinary_user_gets_one_line(public: Path) -> None:
    """Without root the line to type is printed, exit code 1, and nothing is half-installed."""
    checkout = make_checkout(public)
    checkout.need("Need(package='frob', why='t', files=('/no/frob',)), Need(package='ab', why='t', programs=('ab0',)),")
    give_away(public)
    code, out, err = checkout.run(user=as_ordinary_user())
    assert (code, out) == (1, "")
    assert "sudo apt-get install --no-install-recommends ab frob" in err
    assert "Traceback" not in err
    assert checkout.apt_words() == ""


def test_ordinary_user_with_everything(public: Path) -> None:
    """Without root and with nothing missing, the first run works."""
    checkout = make_checkout(public)
    give_away(public)
    code, out, err = checkout.run("list", user=as_ordinary_user())
    assert code == 0, err
    assert json.loads(out)["argv"] == ["list"]


def test_daemon_is_unpacked_and_not_installed(built: Checkout, tmp_path: Path) -> None:
    """A package with a daemon gives us its program; its scripts never run and it is never installed."""
    package = tmp_path / "frobd"
    (package / "DEBIAN").mkdir(parents=True)
    about = "Package: frobd\nVersion: 1\nArchitecture: all\nMaintainer: a <a@example.org>\nDescription: d\n"
    (package / "DEBIAN/control").write_text(f"{about}Depends: dpkg (>= 1), libc6, adduser\n")
    script(package / "DEBIAN/postinst", f"#!/bin/sh\ntouch {tmp_path}/started\n")
    (package / "usr/sbin").mkdir(parents=True)
    script(package / "usr/sbin/frobd", "#!/bin/sh\n")
    subprocess.run(["dpkg-deb", "--build", package, tmp_path / "pool"], check=True, capture_output=True)
    built.need("Need(package='frobd', why='tests', programs=('frobd',), daemon=True),")
    code, _, err = built.run()
    assert code == 0, err
    assert (built.root / ".venv/daemons/usr/sbin/frobd").exists()
    assert not (tmp_path / "started").exists()
    assert " install " not in built.apt_words()
    assert built.run()[2] == ""


@pytest.mark.parametrize(
    ("depends", "unmet"),
    [
        ("", []),
        ("dpkg (>= 1.0), libno-such-thing0 (>= 2), adduser", ["libno-such-thing0"]),
        ("libc6 (>= 2.0), no-such-libs (= 1:9.18-1)", ["no-such-libs"]),
        ("libc6 (>= 999), libc6 (= 1)", ["libc6", "libc6"]),
        ("no-such-init-scripts, no-such-adduser (>= 1)", []),
        ("debconf (>= 0.5) | debconf-2.0, libno-a:any (>= 1) | libno-b", ["libno-a"]),
    ],
)
def test_unmet_libraries(monkeypatch: pytest.MonkeyPatch, depends: str, unmet: list[str]) -> None:
    """Of a package's dependencies only libraries count, and only those that are missing or too old."""
    answer = debs.output
    monkeypatch.setattr(debs, "output", lambda *argv: depends if argv[0] == "dpkg-deb" else answer(*argv))
    assert debs.unmet_libraries(Path("x.deb")) == unmet


def test_daemon_under_apparmor_is_copied(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A daemon whose profile would keep it from reading a checkout does not count as found."""
    (tmp_path / "enabled").write_text("Y\n")
    profile = tmp_path / f"{str(system.find_program('sh'))[1:].replace('/', '.')}"
    monkeypatch.setattr(system, "APPARMOR", tmp_path / "enabled")
    monkeypatch.setattr(system, "APPARMOR_PROFILES", tmp_path)
    assert not system.confined("sh")
    profile.touch()
    assert system.confined("sh")
    (tmp_path / "enabled").write_text("N\n")
    assert not system.confined("sh")


# -- whose checkout --------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: run the tests with sudo")
def test_environment_of_another_user(public: Path) -> None:
    """A .venv that belongs to somebody else and is out of date ends in a sentence that names the owner."""
    checkout = make_checkout(public)
    give_away(public)
    (checkout.root / ".venv").mkdir()
    code, _, err = checkout.run(user=NOBODY)
    assert code == 1
    assert ".venv belongs to root" in err
    assert "Traceback" not in err


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: run the tests with sudo")
def test_read_only_checkout(public: Path) -> None:
    """A checkout that may not be written ends in a sentence."""
    checkout = make_checkout(public)
    code, _, err = checkout.run(user=NOBODY)
    assert code == 1
    assert "cannot be written by this user" in err
    assert "Traceback" not in err


# -- doctor ----------------------------------------------------------------------------------------------------------


def test_doctor_needs_no_packages(checkout: Checkout) -> None:
    """Before the first run the doctor works, installs nothing and tells what the build lacks."""
    checkout.need("Need(package='frob', why='t', files=('/no/frob',)),")
    code, out, err = checkout.run("doctor", "--json")
    assert (code, err) == (1, "")
    said = json.loads(out)
    assert said["apt"].endswith(" frob")
    assert [item["name"] for item in said["findings"] if item["package"]] == ["frob"]
    assert not (checkout.root / ".venv").exists()


def test_doctor_names_the_remedy(checkout: Checkout) -> None:
    """The table names what is missing, and ends with one line to type."""
    checkout.need("Need(package='frob', why='t', files=('/no/frob',)),")
    code, out, _ = checkout.run("doctor")
    assert code == 1
    assert "MISSING  build  frob" in out
    assert out.splitlines()[-1].strip() == "sudo apt-get install --no-install-recommends frob"


@pytest.mark.parametrize(("level", "code"), [("build", 1), ("lab", 0), ("test", 0), ("note", 0)])
def test_doctor_counts_the_build_only(monkeypatch: pytest.MonkeyPatch, level: str, code: int) -> None:
    """What only the laboratory or the tests lack does not make the machine unfit to build."""
    lack = doctor.Finding(name="frob", ok=False, level=level, detail="gone", package="frob")
    monkeypatch.setattr(doctor, "programs", lambda: iter([lack]))
    monkeypatch.setattr(doctor, "machine", lambda: iter([]))
    assert doctor.main([]) == code


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("alice:100000:65536\n", 65536),
        ("bob:1:9\nalice:100000:10\nalice:200000:70000\n", 70000),
        ("1000:100000:65536\n", 65536),
        ("bob:100000:65536\n", 0),
        ("alice:100000\nalice:x:y\n\n", 0),
    ],
)
def test_range_of(tmp_path: Path, text: str, count: int) -> None:
    """The widest range of a user's counts, by name or by number; broken lines give nothing."""
    (tmp_path / "subuid").write_text(text)
    assert doctor.range_of(tmp_path / "subuid", {"alice", "1000"}) == count


def test_every_program_has_one_package() -> None:
    """No program is listed under two packages, and levels only grow."""
    programs = [name for need in system.NEEDS for name in need.programs]
    assert len(programs) == len(set(programs))
    assert set(system.needs(system.Level.BUILD)) < set(system.needs(system.Level.LAB)) < set(system.NEEDS)


# -- continuous integration ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("body", "code"), [("assert True", 0), ("pytest.skip('no tool')", 1), ("assert False", 1)])
def test_skip_is_a_failure(tmp_path: Path, body: str, code: int) -> None:
    """With the plugin of continuous integration a skipped test fails the run."""
    (tmp_path / "test_one.py").write_text(f"import pytest\n\n\ndef test_one():\n    {body}\n")
    argv = [sys.executable, "-m", "pytest", "-p", "tests.no_skips", "-p", "no:cacheprovider", "-c", os.devnull]
    done = subprocess.run([*argv, tmp_path / "test_one.py"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout


def test_last_lines_leave_the_position(tmp_path: Path) -> None:
    """Looking at a log does not move where the program goes on writing."""
    with (tmp_path / "log").open("w+b") as log:
        log.write(b"".join(b"line %d\n" % number for number in range(5000)))
        log.flush()
        end = log.tell()
        assert bootstrap.last_lines(log.fileno(), 2) == ["line 4998", "line 4999"]
        assert log.tell() == end
