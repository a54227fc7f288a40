"""Ports for the servers of tests."""

import random
import socket


def free_port() -> int:
    """Returns a port that listens to nobody, from below the range in which other programs are given theirs."""
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        if not listens(port):
            return port


def listens(port: int) -> bool:
    """Tells whether somebody listens at a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
