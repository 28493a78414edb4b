"""The configuration step before the daemons' own checkers, and before the daemons."""

import importlib
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

from tasks import configs, paths, system
from tasks.actions import TaskDict
from tasks.configs.httpd import render_nginx
from tasks.errors import BootmillError, MissingToolError
from tasks.inventory.model import BootState, Cluster, Network, Whole

pytestmark = pytest.mark.integration
FAMILIES: dict[str, Callable[[Cluster], TaskDict]] = {
    name: partial(configs.family, name=name)
    for name in ("hosts", "zone", "dhcpd", "kea", "dnsmasq", "chrony", "resolv", "nfs")
}


def tool(name: str) -> str:
    """Return a program's path, or skip the test and say which package brings it."""
    found = shutil.which(name, path=system.PATH)
    if found is None:
        pytest.skip(f"{name} is missing: apt-get install {system.package_of(name)}")
    return found


def make(task: TaskDict) -> None:
    """Run a task's action and let its error through."""
    *_, run, args = task["actions"][0][1]
    run(*args)


def tree(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty checkout."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def network(cluster: Cluster, **values: object) -> Network:
    """Return the sample's network, changed."""
    return replace(cluster.networks[0], **values)  # type: ignore[arg-type]  # the tests below know the types


def module(name: str) -> ModuleType:
    """Return a module of the step; as an attribute of the package its name is the task's function."""
    return importlib.import_module(f"tasks.configs.{name}")


# -- checkers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "checker"),
    [(FAMILIES["zone"], "named-checkconf"), (FAMILIES["dhcpd"], "dhcpd"), (configs.web_server, "nginx")],
)
def test_the_sample_passes_the_checkers(
    cluster: Cluster, task: Callable[[Cluster], TaskDict], checker: str, scratch: Path
) -> None:
    """What we render is accepted, every declared target is there, and the checks leave nothing behind."""
    tool(checker)
    make(task(cluster))
    assert all(Path(target).is_file() for target in task(cluster)["targets"])
    assert {path.name for path in (scratch / "build").iterdir()} - {"checks", ".compiled"} == {"etc"}
    assert tree(scratch / "build/checks") == {}


def test_a_refusal_of_nginx_replaces_nothing(cluster: Cluster, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken server is not published, nor are the TFTP server's settings beside it."""
    tool("nginx")
    monkeypatch.setattr(module("httpd"), "render_nginx", lambda _: "server { listen nowhere:http; }\n")
    with pytest.raises(BootmillError, match=r"bootmill\.conf: not replaced: nginx failed"):
        make(configs.web_server(cluster))
    assert not (scratch / "build/etc").exists()


@pytest.mark.parametrize(
    ("task", "package"),
    [(FAMILIES["zone"], "bind9-utils"), (FAMILIES["dhcpd"], "isc-dhcp-server"), (configs.web_server, "nginx")],
)
def test_a_missing_checker_is_named_with_its_package(
    cluster: Cluster, task: Callable[[Cluster], TaskDict], package: str, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its checker nothing is published unseen: the error names the package to install."""
    monkeypatch.setattr("tasks.run.PATH", "/nowhere")
    with pytest.raises(MissingToolError) as caught:
        make(task(cluster))
    assert package in caught.value.hint
    assert not (scratch / "build/etc").exists()


def test_a_folder_of_another_checkout_makes_the_same_bytes(
    cluster: Cluster, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the place or the time zone is in the files."""
    for name in ("named-checkconf", "dhcpd", "kea-dhcp4", "kea-dhcp6", "dnsmasq", "chronyd", "nginx"):
        tool(name)
    tasks = (*FAMILIES.values(), configs.web_server)
    other = scratch / "a checkout with blanks"
    other.mkdir()
    for task in tasks:
        make(task(cluster))
    monkeypatch.chdir(other)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    for task in tasks:
        make(task(cluster))
    assert tree(other / "build/etc") == tree(scratch / "build/etc")


@pytest.mark.parametrize("state", [state for state in BootState if state != "install"])
def test_grub_understands_its_menus(cluster: Cluster, state: BootState) -> None:
    """GRUB's own parser accepts the menu of every boot state, and the one that finds a node's own."""
    checker = tool("grub-script-check")
    for image in cluster.osimages:
        paths.image_dir(image).mkdir(parents=True)
        paths.boot_digest(image).write_text(f"{'ab' * 32}\n")
        paths.root_image_digest(image).write_text(f"{'cd' * 32}\n")
    for image in cluster.discoverers():
        paths.discovery_dir(image.arch).mkdir(parents=True)
        paths.discovery_digest(image.arch).write_text(f"{'ef' * 32}\n")
    node = replace(cluster.node("n01"), state=state, kernel_args=("a=*", "b=(c)", "d#e", "f!g", "h=[i]"))
    make(configs.boot_menus(replace(cluster, shards=(Whole((node,)),))))
    for path in sorted((paths.MENUS / "grub").iterdir()):
        subprocess.run([checker, path], check=True)


# -- daemons ---------------------------------------------------------------------------------------------------------


def free_port(kind: socket.SocketKind) -> int:
    """Return a port of the loopback that nobody has."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def daemon(argv: list[str], log: Path, ready: Callable[[], bool]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a daemon in the foreground until the block ends."""
    with log.open("wb") as output, subprocess.Popen(argv, stdout=output, stderr=output) as process:
        try:
            wait(ready, log)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)


def wait(ready: Callable[[], bool], log: Path) -> None:
    """Wait until something is so; say what the daemon said where it never is."""
    end = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.02)


@pytest.fixture
def web(scratch: Path) -> Iterator[str]:
    """Serve a folder by the generated server as a real nginx does; return its URL."""
    nginx = tool("nginx")
    port = free_port(socket.SOCK_STREAM)
    root = scratch / "root"
    for name in ("install/a/image", "tftpboot/boot/kernel", "tftpboot/.kernel.partial", "etc/passwd", "installed"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (scratch / "bootmill.conf").write_text(render_nginx((f"127.0.0.1:{port}",)).replace("root /;", f"root {root};"))
    frame = Path(configs.__file__).parent / "templates" / "httpd_check.conf.j2"
    user = "user root;\n" if os.geteuid() == 0 else ""
    (scratch / "nginx.conf").write_text(f"daemon off;\nworker_processes 1;\n{user}{frame.read_text()}")
    log = scratch / "log"

    def ready() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    argv = [nginx, "-p", f"{scratch}/", "-c", str(scratch / "nginx.conf"), "-e", "stderr"]
    with daemon(argv, log, ready):
        yield f"http://127.0.0.1:{port}"


def test_nginx_serves_two_folders_and_nothing_else(web: str) -> None:
    """Nodes get install and tftpboot; no listing, no other file of the head node, nothing half-written."""
    answers = {path: status(f"{web}{path}") for path in ("/install/a/image", "/tftpboot/boot/kernel")}
    assert set(answers.values()) == {200}
    refused = (
        "/",
        "/etc/passwd",
        "/install/../etc/passwd",
        "/install/..%2fetc/passwd",
        "/install/%2e%2e/etc/passwd",
        "/installed",
        "/install/a/",
        "/tftpboot/",
        "/tftpboot/.kernel.partial",
    )
    assert {path: status(f"{web}{path}") for path in refused if status(f"{web}{path}") not in {403, 404}} == {}


def status(url: str) -> int:
    """Return the status of a GET."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
