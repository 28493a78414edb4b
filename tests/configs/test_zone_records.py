"""The records that a site adds by hand."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.configs.zone_records import record, strings
from tasks.errors import BootmillError
from tasks.inventory.model import DnsRecord, RecordType


def written(name: str, kind: str, value: str) -> tuple[str, str]:
    """Return a record of renci.ben as it is written."""
    return record(DnsRecord(name=name, type=RecordType(kind), value=value), "renci.ben")


@pytest.mark.parametrize(
    ("name", "kind", "value", "owner", "data"),
    [
        ("www", "A", "10.1.0.9", "www.renci.ben", "IN A 10.1.0.9"),
        ("www", "AAAA", "FD00:0::9", "www.renci.ben", "IN AAAA fd00::9"),
        ("ftp", "CNAME", "mgt", "ftp.renci.ben", "IN CNAME mgt.renci.ben."),
        ("ftp", "CNAME", "ftp.example.org.", "ftp.renci.ben", "IN CNAME ftp.example.org."),
        ("@", "MX", " 10   mail", "renci.ben", "IN MX 10 mail.renci.ben."),
        ("@", "MX", "0 .", "renci.ben", "IN MX 0 ."),
        ("_ntp._udp", "SRV", "0 0 123 mgt", "_ntp._udp.renci.ben", "IN SRV 0 0 123 mgt.renci.ben."),
        ("@", "NS", "ns2.example.org.", "renci.ben", "IN NS ns2.example.org."),
        ("sub.deep", "NS", "mgt", "sub.deep.renci.ben", "IN NS mgt.renci.ben."),
        ("*", "A", "10.1.0.9", "*.renci.ben", "IN A 10.1.0.9"),
        ("*.web", "A", "10.1.0.9", "*.web.renci.ben", "IN A 10.1.0.9"),
        ("WWW.renci.ben.", "A", "10.1.0.9", "www.renci.ben", "IN A 10.1.0.9"),
        ("@", "TXT", "v=spf1 -all", "renci.ben", 'IN TXT "v=spf1 -all"'),
        ("@", "TXT", '"v=spf1 -all"', "renci.ben", 'IN TXT "v=spf1 -all"'),
        ("@", "TXT", '"a" "b;c"', "renci.ben", 'IN TXT "a" "b;c"'),
        ("@", "TXT", 'say "hi"', "renci.ben", r'IN TXT "say \034hi\034"'),
        ("@", "TXT", r'"say \"hi\" \065"', "renci.ben", r'IN TXT "say \034hi\034 A"'),
        ("@", "TXT", '"', "renci.ben", r'IN TXT "\034"'),
        ("@", "TXT", "a\n@ IN NS evil.", "renci.ben", r'IN TXT "a\010@ IN NS evil."'),
        ("@", "TXT", "ä\\", "renci.ben", r'IN TXT "\195\164\092"'),
        ("@", "TXT", '""', "renci.ben", 'IN TXT ""'),
        ("@", "TXT", "x" * 300, "renci.ben", f'IN TXT "{"x" * 255}" "{"x" * 45}"'),
    ],
)
def test_records_are_written_anew(name: str, kind: str, value: str, owner: str, data: str) -> None:
    """Names in full, numbers and addresses in their one form, texts between quotes in which nothing has a meaning."""
    assert written(name, kind, value) == (owner, data)


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [
        ("www", "A", "10.1.0"),
        ("www", "A", "fd00::1"),
        ("www", "AAAA", "10.1.0.1"),
        ("www", "AAAA", "fe80::1%eth0\n@ IN NS evil."),
        ("a b", "A", "10.1.0.1"),
        ("a\n@ IN NS evil.", "A", "10.1.0.1"),
        ("$INCLUDE", "A", "10.1.0.1"),
        ("a..b", "A", "10.1.0.1"),
        ("", "A", "10.1.0.1"),
        (".", "A", "10.1.0.1"),
        ("x" * 64, "A", "10.1.0.1"),
        (".".join(["x" * 60, *["x" * 60] * 3, "x"]), "A", "10.1.0.1"),
        ("www.example.org.", "A", "10.1.0.1"),
        ("evilrenci.ben.", "A", "10.1.0.1"),
        ("a*", "A", "10.1.0.1"),
        ("www", "CNAME", "a b"),
        ("www", "CNAME", "a;b"),
        ("www", "CNAME", ""),
        ("@", "MX", "mail"),
        ("@", "MX", "65536 mail"),
        ("@", "MX", "-1 mail"),
        ("@", "MX", "1 2 mail"),
        ("@", "MX", "٣ mail"),
        ("_a._tcp", "SRV", "0 0 mgt"),
        ("_a._tcp", "SRV", ""),
        ("@", "TXT", r'"\999"'),
        ("@", "TXT", "\ud800"),
    ],
)
def test_what_is_no_record_is_told(name: str, kind: str, value: str) -> None:
    """Nothing gets into the zone; the sentence names the record and where it is written."""
    with pytest.raises(BootmillError, match=r"site\.records: ") as caught:
        written(name, kind, value)
    assert "inventory/site.yaml" in caught.value.hint


@given(st.text(st.characters(codec="utf-8"), max_size=600))
def test_any_text_stays_inside_its_quotes(text: str) -> None:
    """One line of printable ASCII, quotes in pairs, no string too long."""
    try:
        found = strings(text)
    except ValueError:
        return
    assert found.isascii()
    assert found.isprintable()
    assert re.fullmatch(r'"[^"]*"( "[^"]*")*', found)
