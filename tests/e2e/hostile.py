# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of attacks, and what an attacker has at hand."""

from __future__ import annotations

import struct
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Callable, Iterator, NamedTuple

from vhost_user import TX, Peer

CUT_OFF = (BrokenPipeError, ConnectionResetError, ConnectionRefusedError, TimeoutError, BlockingIOError)


class Target:
    """The attacker's own port."""

    def __init__(self, path: Path, directory: Path, switch_pid: int) -> None:
        self.path = path
        self.directory = directory  # for files of the attack
        self.switch_pid = switch_pid

    def peer(self) -> Peer:
        """A new connection, retried while the switch is still rid of the one before."""
        deadline = time.monotonic() + 3
        while True:
            peer = Peer(self.path)
            if peer.is_served():
                return peer
            peer.__exit__()
            if time.monotonic() > deadline:
                raise TimeoutError("the port does not serve a new peer")
            time.sleep(0.01)

    def good_peer(self, features: int = 0, size: int = 256) -> Peer:
        return self.peer().start(features, size)

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """What is inside may end early, when the switch has had enough of the peer."""
        with suppress(*CUT_OFF):
            yield

    def works(self) -> bool:
        """Whether a good peer is served: its frame is taken and its buffer comes back."""
        with self.good_peer() as peer:
            peer.offer(TX, [0])
            return wait(lambda: peer.used_index(TX) == 1, 3)


class Attack(NamedTuple):
    sentence: str
    run: Callable[[Target], None]


ATTACKS: list[Attack] = []


def attack(run: Callable[[Target], None]) -> Callable[[Target], None]:
    """Put a function into the table. Its one sentence says what it tries."""
    assert run.__doc__ is not None
    ATTACKS.append(Attack(run.__doc__.rstrip("."), run))
    return run


def wait(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def for_a_while(duration_s: float = 0.4) -> Iterator[int]:
    """Numbers, until the time is over."""
    end = time.monotonic() + duration_s
    number = 0
    while time.monotonic() < end:
        yield number
        number += 1


def pack_u32(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *(n & 0xFFFFFFFF for n in numbers))


def pack_u64(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}Q", *(n & 0xFFFFFFFFFFFFFFFF for n in numbers))
