"""What the head node exports."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network

import pytest

from tasks import inventory
from tasks.configs.nfs import FAMILY
from tasks.errors import BootmillError
from tasks.inventory.model import Cluster, Export
from tests.configs.whole import SAMPLE, plain, render


@pytest.fixture
def cluster(cluster: Cluster) -> Cluster:
    """Return the sample, made plain."""
    return plain(cluster)


def exported(cluster: Cluster, *exports: tuple[str, tuple[str, ...], tuple[str, ...]]) -> list[str]:
    """Return the lines for exports: path, networks, options."""
    rows = tuple(Export(path=path, networks=networks, options=options) for path, networks, options in exports)
    (text,) = render(FAMILY, replace(cluster, site=replace(cluster.site, exports=rows))).values()
    return text.splitlines()[1:]


@pytest.fixture
def two(cluster: Cluster) -> Cluster:
    """Return the sample with two networks."""
    ib = replace(cluster.networks[0], name="ib", subnet=IPv4Network("10.2.0.0/16"), subnet6=IPv6Network("fd00:2::/64"))
    return replace(cluster, networks=(*cluster.networks, ib))


def test_the_sample_exports_nothing(golden: Callable[[str, str], None]) -> None:
    """Nothing is given away that nobody asked for; the file says where it belongs."""
    ((path, text),) = render(FAMILY, inventory.load(SAMPLE)).items()
    assert str(path) == "build/etc/exports.d/bootmill.exports"
    golden("bootmill.exports", text)


def test_exports_are_for_subnets(two: Cluster) -> None:
    """For those of the networks that an export names, of both families; for all where it names none."""
    rows = ("/install", (), ("ro", "no_subtree_check")), ("/home", ("ib",), ("rw", "sec=krb5p:sys", "anonuid=-2"))
    assert exported(two, *rows) == [
        "/install 10.1.0.0/24(ro,no_subtree_check) 10.2.0.0/16(ro,no_subtree_check) fd00:2::/64(ro,no_subtree_check)",
        "/home 10.2.0.0/16(rw,sec=krb5p:sys,anonuid=-2) fd00:2::/64(rw,sec=krb5p:sys,anonuid=-2)",
    ]


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("/srv/a b", r"/srv/a\040b"),
        ('/srv/"a"', r"/srv/\042a\042"),
        ("/srv/#a", r"/srv/\043a"),
        ("/srv/a\\b", r"/srv/a\134b"),
        ("/a\n/ *(rw,no_root_squash)", r"/a\012/\040\052\050rw,no_root_squash\051"),
        ("/srv/ä", r"/srv/\303\244"),
    ],
)
def test_nothing_in_a_path_has_a_meaning(two: Cluster, path: str, written: str) -> None:
    """Blanks, quotes and line ends are octal, as exports(5) has them: an export is one line, for whom it says."""
    assert exported(two, (path, ("mgmt",), ("ro",))) == [f"{written} 10.1.0.0/24(ro)"]


@pytest.mark.parametrize(
    ("export", "sentence"),
    [
        (("srv", (), ("ro",)), "not absolute"),
        (("+/srv", (), ("ro",)), "not absolute"),
        (("/srv/../etc", (), ("ro",)), "leads back"),
        (("/srv\0", (), ("ro",)), "not absolute"),
        (("/srv", ("mgnt",), ("ro",)), "no network 'mgnt'"),
        (("/srv", (), ("rw ",)), "'rw ' is no option"),
        (("/srv", (), ("ro)", "x")), r"'ro\)' is no option"),
        (("/srv", (), ("root_sqash",)), "'root_sqash' is no option"),
        (("/srv", (), ("anonuid=x",)), "'anonuid=x' is no option"),
        (("/srv", (), ("fsid=0) *(rw",)), "is no option"),
        (("/srv", (), ("sec=none:",)), "is no option"),
        (("/srv", (), ("ro=1",)), "is no option"),
    ],
)
def test_what_is_no_export_is_told(
    two: Cluster, export: tuple[str, tuple[str, ...], tuple[str, ...]], sentence: str
) -> None:
    """Nobody else checks the file: an option that mountd does not know would take the export away in silence."""
    with pytest.raises(BootmillError, match=rf"site\.exports: .*{sentence}") as caught:
        exported(two, export)
    assert "inventory/site.yaml" in caught.value.hint


def test_a_folder_is_exported_to_a_network_once(two: Cluster) -> None:
    """Read-only or writable would be a matter of order; to different networks is fine."""
    assert len(exported(two, ("/srv", ("mgmt",), ("ro",)), ("/srv", ("ib",), ("rw",)))) == 2
    with pytest.raises(BootmillError, match=r"/srv: it is exported to 10\.1\.0\.0/24 twice"):
        exported(two, ("/srv", ("mgmt",), ("ro",)), ("/srv", (), ("rw",)))
