"""What is known of a hardware model's BMC: decides what is tried and what is believed.

A model that is not in the table is taken to follow the specification.  To add one: a row here, a fault in the simulated
BMC (tasks/lab/bmc.py), a test that fails without the row.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class IpmiVersion(StrEnum):
    """Which sessions are opened.  AUTO takes 2.0 where the BMC offers it."""

    AUTO = "auto"
    V15 = "1.5"
    V20 = "2.0"


@dataclass(frozen=True, kw_only=True)
class Quirks:
    """How a model's BMC deviates; `note` is told to the user where the deviation bites."""

    ipmi: IpmiVersion = IpmiVersion.AUTO
    authtype_none_replies: bool = False
    ignores_bootdev: bool = False
    note: str = ""


PLAIN = Quirks()

TABLE = {
    # IPMI 1.5 only ("since we only have IPMI 1.5"), on eth0 only.  Once a session is up its answers say authentication
    # type none; xCAT dropped them (IPMI.pm, `if ($rsp[4] != $self->{authtype})`), as pyghmi does (session.py,
    # "it's the vendor's fault").  A boot device is accepted and never looked at ("press F12 manually").
    # Source: RENCI's notes on xCAT 2.4.3 on the Dell PE 860, 2010.
    "pe 860": Quirks(
        ipmi=IpmiVersion.V15,
        authtype_none_replies=True,
        ignores_bootdev=True,
        note="press F12 at its console while it starts",
    ),
    # Same source: "After updating BIOS to latest, rsetboot boot works as expected."
    "pe 2950": Quirks(note="its boot device needs the latest BIOS"),
}


def of(model: str) -> Quirks:
    """Return the quirks of a model as nodes.yaml names it: ``PE 860``, ``pe860``, ``Dell PowerEdge 860``."""
    plain = re.sub(r"^dell\s+|\s+$", "", model.lower())
    plain = re.sub(r"^(poweredge|pe)\s*-?\s*(?=\d)", "pe ", plain)
    return TABLE.get(plain, PLAIN)
