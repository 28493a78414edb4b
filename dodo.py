"""From an inventory to booted nodes, in the order the data travels.  `doit list` prints this table."""

from collections.abc import Iterator

from tasks import configs, deploy, exports, initrd, inventory, lab, media, nodes, paths, rootimg, stage, tables
from tasks.actions import Reporter, TaskDict, command, table

cluster = inventory.later(paths.INVENTORY)
RENDERED = ("tasks.configs.preview", "tasks.exports.preview")
CONFIGS = ("hosts", "zone", "dhcpd", "kea", "dnsmasq", "chrony", "resolv", "nfs", "httpd", "exports")
BENCHES = {"archive": "tasks.rootimg.bench", "initrd": "tasks.initrd.bench", "sweep": "tasks.lab.bench"}

DOIT_CONFIG = {
    "default_tasks": ["stage"],
    "reporter": Reporter,
    "minversion": "0.36.0",
    "backend": "sqlite3",  # the other backends rewrite their file in place: a kill there would lose it
    "dep_file": str(paths.DATABASE),
}


def task_check() -> TaskDict:
    """Validate the inventory and report every mistake."""
    return inventory.validate(paths.INVENTORY)


def task_nodels() -> TaskDict:
    """List nodes and what the tables say of them: nodels NODERANGE TABLE.COLUMN."""
    return tables.nodels(cluster)


def task_tabdump() -> TaskDict:
    """Print the inventory as xCAT's tables: tabdump TABLE (-d describes, no table lists them)."""
    return tables.tabdump(cluster)


def task_import_xcat() -> TaskDict:
    """Turn xCAT's tables into an inventory: import-xcat DIR NEW_DIR."""
    return tables.import_xcat(inventory.load)


def task_export_xcat() -> TaskDict:
    """Turn the inventory into xCAT's tables: export-xcat NEW_DIR."""
    return tables.export_xcat(cluster)


def task_hosts() -> TaskDict:
    """Render /etc/hosts."""
    return configs.family(cluster, "hosts")


def task_zone() -> TaskDict:
    """Render the forward and reverse zones and named's configuration."""
    return configs.family(cluster, "zone")


def task_dhcpd() -> TaskDict:
    """Render ISC dhcpd's configuration, for IPv4 and IPv6."""
    return configs.family(cluster, "dhcpd")


def task_kea() -> TaskDict:
    """Render Kea's configuration, for IPv4 and IPv6."""
    return configs.family(cluster, "kea")


def task_dnsmasq() -> TaskDict:
    """Render dnsmasq's configuration."""
    return configs.family(cluster, "dnsmasq")


def task_chrony() -> TaskDict:
    """Render the time service's configuration, of the head node and of the nodes."""
    return configs.family(cluster, "chrony")


def task_resolv() -> TaskDict:
    """Render the nodes' resolv.conf."""
    return configs.family(cluster, "resolv")


def task_nfs() -> TaskDict:
    """Render /etc/exports: what the head node shares over NFS."""
    return configs.family(cluster, "nfs")


def task_httpd() -> TaskDict:
    """Render the web server's configuration."""
    return configs.web_server(cluster)


def task_exports() -> Iterator[TaskDict]:
    """Render what other tools want: Ansible, ClusterShell, ssh, Prometheus, consoles, genders."""
    yield from exports.export_tasks(cluster)


def task_configs() -> TaskDict:
    """Render every configuration file and every export."""
    return inventory.remember(cluster, after=CONFIGS)


def task_plan() -> TaskDict:
    """Show what a run would write, per file and per node, and why (--full, --check, --json)."""
    return deploy.plan(cluster, rendered=RENDERED, built="tasks.inventory.built")


def task_deploy() -> TaskDict:
    """Put configuration in place on the head node and tell its daemons (--dry-run, --undo, --take-over, --json)."""
    return deploy.deploy(cluster, rendered=RENDERED, after=["configs"])


def task_iso() -> Iterator[TaskDict]:
    """Make an install medium where the site has none."""
    yield from media.iso_tasks(cluster)


def task_media() -> Iterator[TaskDict]:
    """Extract and verify each medium under install/."""
    yield from media.media_tasks(cluster)


def task_sshkey() -> TaskDict:
    """Make the site's ssh key pair if there is none."""
    return rootimg.sshkey(cluster)


def task_rootimg() -> Iterator[TaskDict]:
    """Build the root tree of each osimage from its medium."""
    yield from rootimg.rootimg_tasks(cluster)


def task_pack() -> Iterator[TaskDict]:
    """Pack each root tree into its root image."""
    yield from rootimg.pack_tasks(cluster)


def task_initrd() -> Iterator[TaskDict]:
    """Build each initrd: busybox, its libraries, the drivers, init."""
    yield from initrd.initrd_tasks(cluster)


def task_prove() -> Iterator[TaskDict]:
    """Prove that each osimage will boot."""
    yield from initrd.prove_tasks(cluster)


def task_examine() -> TaskDict:
    """Say whether nodes would boot: examine NODERANGE; or any set: --kernel K --initrd I --append W (--json)."""
    return initrd.examination(cluster)


def task_repair() -> TaskDict:
    """Add to any initrd what it lacks: repair --initrd FILE --sysroot FOLDER (--osimage, --kernel, --dry-run)."""
    return initrd.reparation(cluster)


def task_discovery() -> Iterator[TaskDict]:
    """Build the discovery image of each architecture: what a machine that we do not know boots."""
    yield from initrd.discovery_tasks(cluster)


def task_menus() -> TaskDict:
    """Render each node's boot menus (PXELINUX, GRUB, iPXE)."""
    return configs.boot_menus(cluster)


def task_nbp() -> TaskDict:
    """Publish the network boot programs."""
    return stage.nbp(cluster)


def task_stage() -> TaskDict:
    """Put images and menus where nodes fetch them."""
    return stage.stage(cluster)


def task_nodeset() -> TaskDict:
    """Choose what nodes do at their next boot: nodeset NODERANGE STATE."""
    return nodes.nodeset(cluster)


def task_rsetboot() -> TaskDict:
    """Set the BMC's boot device: rsetboot NODERANGE net (hd, cd, setup, default)."""
    return nodes.rsetboot(cluster)


def task_rpower() -> TaskDict:
    """Switch nodes: rpower NODERANGE on (off, stat, boot, reset, cycle, softoff)."""
    return nodes.rpower(cluster)


def task_rnetboot() -> TaskDict:
    """Boot nodes over the network: nodeset, rsetboot net, rpower boot."""
    return nodes.rnetboot(cluster)


def task_lab() -> TaskDict:
    """Run the inventory's nodes as virtual machines: lab boot NODE (up, down, status, ssh NODE, console NODE)."""
    return lab.lab(cluster)


def task_doctor() -> TaskDict:
    """Say what is missing on this machine and how to get it."""
    return command("tasks.doctor:show")


def task_test() -> TaskDict:
    """Run the test suite."""
    return command("tasks.doctor:run_tests")


def task_bench() -> TaskDict:
    """Measure what costs time on this machine: bench NODES (10000, if nothing else is said), archive, initrd, sweep."""
    return command("tasks.bench:bench", args=(cluster, inventory.load, BENCHES))


table(globals())
