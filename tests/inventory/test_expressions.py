"""Expressions in the inventory: what they may use, and that none can escape, hang, or fill the memory."""

import time

import pytest

from tasks.template import expression

VALUES = {"name": "n07", "n": (7,), "rack": "a", "bmc": {"user": "root"}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.1.0.{{ 10 + n[0] }}", "10.1.0.17"),
        ("10.1.{{ n[0] // 4 }}.{{ n[0] % 4 + 1 }}", "10.1.1.4"),
        ("{{ name }}-ipmi", "n07-ipmi"),
        ("{{ bmc.user }}", "root"),
        ("{{ bmc['user'] }}", "root"),
        ("{{ '%02d' % n[0] }}", "07"),
        ("{{ '%02d-%s'|format(n[0], rack) }}", "07-a"),
        ("{{ name.upper() }}{{ name|upper }}", "N07N07"),
        ("{{ name|replace('n', 'node') }}", "node07"),
        ("{{ name.split('0')[1] }}", "7"),
        ("{{ 'left' if n[0] % 2 else 'right' }}", "left"),
        ("{{ missing|default('x') }}", "x"),
        ("{{ rack ~ n[0] }}", "a7"),
        ("{{ rack + 'b' }}", "ab"),
        ("{{ '12'|int + 1 }}", "13"),
    ],
)
def test_values(text: str, expected: str) -> None:
    """Numbers of the name, other attributes, arithmetic and a handful of filters are enough for addresses and names."""
    assert expression(text, VALUES) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{{ nope }}", "'nope' is undefined"),
        ("{{ bmc.nope }}", "has no attribute 'nope'"),
        ("{{ n[3] }}", "no element 3"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ name + 1 }}", "'+' is for numbers"),
        ("{{ ''.__class__ }}", "unsafe"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "unsafe"),
        ("{{ n.__class__ }}", "unsafe"),
        ("{{ name.format.__globals__ }}", "unsafe"),
        ("{{ self._TemplateReference__context }}", "unsafe"),
        ("{{ cycler.__init__ }}", "unsafe"),
        ("{{ name|attr('__class__') }}", "No filter named 'attr'"),
        ("{{ cycler }}", "'cycler' is undefined"),
        ("{{ '{0.__class__}'.format(1) }}", "can be called"),
        ("{{ bmc.update({'a': 1}) }}", "can be called"),
        ("{{ 'a' * 10**9 }}", "'**' is not used here"),
        ("{{ 'a' * 1000000000 }}", "'*' is for numbers"),
        ("{{ [1] * 1000000000 }}", "'*' is for numbers"),
        ("{{ 9 ** 9 ** 9 }}", "'**' is not used here"),
        ("{{ 'a'.ljust(1000000000) }}", "can be called"),
        ("{{ 'a'|center(1000000000) }}", "No filter named 'center'"),
        ("{{ '%1000000000d' % 1 }}", "no plain width"),
        ("{{ '%.1000000000f' % 1 }}", "no plain width"),
        ("{{ '%*d' % (1000000000, 1) }}", "no plain width"),
        ("{{ '%(a)1000000000d' % {'a': 1} }}", "no plain width"),
        ("{{ '%1000000000d'|format(1) }}", "no plain width"),
        ("{{ range(1000000000) }}", "can be called"),
        ("{{ lipsum(1000000) }}", "can be called"),
        ("{% for a in n %}{% endfor %}", "no statements"),
        ("{# comment #}{{ name }}", "no comments"),
        ("{{ " + "1 + " * 400 + "1 }}", "1000 characters at most"),
        ("{{ " + "(" * 450 + "1" + ")" * 450 + " }}", "too involved"),
        ("{{ " + "-" * 900 + "1 }}", "too involved"),
        ("{{ 'aaaaaaaaaa'" + "|replace('a', 'aaaaaaaaaa')" * 12 + " }}", "too long"),
        ("{{", "unexpected 'end of template'"),
        ("{{ 1 +", "unexpected"),
        ("{{ x y }}", "expected token"),
    ],
)
def test_mistakes(text: str, sentence: str) -> None:
    """What is undefined, unsafe or endless is a sentence, at once; Python's own attributes cannot be reached."""
    begun = time.process_time()
    with pytest.raises(ValueError, match=".") as caught:  # noqa: RUF043
        expression(text, VALUES)
    assert sentence in str(caught.value)
    assert "0x" not in str(caught.value)
    assert time.process_time() - begun < 1
