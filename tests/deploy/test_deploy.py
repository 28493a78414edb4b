"""``doit deploy``: what is written, kept, told, put back; with the daemons' own checkers."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks import run
from tasks.deploy import control, ledger, services
from tasks.deploy.control import StartScripts, Systemd
from tasks.deploy.deploying import deploy
from tasks.errors import BootmillError
from tests.deploy.conftest import DEBIAN, HEADER, RENDERED, ROOT_ONLY, ZONE, Head, script
from tests.samples import SITE

pytestmark = pytest.mark.integration
ALL_TOLD = [
    "reload-or-restart named",
    "restart isc-dhcp-server",
    "restart tftpd-hpa",
    "exportfs -ra",
]
DHCPD = RENDERED["etc/dhcp/dhcpd.conf"]
FORWARD = RENDERED["etc/bind/zones/db.renci.ben"]


def test_everything_is_put_in_place_and_told_once(head: Head, said: Callable[[], Any]) -> None:
    """Our files are there byte for byte, what was there beside them stays, each daemon is told once and in order."""
    head.deploy("--json")
    document = said()
    assert head.told() == ALL_TOLD
    for name, text in RENDERED.items():
        if name.startswith("etc/") and name != "etc/hosts":
            assert head.text(name) == text
    assert not (head.root / "tftpboot").exists()
    for line in DEBIAN["etc/hosts"].splitlines():
        assert line in head.text("etc/hosts").splitlines()
    assert "10.1.0.11 n01.renci.ben n01" in head.text("etc/hosts").splitlines()
    local = head.text("etc/bind/named.conf.local")
    assert local.startswith(DEBIAN["etc/bind/named.conf.local"])
    assert local.count('include "/etc/bind/named.conf.bootmill";') == 1
    assert head.text("etc/bind/named.conf") == DEBIAN["etc/bind/named.conf"]
    acts = {one["path"]: one["action"] for one in document["files"]}
    assert acts["/etc/hosts"] == acts["/etc/bind/named.conf.local"] == "merge"
    assert acts["/etc/dhcp/dhcpd.conf"] == "create"
    assert document["backup"] == 1


def dates(head: Head) -> dict[Path, int]:
    """Return when each file of the root was written, the lock apart."""
    return {path: path.stat().st_mtime_ns for path in head.root.rglob("*") if path.is_file() and path.suffix != ".lock"}


def test_the_second_run_does_nothing(head: Head, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is written, told or saved, and the run says so."""
    head.deploy()
    before, files = head.told(), dates(head)
    capsys.readouterr()
    head.deploy()
    assert before
    assert head.told() == []
    assert "nothing to do" in capsys.readouterr().out
    assert dates(head) == files
    assert not (head.checkout / "build/checks/deploy").exists()


def test_a_change_tells_its_own_daemon(head: Head) -> None:
    """An edited MAC restarts dhcpd and nobody else; a zone reloads named only."""
    head.deploy()
    head.told()
    head.render(dhcpd_conf=DHCPD.replace("e3:58", "e3:99"))
    head.deploy()
    assert head.told() == ["restart isc-dhcp-server"]
    head.render(db_renci_ben=FORWARD.replace("10.1.0.11", "10.1.0.12"))
    head.deploy()
    assert head.told() == ["reload-or-restart named"]


def test_a_dry_run_writes_nothing(head: Head, said: Callable[[], Any]) -> None:
    """It tells what would be done; the root is as it was, down to its dates."""
    before = {path: path.lstat().st_mtime_ns for path in head.root.rglob("*")}
    head.deploy("--dry-run", "--json")
    document = said()
    assert {path: path.lstat().st_mtime_ns for path in head.root.rglob("*")} == before
    assert head.told() == []
    assert {one["name"] for one in document["services"]} == {"named", "dhcpd", "tftpd-hpa", "nfs"}
    head.deploy("--json")
    assert said()["files"] == document["files"]


def test_only_the_services_that_are_named(head: Head) -> None:
    """``deploy dhcpd`` leaves all others alone."""
    head.deploy("dhcpd")
    assert head.told() == ["restart isc-dhcp-server"]
    assert head.text("etc/hosts") == DEBIAN["etc/hosts"]
    assert not (head.root / "etc/bind/named.conf.bootmill").exists()


def test_what_does_not_run_is_not_told(head: Head, said: Callable[[], Any]) -> None:
    """The files are placed, and the run says how the daemon is started; later runs do not repeat it."""
    head.runs("named")
    head.deploy("--json")
    document = said()
    assert head.told() == ["reload-or-restart named"]
    dhcpd = next(one for one in document["services"] if one["name"] == "dhcpd")
    assert dhcpd["result"] == "none"
    assert "systemctl enable --now isc-dhcp-server" in dhcpd["said"]
    head.deploy("--json")
    assert said()["services"] == []


def test_named_is_not_installed(head: Head) -> None:
    """Zones are placed and checked; named's own files are not made up, for its package will bring them."""
    for path in (head.root / "etc/bind").iterdir():
        path.unlink()
    head.deploy("named")
    assert (head.root / "etc/bind/zones/db.renci.ben").exists()
    assert not (head.root / "etc/bind/named.conf.local").exists()
    (head.root / "etc/bind/named.conf").write_text(DEBIAN["etc/bind/named.conf"])
    (head.root / "etc/bind/named.conf.options").write_text("")
    (head.root / "etc/bind/named.conf.local").write_text("")
    head.deploy("named")
    assert "named.conf.bootmill" in head.text("etc/bind/named.conf.local")


def test_a_person_wrote_the_include_line(head: Head) -> None:
    """Then named's files stay as they are; the whole is checked with the new zones all the same."""
    local = head.root / "etc/bind/named.conf.local"
    local.write_text('include "/etc/bind/named.conf.bootmill";\n')
    head.deploy("named")
    assert local.read_text() == 'include "/etc/bind/named.conf.bootmill";\n'


def test_a_zone_that_is_gone(head: Head) -> None:
    """A file that we deployed and that is rendered no more is taken away, and saved; another's zone stays."""
    head.deploy()
    (head.root / "etc/bind/zones/db.example").write_text("; a person's zone\n")
    gone = Path("build/etc/bind/zones/db.0.1.10.in-addr.arpa")
    head.render(named_conf_bootmill=RENDERED["etc/bind/named.conf.bootmill"].rpartition('\nzone "0.1')[0])
    outputs = [path for path in head.outputs() if path != gone]
    head.deploy(outputs=outputs)
    assert not (head.root / "etc/bind/zones" / gone.name).exists()
    assert (head.root / "etc/bind/zones/db.example").exists()
    assert (head.root / "var/backups/bootmill/2/files/etc/bind/zones" / gone.name).exists()
    head.told()
    head.deploy(outputs=outputs)
    assert head.told() == []


# -- what is refused ---------------------------------------------------------------------------------------------------


def refused(head: Head, *words: str) -> str:
    """Deploy and return the refusal; nothing is written and nobody told."""
    before = head.tree()
    with pytest.raises(BootmillError) as caught:
        head.deploy(*words)
    assert head.tree() == before
    assert head.told() == []
    assert not (head.root / "var/backups").exists()
    return str(caught.value)


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("dhcpd_conf", HEADER + "subnet 10.1.0.0 netmask 255.255.255.0 {\n", ["dhcpd", "/etc/dhcp/dhcpd.conf"]),
        ("db_renci_ben", FORWARD.replace("IN A 10.1.0.11", "IN A 10.1.0.611"), ["db.renci.ben", "10.1.0.611"]),
        ("named_conf_bootmill", "// Made by Bootmill\nzone {\n", ["named-checkconf", "/etc/bind/named.conf"]),
    ],
)
def test_everything_is_checked_before_anything_is_written(head: Head, file: str, text: str, words: list[str]) -> None:
    """One bad file keeps all from being deployed, its daemon's words are told."""
    head.render(**{file: text})
    said = refused(head)
    assert all(word in said for word in words), said


def test_all_refusals_at_once(head: Head) -> None:
    """Two bad files are told together."""
    head.render(dhcpd_conf=HEADER + "}\n", db_renci_ben=FORWARD + "n02 IN A no\n")
    said = refused(head)
    assert "dhcpd failed" in said
    assert "named-checkconf failed" in said


def test_a_clash_with_a_persons_zone(head: Head) -> None:
    """A zone that named.conf.local has already is found before named is reloaded."""
    local = head.root / "etc/bind/named.conf.local"
    local.write_text('zone "renci.ben" {\n    type primary;\n    file "/etc/bind/db.other";\n};\n')
    assert "renci.ben" in refused(head)


def test_foreign_files_are_named_all_at_once(head: Head) -> None:
    """Nothing is written; with --take-over they are saved and replaced."""
    foreign = {"etc/dhcp/dhcpd.conf": "# by hand\n", "etc/exports": "/home *(rw)\n", "etc/default/tftpd-hpa": "X=1\n"}
    for name, text in foreign.items():
        (head.root / name).parent.mkdir(parents=True, exist_ok=True)
        (head.root / name).write_text(text)
    said = refused(head)
    assert all(f"/{name} is there" in said for name in foreign)
    assert "--take-over" in said
    head.deploy("--take-over")
    for name, text in foreign.items():
        assert head.text(name) == RENDERED[name]
        assert head.text(f"var/backups/bootmill/1/files/{name}") == text
    head.deploy("--undo")
    for name, text in foreign.items():
        assert head.text(name) == text


def test_what_a_package_brought_is_no_loss(head: Head) -> None:
    """A configuration file that nobody has changed since its package brought it is replaced, and saved."""
    path, status = head.root / "etc/dhcp/dhcpd.conf", head.root / "var/lib/dpkg/status"
    path.parent.mkdir()
    path.write_text("# sample\n")
    status.parent.mkdir(parents=True)
    status.write_text("Package: x\nConffiles:\n /etc/dhcp/dhcpd.conf e6b84bd42ee9bd1c2aaf0a1c5c4f9a3b\n")
    refused(head)
    from hashlib import md5

    digest = md5(b"# sample\n", usedforsecurity=False).hexdigest()
    status.write_text(f"Package: x\nConffiles:\n /etc/dhcp/dhcpd.conf {digest}\n")
    head.deploy()
    assert head.text("etc/dhcp/dhcpd.conf") == DHCPD
    assert head.text("var/backups/bootmill/1/files/etc/dhcp/dhcpd.conf") == "# sample\n"


def test_links_are_not_followed(head: Head, tmp_path: Path) -> None:
    """A link in the place of a file or of a folder is told; what it leads to is untouched."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "hosts").write_text("precious\n")
    (head.root / "etc/hosts").unlink()
    (head.root / "etc/hosts").symlink_to(outside / "hosts")
    (head.root / "etc/default").symlink_to(outside)
    (head.root / "etc/exports").symlink_to("nowhere")
    said = refused(head, "--take-over")
    assert "etc/hosts is a symbolic link" in said
    assert "etc/default is a symbolic link" in said
    assert "etc/exports is a symbolic link" in said
    assert [path.name for path in outside.iterdir()] == ["hosts"]
    assert (outside / "hosts").read_text() == "precious\n"


def test_links_in_the_place_of_our_books(head: Head, tmp_path: Path) -> None:
    """The ledger and the backups are not written through a link either."""
    for name in ("var/lib/bootmill", "var/backups"):
        outside = tmp_path / name.replace("/", "-")
        outside.mkdir()
        link = head.root / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(outside)
        with pytest.raises(BootmillError, match="symbolic link"):
            head.deploy()
        assert not list(outside.iterdir())
        link.unlink()


def test_no_files(head: Head) -> None:
    """A folder and a named pipe where files belong are told, and nothing hangs."""
    (head.root / "etc/exports").mkdir()
    (head.root / "etc/default").mkdir()
    os.mkfifo(head.root / "etc/default/tftpd-hpa")
    (head.root / "etc/ansible").write_text("a file\n")
    said = refused(head, "--take-over")
    assert "etc/exports is a folder" in said
    assert "etc/default/tftpd-hpa is no ordinary file" in said
    assert "etc/ansible is a file, and a folder belongs there" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bind"], "'bind' is no service"),
        (["--force"], "unknown option '--force'"),
        (["--undo"], "nothing was deployed"),
        (["--root"], "--root needs a value"),
        (["--root", "/nowhere/at/all"], "is no folder"),
        (["nginx"], "nothing is rendered"),
    ],
)
def test_words_that_make_no_sense(head: Head, words: list[str], said: str) -> None:
    """Each is told in a sentence."""
    assert said in refused(head, *words)


def test_a_file_that_was_not_rendered(head: Head) -> None:
    """Half of a service is not deployed."""
    head.render(db_renci_ben=None)
    assert "db.renci.ben is not there" in refused(head)


def test_two_dhcp_servers(head: Head) -> None:
    """Only one may serve: it is named once, and later runs stay with it."""
    kea = head.checkout / "build/etc/kea/kea-dhcp4.conf"
    kea.parent.mkdir()
    kea.write_text("{}\n")
    outputs = [*head.outputs(), kea.relative_to(head.checkout)]
    head.runs()
    with pytest.raises(BootmillError, match="dhcpd, kea: only one"):
        head.deploy(outputs=outputs)
    head.deploy("dhcpd", outputs=outputs)
    head.deploy(outputs=outputs)
    assert (head.root / "etc/exports").exists()
    assert not (head.root / "etc/kea").exists()
    with pytest.raises(BootmillError, match="only one"):
        head.deploy("dhcpd", "kea", outputs=outputs)


def test_another_dhcp_server(head: Head, capsys: pytest.CaptureFixture[str]) -> None:
    """The one that was named last is the one that later runs stay with; that the other still runs is told."""
    for name in ("etc/dnsmasq.d/bootmill.conf", "etc/dnsmasq-hosts/bootmill"):
        path = head.checkout / "build" / name
        path.parent.mkdir()
        path.write_text(HEADER)
    outputs = [*head.outputs(), Path("build/etc/dnsmasq.d/bootmill.conf"), Path("build/etc/dnsmasq-hosts/bootmill")]
    head.deploy("dhcpd", outputs=outputs)
    head.deploy("dnsmasq", outputs=outputs)
    assert "dhcpd still runs as isc-dhcp-server" in capsys.readouterr().out
    head.told()
    head.render(dhcpd_conf=DHCPD + "# more\n")
    head.deploy(outputs=outputs)
    assert "restart isc-dhcp-server" not in head.told()
    assert head.text("etc/dhcp/dhcpd.conf") == DHCPD


# -- rights ------------------------------------------------------------------------------------------------------------


@ROOT_ONLY
def test_mode_and_owner_stay(head: Head) -> None:
    """A file that its daemon alone may read stays so; a new one is for everyone to read."""
    head.deploy()
    path = head.root / "etc/dhcp/dhcpd.conf"
    assert path.stat().st_mode & 0o777 == 0o644
    path.chmod(0o640)
    os.chown(path, 12, 34)
    head.render(dhcpd_conf=DHCPD + "# more\n")
    head.deploy()
    state = path.stat()
    assert (state.st_mode & 0o7777, state.st_uid, state.st_gid) == (0o640, 12, 34)
    assert path.read_text().endswith("# more\n")
    assert (head.root / "var/backups/bootmill/2").stat().st_mode & 0o777 == 0o700


# -- going back --------------------------------------------------------------------------------------------------------


def test_a_reload_that_fails_is_put_back(head: Head) -> None:
    """The service's files are as they were, byte for byte, it is told again, the others are deployed."""
    head.deploy()
    head.told()
    before = head.tree()
    head.render(
        db_renci_ben=FORWARD.replace("10.1.0.11", "10.1.0.12"),
        dhcpd_conf=DHCPD.replace("e3:58", "e3:99"),
    )
    head.fails("named", 1)
    with pytest.raises(BootmillError) as caught:
        head.deploy()
    assert "named: systemctl failed" in str(caught.value)
    assert "Job for named failed." in str(caught.value)
    assert "it took them again" in str(caught.value)
    assert head.told() == ["reload-or-restart named", "reload-or-restart named", "restart isc-dhcp-server"]
    after = head.tree()
    assert {name for name in after if after[name] != before[name]} == {"dhcp/dhcpd.conf"}
    head.deploy()
    assert head.told() == ["reload-or-restart named"]
    assert "10.1.0.12" in head.text("etc/bind/zones/db.renci.ben")


def test_the_first_reload_fails(head: Head) -> None:
    """Files that were not there are gone again, the line in named's own file, too."""
    before = head.tree()
    head.fails("named", 1)
    with pytest.raises(BootmillError):
        head.deploy("named")
    assert head.tree() == before


def test_a_daemon_that_ends_over_its_files(head: Head) -> None:
    """A unit that is not active after it was told did not take its files."""
    head.deploy()
    test = f"[ $1 != isc-dhcp-server ] || grep -q e3:58 {head.root}/etc/dhcp/dhcpd.conf"
    (head.bin / "hook").write_text(f"#!/bin/sh\n{test} || rm {head.bin}/running/$1\n")
    head.render(dhcpd_conf=DHCPD.replace("e3:58", "e3:99"))
    with pytest.raises(BootmillError, match="ended when it read its files"):
        head.deploy()
    assert head.text("etc/dhcp/dhcpd.conf") == DHCPD


def test_undo_and_again(head: Head) -> None:
    """The last generation comes back, its daemons are told; deploying again does what was undone."""
    head.deploy()
    first = head.tree()
    head.render(dhcpd_conf=DHCPD.replace("e3:58", "e3:99"))
    head.deploy()
    second = head.tree()
    head.told()
    head.deploy("--undo")
    assert head.tree() == first
    assert head.told() == ["restart isc-dhcp-server"]
    head.deploy()
    assert head.tree() == second


def test_undo_does_not_lose_what_a_person_wrote(head: Head) -> None:
    """A file that was changed since is told, not replaced."""
    head.deploy()
    (head.root / "etc/hosts").write_text("by hand\n")
    with pytest.raises(BootmillError, match="/etc/hosts"):
        head.deploy("--undo")
    assert head.text("etc/hosts") == "by hand\n"


def test_a_damaged_backup_restores_nothing(head: Head) -> None:
    """Altered bytes, a manifest that leads elsewhere, no manifest: an error, and nothing is touched."""
    head.deploy()
    before, folder = head.tree(), head.root / "var/backups/bootmill/1"
    saved = (folder / "files/etc/hosts").read_bytes()
    (folder / "files/etc/hosts").write_text("evil\n")
    with pytest.raises(BootmillError, match="damaged"):
        head.deploy("--undo")
    (folder / "files/etc/hosts").write_bytes(saved)
    manifest = json.loads((folder / "manifest.json").read_text())
    hostiles: list[object] = [{"/etc/../root/.ssh/authorized_keys": manifest["/etc/hosts"]}, {"etc": 1}, {}, [], "x"]
    for hostile in hostiles:
        (folder / "manifest.json").write_text(json.dumps(hostile))
        with pytest.raises(BootmillError, match="var/backups/bootmill/1"):
            head.deploy("--undo")
    assert head.tree() == before


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"told": 3, "open": "x"}', '{"told": {"/etc/passwd/../x": "ff"}}'])
def test_a_damaged_ledger_is_no_harm(head: Head, text: str) -> None:
    """Then daemons are told once more; nothing else happens."""
    head.deploy()
    before = head.tree()
    head.told()
    (head.root / "var/lib/bootmill/deployed.json").write_text(text)
    head.deploy()
    assert head.tree() == before
    assert head.told() == ALL_TOLD


def test_in_place(head: Head) -> None:
    """With destdir / the files are there already: they are checked, and daemons told of what changed."""
    site = replace(SITE, destdir=str(head.root))
    outputs = [head.root / name for name in RENDERED]
    for path in outputs:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(RENDERED[str(path.relative_to(head.root))])
    for expected in (ALL_TOLD, []):
        deploy(site, outputs, ["--root", str(head.root)], control=Systemd(settle=0))
        assert head.told() == expected
    assert head.text("etc/hosts") == RENDERED["etc/hosts"]
    (head.root / "etc/dhcp/dhcpd.conf").write_text(DHCPD.replace("e3:58", "e3:99"))
    deploy(site, outputs, ["--root", str(head.root)], control=Systemd(settle=0))
    assert head.told() == ["restart isc-dhcp-server"]


# -- what stands around our files --------------------------------------------------------------------------------------


def test_marks_without_partners(head: Head) -> None:
    """What lies between them would be a guess: nothing is written."""
    (head.root / "etc/hosts").write_text("127.0.0.1 localhost\n# BEGIN bootmill\n")
    before = head.tree()
    with pytest.raises(BootmillError, match="no partner"):
        head.deploy()
    assert head.tree() == before


def test_a_line_that_contradicts_ours(head: Head, said: Callable[[], Any]) -> None:
    """Debian's 127.0.1.1 of the head node: it stays, and a person is told."""
    (head.root / "etc/hosts").write_text("127.0.0.1 localhost\n127.0.1.1 mgt\n")
    head.deploy("--json")
    assert any("mgt is 127.0.1.1" in note for note in said()["notes"])
    assert "127.0.1.1 mgt" in head.text("etc/hosts")


def test_bytes_that_are_no_text_stay(head: Head) -> None:
    """A Latin-1 comment in the hosts file comes through."""
    (head.root / "etc/hosts").write_bytes(b"127.0.0.1 localhost # caf\xe9\r\n")
    head.deploy("hosts")
    assert (head.root / "etc/hosts").read_bytes().startswith(b"127.0.0.1 localhost # caf\xe9\r\n")


def test_what_cannot_be_read(head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, and nothing is replaced unseen."""
    (head.root / "etc/exports").write_text("x\n")
    real = os.open

    def closed(path: Any, *args: Any, **options: Any) -> int:
        if str(path).endswith("etc/exports"):
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **options)

    monkeypatch.setattr(os, "open", closed)
    assert "exports: cannot be read: Permission denied" in refused(head, "--take-over")


def test_who_may_not_write(head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ordinary user is told before anything is done; a dry run is for everyone."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "cannot be written to by this user" in refused(head)
    head.deploy("--dry-run")


def test_a_disk_that_is_full(head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be written puts its service back; nobody is told of half a change."""
    head.deploy()
    head.told()
    before = head.tree()
    head.render(
        db_renci_ben=FORWARD.replace("10.1.0.11", "10.1.0.12"),
        db_0_1_10_in_addr_arpa=RENDERED["etc/bind/zones/db.0.1.10.in-addr.arpa"].replace("11 IN", "12 IN"),
    )
    from tasks.deploy import root

    real, written = root.put, list[object]()

    def full(*args: Any) -> None:
        if str(args[1]).endswith("db.renci.ben") and not written:
            written.append(args[1])
            raise OSError(28, "No space left on device")
        real(*args)

    monkeypatch.setattr(root, "put", full)
    with pytest.raises(BootmillError, match="No space left"):
        head.deploy()
    assert head.tree() == before
    assert head.told() == []
    head.deploy()
    assert head.told() == ["reload-or-restart named"]


def test_nginx_is_asked_about_the_whole(head: Head) -> None:
    """Its own nginx.conf, with ours among its conf.d and what else is there."""
    if shutil.which("nginx", path=run.PATH) is None:
        pytest.skip("nginx is missing: apt-get install nginx")
    own = head.root / "etc/nginx"
    (own / "conf.d").mkdir(parents=True)
    (own / "mime.types").write_text("types { text/html html; }\n")
    (own / "nginx.conf").write_text(
        f"pid {head.bin}/pid;\nerror_log stderr;\nevents {{ }}\n"
        f"http {{\n    include mime.types;\n    include /etc/nginx/conf.d/*.conf;\n    access_log off;\n"
        + "".join(f"    {kind}_temp_path {head.bin}/{kind};\n" for kind in TEMPORARY)
        + "}\n"
    )
    (own / "conf.d/other.conf").write_text("server { listen 127.0.0.1:18091; }\n")
    ours = head.checkout / "build/etc/nginx/conf.d/bootmill.conf"
    ours.parent.mkdir(parents=True)
    outputs = [*head.outputs(), ours.relative_to(head.checkout)]
    ours.write_text(HEADER + "server { listen 127.0.0.1:18092; root /; }\n}\n")
    with pytest.raises(BootmillError, match="nginx failed"):
        head.deploy("nginx", outputs=outputs)
    ours.write_text(HEADER + "server { listen 127.0.0.1:18092; root /; }\n")
    head.runs("nginx")
    head.deploy("nginx", outputs=outputs)
    assert head.told() == ["reload-or-restart nginx"]
    (own / "conf.d/other.conf").write_text("nonsense;\n")
    ours.write_text(HEADER + "server { listen 127.0.0.1:18093; root /; }\n")
    with pytest.raises(BootmillError, match="nonsense"):
        head.deploy("nginx", outputs=outputs)


TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def test_a_checkout_with_a_blank_in_its_path(head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shadows lie below it."""
    blank = head.checkout.with_name("a checkout")
    head.checkout.rename(blank)
    monkeypatch.chdir(blank)
    head.deploy()
    assert head.told() == ALL_TOLD


# -- who is told -------------------------------------------------------------------------------------------------------


def test_start_scripts(head: Head) -> None:
    """Without systemd service(8) is called; a failing one puts the files back."""
    script(
        head.bin / "service",
        f'#!/bin/sh\ntest -e {head.bin}/running/$1 || exit 3\ntest $2 = status || echo "$1 $2" >>{head.bin}/log\n'
        f"test $2 = status || test ! -e {head.bin}/failing/$1\n",
    )
    site = replace(SITE, destdir="build")
    words = ["--root", str(head.root), "named", "dhcpd", "nfs"]
    deploy(site, head.outputs(), words, control=StartScripts(settle=0))
    assert head.told() == ["named reload", "isc-dhcp-server restart", "exportfs -ra"]
    before = head.tree()
    head.render(dhcpd_conf=DHCPD + "# more\n")
    head.fails("isc-dhcp-server", 1)
    with pytest.raises(BootmillError, match="service failed"):
        deploy(site, head.outputs(), words, control=StartScripts(settle=0))
    assert head.tree() == before


def test_another_root_tells_nobody_here(head: Head, said: Callable[[], Any]) -> None:
    """The daemons of this machine have nothing to do with --root."""
    deploy(SITE, head.outputs(), ["--root", str(head.root), "--json"])
    assert head.told() == []
    assert {one["result"] for one in said()["services"]} == {"none"}


def test_what_tells_daemons_is_found() -> None:
    """Those of this machine only for /, by systemd where it runs."""
    assert isinstance(control.found(Path("/srv")), control.Nobody)
    expected = control.Systemd if control.SYSTEMD.is_dir() else control.StartScripts
    assert isinstance(control.found(Path("/")), expected)


# -- many generations --------------------------------------------------------------------------------------------------


def test_old_generations_go(head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest stay, and the first, which holds what others wrote."""
    monkeypatch.setattr(ledger, "KEPT", 3)
    (head.root / "etc/exports").write_text("/home *(rw)\n")
    head.deploy("--take-over")
    for number in range(6):
        head.render(dhcpd_conf=f"{DHCPD}# {number}\n")
        head.deploy("dhcpd")
    assert ledger.numbers(head.root) == [1, 5, 6, 7]


@pytest.mark.parametrize(("site", "server"), [("isc", "dhcpd"), ("kea", "kea"), ("dnsmasq", "dnsmasq")])
def test_the_inventory_names_the_dhcp_server(site: str, server: str) -> None:
    """What site.yaml says wins over what was deployed before and over what runs."""
    all_of_them = {"dhcpd", "kea", "dnsmasq"}
    others = sorted(all_of_them - {server})
    found = services.serving(all_of_them, asked=services.asked(site), before=others[:1], running=others[1:])
    assert found == server
    assert services.asked(None) == set()


# -- serials -----------------------------------------------------------------------------------------------------------

A, B = "a" * 16, "b" * 16


def zone(serial: int, digest: str = "", more: str = "") -> str:
    """Return the forward zone as it is rendered, with its serial on a line of its own."""
    content = f", content {digest}" if digest else ""
    return FORWARD.replace(" 1 3600", f"\n    {serial} ; serial{content}\n    3600") + more


@pytest.mark.parametrize(
    ("deployed", "rendered", "good"),
    [
        ((7, A), (8, B), True),
        ((7, A), (7, A), True),
        ((4294967295, A), (1, B), True),
        ((7, A), (6, B), False),
        ((7, A), (6, A), False),
        ((7, A), (7, B), False),
        ((7, ""), (7, B), False),
        ((1, A), (4294967295, B), False),
        ((1, A), (1 + (1 << 31), B), False),  # opposite on the circle
    ],
)
def test_a_serial_never_goes_back(head: Head, deployed: tuple[int, str], rendered: tuple[int, str], good: bool) -> None:
    """What no secondary server would take is not deployed (RFC 1982), and the way out is told."""
    head.render(db_renci_ben=zone(*deployed))
    head.deploy("named")
    head.told()
    before = head.tree()
    head.render(db_renci_ben=zone(*rendered, more=f"; {rendered}\n"))
    if good:
        head.deploy("named")
        assert f"    {rendered[0]} ; serial" in head.text("etc/bind/zones/db.renci.ben")
        return
    with pytest.raises(BootmillError) as caught:
        head.deploy("named", "--take-over")
    assert f"db.renci.ben has serial {deployed[0]}, and what is rendered has {rendered[0]}" in caught.value.message
    assert "inventory/serials.yaml" in caught.value.hint
    assert f"serial_floor: {deployed[0] + 1} in" in caught.value.hint
    assert head.tree() == before
    assert head.told() == []


def test_an_undo_tells_that_a_serial_goes_back(head: Head, said: Callable[[], Any]) -> None:
    """It is what was asked for."""
    head.render(db_renci_ben=zone(7, A))
    head.deploy("named", "--json")
    said()
    head.render(db_renci_ben=zone(8, B))
    head.deploy("named", "--json")
    said()
    head.deploy("--undo", "--json")
    assert any("serial 8 goes back to 7" in note for note in said()["notes"])


# -- hands -------------------------------------------------------------------------------------------------------------


def test_a_file_of_ours_that_was_edited_by_hand(head: Head, said: Callable[[], Any]) -> None:
    """It is replaced, which is told, and what it said is kept for ever."""
    head.deploy("--json")
    assert not any("by hand" in note for note in said()["notes"])
    (head.root / "etc/exports").write_text(RENDERED["etc/exports"] + "/precious *(ro)\n")
    head.deploy("--json")
    document = said()
    assert [note for note in document["notes"] if "by hand" in note] == [
        "/etc/exports was changed by hand since it was deployed: what it said is saved and kept"
    ]
    assert head.text("etc/exports") == RENDERED["etc/exports"]
    manifest = json.loads((head.root / "var/backups/bootmill/2/manifest.json").read_text())
    assert manifest["/etc/exports"]["foreign"] is True
    assert "/precious" in head.text("var/backups/bootmill/2/files/etc/exports")
    head.render(exports=RENDERED["etc/exports"] + "# more\n")
    head.deploy("--json")
    assert not any("by hand" in note for note in said()["notes"])


BLOCK = '// BEGIN Bootmill: x\ninclude "/etc/bind/named.conf.bootmill";\n// END Bootmill\n'
PERSONS = 'zone "person.example" {\n    type primary;\n    file "/etc/bind/db.person";\n};\n'


@pytest.mark.parametrize(
    "local",
    [
        f"// BEGIN Bootmill: x\n{PERSONS}{BLOCK}",
        f"{BLOCK}{PERSONS}// END Bootmill\n",
        f"// END Bootmill\n{PERSONS}{BLOCK}",
        f"{BLOCK}{PERSONS}{BLOCK}",
        f"// BEGIN Bootmill: x\n{PERSONS}",
    ],
)
def test_marks_of_named_without_partners(head: Head, local: str) -> None:
    """A person's zones between two marks that are none's are not swallowed."""
    (head.root / "etc/bind/named.conf.local").write_text(local)
    assert "without its partner" in refused(head)


@pytest.mark.parametrize("local", [BLOCK.rstrip("\n"), BLOCK.replace("\n", "\r\n"), f"{PERSONS}  {BLOCK}"])
def test_marks_that_somebody_moved(head: Head, local: str) -> None:
    """Without the last line end, with those of another system, or indented: still one block."""
    (head.root / "etc/bind/named.conf.local").write_bytes(local.encode())
    (head.root / "etc/bind/db.person").write_text(
        ZONE.format(name="person.example", serial=1, lines="mgt IN A 10.1.0.1\n")
    )
    head.deploy("named")
    assert head.text("etc/bind/named.conf.local").count("include") == 1


# -- further back ------------------------------------------------------------------------------------------------------


def test_undo_goes_further_back(head: Head) -> None:
    """Each undo brings back what was before the last one; then nothing is left, until something is deployed again."""
    trees = [head.tree()]
    for number in range(3):
        head.render(dhcpd_conf=f"{DHCPD}# {number}\n")
        head.deploy()
        trees.append(head.tree())
    for tree in (trees[2], trees[1], trees[0]):
        head.deploy("--undo")
        assert head.tree() == tree
    with pytest.raises(BootmillError, match="nothing was deployed"):
        head.deploy("--undo")
    head.deploy()
    assert head.tree() == trees[3]
    head.deploy("--undo")
    assert head.tree() == trees[0]


def test_half_an_undo_is_no_step(head: Head) -> None:
    """What was undone for one service only can be undone for the others."""
    head.deploy()
    first = head.tree()
    head.render(dhcpd_conf=f"{DHCPD}# 1\n", exports=RENDERED["etc/exports"] + "# 1\n")
    head.deploy()
    second = head.tree()
    head.deploy("--undo", "nfs")
    assert head.tree()["exports"] == first["exports"]
    head.deploy("--undo")
    assert head.tree() == second


# -- checkers ----------------------------------------------------------------------------------------------------------


def test_keas_check_on_another_machine(head: Head) -> None:
    """It is not asked about the head node's interfaces, nor does it lock a log; on the head node it is asked."""
    seen = head.bin / "seen"
    script(head.bin / "kea-dhcp6", f'#!/bin/sh\necho "$KEA_LOCKFILE_DIR" >{seen}\ncat "$2" >>{seen}\n')
    conf = head.checkout / "build/etc/kea/kea-dhcp6.conf"
    conf.parent.mkdir()
    text = '// Made by Bootmill from inventory/: edits are lost.\n{"interface": "enp9s0"}\n'
    conf.write_text(text)
    outputs = [Path("build/etc/kea/kea-dhcp6.conf")]
    head.deploy(outputs=outputs)
    assert seen.read_text() == f"none\n{text}"
    (head.root / "etc/kea/kea-dhcp6.conf").unlink()
    deploy(replace(SITE, destdir="build"), outputs, ["--root", str(head.root)])
    assert seen.read_text() == f"none\n{text.replace('enp9s0', 'lo')}"
    assert head.text("etc/kea/kea-dhcp6.conf") == text


def test_a_neighbour_that_this_user_may_not_read(head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    """rndc.key: an ordinary user's dry run does without it."""
    real = Path.read_bytes

    def closed(path: Path) -> bytes:
        if path.name == "rndc.key":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", closed)
    head.deploy("--dry-run", "named")
