"""The quirk table."""

import pytest

from tasks.nodes import quirks


@pytest.mark.parametrize("model", ["PE 860", "pe860", "PowerEdge 860", "Dell PowerEdge 860", "dell pe-860 "])
def test_a_model_is_found_however_it_is_written(model: str) -> None:
    """The PE 860 of the notes speaks 1.5 alone, leaves answers unsigned and ignores its boot device."""
    found = quirks.of(model)
    assert (found.ipmi, found.authtype_none_replies, found.ignores_bootdev) == ("1.5", True, True)


@pytest.mark.parametrize("model", ["generic", "PE 8600", "PE 1860", "860", "R640"])
def test_another_model_is_plain(model: str) -> None:
    """Nothing is believed of a model that is not in the table."""
    assert quirks.of(model) == quirks.PLAIN


def test_a_pe_2950_is_signed_and_obeys() -> None:
    """The PE 2950 has no quirk but its BIOS."""
    found = quirks.of("PE 2950")
    assert (found.authtype_none_replies, found.ignores_bootdev) == (False, False)
    assert "BIOS" in found.note
