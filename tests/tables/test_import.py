"""import-xcat: the tables of a cluster as people have them, with rules, passwords, and what nobody can carry over."""

import csv
import shutil
import stat
import time
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from tasks import inventory
from tasks.errors import BootmillError
from tasks.inventory.compile import load_cluster
from tasks.inventory.model import BootState, Cluster, SecretRef
from tasks.tables import exported, imported

SEED = Path(__file__).parent / "data/seed"
SECRETS = ("calvin", "only-n03", "public-but-secret", "cluster\n", "unused")


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """Return a copy of the seed's tables that a test may change."""
    return Path(shutil.copytree(SEED, tmp_path / "tables"))


@pytest.fixture
def seed(tmp_path: Path) -> Cluster:
    """Return the cluster of the seed's tables, loaded from the inventory that they have become."""
    imported.import_xcat(inventory.load, [str(SEED), str(tmp_path / "new")])
    return inventory.load(tmp_path / "new")


def lost(folder: Path) -> set[tuple[str, str, str]]:
    """Return table, row and column of what stays behind."""
    return {(item.table, item.row, item.column) for item in imported.converted(folder).lost}


def edit(folder: Path, name: str, old: str, new: str) -> None:
    """Change a table; the old text must be there."""
    path = folder / f"{name}.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_nodes(seed: Cluster) -> None:
    """Rules of group rows come to the values that xCAT would give; a node's own row goes first."""
    n01, n05 = seed.node("n01"), seed.node("n05")
    assert (n01.ip, n01.mac) == (IPv4Address("10.1.0.11"), "00:18:8b:f8:e3:58")
    assert n01.bmc is not None
    assert (n01.bmc.name, n01.bmc.address, n01.bmc.user) == ("n01-ipmi", IPv4Address("10.1.0.111"), "root")
    assert n01.port is not None
    assert (n01.port.switch, n01.port.port) == ("linksys-mgt", "1")
    assert (n01.osimage, n01.state) == ("centos5.5-x86_64-netboot-compute", BootState.NETBOOT)
    assert n01.groups == ("compute", "pe860", "rack1", "managed", "all")
    assert (n05.ip, n05.aliases) == (IPv4Address("10.1.0.50"), ("login",))


def test_what_was_imported_goes_there_and_back(seed: Cluster, tmp_path: Path) -> None:
    """The seed's cluster, once imported, is the same after an export and another import."""
    exported.write(seed, tmp_path / "out")
    result = imported.converted(tmp_path / "out")
    assert result.lost == ()
    imported.write(result, tmp_path / "again")
    again = load_cluster(tmp_path / "again")
    assert again.nodes == seed.nodes
    assert replace(again, shards=()) == replace(seed, shards=())


def test_guests_have_no_bmc(seed: Cluster) -> None:
    """A node that its hypervisor switches gets no BMC from a group's row, and no port from a rule that does not fit."""
    xen1 = seed.node("xen1")
    assert (xen1.bmc, xen1.port, xen1.memory) == (None, None, 2048)


def test_site(seed: Cluster) -> None:
    """The head node is found by its address although xCAT does not have it among its nodes."""
    assert (seed.site.master, seed.site.domain) == ("mgt", "renci.ben")
    assert seed.networks[0].name == "10-1-0-0-255-255-255-0"
    assert seed.networks[0].dynamic_range == (IPv4Address("10.1.0.200"), IPv4Address("10.1.0.230"))


def test_osimage(seed: Cluster) -> None:
    """Package and exclusion lists beside the tables are read, in xCAT's words."""
    (image,) = seed.osimages
    assert image.packages == ("bash", "nfs-utils")
    assert image.exclude == ("/boot*", "+/boot/grub")
    assert image.drivers == ("tg3", "bnx2")


def test_rules_become_expressions(seed: Cluster, tmp_path: Path) -> None:
    """A rule that one expression describes is written once, at its group."""
    assert seed
    text = (tmp_path / "new/groups.yaml").read_text()
    assert 'ip: "10.1.0.{{ n[0] + 10 }}"' in text
    assert 'address: "10.1.0.{{ n[0] + 110 }}"' in text
    assert 'port: "{{ n[0] }}"' in text
    assert "n01: {mac: 00:18:8b:f8:e3:58}\n" in (tmp_path / "new/nodes.yaml").read_text()


def test_the_rule_of_a_bmc_address(tables: Path) -> None:
    """The address of a BMC is the expression that the rule in hosts says, wherever ipmi.bmc got the name from."""
    edit(tables, "hosts", "-ipmi:10.1.0.($1+110)", "-ipmi:10.1.0.($1%4+110)")
    assert 'address: "10.1.0.{{ n[0] % 4 + 110 }}"' in imported.converted(tables).documents["groups"]


def test_passwords(seed: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Passwords are in files of their own that nobody else may read; neither in YAML nor in what is printed."""
    bmc = seed.node("n01").bmc
    assert bmc is not None
    assert isinstance(bmc.password, SecretRef)
    assert (tmp_path / "new" / bmc.password.where).read_text() == "calvin #1: {{ x }}\n"
    for path in (tmp_path / "new/keys").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new/keys").stat().st_mode) == 0o700
    imported.import_xcat(inventory.load, [str(SEED)])
    texts = [path.read_text() for path in (tmp_path / "new").iterdir() if path.is_file()]
    everything = "".join([*texts, capsys.readouterr().out, repr(imported.converted(SEED).lost)])
    assert not [secret for secret in SECRETS if secret in everything]


def test_every_cell_is_accounted_for() -> None:
    """What stays behind is listed with table, row and column: nothing is dropped in silence."""
    found = lost(SEED)
    expected = {
        ("nodelist", "n01", "status"),
        ("nodelist", "noip", "node"),
        ("nodelist", "old1", "*"),
        ("noderes", "n05", "netboot"),
        ("mac", "n02", "mac"),
        ("mac", "n03", "mac"),
        ("chain", "xen1", "currstate"),
        ("osimage", "centos5.5-ppc64-netboot-compute", "*"),
        ("linuximage", "centos5.5-x86_64-netboot-compute", "pkglist"),
        ("hosts", "n05", "comments"),
        ("site", "blademaxp", "value"),
        ("switch", "compute", "port"),
        ("prescripts", "*", "*"),
    }
    assert expected <= found


@pytest.mark.parametrize(
    ("name", "column", "cell"),
    [("nodehm", "termserver", "ts1"), ("ipmi", "bmcid", "b"), ("nics", "nicdevices", "bond0!eth0|eth1")],
)
def test_any_new_cell_is_listed(tables: Path, name: str, column: str, cell: str) -> None:
    """A value in any column that Bootmill lacks is listed, whoever put it there."""
    (tables / f"{name}.csv").write_text(f'#node,{column}\n"n01","{cell}"\n')
    assert (name, "n01", column) in lost(tables)


def test_the_list_is_csv(seed: Cluster, tmp_path: Path) -> None:
    """The list of what stays behind can be sorted and searched."""
    assert seed
    rows = list(csv.reader((tmp_path / "new/not-carried-over.csv").read_text().splitlines()))
    assert rows[0] == ["table", "row", "column", "why"]
    assert ["mac", "n03", "mac", "'not a mac' is no MAC address (write 00:18:8b:f8:e3:58)"] in rows


def test_never_over_anything(tmp_path: Path) -> None:
    """A folder that holds something is left alone; an empty one will do."""
    target = tmp_path / "new"
    target.mkdir()
    imported.import_xcat(inventory.load, [str(SEED), str(target)])
    before = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
    with pytest.raises(BootmillError, match="never writes over anything"):
        imported.import_xcat(inventory.load, [str(SEED), str(target)])
    assert {path: path.read_bytes() for path in target.rglob("*") if path.is_file()} == before


def test_mistakes_of_the_tables_are_told(tables: Path, tmp_path: Path) -> None:
    """Two nodes with one address are told with the place in the new inventory, which is there to be mended."""
    edit(tables, "hosts", '"n05","10.1.0.50"', '"n05","10.1.0.11"')
    with pytest.raises(BootmillError, match=r"nodes\.yaml:\d+:\d+: n05: address 10\.1\.0\.11 belongs to n01"):
        imported.import_xcat(inventory.load, [str(tables), str(tmp_path / "new")])
    assert (tmp_path / "new/nodes.yaml").exists()


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("hosts", None, "hosts.csv: is missing"),
        ("hosts", "node,ip\n", "begins with #node,"),
        ("hosts", '#node,ip\n"a","b","c"\n', "hosts.csv:2: has 3 fields, the header has 2"),
        ("hosts", '#node,ip\n"a,"b\n', "hosts.csv:2: is no CSV"),
        ("hosts", "#node,ip,ip\n", "has the column 'ip' twice"),
        ("hosts", "\xff\xfe", "is not UTF-8 text"),
        ("site", '#key,value\n"domain","x"\n', "site.csv: master is missing"),
    ],
)
def test_broken_tables(tables: Path, name: str, text: str | None, sentence: str) -> None:
    """Files that are no tables are told with their place, and nothing is imported."""
    path = tables / f"{name}.csv"
    if text is None:
        path.unlink()
    else:
        path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BootmillError) as caught:
        imported.converted(tables)
    assert sentence in caught.value.message


def test_all_broken_tables_at_once(tables: Path) -> None:
    """Each broken file is told in the same run."""
    (tables / "hosts.csv").write_text("x\n")
    (tables / "mac.csv").write_text("y\n")
    with pytest.raises(BootmillError) as caught:
        imported.converted(tables)
    assert "hosts.csv:1" in caught.value.message
    assert "mac.csv:1" in caught.value.message


def test_hostile_names_stay_behind(tables: Path) -> None:
    """Names and values that would break out of YAML, of a path, or of a terminal are listed, not written."""
    with (tables / "nodelist.csv").open("a") as file:
        file.write('"../../etc","compute",,,,,,,\n"a: {b","compute",,,,,,,\n"n1-n3","compute",,,,,,,\n')
        file.write('"n09","compute,bad group,../x",,,,,,,\n')
    edit(tables, "mac", "not a mac", "\x1b[31m")
    result = imported.converted(tables)
    assert {"../../etc", "a: {b", "n1-n3"} <= {item.row for item in result.lost if item.column == "*"}
    assert "../" not in result.documents["nodes"] + result.documents["groups"]
    assert "\x1b" not in "".join(imported.summary(result.lost))


def test_lists_outside_stay_outside(tables: Path, tmp_path: Path) -> None:
    """A package list is read beside the tables only."""
    (tmp_path / "secret").write_text("udev\n")
    edit(tables, "linuximage", "/opt/xcat/share/xcat/netboot/centos/compute.pkglist", "../secret")
    result = imported.converted(tables)
    assert "udev" not in result.documents["osimages"]
    assert ("linuximage", "centos5.5-x86_64-netboot-compute", "pkglist") in lost(tables)


def test_a_pattern_that_never_ends(tables: Path) -> None:
    """A pattern with endless ways to fail is given up, told, and not tried for each node again."""
    edit(tables, "hosts", r"|n(\d+)|10.1.0.($1+10)|", r"|(([a-z0-9]+)+)+-|10.1.0.($1+10)|")
    with (tables / "nodelist.csv").open("a") as file:
        file.write("".join(f'"{"n" * 50}{number}","compute",,,,,,,\n' for number in range(5)))
    start = time.monotonic()
    assert ("hosts", "compute", "ip") in lost(tables)
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("master", ["mgt", "mgt.renci.ben", "10.1.0.1"])
def test_master(tables: Path, master: str) -> None:
    """The head node is found by name, by full name and by address."""
    edit(tables, "site", '"master","10.1.0.1"', f'"master","{master}"')
    assert "master: mgt\n" in imported.converted(tables).documents["site"]
