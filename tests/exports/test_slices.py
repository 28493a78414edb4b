"""What makes which export anew: no more than it tells."""

from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest

from tasks.exports import ansible, clustershell, consoles, genders, prometheus, ssh
from tasks.family import Aggregate, Family
from tasks.inventory.model import BootState, Cluster, Group, SecretKind, SecretRef
from tests.exports.rendered import BMC, NETWORK, PLAIN, SWITCH, cluster, node

FORMS: dict[str, Family[Any] | Aggregate[Any]] = {
    form.name: form
    for form in (
        ansible.FAMILY,
        ansible.AGGREGATE,
        clustershell.AGGREGATE,
        consoles.FAMILY,
        genders.AGGREGATE,
        prometheus.FAMILY,
        ssh.FAMILY,
    )
}
OTHER = SecretRef(kind=SecretKind.FILE, where="keys/bmc")
BEFORE = cluster([PLAIN, node("n02", ip=IPv4Address("10.1.0.11"))], groups=[Group(name="compute")])
COMMON = {"clustershell", "genders"}


def edited(**values: Any) -> Cluster:
    """Return the cluster with n01 changed."""
    return cluster([replace(PLAIN, **values), BEFORE.nodes[1]], groups=BEFORE.groups)


def told(form: Family[Any] | Aggregate[Any], cluster: Cluster) -> str:
    """Return all that an export is made from."""
    frame = form.frame(cluster)
    return repr((frame, [form.rows(frame, shard.nodes()) for shard in cluster.shards]))


@pytest.mark.parametrize(
    ("after", "anew"),
    [
        (edited(mac="00:18:8b:f8:e3:aa"), set()),
        (edited(state=BootState.LOCAL, memory=2048, kernel_args=("quiet",), nic="tg3"), set()),
        (edited(ip=IPv4Address("10.1.0.12")), {"ansible", "ssh", "prometheus"}),
        (edited(aliases=("login",)), {"ssh"}),
        (edited(bmc=replace(BMC, password=OTHER)), {"consoles"}),
        (edited(bmc=replace(BMC, address=IPv4Address("10.1.0.9"))), {"ansible", "consoles", "prometheus"}),
        (edited(groups=("all",)), {"ansible-groups", "prometheus", *COMMON}),
        (edited(vars=(("rack", "r1"),)), {"ansible", "prometheus", *COMMON}),
        (edited(console=None), {"consoles"}),
        (replace(BEFORE, networks=(replace(NETWORK, mtu=9000, gateway=IPv4Address("10.1.0.1")),)), set()),
        (replace(BEFORE, networks=(replace(NETWORK, domain="far.test"),)), {"ssh"}),
        (replace(BEFORE, switches=(replace(SWITCH, community=OTHER, ports=24),)), set()),
        (replace(BEFORE, switches=(replace(SWITCH, model="X"),)), {"prometheus"}),
        (replace(BEFORE, site=replace(BEFORE.site, forwarders=(IPv4Address(1),), domain="other.test")), {"ssh"}),
        (replace(BEFORE, groups=(Group(name="compute", vars=(("x", "y"),)),)), {"ansible-groups"}),
        (replace(BEFORE, groups=(Group(name="compute", where=(("model", "x"),)),)), set()),
    ],
)
def test_an_edit_makes_what_tells_of_it(after: Cluster, anew: set[str]) -> None:
    """And leaves the rest: a boot state, a MAC, a password's place are nobody else's business."""
    assert {name for name, form in FORMS.items() if told(form, after) != told(form, BEFORE)} == anew
