"""The quick evaluator: whatever it answers is what Jinja2 answers, and it leaves everything else alone."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.inventory import arithmetic
from tasks.template import expression


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.1.0.{{ 10 + n[0] }}", "10.1.0.17"),
        ("10.1.{{ n[0] // 4 }}.{{ n[0] % 4 + 1 }}", "10.1.1.4"),
        ("{{name}}-{{ n[1] }}", "n07r12-12"),
        ("{{ (n[0] - 1) * 2 }}", "12"),
        ("{{ n[0] - n[1] }}", "-5"),
        ("plain", "plain"),
    ],
)
def test_sums(text: str, expected: str) -> None:
    """The usual expressions are answered here, and as Jinja2 answers them."""
    quick = arithmetic.compiled(text)
    assert quick is not None
    assert quick("n07r12", (7, 12)) == expected == expression(text, {"name": "n07r12", "n": (7, 12)})


@pytest.mark.parametrize(
    "text",
    [
        "{{ n }}", "{{ ip }}", "{{ n[0] / 2 }}", "{{ 2 ** 9 }}", "{{ n[0] | int }}", "{{ name.upper() }}",
        "{{ '{{' }}", "{% set a = 1 %}", "{{ 007 }}", "{{ n[True] }}", "{{ True + 1 }}", "{{ -n[0] }}", "{{ n[-1] }}",
        "{{ n[0] }} }}",
        "{{ n[0] if 1 }}", "{{ }}", "{# x #}{{ n[0] }}", "{{ 1_0 }}x" * 50, "{{ " + "(" * 300 + "1" + ")" * 300 + " }}",
    ],
)  # fmt: skip
def test_everything_else_is_left_to_jinja(text: str) -> None:
    """Other names, functions, division into fractions, statements: not ours."""
    assert arithmetic.compiled(text) is None


@pytest.mark.parametrize("text", ["{{ n[5] }}", "{{ 1 // (n[0] - 7) }}", "{{ n[0] * 999999999999999999 }}"])
def test_what_goes_wrong_is_decided_by_jinja(text: str) -> None:
    """A number that is not there, a division by zero, a giant: an exception, and no answer."""
    quick = arithmetic.compiled(text)
    assert quick is not None
    with pytest.raises((ArithmeticError, LookupError)):
        quick("n07", (7,))


SUMS = st.recursive(
    st.sampled_from(["n[0]", "n[1]", "n[2]", "name", "0", "1", "10", "250", "00", "1_0", "0x1", "m", "1.5"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "//", "%", "/", "**", "~", "|", "==", "and"]), inner).map(
            " ".join
        ),
        inner.map(lambda text: f"({text})"),
        inner.map(lambda text: f"-{text}"),
    ),
    max_leaves=6,
)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["", "a", "10.1.", "{", "}", " "]), SUMS), min_size=1, max_size=3))
def test_the_same_as_jinja(parts: list[tuple[str, str]]) -> None:
    """Where it answers, Jinja2 gives the same answer; it never answers where Jinja2 refuses."""
    text = "".join(f"{before}{{{{ {inner} }}}}" for before, inner in parts)
    quick = arithmetic.compiled(text)
    if quick is None:
        return
    try:
        answer = quick("n07r12", (7, 12))
    except (ArithmeticError, LookupError):
        return
    assert answer == expression(text, {"name": "n07r12", "n": (7, 12)}), re.sub(r"\s+", " ", text)
