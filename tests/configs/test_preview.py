"""What `doit plan` is told by this step: what is told is what a run writes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tasks import configs, paths
from tasks.configs import preview
from tasks.configs.httpd import render_nginx, render_tftpd
from tasks.configs.menus import write_menus
from tasks.configs.preview import menu_changes
from tasks.errors import BootmillError
from tasks.family import MenuChange
from tasks.inventory.model import Cluster


@pytest.fixture(autouse=True)
def _checkout(scratch: Path) -> None:
    """Stand in a checkout of our own."""


def write(cluster: Cluster) -> None:
    """Render the cluster's menus as the task does."""
    write_menus(*configs.boot_menus(cluster)["actions"][0][1][-1])


def state() -> dict[Path, str]:
    """Return every file of the menus with its text."""
    return {path: path.read_text() for path in paths.MENUS.rglob("*") if path.is_file()}


def told(cluster: Cluster) -> list[MenuChange]:
    """Return what is told, after making sure that it is what the run does."""
    before = state()
    found = menu_changes(cluster)
    assert state() == before
    write(cluster)
    after = state()
    assert {menu.path: (menu.old, menu.new) for menu in found} == {
        path: (before.get(path), after.get(path))
        for path in before.keys() | after.keys()
        if before.get(path) != after.get(path)
    }
    assert menu_changes(cluster) == []
    return found


def test_a_networks_next_server(cluster: Cluster) -> None:
    """All nodes' menus change although no node did, and those that boot an image must boot again."""
    assert not any(menu.boots for menu in told(cluster))  # the first run
    networks = tuple(replace(one, next_server=one.next_server + 9) for one in cluster.networks)
    found = told(replace(cluster, networks=networks))
    assert {menu.node for menu in found if menu.boots} >= {"n01", "n05"}
    assert "mgt" not in {menu.node for menu in found if menu.boots}


def test_kernel_args_and_an_image_that_was_built_again(cluster: Cluster) -> None:
    """Both reach the menus of every node that boots the image."""
    write(cluster)
    images = tuple(replace(image, kernel_args=(*image.kernel_args, "quiet")) for image in cluster.osimages)
    changed = replace(cluster, osimages=images)
    first = {menu.node for menu in told(changed) if menu.boots}
    for image in cluster.osimages:
        paths.root_image_digest(image).write_text(f"{'ef' * 32}\n")
    assert {menu.node for menu in told(changed) if menu.boots} == first
    assert "n01" in first


def test_a_service_nodes_address(cluster: Cluster, edited: Callable[..., Cluster]) -> None:
    """The menus of its nodes change."""
    old = replace(edited("n05", service_node="n01"), service_nodes=(("n01", cluster.node("n01").ip),))
    write(old)
    new = replace(old, service_nodes=(("n01", cluster.node("n01").ip + 70),))
    assert {menu.node for menu in told(new)} == {"n05", ""}  # and the manifest


def test_what_was_removed_or_edited_by_hand(cluster: Cluster, edited: Callable[..., Cluster]) -> None:
    """It is told; a menu that only a hand changed makes nobody boot again.  A node that left takes its menus along."""
    write(cluster)
    one, two = (paths.MENUS / paths.menu_names(cluster.node(name))["pxelinux"] for name in ("n01", "n02"))
    one.unlink()
    two.write_text(two.read_text().replace("APPEND ", "APPEND single "))
    found = told(cluster)
    assert [(menu.path, menu.node, menu.boots) for menu in found] == [(one, "n01", False), (two, "n02", False)]
    gone = told(edited("n01", mac=None))
    assert {menu.path for menu in gone if menu.new is None} == {
        paths.MENUS / name for name in paths.menu_names(cluster.node("n01")).values()
    }


def test_images_that_are_not_built(cluster: Cluster) -> None:
    """A sentence with their names; a folder where a menu belongs is one, too."""
    write(cluster)
    menu = paths.MENUS / paths.menu_names(cluster.node("n01"))["ipxe"]
    menu.unlink()
    menu.mkdir()
    with pytest.raises(BootmillError, match=f"{menu.name}: cannot be read"):
        menu_changes(cluster)
    paths.boot_digest(cluster.osimages[0]).unlink()
    with pytest.raises(BootmillError, match=f"{cluster.osimages[0].name}.*not built yet"):
        menu_changes(cluster)


def test_the_web_servers_files(cluster: Cluster) -> None:
    """Both are among the files that are planned, with the text that the task writes."""
    makers = {maker.name: maker for maker in preview.makers()}
    maker = makers["httpd"]
    texts = preview.web_files(maker.frame(cluster))
    addresses = cluster.served_addresses()
    assert texts == {
        paths.nginx_conf(cluster.site): render_nginx(tuple(f"{address}:80" for address in addresses)),
        paths.tftpd_defaults(cluster.site): render_tftpd(addresses),
    }
    assert set(texts) <= set(preview.outputs(cluster))
