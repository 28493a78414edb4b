"""Whether a kernel takes a module is known before it tries."""

import pytest

from tasks.initrd.kernel.kconfig import Kconfig
from tasks.initrd.kernel.modinfo import Modinfo
from tasks.initrd.kernel.vermagic import misfit

HERE = "6.1.0-1-amd64"
FULL = f"{HERE} SMP preempt mod_unload modversions "
SMP = ("SMP", "PREEMPT_BUILD", "MODULE_UNLOAD", "MODVERSIONS")
OTHER = "was built for kernel"
WORDS = "was built with another configuration"


@pytest.mark.parametrize(
    ("vermagic", "checksums", "options", "foreign", "why"),
    [
        (FULL, True, None, False, None),
        (FULL, True, SMP, False, None),
        ("", False, SMP, False, None),
        (f"{HERE} SMP mod_unload modversions aarch64", True, ("SMP", "MODULE_UNLOAD", "MODVERSIONS"), False, None),
        (FULL, True, ("SMP", "PREEMPT", "MODULE_UNLOAD", "MODVERSIONS"), False, None),
        (f"{HERE} SMP preempt_rt mod_unload", True, ("SMP", "PREEMPT_RT", "PREEMPT", "MODULE_UNLOAD"), False, None),
        (FULL, True, SMP[1:], False, f"{WORDS}: SMP "),
        (FULL, True, SMP[:3], False, f"{WORDS}: modversions "),
        (f"{HERE} ", True, SMP, False, f"{WORDS}: SMP, preempt, mod_unload, modversions "),
        (FULL.replace("-1-", "-2-"), True, None, False, f"{OTHER} 6.1.0-2-amd64, not for {HERE} "),
        (FULL.replace("-1-", "-2-"), True, SMP, True, None),
        (FULL.replace("-1-", "-2-"), True, None, True, None),
        (FULL.replace("-1-", "-2-"), False, SMP, True, OTHER),
        (FULL.replace("-1-", "-2-"), True, SMP[:3], True, OTHER),
        ("x " * 100_000, True, SMP, False, OTHER),
    ],
    ids=[
        *("fits", "fits the configuration", "says nothing", "words of its architecture", "older preempt", "preempt_rt"),
        *("no SMP kernel", "no checksums wanted", "no words", "another kernel", "weak update", "weak, unknown kernel"),
        *("weak, no checksums in it", "weak, none in the kernel", "endless"),
    ],
)
def test_who_is_refused(
    vermagic: str, checksums: bool, options: tuple[str, ...] | None, foreign: bool, why: str | None
) -> None:
    """The version, and the words that the kernel's configuration decides."""
    info = Modinfo({"vermagic": (vermagic,)}, versioned=checksums)
    config = None if options is None else Kconfig(values={f"CONFIG_{name}": "y" for name in options})
    found = misfit(info, HERE, config, foreign=foreign)
    assert found is None if why is None else found and found.startswith(why)
