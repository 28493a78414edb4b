"""The options of this step's commands, as doit is told of them: a ``=`` at the end says that a value follows."""

# --append without "=": doit takes away each word with "=" in it, and gives it back where it was typed.
EXAMINE = ("--json", "--append", *(f"--{name}=" for name in ("kernel", "initrd", "config", "memory", "root", "driver")))
REPAIR = (
    *("--dry-run", "--in-place", "--json", "--append"),
    *(f"--{name}=" for name in ("initrd", "kernel", "config", "sysroot", "osimage", "output")),
)
