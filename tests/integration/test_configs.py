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
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from types import ModuleType

import pytest

from tasks import configs, paths, system
from tasks.actions import TaskDict
from tasks.configs.httpd import render_nginx
from tasks.configs.zone import serial_of, zone_text, zones
from tasks.errors import BootmillError, MissingToolError
from tasks.inventory.model import BootState, Cluster, Network

pytestmark = pytest.mark.integration


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
    [(configs.zone, "named-checkzone"), (configs.dhcpd, "dhcpd"), (configs.httpd, "nginx")],
)
def test_the_sample_passes_the_checkers(
    cluster: Cluster, task: Callable[[Cluster], TaskDict], checker: str, scratch: Path
) -> None:
    """What we render is accepted, every declared target is there, and the checks leave nothing behind."""
    tool(checker)
    make(task(cluster))
    assert all(Path(target).is_file() for target in task(cluster)["targets"])
    assert [path.name for path in (scratch / "build").iterdir() if path.name != "checks"] == ["etc"]
    assert tree(scratch / "build/checks") == {}


@pytest.mark.parametrize("prefix", [12, 20, 22, 25, 30])
def test_odd_subnets_pass_the_checkers(cluster: Cluster, prefix: int) -> None:
    """Networks that do not end at an octet give zones that named loads and a subnet that dhcpd takes."""
    tool("named-checkzone")
    tool("dhcpd")
    subnet = IPv4Network(f"10.128.0.0/{prefix}")
    ip = subnet.network_address + 1
    nodes = (replace(cluster.node("mgt"), ip=ip),)
    values = {"subnet": subnet, "gateway": ip, "dynamic_range": None, "next_server": ip}
    small = replace(cluster, networks=(network(cluster, **values),), nodes=nodes, switches=())
    make(configs.zone(small))
    make(configs.dhcpd(small))


@pytest.mark.parametrize("name", ["10", "0a", "1e3", "host", "subnet", "if", "deny", "in", "a--b", "x" * 63])
def test_any_host_name_is_a_host_name_for_the_daemons(cluster: Cluster, name: str) -> None:
    """Names that look like numbers, keywords or record classes are names all the same."""
    tool("named-checkzone")
    tool("dhcpd")
    nodes = tuple(replace(node, name=name, bmc=None) if node.name == "n01" else node for node in cluster.nodes)
    odd = replace(cluster, nodes=nodes)
    make(configs.zone(odd))
    make(configs.dhcpd(odd))
    assert f"\n{name} IN A 10.1.0.11\n" in (paths.zone_dir(cluster.site) / "db.renci.ben").read_text()


def test_a_refusal_of_dhcpd_replaces_nothing(cluster: Cluster, scratch: Path) -> None:
    """A range outside its subnet: dhcpd's words and line are shown, the old file stays, the candidate can be tried."""
    tool("dhcpd")
    make(configs.dhcpd(cluster))
    before = paths.dhcpd_conf(cluster.site).read_bytes()
    ends = IPv4Address("10.9.0.1"), IPv4Address("10.9.0.9")
    with pytest.raises(BootmillError, match=r"dhcpd\.conf: not replaced") as caught:
        make(configs.dhcpd(replace(cluster, networks=(network(cluster, dynamic_range=ends),))))
    assert "bad range, address 10.9.0.1 not in subnet 10.1.0.0" in caught.value.message
    assert "Internet Systems Consortium" not in caught.value.message
    assert "submitting" not in caught.value.message
    assert paths.dhcpd_conf(cluster.site).read_bytes() == before
    command = caught.value.hint.removeprefix("try it by hand: ")
    assert "10.9.0.1" in (scratch / "build/checks/dhcpd/dhcpd.conf").read_text()
    done = subprocess.run(command, shell=True, env={"PATH": system.PATH}, capture_output=True, check=False)  # noqa: S602
    assert done.returncode == 1
    make(configs.dhcpd(cluster))
    assert tree(scratch / "build/checks") == {}


def test_a_refused_zone_replaces_no_zone(cluster: Cluster, scratch: Path) -> None:
    """One bad record: neither that zone nor any other nor named.conf is replaced."""
    tool("named-checkzone")
    make(configs.zone(cluster))
    before = tree(scratch / "build/etc")
    node = replace(cluster.node("n01"), ip=IPv4Address("10.1.0.99"), aliases=("n02",))  # CNAME beside an A record
    nodes = tuple(node if old.name == "n01" else old for old in cluster.nodes)
    with pytest.raises(BootmillError, match=r"db\.renci\.ben: not replaced") as caught:
        make(configs.zone(replace(cluster, nodes=nodes)))
    assert "CNAME and other data" in caught.value.message
    assert tree(scratch / "build/etc") == before


def test_the_zone_of_a_network_that_left_is_gone(cluster: Cluster) -> None:
    """A network that moved takes its reverse zone along; a zone file of the user's own stays."""
    tool("named-checkzone")
    make(configs.zone(cluster))
    folder = paths.zone_dir(cluster.site)
    (folder / "db.own").write_text("$TTL 300\n")
    moved = network(cluster, subnet=IPv4Network("10.2.0.0/24"))
    head = replace(cluster.node("mgt"), ip=IPv4Address("10.2.0.1"))
    make(configs.zone(replace(cluster, networks=(moved,), nodes=(head,), switches=())))
    assert sorted(path.name for path in folder.iterdir()) == ["db.0.2.10.in-addr.arpa", "db.own", "db.renci.ben"]


def test_a_refusal_of_named_checkconf_replaces_nothing(
    cluster: Cluster, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken options stop everything, zones included."""
    tool("named-checkconf")
    monkeypatch.setattr(module("zone"), "render_options", lambda *_: "options { no-such-option yes; };\n")
    with pytest.raises(BootmillError, match=r"not replaced: named-checkconf failed.*\n.*no-such-option"):
        make(configs.zone(cluster))
    assert not (scratch / "build/etc").exists()


def test_a_refusal_of_nginx_replaces_nothing(cluster: Cluster, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken server is not published, nor are the TFTP server's settings beside it."""
    tool("nginx")
    monkeypatch.setattr(module("httpd"), "render_nginx", lambda _: "server { listen nowhere:http; }\n")
    with pytest.raises(BootmillError, match=r"bootmill\.conf: not replaced: nginx failed"):
        make(configs.httpd(cluster))
    assert not (scratch / "build/etc").exists()


@pytest.mark.parametrize(
    ("task", "package"),
    [(configs.zone, "bind9-utils"), (configs.dhcpd, "isc-dhcp-server"), (configs.httpd, "nginx")],
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
    """Nothing of the place, the time zone or what was built before is in the files."""
    for name in ("named-checkzone", "dhcpd", "nginx"):
        tool(name)
    tasks = (configs.hosts, configs.zone, configs.dhcpd, configs.httpd)
    other = scratch / "a checkout with blanks"
    other.mkdir()
    for task in tasks:
        make(task(cluster))
    monkeypatch.chdir(other)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    nodes = tuple(replace(node, ip=node.ip + 40) for node in cluster.nodes if node.name.startswith("n"))
    make(configs.zone(replace(cluster, nodes=(*nodes, cluster.node("mgt")))))
    for task in tasks:
        make(task(cluster))
    assert tree(other / "build/etc") == tree(scratch / "build/etc")


@pytest.mark.parametrize("state", [BootState.NETBOOT, BootState.LOCAL, BootState.OFFLINE, BootState.SHELL])
def test_grub_understands_its_menus(cluster: Cluster, state: BootState) -> None:
    """GRUB's own parser accepts the menu of every boot state, and the one that finds a node's own."""
    checker = tool("grub-script-check")
    for image in cluster.osimages:
        paths.image_dir(image).mkdir(parents=True)
        paths.boot_digest(image).write_text(f"{'ab' * 32}\n")
        paths.root_image_digest(image).write_text(f"{'cd' * 32}\n")
    node = replace(cluster.node("n01"), state=state, kernel_args=("a=*", "b=(c)", "d#e", "f!g", "h=[i]"))
    make(configs.menus(replace(cluster, nodes=(node,))))
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


def dig(port: int, *words: str) -> list[str]:
    """Ask the name server of a test, and return its short answers."""
    argv = [tool("dig"), "+short", "+tries=1", "+time=5", "@127.0.0.1", "-p", str(port), *words]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()


def test_named_answers_from_our_zones(cluster: Cluster, scratch: Path) -> None:
    """A real named serves names, aliases and addresses, and takes an edited zone whatever its serial is."""
    named = tool("named")
    port = free_port(socket.SOCK_DGRAM)
    site = cluster.site
    make(configs.zone(cluster))
    conf = paths.named_options(site).read_text() + paths.named_conf(site).read_text()
    conf = conf.replace("/var/cache/bind", str(scratch)).replace(
        "/etc/bind/zones", str(paths.zone_dir(site).absolute())
    )
    conf = conf.replace('listen-on { "bootmill-networks"; };', f"listen-on port {port} {{ 127.0.0.1; }};")
    conf = conf.replace("options {", f'options {{ pid-file "{scratch}/pid"; session-keyfile none;') + "controls { };\n"
    (scratch / "named.conf").write_text(conf)
    log = scratch / "log"
    argv = [named, "-4", "-g", "-n", "1", "-p", str(port), "-c", str(scratch / "named.conf")]
    with daemon(argv, log, lambda: "all zones loaded" in log.read_text()) as process:
        assert dig(port, "n01.renci.ben") == ["10.1.0.11"]
        assert dig(port, "n01-ipmi.renci.ben") == ["10.1.0.111"]
        assert dig(port, "-x", "10.1.0.253") == ["linksys-mgt.renci.ben."]
        assert dig(port, "renci.ben", "NS") == ["mgt.renci.ben."]
        assert dig(port, "renci.ben", "AXFR") in ([], [";", "Transfer", "failed."])
        first = int(dig(port, "renci.ben", "SOA")[2])
        for alias in lower_and_higher(cluster, first):
            make(configs.zone(with_alias(cluster, alias)))
            process.send_signal(signal.SIGHUP)
            wait(lambda alias=alias: dig(port, f"{alias}.renci.ben")[:1] == ["n01.renci.ben."], log)  # type: ignore[misc]


def with_alias(cluster: Cluster, alias: str) -> Cluster:
    """Return the cluster with another name for n01."""
    node = replace(cluster.node("n01"), aliases=(alias,))
    return replace(cluster, nodes=tuple(node if old.name == "n01" else old for old in cluster.nodes))


def lower_and_higher(cluster: Cluster, serial: int) -> tuple[str, str]:
    """Return two aliases: with one the zone's serial is lower than `serial`, with the other higher (RFC 1982)."""
    found: dict[bool, str] = {}
    for number in range(100):
        changed = with_alias(cluster, f"alias{number}")
        args = configs.zone(changed)["actions"][0][1][-1]
        own = next(iter(zones(*args)))
        text = zone_text(args[0], own, serial=0)
        ahead = (serial_of(text) - serial) % (1 << 32) < 1 << 31
        found.setdefault(ahead, f"alias{number}")
    return found[False], found[True]


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
