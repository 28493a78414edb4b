"""What fuzzers found or liked is read without a crash: each reader meets its corpus, cut short and flipped as well."""

from pathlib import Path

import pytest

from tests.initrd import hostile

SAMPLES = [
    pytest.param(folder.name, path, id=f"{folder.name}/{path.name}")
    for folder in sorted(hostile.CORPUS.iterdir())
    for path in sorted(folder.iterdir())
]


@pytest.mark.parametrize(("name", "path"), SAMPLES)
def test_reader_survives(name: str, path: Path) -> None:
    """No exception but the reader's own, no hang, whatever is missing at the end."""
    data = path.read_bytes()
    read = hostile.READERS[name]
    for end in {len(data), len(data) // 2, max(len(data) - 1, 0)}:
        read(data[:end])


@pytest.mark.parametrize("name", sorted(hostile.READERS))
def test_every_reader_has_a_corpus(name: str) -> None:
    """A reader without samples would be read by nobody."""
    assert any((hostile.CORPUS / name).iterdir())
