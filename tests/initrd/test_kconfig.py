"""A kernel's configuration is found and read; where there is none, its age answers, and says that it guesses."""

import gzip
from pathlib import Path

import pytest

from tasks.initrd.kernel import kconfig
from tasks.initrd.kernel.kconfig import Answer, Kconfig
from tasks.initrd.loader.sysroot import DiskTree
from tests.initrd import kernels

TEXT = """\
#
# Automatically generated file; DO NOT EDIT.
CONFIG_RD_GZIP=y
CONFIG_SQUASHFS=m
# CONFIG_RD_ZSTD is not set
CONFIG_LOCALVERSION="-amd64 x"
CONFIG_NR_CPUS=8192
 CONFIG_INDENTED=y
"""


def test_options_are_read() -> None:
    """Values as they are written, quotes off; what is not set is None."""
    config = kconfig.parse(TEXT)
    assert [
        config.value(f"CONFIG_{name}") for name in ("RD_GZIP", "SQUASHFS", "RD_ZSTD", "LOCALVERSION", "NR_CPUS")
    ] == [*("y", "m", None, "-amd64 x", "8192")]
    assert config.value("CONFIG_INDENTED") is None
    assert (config.builtin("CONFIG_SQUASHFS"), config.enabled("CONFIG_SQUASHFS")) == (False, True)
    assert kconfig.parse(TEXT.encode() + b"\xff\0") == config


def test_endless_text_is_refused() -> None:
    """A configuration is no larger than some megabytes."""
    with pytest.raises(ValueError, match="more than 4 MiB"):
        kconfig.parse("x" * (4 << 20) + "x")


GZIP_ONLY = Kconfig(values={"CONFIG_RD_GZIP": "y", "CONFIG_BLK_DEV_INITRD": "y", "CONFIG_RD_XZ": "m"})


@pytest.mark.parametrize(
    ("compression", "config", "version", "answer"),
    [
        ("gzip", GZIP_ONLY, "6.1", Answer.YES),
        ("none", GZIP_ONLY, "6.1", Answer.YES),
        ("zstd", GZIP_ONLY, "6.1", Answer.NO),
        ("xz", GZIP_ONLY, "6.1", Answer.NO),
        ("zstd", None, "5.9.0-1-amd64", Answer.LIKELY),
        ("zstd", None, "5.8.18", Answer.UNLIKELY),
        ("zstd", None, "5.10", Answer.LIKELY),
        ("gzip", None, "2.6.18-398.el5", Answer.LIKELY),
        ("xz", None, "2.6.18-398.el5", Answer.UNLIKELY),
        ("xz", None, "2.6.38", Answer.LIKELY),
        ("lz4", None, "3.10.0-1160.el7", Answer.UNLIKELY),
        ("lz4", None, "3.11", Answer.LIKELY),
        ("zstd", None, "", Answer.LIKELY),
        ("rar", None, "6.1", Answer.NO),
        ("rar", GZIP_ONLY, "6.1", Answer.NO),
    ],
)
def test_which_initrds_a_kernel_unpacks(compression: str, config: Kconfig | None, version: str, answer: Answer) -> None:
    """The configuration is believed; without it the age, and the answer says so."""
    assert kconfig.unpacks(compression, config, version) is answer


@pytest.mark.parametrize(
    ("suffix", "options", "version", "answer"),
    [
        ("", None, "6.1", Answer.LIKELY),
        (".xz", None, "6.1", Answer.UNLIKELY),
        (".zst", None, "6.1", Answer.UNLIKELY),
        (".xz", ("FW_LOADER_COMPRESS", "FW_LOADER_COMPRESS_XZ"), "6.1", Answer.YES),
        (".zst", ("FW_LOADER_COMPRESS", "FW_LOADER_COMPRESS_XZ"), "6.1", Answer.NO),
        (".xz", ("FW_LOADER_COMPRESS",), "5.10", Answer.YES),
        (".xz", ("FW_LOADER_COMPRESS",), "6.1", Answer.NO),
        (".xz", (), "5.10", Answer.NO),
        (".lzma", ("FW_LOADER_COMPRESS",), "6.1", Answer.NO),
    ],
)
def test_which_firmware_a_kernel_reads(
    suffix: str, options: tuple[str, ...] | None, version: str, answer: Answer
) -> None:
    """Packed firmware is read by kernels that were built for it only: none is believed to be without being told."""
    config = None if options is None else Kconfig(values={f"CONFIG_{name}": "y" for name in options})
    assert kconfig.loads_firmware(suffix, config, version) is answer


def test_answers_tell_what_they_are() -> None:
    """A proof refuses for what is certain, and warns for the rest."""
    assert [each for each in Answer if each.hopeful] == [Answer.YES, Answer.LIKELY]
    assert [each for each in Answer if each.certain] == [Answer.YES, Answer.NO]


@pytest.mark.parametrize(
    ("place", "content"),
    [
        ("boot/config-6.1", TEXT.encode()),
        ("lib/modules/6.1/config", TEXT.encode()),
        ("lib/modules/6.1/build/.config", TEXT.encode()),
        ("lib/modules/6.1/kernel/kernel/configs.ko", b"\x7fELF" + kernels.ikconfig(TEXT)),
        ("lib/modules/6.1/kernel/kernel/configs.ko.gz", gzip.compress(b"\x7fELF" + kernels.ikconfig(TEXT))),
    ],
)
def test_the_configuration_is_found_where_distributions_put_it(place: str, content: bytes, tmp_path: Path) -> None:
    """Five places, and none."""
    assert kconfig.config_of(DiskTree(tmp_path), "6.1") is None
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).write_bytes(content)
    assert kconfig.config_of(DiskTree(tmp_path), "6.1") == kconfig.parse(TEXT)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", False),
        (kernels.ikconfig(TEXT), True),
        (b"IKCFG_ST\0IKCFG_ED" + kernels.ikconfig(TEXT), True),
        (b"IKCFG_ST" + kernels.ikconfig(TEXT), True),
        (kernels.ikconfig(TEXT)[:-12], False),
        (b"IKCFG_ST" * 1000 + kernels.ikconfig(TEXT), False),
        (b"IKCFG_ST" + gzip.compress(bytes(64 << 20)) + b"IKCFG_ED", False),
    ],
    ids=["nothing", "plain", "stray marks", "a stray start", "cut off", "too many marks", "a bomb"],
)
def test_the_configuration_in_a_kernel(data: bytes, found: bool) -> None:
    """Between two marks, packed; the marks alone mean nothing."""
    assert kconfig.embedded(data) == (kconfig.parse(TEXT) if found else None)
