"""Whether a kernel takes a module, by its vermagic: `6.1.0-56-amd64 SMP preempt mod_unload modversions`.  Pure.

Rules: include/linux/vermagic.h, kernel/module/version.c (same_magic()).
"""

from tasks.initrd.kernel.kconfig import Kconfig
from tasks.initrd.kernel.modinfo import Modinfo

# Word → the options that put it there; words of the architecture (aarch64, p2v8) are not among them.
WORDS = {
    "SMP": ("CONFIG_SMP",),
    "preempt": ("CONFIG_PREEMPT_BUILD", "CONFIG_PREEMPT"),  # the former since v5.13
    "preempt_rt": ("CONFIG_PREEMPT_RT",),
    "mod_unload": ("CONFIG_MODULE_UNLOAD",),
    "modversions": ("CONFIG_MODVERSIONS",),
}


def misfit(info: Modinfo, version: str, config: Kconfig | None, *, foreign: bool = False) -> str | None:
    """Return why a kernel would refuse a module, None where it fits or says nothing of its kernel.

    `foreign`: the module may come from another build of the kernel, as those in weak-updates/ do: where kernel and
    module have checksums of all symbols, the kernel passes over the version.  Anywhere else such a module is a stray.
    """
    built_for, *words = info.vermagic.split()[:32] or [""]
    if not built_for:
        return None
    checked = info.versioned and (config is None or config.builtin("CONFIG_MODVERSIONS"))
    if built_for != version and not (foreign and checked):
        return f"was built for kernel {built_for}, not for {version} (vermagic: {info.vermagic})"
    wrong = [] if config is None else [word for word in WORDS if (word in words) is not expected(word, config)]
    return f"was built with another configuration: {', '.join(wrong)} (vermagic: {info.vermagic})" if wrong else None


def expected(word: str, config: Kconfig) -> bool:
    """Return whether a kernel of this configuration has a word in its vermagic."""
    if word == "preempt" and config.builtin("CONFIG_PREEMPT_RT") and config.value("CONFIG_PREEMPT_BUILD") is None:
        return False
    return any(map(config.builtin, WORDS[word]))
