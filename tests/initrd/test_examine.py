"""``doit examine``: words, tables, JSON, exit codes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks import initrd, paths
from tasks.errors import BootmillError
from tasks.initrd import options
from tasks.initrd.proof import examine
from tasks.initrd.proof.report import Paint
from tasks.inventory.model import Cluster
from tests.initrd import kernels
from tests.initrd.proofs import CONFIG, LIB, WORDS, archive, broken, drop, root_tree
from tests.initrd.test_prove import write

Run = Callable[..., str]


@pytest.fixture
def run(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that stands in a checkout, runs the command and returns what it prints."""
    monkeypatch.chdir(tmp_path)
    Path("kernel").write_bytes(kernels.bzimage())
    Path("initrd").write_bytes(archive(broken().values()))
    Path("broken").write_bytes(archive(broken(drop(f"{LIB}/libc.so.6")).values()))
    Path("config").write_text(CONFIG)
    Path("root").write_bytes(archive(root_tree().values()))
    with Path("huge").open("wb") as file:
        file.truncate(1 << 40)

    def call(*words: str, fails: str = "") -> str:
        if fails:
            with pytest.raises(BootmillError, match=fails):
                examine.examine_words(cluster, words)
        else:
            examine.examine_words(cluster, words)
        return capsys.readouterr().out

    return call


def test_a_set_that_boots(run: Run) -> None:
    """Files of whatever make."""
    text = run("--kernel", "kernel", "--initrd=initrd", "--config", "config", "--append", WORDS, "--root=root")
    assert text.startswith("this set: boots as far as can be known\n")
    assert f"kernel {kernels.VERSION}; initrd" in text
    assert "root image" in text


def test_a_set_that_does_not(run: Run) -> None:
    """The predicted message, the cause, the remedy; the exit code comes from the error."""
    text = run("--kernel", "kernel", "--initrd", "broken", "--append", WORDS, fails="would not boot")
    assert "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00007f00" in text
    assert "error E04: this initrd: libc.so.6 (needed by" in text
    assert "remedy: " in text
    assert "\x1b" not in text


def test_json(run: Run) -> None:
    """The schema that the report documents, and nothing else on standard output."""
    found = json.loads(run("--json", "--kernel", "kernel", "--initrd", "broken", "--append", WORDS, fails="would not"))
    assert set(found) == {"images", "boots", "refused"}
    assert set(found["images"][0]) == {
        "image", "kernel", "config", "initrd", "root", "boots", "refused", "verdicts", "notes"
    }  # fmt: skip
    verdict = found["images"][0]["verdicts"][0]
    assert set(verdict) == {"nodes", "boots", "refused", "message", "findings"}
    assert set(verdict["findings"][0]) == {"rule", "grade", "text", "cause", "remedy", "predicted"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--kernel", "kernel"), "--initrd must be given, too"),
        (("--memory", "512"), "--kernel and --initrd must be given, too"),
        (("--kernel", "kernel", "--initrd"), "--initrd needs a value"),
        (("--kernel", "kernel", "--initrd", "initrd", "n01"), "nodes and files do not go together"),
        (("--kernel", "kernel", "--initrd", "initrd", "--memory", "much"), "--memory is a number of MiB"),
        (("--kernel", "kernel", "--initrd", "initrd", "--memory", "0"), "--memory is a number of MiB"),
        (("--sudo",), "unknown option '--sudo'"),
        (("--kernel", "nothing", "--initrd", "initrd"), "nothing is not there"),
        (("--kernel", "kernel", "--initrd", "."), r"\. is a folder"),
        (("--kernel", "kernel", "--initrd", "initrd", "--root", "nothing"), "nothing"),
        (("--kernel", "kernel", "--initrd", "initrd", "--config", "nothing"), "nothing is not there"),
        (("--kernel", "kernel", "--initrd", "initrd", "--root", "."), r"\. is a folder"),
        (("--kernel", "kernel", "--initrd", "initrd", "--root", "/dev/null"), "/dev/null is no file"),
        (("--kernel", "/dev/null", "--initrd", "initrd"), "/dev/null is no file"),
        (("--kernel", "kernel", "--initrd", "initrd", "--config", "huge"), "huge is no kernel configuration"),
        (("--kernel", "huge", "--initrd", "initrd"), "huge is no kernel"),
        (("n99",), "n99"),
        (("n[",), r"n\["),
        (("mgt",), "no node here boots"),
    ],
)
def test_mistakes_are_sentences(run: Run, words: tuple[str, ...], sentence: str) -> None:
    """What makes no sense is refused, without a traceback and before anything is printed."""
    assert run(*words, fails=sentence) == ""


def test_memory_and_driver(run: Run) -> None:
    """What is known of the machine may be said."""
    base = ("--kernel", "kernel", "--initrd", "initrd", "--append", WORDS)
    assert "no network interface" in run(*base, "--driver", "e1000", fails="would not boot")
    assert "write error" in run(*base, "--memory", "64", fails="would not boot")
    run(*base, "--memory", "256", "--driver", "virtio_net")


def test_what_is_built(run: Run, cluster: Cluster) -> None:
    """Without files: nodes of the inventory, all or some of them."""
    image = cluster.stateless()[0]
    write(image)
    assert "kvm1: boots" in run("kvm1")
    text = run("n01,kvm1", "--json")
    nodes = [name for each in json.loads(text)["images"][0]["verdicts"] for name in each["nodes"]]
    assert sorted(nodes) == ["kvm1", "n01"]
    write(image, drop("init"))
    assert "Unable to mount root fs" in run(fails="would not boot")


def test_what_is_not_built(run: Run, cluster: Cluster) -> None:
    """A sentence that says what to do."""
    image = cluster.stateless()[0]
    assert not paths.kernel(image).exists()
    run(fails=f"doit prove:{image.name}|is not there")


def test_names_from_outside_do_not_speak_to_the_terminal(run: Run) -> None:
    """Colours are ours alone: what a foreign initrd is called by cannot bring its own."""
    assert Paint(on=True)("1", "a\x1b[2Jb") == "\x1b[1ma\\x1b[2Jb\x1b[0m"
    assert Paint()("1", "plain") == "plain"
    text = run("--kernel", "kernel", "--initrd", "initrd", "--append", "rdinit=/\x1b[2J", fails="would not boot")
    assert "\x1b" not in text


def test_options_as_the_task_declares_them(cluster: Cluster) -> None:
    """Each is known to both; --append takes its value behind it, for doit takes away words with an equals sign."""
    declared = [option.rstrip("=") for option in options.EXAMINE]
    assert sorted(declared) == sorted([*examine.SWITCHES, *examine.VALUES])
    assert "--append" in options.EXAMINE
    assert initrd.examination(cluster)["options"] == list(options.EXAMINE)
