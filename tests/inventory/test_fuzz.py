"""Whatever is done to the sample inventory's files, the answer is a cluster or an `InventoryError`."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks import inventory
from tasks.errors import InventoryError

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


def load(files: dict[str, bytes]) -> None:
    """Load an inventory made of these files; an `InventoryError` is an answer, anything else is not."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        try:
            inventory.load(Path(folder))
        except InventoryError as error:
            complete = all(line.startswith(folder) for line in error.mistakes)
            if not (error.mistakes and complete):
                raise AssertionError(error.mistakes) from error


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
KEYS = ["ip", "mac", "bmc", "port", "console", "groups", "aliases", "address", "switch", "n[1-3]", "mgt", "compute"]
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


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["nodes.yaml", "groups.yaml", "site.yaml", "osimages.yaml", "networks.yaml"]), VALUES, st.data())
def test_any_shape_for_any_attribute(name: str, value: str, data: st.DataObject) -> None:
    """Any value behind any key of the sample gives no traceback."""
    lines = SAMPLE[name].decode().splitlines()
    keys = [number for number, line in enumerate(lines) if ":" in line.partition("#")[0]]
    number = data.draw(st.sampled_from(keys))
    lines[number] = f"{lines[number].partition(': ')[0].rstrip(':')}: {value}"
    load({**SAMPLE, name: "\n".join(lines).encode()})
