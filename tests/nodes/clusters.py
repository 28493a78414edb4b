"""A small cluster for the tests of this step, read from YAML as a user's is."""

from pathlib import Path

from tasks.inventory import load
from tasks.inventory.model import Cluster

FILES = {
    "site": "{domain: cluster.test, master: mgt}\n",
    "networks": "loop: {subnet: 127.0.0.0/8}\n",
    "media": "debian12-x86_64: {suite: bookworm}\ndebian12-aarch64: {suite: bookworm}\n",
    "osimages": """
debian12-x86_64-netboot-compute: {media: debian12-x86_64, packages: [busybox], drivers: [tg3]}
debian12-x86_64-install-compute: {media: debian12-x86_64, packages: [busybox], drivers: [tg3]}
debian12-aarch64-install-compute: {media: debian12-aarch64, packages: [busybox], drivers: [tg3]}
""",
    "groups": """
compute:
  ip: "127.1.0.{{ n[0] }}"
  mac: "52:54:00:00:00:{{ '%02x' % n[0] }}"
  osimage: debian12-x86_64-netboot-compute
  state: netboot
  bmc: {address: "127.0.62.{{ n[0] }}", user: root, password: !secret env:TEST_BMC_PASSWORD}
""",
    "nodes": """
mgt: {ip: 127.1.0.254, mac: 52:54:00:00:01:00}
n[01-04,10]: {groups: [compute]}
n03: {model: PE 860}
n04: {firmware: uefi}
kvm1: {ip: 127.1.0.100, mac: 52:54:00:00:02:00, osimage: debian12-x86_64-install-compute}
arm: {ip: 127.1.0.102, mac: 52:54:00:00:02:01, osimage: debian12-aarch64-install-compute}
bare: {ip: 127.1.0.101, bmc: {address: 127.0.62.101}}
""",
}


def cluster(folder: Path, bootstate: str = "") -> Cluster:
    """Write the inventory below a folder and return what it says."""
    for name, text in {**FILES, "bootstate": bootstate}.items():
        (folder / f"{name}.yaml").write_text(text)
    return load(folder)
