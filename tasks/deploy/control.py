"""How a daemon is told that its files changed: by systemd, by its start script, or by nobody."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tasks import run
from tasks.deploy.services import Service, Verb
from tasks.errors import CommandError, MissingToolError

SYSTEMD = Path("/run/systemd/system")  # sd_booted(3)
PATIENCE = 120.0  # seconds for a daemon to take its configuration: named reads a hundred thousand names in 2
SETTLE = 0.5  # seconds after which a daemon that does not like its configuration has ended


class Control(Protocol):
    """What tells daemons."""

    @property
    def name(self) -> str:
        """Return what it is called."""

    def unit(self, service: Service) -> str | None:
        """Return the unit under which a service runs, None where it does not run."""

    def tell(self, service: Service, unit: str) -> None:
        """Have a running service take its files; `CommandError` where it does not, or ends over it."""


@dataclass(frozen=True, kw_only=True)
class Systemd:
    """systemctl(1)."""

    name: str = "systemd"
    settle: float = SETTLE

    def unit(self, service: Service) -> str | None:
        """Return the unit that is active."""
        return next((unit for unit in service.units if self.active(unit)), None)

    def active(self, unit: str) -> bool:
        """Whether a unit is active."""
        return asked(["systemctl", "is-active", "--quiet", f"{unit}.service"])

    def tell(self, service: Service, unit: str) -> None:
        """Reload or restart a unit; one that is not active any more afterwards did not take its files."""
        verb = "restart" if service.verb is Verb.RESTART else "reload-or-restart"
        run.run(service.argv or ["systemctl", verb, f"{unit}.service"], timeout=PATIENCE)
        time.sleep(self.settle)  # a service of Type=simple counts as started before it has read anything
        if not self.active(unit):
            message = f"{unit} ended when it read its files"
            raise CommandError(message, hint=f"its words: journalctl --unit={unit} --lines=20")


@dataclass(frozen=True, kw_only=True)
class StartScripts:
    """service(8), where systemd does not run."""

    name: str = "service"
    settle: float = SETTLE

    def unit(self, service: Service) -> str | None:
        """Return the start script that says that its daemon runs."""
        return next((unit for unit in service.units if self.active(unit)), None)

    def active(self, unit: str) -> bool:
        """Whether a start script says that its daemon runs."""
        return asked(["service", unit, "status"])

    def tell(self, service: Service, unit: str) -> None:
        """Call the start script."""
        run.run(service.argv or ["service", unit, str(service.verb)], timeout=PATIENCE)
        time.sleep(self.settle)
        if not self.active(unit):
            message = f"{unit} does not run any more since it read its files"
            raise CommandError(message, hint=f"look for its words in the system's log, then: service {unit} start")


@dataclass(frozen=True, kw_only=True)
class Nobody:
    """A root folder whose daemons do not run here."""

    name: str = "nobody"

    def unit(self, service: Service) -> str | None:
        """Return None: nothing runs."""
        return None

    def tell(self, service: Service, unit: str) -> None:
        """Never called."""


def asked(argv: Sequence[str]) -> bool:
    """Return a program's answer to a yes-or-no question; no, too, where it is not installed."""
    try:
        return run.run(argv, check=False, timeout=PATIENCE).code == 0
    except MissingToolError:
        return False


def found(root: Path) -> Control:
    """Return what tells the daemons of a root: those of this machine only where that is ``/``."""
    if root != Path("/"):
        return Nobody()
    return Systemd() if SYSTEMD.is_dir() else StartScripts()
