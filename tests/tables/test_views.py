"""tabdump and nodels: what xCAT prints, from the inventory."""

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.errors import BootmillError
from tasks.inventory.model import Cluster
from tasks.tables import exported, nodelisting, tabledump
from tasks.tables.columns import TABLES
from tests import checkouts


def test_nodelist(cluster: Cluster) -> None:
    """A table is xCAT's CSV: # before the columns, every value quoted, nothing for an empty one."""
    lines = tabledump.answer(cluster, ["nodelist"]).splitlines()
    assert lines[0] == (
        "#node,groups,status,statustime,appstatus,appstatustime,primarysn,hidden,updatestatus,updatestatustime,"
        "zonename,comments,disable"
    )
    assert '"n01","compute,pe860,all",,,,,,,,,,,' in lines


@pytest.mark.parametrize("table", [table.name for table in TABLES])
def test_every_table(cluster: Cluster, table: str) -> None:
    """Every table can be printed and described, ends with comments and disable, and a CSV reader takes it."""
    rows = list(csv.reader(tabledump.answer(cluster, [table]).splitlines()))
    assert rows[0][-2:] == ["comments", "disable"]
    assert {len(row) for row in rows} == {len(rows[0])}
    described = tabledump.answer(cluster, ["-d", table]).splitlines()[::2]
    assert [line.partition(":")[0] for line in described] == [rows[0][0].removeprefix("#"), *rows[0][1:]]


def test_no_secret(cluster: Cluster) -> None:
    """Where a password would stand there is the reference to it."""
    assert '"n01","n01-ipmi",,,,"root","!secret env:BOOTMILL_BMC_PASSWORD",,' in tabledump.answer(cluster, ["ipmi"])


@pytest.mark.parametrize("words", [["-d"], ["describe"], ["--describe"], ["--", "-d"]])
def test_describe(cluster: Cluster, words: list[str]) -> None:
    """-d describes the tables, an empty line between two; where a shell or doit eats -d, the word does."""
    assert re.search(r"^switch:\t\t[A-Z].*\n\nswitches:\t[A-Z]", tabledump.answer(cluster, words), re.MULTILINE)
    assert tabledump.answer(cluster, [*words, "mac"]) == tabledump.answer(cluster, ["mac", *words])


def test_tables(cluster: Cluster) -> None:
    """Without a table, all are listed."""
    assert tabledump.answer(cluster, []).split() == [table.name for table in TABLES]
    assert json.loads(tabledump.answer(cluster, ["--json"])) == [table.name for table in TABLES]


def test_json(cluster: Cluster) -> None:
    """Programs get the same as JSON."""
    rows = json.loads(tabledump.answer(cluster, ["mac", "--json"]))
    assert {"node": "n01", "interface": None, "mac": "00:18:8b:f8:e3:58", "comments": None, "disable": None} in rows
    assert json.loads(nodelisting.answer(cluster, ["n01", "mgt", "--json"])) == {"n01": {"mgt": "ipmi"}}
    assert json.loads(nodelisting.answer(cluster, ["pe860", "--json"])) == ["n01", "n02", "n03", "n04"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["pe860"], "n01\nn02\nn03\nn04\n"),
        (["n01-n02", "nodehm.mgt"], "n01: ipmi\nn02: ipmi\n"),
        (["n01", "nodehm.mgt", "mac.mac"], "n01: nodehm.mgt: ipmi\nn01: mac.mac: 00:18:8b:f8:e3:58\n"),
        (["n01", "groups"], "n01: compute,pe860,all\n"),
        (["n01", "mgt", "-H"], "n01: mgt: ipmi\n"),
        (["kvm1", "mgt"], "kvm1: kvm\n"),
        (
            ["n01", "mac"],
            "n01: mac.interface: \nn01: mac.mac: 00:18:8b:f8:e3:58\nn01: mac.comments: \nn01: mac.disable: \n",
        ),
        (["nodehm.mgt!~ipmi"], "kvm1\nmgt\nxen1\n"),
        (["pe860", "mac.mac=~5[be]$", "mgt==ipmi"], "n02\nn03\n"),
        (["groups=~pe860", "mgt", "mac.mac!=x"], "n01: ipmi\nn02: ipmi\nn03: ipmi\nn04: ipmi\n"),
        (["all", "mgt==none"], ""),
    ],
)
def test_nodels(cluster: Cluster, words: list[str], expected: str) -> None:
    """Names alone, one column without its name, several with theirs, a table with all of its columns."""
    assert nodelisting.answer(cluster, words) == expected


@pytest.mark.parametrize(
    ("words", "nodes"),
    [
        (["-w", "groups==compute,pe860,all", "nodelist"], "n01 n02 n03 n04"),
        (["nodelist", "-w", "groups=~compute%"], "n01 n02 n03 n04 n05 n06"),
        (["-w", "groups=~COMPUTE%", "-w", "node!=n02", "-w", "node<n04", "nodelist"], "n01 n03"),
        (["-w", "groups!~%compute%", "nodelist"], "kvm1 mgt xen1"),
        (["-w", "groups=~/%guest_all/", "nodelist"], "kvm1 xen1"),
        (["-w", "node>n05", "nodelist"], "n06 xen1"),
        (["-w", "node>=n05", "-w", "node<=n06", "nodelist"], "n05 n06"),
        (["-w", "status!=booted", "nodelist"], ""),
        (["-w", "mac=~00:18:8b:f8:e3:5[be]", "mac"], ""),
    ],
)
def test_where(cluster: Cluster, words: list[str], nodes: str) -> None:
    """-w compares as xCAT's database does (tabdump/cases0:42-144): LIKE, and an empty cell is never the one."""
    rows = list(csv.reader(tabledump.answer(cluster, words).splitlines()))
    assert rows[0][0] == "#node"
    assert [row[0] for row in rows[1:]] == nodes.split()


@pytest.mark.parametrize(
    ("view", "words", "sentence"),
    [
        (tabledump.answer, ["nodelst"], "there is no table 'nodelst' (did you mean nodelist"),
        (tabledump.answer, ["mac", "vm"], "'vm' is one word too many"),
        (tabledump.answer, ["--jsn"], "unknown option '--jsn'"),
        (
            tabledump.answer,
            ["-w", "grups==x", "nodelist"],
            "no column 'grups' in the table nodelist (did you mean groups",
        ),
        (tabledump.answer, ["-w", "groups==x"], "-w compares columns of a table"),
        (tabledump.answer, ["-w", "nodelist"], "-w compares columns of a table"),
        (nodelisting.answer, ["n01", "mgmt==x"], "unknown attribute 'mgmt'"),
        (nodelisting.answer, ["n99"], "unknown node or group 'n99'"),
        (nodelisting.answer, ["n01", "nodehm.mgmt", "x.y"], "'nodehm.mgmt' (did you mean nodehm.mgt"),
        (nodelisting.answer, ["n01", "site"], "there is no column 'site'"),
        (nodelisting.answer, ["all,-all"], "names no node"),
    ],
)
def test_mistakes(cluster: Cluster, view: Callable[[Cluster, list[str]], str], words: list[str], sentence: str) -> None:
    """An unknown word is told with the nearest known one."""
    with pytest.raises(BootmillError) as caught:
        view(cluster, words)
    assert sentence in caught.value.message
    assert caught.value.hint.startswith("usage: doit ")


def test_export_never_writes_over_anything(cluster: Cluster, tmp_path: Path) -> None:
    """A folder that holds something is left alone."""
    (tmp_path / "x").write_text("mine")
    with pytest.raises(BootmillError, match="never writes over anything"):
        exported.export_xcat(cluster, [str(tmp_path)])
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.integration
def test_as_a_user(tmp_path: Path) -> None:
    """The four commands do their work when doit is asked for them, options before and behind the words."""
    checkout = checkouts.copy(tmp_path / "bootmill")
    assert "#node,bmc," in checkout.doit("tabdump", "ipmi").text
    assert checkout.doit("tabdump", "-d", "ipmi").text.startswith("node:\t\t")
    assert checkout.doit("tabdump", "-w", "node==n01", "-w", "mac=~00%", "mac").text.splitlines()[1:] == [
        '"n01",,"00:18:8b:f8:e3:58",,'
    ]
    assert checkout.doit("nodels", "all", "mac.mac==00:18:8b:f8:e3:5e", "mgt").text == "n03: ipmi\n"
    assert checkout.doit("nodels", "mgt!=ipmi", "-H", "groups").code == 0
    assert checkout.doit("nodels", "pe860").text == "n01\nn02\nn03\nn04\n"
    assert checkout.doit("export-xcat", "out").code == 0
    done = checkout.doit("import-xcat", "out", "again")
    assert (done.code, "everything is carried over" in done.text) == (0, True), done.text
    failed = checkout.doit("import-xcat", "out", "again")
    assert (failed.code, "Traceback" in failed.text) == (1, False), failed.text
    shutil.rmtree(checkout.root)
