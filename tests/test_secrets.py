"""Secrets given by reference: whatever is built, printed, asked or refused, they are in no file and in no line."""

import base64
import gzip
import json
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests import checkouts
from tests.checkouts import Checkout
from tests.nodes.simulated import Rack, rack, server

pytestmark = pytest.mark.integration
PORT = 6237
FOLDER = "inventory/secrets"
WRONG_INVENTORY = 3

# Every place that takes a secret, by a variable of the environment or by a file.
INVENTORY = {
    "site": """
domain: cluster.test
master: mgt
passwords:
  ipmi: {user: root, password: !secret env:BMC_PASSWORD}
  system: {password: !secret file:secrets/system}
""",
    "networks": "mgmt: {subnet: 10.1.0.0/24, dynamic_range: 10.1.0.200-10.1.0.230}\n",
    "switches": """
edge: {ip: 10.1.0.251, community: !secret env:SNMP_COMMUNITY}
core:
  ip: 10.1.0.252
  snmp: 3
  user: us
  auth: sha
  auth_password: !secret env:SNMP_AUTH
  privacy: aes
  privacy_password: !secret file:secrets/privacy
""",
    "groups": """
compute:
  ip: "10.1.0.{{ 10 + n[0] }}"
  mac: "52:54:00:00:00:{{ '%02x' % n[0] }}"
  console: {speed: 115200}
  bmc: {address: "10.1.0.{{ 110 + n[0] }}", password: !secret env:BMC_PASSWORD}
""",
    "nodes": """
mgt: {ip: 10.1.0.1, mac: 52:54:00:00:01:00}
n[1-3]: {groups: compute}
n3: {bmc: {password: !secret file:secrets/n3}}
""",
    "media": "debian12-x86_64: {suite: bookworm}\n",
    "osimages": "debian12-x86_64-netboot-compute: {media: debian12-x86_64, packages: [busybox], drivers: [tg3]}\n",
}
VARIABLES = ("BMC_PASSWORD", "SNMP_COMMUNITY", "SNMP_AUTH")
FILES = ("n3", "system", "privacy")

# What a user may type to see all that there is; the power commands go to simulated BMCs, see below.
COMMANDS = (
    ("check",),
    ("list", "--all"),
    ("hosts", "zone", "dhcpd", "kea", "dnsmasq", "chrony", "resolv", "nfs", "httpd", "exports"),
    ("run", "--verbosity", "2", "--always", "--reporter", "json", "hosts", "exports:consoles"),
    ("info", "exports:consoles"),
    ("nodels", "all", "ipmi.password", "switch.switch"),
    ("nodels", "all", "--json"),
    *(("tabdump", table) for table in ("ipmi", "passwd", "switches", "site")),
    ("tabdump", "ipmi", "--json"),
    ("export-xcat", "exported"),
)


@dataclass(frozen=True, kw_only=True)
class Estate:
    """A checkout whose inventory refers to secrets, the secrets themselves, and all that was printed there."""

    checkout: Checkout
    env: Mapping[str, str]
    files: Mapping[str, str]
    printed: list[str]

    @property
    def secrets(self) -> dict[str, str]:
        """Return all secrets by where they are."""
        return {**self.env, **self.files}

    def doit(self, *words: str) -> int:
        """Run doit with the secrets in the environment; keep what it printed."""
        done = self.checkout.doit(*words, env=self.env)
        self.printed.append(done.text)
        assert "Traceback" not in done.text
        return done.code

    def python(self, code: str) -> None:
        """Run Python with the secrets in the environment; keep what it printed."""
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=self.checkout.root,
            env={"PATH": "/usr/bin:/bin", **self.env},
            capture_output=True,
            text=True,
            check=False,
        )
        self.printed.append(done.stdout + done.stderr)

    def found(self) -> list[str]:
        """Return where a secret lies that should not, or was printed."""
        places = [*self.lying(), *((f"output {number}", text.encode()) for number, text in enumerate(self.printed))]
        return [
            f"{name} in {place}" for place, data in places for name, one in self.secrets.items() if tells(data, one)
        ]

    def lying(self) -> Iterator[tuple[str, bytes]]:
        """Yield every file of the checkout but for the secrets' own, packed ones unpacked, and every file's name."""
        for path in self.checkout.root.rglob("*"):
            name = str(path.relative_to(self.checkout.root))
            yield f"the name {name}", name.encode()
            if path.is_file() and not name.startswith(f"{FOLDER}/"):
                data = path.read_bytes()
                yield name, data
                if data.startswith(b"\x1f\x8b"):
                    yield f"{name}, unpacked", gzip.decompress(data)


def tells(data: bytes, secret: str) -> bool:
    """Return whether data hold a secret: as it is, reversed, in hexadecimal, in base64 wherever it begins there."""
    plain = secret.encode()
    forms = [plain, plain[::-1], plain.hex().encode(), plain.hex().upper().encode()]
    forms += [base64.b64encode(bytes(shift) + plain)[4 * (shift > 0) : -4] for shift in range(3)]
    return any(form in data for form in forms)


@pytest.fixture
def estate(tmp_path: Path) -> Estate:
    """Return a checkout with a new secret in every place that takes one."""
    checkout = checkouts.copy(tmp_path / "bootmill")
    for path in (checkout.root / "inventory").glob("*.yaml"):
        path.unlink()
    for name, text in INVENTORY.items():
        (checkout.root / f"inventory/{name}.yaml").write_text(text)
    files = {name: f"S{secrets.token_hex(7)}" for name in FILES}  # 15 bytes: as long as IPMI 1.5 takes them
    (checkout.root / FOLDER).mkdir()
    for name, secret in files.items():
        path = checkout.root / FOLDER / name
        path.touch(mode=0o600)
        path.write_text(f"{secret}\n")
    env = {name: f"S{secrets.token_hex(7)}" for name in VARIABLES}
    return Estate(checkout=checkout, env=env, files=files, printed=[])


@contextmanager
def bmcs(estate: Estate) -> Iterator[Rack]:
    """Run the nodes' BMCs; that of n2 has another password."""
    passwords = estate.env["BMC_PASSWORD"], "another", estate.files["n3"]
    servers = [
        replace(server(f"127.0.62.{number}", name=f"n{number}-ipmi"), password=password, more_users={})
        for number, password in enumerate(passwords, 1)
    ]
    with rack(servers, port=PORT) as running:
        yield running


SWITCHING = """\
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

from tasks import inventory
from tasks.inventory.model import Whole
from tasks.nodes import bootdev, power

there = inventory.load(Path("inventory"))
nodes = [node for node in there.nodes if node.bmc]
bmcs = [replace(node.bmc, address=IPv4Address(f"127.0.62.{number}")) for number, node in enumerate(nodes, 1)]
shard = Whole(tuple(replace(node, bmc=bmc) for node, bmc in zip(nodes, bmcs)))
cluster = replace(there, shards=(shard,))
"""


def switching(call: str) -> str:
    """Return the program of a power command whose BMCs are simulated: on the loopback, at a port that needs no root."""
    return f"{SWITCHING}{call}, port={PORT})\n"


def test_a_secret_is_nowhere(estate: Estate) -> None:
    """Not in build/, the doit database, what is kept between runs, tables, JSON, logs, errors; and it was used."""
    for words in COMMANDS:
        assert estate.doit(*words) == 0, (words, estate.printed[-1])
    estate.doit("doctor")  # fails where this machine lacks something
    with bmcs(estate) as running:
        estate.python(switching("power.rpower(cluster, ['n1,n3', 'on', '--json']"))
        assert json.loads(estate.printed[-1]) == [{"node": f"n{n}", "ok": True, "text": "on"} for n in (1, 3)]
        estate.python(switching("bootdev.rsetboot(cluster, ['n3', 'net']"))
        assert running.seen("n3-ipmi").boot_device == "net (once)"
        estate.python(switching("power.rpower(cluster, ['n2', 'off']"))  # its error, with a traceback
        assert "wrong user or password" in estate.printed[-1]
    assert estate.found() == []
    assert any("!secret env:BMC_PASSWORD" in text for text in estate.printed)  # references are told
    consoles = (estate.checkout.root / "build/etc/bootmill/consoles/conserver.cf").read_text()
    assert "env:BMC_PASSWORD" in consoles
    assert "file:secrets/n3" in consoles


@pytest.mark.parametrize("tag", ["", "!secret "])
@pytest.mark.parametrize("place", ["groups.yaml", "switches.yaml"])
def test_a_secret_that_was_written_by_mistake(place: str, tag: str, estate: Estate) -> None:
    """What stands where a reference should be is refused, and neither repeated nor kept."""
    variable = {"groups.yaml": "BMC_PASSWORD", "switches.yaml": "SNMP_COMMUNITY"}[place]
    path = estate.checkout.root / "inventory" / place
    path.write_text(path.read_text().replace(f"!secret env:{variable}", f"{tag}{estate.env[variable]}"))
    for words in (("check",), ("hosts",), ("tabdump", "ipmi"), ("nodels", "all", "--json")):
        assert estate.doit(*words) == WRONG_INVENTORY, estate.printed[-1]
    assert place in estate.printed[-1]
    assert estate.found() == [f"{variable} in inventory/{place}"]


def test_the_search_finds_what_is_there(estate: Estate) -> None:
    """In a file, packed, in hexadecimal, in base64, in a name, in what was printed."""
    secret, build = estate.files["system"], estate.checkout.root / "build"
    build.mkdir()
    (build / "plain").write_text(f"x{secret}x")
    (build / "packed.gz").write_bytes(gzip.compress(secret.encode()))
    (build / "hex").write_text(secret.encode().hex())
    for shift in range(3):
        (build / f"base64-{shift}").write_bytes(base64.b64encode(b"a" * shift + secret.encode() + b"bcd"))
    (build / f"named-{secret}").touch()
    estate.printed.append(f"the password is {secret}")
    places = ["base64-0", "base64-1", "base64-2", "hex", "packed.gz, unpacked", "plain"]
    assert sorted(estate.found()) == sorted(
        [
            *(f"system in build/{name}" for name in places),
            f"system in the name build/named-{secret}",
            "system in output 0",
        ]
    )
