"""`lab console n01`: the user's terminal on a node's serial line, as a person in front of the machine would see it."""

import os
import select
import socket
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from tasks.errors import BootmillError
from tasks.inventory.model import Node
from tasks.lab import outside, state

LEAVE = b"\x1d"  # Ctrl-], as in telnet(1) and virsh


def console(node: Node) -> None:
    """Join the terminal and the node's serial console until Ctrl-] or until the node is switched off."""
    outside.require()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        try:
            line.connect(str(state.console_socket(node.name)))
        except (FileNotFoundError, ConnectionRefusedError):
            message = f"{node.name} is off"
            raise BootmillError(
                message, hint=f"doit lab boot {node.name}; what it said so far: {state.console_log(node.name)}"
            ) from None
        print(f"console of {node.name}; leave it with Ctrl-]", flush=True)
        with raw(sys.stdin.fileno()):
            join(line, sys.stdin.fileno(), sys.stdout.fileno())


@contextmanager
def raw(terminal: int) -> Iterator[None]:
    """Hand every key through, Ctrl-C too, and give the terminal back as it was."""
    if not os.isatty(terminal):
        yield
        return
    before = termios.tcgetattr(terminal)
    try:
        tty.setraw(terminal)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def join(line: socket.socket, keys: int, screen: int) -> None:
    """Carry bytes both ways until one side ends."""
    watched: list[socket.socket | int] = [line, keys]
    while True:
        ready = select.select(watched, [], [])[0]
        if line in ready:
            data = line.recv(4096)
            if not data:
                return
            write_all(screen, data)
        if keys in ready:
            typed = os.read(keys, 4096)
            before, leave, _ = typed.partition(LEAVE)
            line.sendall(before)
            if leave:
                return
            if not typed:  # the end of a pipe: go on listening
                watched.remove(keys)


def write_all(screen: int, data: bytes) -> None:
    """Write every byte, however few the terminal takes at once."""
    while data:
        data = data[os.write(screen, data) :]
