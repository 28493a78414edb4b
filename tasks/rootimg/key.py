"""The site's ssh key pair: made once, never overwritten, never printed."""

from pathlib import Path

from tasks import files
from tasks.run import run


def make_key(private: Path) -> None:
    """Make an ed25519 key pair where neither half exists; derive the public half where only the private one does."""
    public = private.with_name(f"{private.name}.pub")
    if public.exists():
        return
    private.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if private.exists():
        said = run(["ssh-keygen", "-y", "-P", "", "-f", private]).stdout
        files.write_atomic(public, said)
        return
    with files.scratch(private) as folder:
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bootmill", "-f", folder / "key"])
        (folder / "key").rename(private)
        (folder / "key.pub").rename(public)
