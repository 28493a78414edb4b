"""Whatever is done to the sample inventory's files, the answer is a cluster or an `InventoryError`, always the same."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.errors import InventoryError
from tasks.inventory import compile, compiled, schema
from tasks.inventory.model import Cluster, RecordType, Whole

SAMPLE = {path.name: path.read_bytes() for path in sorted((Path(__file__).parents[2] / "inventory").glob("*.yaml"))}
YAML = [*list('{}[]:,-~"|>#?\\'), "&a ", "*a", "!secret ", "!!int ", "''", "<<: ", "[a, b]", "{a: b}", "null"]
BLANKS = [": ", "- ", "\n", "\n  ", "\n---\n", "\t", "\r", "\x00", "\u202e", "\ufeff", "é"]
WORDS = [
    "{{ ",
    " }}",
    "{% ",
    "{{ n }}",
    "{{ name }}",
    "{{ 9**9**9 }}",
    "n[1-99999999999]",
    "mgt",
    "all",
    "9" * 24,
    "-1",
]
SPARKS = st.sampled_from([*YAML, *BLANKS, *WORDS]) | st.text(max_size=5)

Mutation = tuple[str, float, float, str]


def mutated(mutation: list[Mutation]) -> dict[str, bytes]:
    """Replace pieces of the sample's files by sparks."""
    files = dict(SAMPLE)
    for name, start, length, spark in mutation:
        old = files[name]
        at = int(start * len(old))
        files[name] = old[:at] + spark.encode() + old[at + int(length * 20) :]
    return files


@pytest.fixture(autouse=True, scope="module")
def _own_checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Stand in an empty checkout: what is compiled is kept below the working directory."""
    with contextlib.chdir(tmp_path_factory.mktemp("fuzz")):
        yield


def load(files: dict[str, bytes]) -> None:
    """Load an inventory made of these files; an `InventoryError` is an answer, anything else is not.

    The quick way and the thorough way must come to the same.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        answers = [outcome(way, Path(folder)) for way in (compile.load_cluster, compiled.load)]
        if answers[0] != answers[1]:
            raise AssertionError(answers)


def outcome(way: Callable[[Path], Cluster], folder: Path) -> str:
    """Return what a way of loading comes to: the cluster, or mistakes, each with its place."""
    try:
        cluster = way(folder)
    except InventoryError as error:
        if not error.mistakes or not all(line.startswith(str(folder)) for line in error.mistakes):
            raise AssertionError(error.mistakes) from error
        return "\n".join(error.mistakes)
    return repr(replace(cluster, shards=(Whole(cluster.nodes),)))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(SAMPLE)), st.floats(0, 0.999), st.floats(0, 1), SPARKS),
        min_size=1,
        max_size=4,
    )
)
def test_mutations_of_the_sample(mutation: list[Mutation]) -> None:
    """Text put anywhere into any file gives no traceback, and every mistake has a place."""
    load(mutated(mutation))


SCALARS = ["~", "a", "mgt", "n01", "all", "compute", "10.1.0.9", "7", "'{{ ip }}'", "'{{ bmc }}'", "!secret env:A"]
SCALARS += ["fd00::9", "fe80::1%a", "10.1.0.0/24", "fd00::/64", "10.1.0.5-10.1.0.9", "'{{ nics.eth1.ip }}'", "SRV", "@"]
KEYS = ["ip", "mac", "bmc", "port", "console", "groups", "aliases", "address", "switch", "n[1-3]", "mgt", "compute"]
KEYS += [
    "nics",
    "eth1",
    "names",
    "ip6",
    "vars",
    "vm",
    "host",
    "service_node",
    "where",
    "bmc.user",
    "vars.a",
    "management",
]
VALUES = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(st.sampled_from(KEYS), inner, max_size=3).map(
            lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items.items()) + "}"
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(SAMPLE)), VALUES)
def test_any_shape_in_any_file(name: str, value: str) -> None:
    """Lists, mappings and words in each other's places, at any depth, give no traceback."""
    load({**SAMPLE, name: value.encode()})


# What sample files do not have: each may hold anything.
ATTRIBUTES = {
    "nodes": [f"n01: {{{name}: %s}}" for name in schema.NodeIn.model_fields],
    "groups": [f"compute: {{{name}: %s}}" for name in (*schema.NodeIn.model_fields, "where")],
    "networks": [f"mgmt: {{subnet: 10.1.0.0/24, {name}: %s}}" for name in schema.NetworkIn.model_fields],
    "switches": [f"linksys-mgt: {{ip: 10.1.0.253, {name}: %s}}" for name in schema.SwitchIn.model_fields],
    "site": [f"domain: a.b\nmaster: mgt\n{name}: %s" for name in schema.SiteIn.model_fields],
}
HOLES = [(table, text) for table, texts in ATTRIBUTES.items() for text in texts]
HOLES += [
    ("nodes", f"mgt: {{ip: 10.1.0.1}}\nn01: {{ip: 10.1.0.11, {text}: %s}}")
    for text in ("nics", "vm", "vars", "bmc", "console", "port", "ip6", "service_node", "groups")
]
HOLES += [("site", f"domain: a.b\nmaster: mgt\nrecords: [{{name: a, type: {kind}, value: %s}}]") for kind in RecordType]
HOLES += [("site", "domain: a.b\nmaster: mgt\nrecords: [{name: %s, type: SRV, value: 0 0 1 mgt}]")]


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(HOLES), VALUES | SPARKS)
def test_any_shape_for_any_known_attribute(hole: tuple[str, str], value: str) -> None:
    """Any value of every attribute that there is, in every table, gives no traceback."""
    table, text = hole
    load({**SAMPLE, f"{table}.yaml": text.replace("%s", value).encode()})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["nodes.yaml", "groups.yaml", "site.yaml", "osimages.yaml", "networks.yaml"]), VALUES, st.data())
def test_any_shape_for_any_attribute(name: str, value: str, data: st.DataObject) -> None:
    """Any value behind any key of the sample gives no traceback."""
    lines = SAMPLE[name].decode().splitlines()
    keys = [number for number, line in enumerate(lines) if ":" in line.partition("#")[0]]
    number = data.draw(st.sampled_from(keys))
    lines[number] = f"{lines[number].partition(': ')[0].rstrip(':')}: {value}"
    load({**SAMPLE, name: "\n".join(lines).encode()})
