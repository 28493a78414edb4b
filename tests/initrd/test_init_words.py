"""The words of the kernel command line: what each means, and what is refused.  None is ever run."""

import pytest

from tests.initrd.firststages import Stage

pytestmark = pytest.mark.integration


def shown(names: str) -> str:
    """Return shell commands that print variables, one per line."""
    return "".join(f"printf '%s=%s\\n' {name} \"${name}\"\n" for name in names.split())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("imgurl=http://a/x imgurl=tftp://b/y", {"imgurls": " http://a/x tftp://b/y"}),
        ("imgsha256=AB12", {"imgsha256": "ab12"}),
        ("BOOTIF=01-00-18-8b-F8-E3-58", {"bootif": "00:18:8b:f8:e3:58"}),
        ("BOOTIF=00:18:8b:f8:e3:58", {"bootif": "00:18:8b:f8:e3:58"}),
        ("nic=eth1", {"wanted": "eth1"}),
        ("nic=00-18-8B-F8-E3-58", {"wanted": "00:18:8b:f8:e3:58"}),
        ("vlan=100", {"vlan": "100"}),
        ("rescue", {"rescue": "handover"}),
        ("rescue=network,image", {"rescue": "network,image"}),
        ("rootsize=512m rootinodes=1000", {"rootsize": "512m", "rootinodes": "1000"}),
        ("rootsize=50%", {"rootsize": "50%"}),
        ("onfail=reboot", {"onfail": "reboot"}),
        ("init=/usr/lib/systemd/systemd", {"init": "/usr/lib/systemd/systemd"}),
        ("status=http://10.1.0.1/log/x", {"status": "http://10.1.0.1/log/x"}),
        ("unverified", {"unverified": "1"}),
        ("tries=1", {"tries": "1"}),
        ("quiet console=ttyS0,115200n8 imgurls=x", {"imgurls": "", "bootif": "", "wanted": "", "onfail": "wait"}),
        ("", {"init": "/sbin/init", "rootsize": "90%", "static": "", "rescue": ""}),
    ],
)
def test_a_word_means(machine: Stage, words: str, expected: dict[str, str]) -> None:
    """Each word is taken over as the manual says; what is not ours is passed over."""
    said = machine.says(f"read_words '{words}'\n" + shown(" ".join(["mistakes", *expected])))
    assert dict(line.split("=", 1) for line in said.splitlines()) == {"mistakes": "", **expected}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("ip=dhcp", {"static": ""}),
        ("ip=::::n01:eth1:dhcp", {"static": "", "wanted": "eth1"}),
        ("ip=:::::eth0", {"static": "", "wanted": "eth0"}),
        (
            "ip=10.1.0.11:10.1.0.1:10.1.0.254:255.255.0.0:n01:eth0:off:10.1.0.1:10.1.0.2",
            {
                "static": "10.1.0.11", "gateway": "10.1.0.254", "netmask": "255.255.0.0", "hostname": "n01",
                "wanted": "eth0", "servers": "10.1.0.1 10.1.0.2",
            },
        ),
        ("ip=10.1.0.11::10.1.0.254", {"static": "10.1.0.11", "netmask": "255.0.0.0"}),
        ("ip=172.16.0.5:::", {"static": "172.16.0.5", "netmask": "255.255.0.0", "gateway": ""}),
        ("ip=192.168.1.5:::", {"static": "192.168.1.5", "netmask": "255.255.255.0"}),
        ("ip=10.1.0.11:::255.255.255.0:::dhcp", {"static": ""}),
        ("ip=10.1.0.11:::255.255.255.0:a$(reboot):", {"static": "10.1.0.11", "hostname": ""}),
        ("ip=10.1.0.11:::255.255.255.0:-F:", {"hostname": ""}),
    ],
)  # fmt: skip
def test_a_static_address_as_the_kernel_reads_it(machine: Stage, word: str, expected: dict[str, str]) -> None:
    """The fields of ip= lie as nfsroot.rst has them; an address means that no DHCP is asked, unless it says so."""
    said = machine.says(f"read_words '{word}'\n" + shown(" ".join(["mistakes", *expected])))
    assert dict(line.split("=", 1) for line in said.splitlines()) == {"mistakes": "", **expected}


@pytest.mark.parametrize(
    "word",
    [
        "BOOTIF=01-00-18-8b-f8",
        "BOOTIF=01-00-18-8b-f8-e3-5g",
        "BOOTIF=$(reboot)",
        "nic=",
        "nic=-flag",
        "nic=a/b",
        "nic=sixteencharacter",
        "vlan=0",
        "vlan=4095",
        "vlan=1x",
        "vlan=99999999999999999999",
        "vlan=08",  # octal to a shell's arithmetic, which would end the shell
        "ip=off",
        "ip=10.1.0.256::",
        "ip=10.1.0::",
        "ip=10.1.0.11::gateway",
        "ip=10.1.0.11:::255.255.255.0::-x:",
        "ip=10.1.0.11:::255.255.255.0::eth0:maybe",
        "ip=[2001:db8::1]",
        "rootsize=",
        "rootsize=90%,huge=always",
        "rootsize=-1",
        "rootinodes=1,mode=777",
        "init=sbin/init",
        "init=/../x",
        "init=/sbin/init;reboot",
        "onfail=explode",
        "tries=0",
        "status=file:///etc/passwd",
        "status=http://10.1.0.1/x?y=1",  # the report's own query follows
    ],
)
def test_a_wrong_word_is_a_mistake(machine: Stage, word: str) -> None:
    """What cannot be meant is named in `mistakes`, with which init ends before it touches the network."""
    assert machine.says(f"read_words '{word}'\n" + shown("mistakes")) == f"mistakes= {word}"


@pytest.mark.parametrize("word", ["$(>ran)", "`>ran`", "*", "-e", "x;>ran", "%s%n", "\\033c"])
def test_no_word_is_run_or_expanded(machine: Stage, word: str) -> None:
    """Substitutions, patterns and options among the words stay text."""
    (machine.root / "proc/cmdline").write_text(f"{word} nic={word} imgurl={word}\n")
    script = 'read_words "$(cat "$proc/cmdline")"\nprintf "%s\\n" "$imgurls"\nfail "$mistakes" "$mistakes" >/dev/null\n'
    done = machine.run(script)
    assert done.returncode == 9, done.stderr
    assert not (machine.root / "ran").exists()
    assert done.stdout.split("\n")[0] == f" {word}"


def test_init_reads_the_words_before_all_else(machine: Stage) -> None:
    """A wrong command line ends in the screen, with the word."""
    (machine.root / "proc/cmdline").write_text("vlan=none quiet\n")
    done = machine.run("prepare() { :; }\nmain\n")
    assert "FAILED: the kernel command line is wrong: vlan=none" in done.stdout
    assert not machine.calls("insmod") + machine.calls("udhcpc")
