#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest moves between two QEMUs on two ports of the switch, again and again, under TCP load both ways.

QEMU's own live migration: while the guest runs on, its memory is sent, and what is written meanwhile is sent once
more. QEMU knows what the guest writes; what the switch writes into receive buffers and rings only the switch can
tell, in the dirty log. One page that it forgets is a page of old bytes in the guest after the move. So one TCP
connection in each direction lasts over all moves, and each byte of it is compared.

The QEMU is of version 10: without KVM, 7.2 loses pages that the guest's own CPU wrote, whatever its network is (compare
the memory of both with pmemsave), which QEMU 9.0 has mended.

VDPAD_E2E_MIGRATIONS is the number of moves, 4 if it is not set.
"""

from __future__ import annotations

import ctypes
import os
import socket
import threading
import time
from pathlib import Path

from guest import Guest
from lab import (
    BRIDGE,
    HOST_IPV4,
    MEMORY,
    add_bridge,
    guest_image,
    ipv4,
    ipv6,
    qemu_10,
    qemu_arguments,
    qemu_version,
)
from node import Node, NodeFixture
from process import wait_until
from tap import Suite, expect, note

N_MIGRATIONS = int(os.environ.get("VDPAD_E2E_MIGRATIONS", "4"))
PORTS = ("here", "there")
MAC = "52:54:00:77:00:02"
BLOCK_BYTES = 1 << 20  # what both streams repeat
UP_PORT, DOWN_PORT = 5001, 5002
BYTES_PER_MOVE = 1 << 20  # in each direction, at least
MOVE_TIMEOUT_S = 60.0
STILL_S = 10.0  # until traffic goes on after a move
BANDWIDTH = 400 << 20
CLONE_NEWNET = 0x40000000


def listen_in(netns: str, port: int) -> socket.socket:
    """A listening socket in another network namespace. It stays there; only a thread goes to make it."""
    made: list[socket.socket] = []

    def make() -> None:
        with open(f"/run/netns/{netns}") as namespace:
            if ctypes.CDLL(None).setns(namespace.fileno(), CLONE_NEWNET) != 0:
                return
        made.append(socket.create_server((HOST_IPV4, port)))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return made[0]


class Upload:
    """The host's end of the stream that the guest sends: compares each byte."""

    def __init__(self, netns: str, block: bytes) -> None:
        self._listener = listen_in(netns, UP_PORT)
        self._twice = block + block
        self.n_bytes = 0
        self.wrong_at: int | None = None
        self.longest_gap_s = 0.0
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def _receive(self) -> None:
        connection, _ = self._listener.accept()
        last = time.monotonic()
        while data := connection.recv(1 << 16):
            now = time.monotonic()
            self.longest_gap_s = max(self.longest_gap_s, now - last)
            last = now
            start = self.n_bytes % BLOCK_BYTES
            if data != self._twice[start : start + len(data)] and self.wrong_at is None:
                self.wrong_at = self.n_bytes
            self.n_bytes += len(data)


class Download:
    """The host's end of the stream that the guest receives and adds up, block by block."""

    def __init__(self, netns: str, block: bytes) -> None:
        self._listener = listen_in(netns, DOWN_PORT)
        self._block = block
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._send, args=(connection,), daemon=True).start()

    def _send(self, connection: socket.socket) -> None:
        try:
            while True:
                connection.sendall(self._block)
        except OSError:
            connection.close()


class Lab(NodeFixture):
    """A node with the bridge vmbr0, two ports, and the guest on one of them."""

    def __init__(self, build: Path) -> None:
        self._image = guest_image(build)
        self._qemu = qemu_10(build)
        note(f"QEMU {qemu_version(self._qemu)}")
        super().__init__(Node(build))
        self.guest: Guest | None = None
        self.n_moves = 0

    def set_up(self) -> None:
        add_bridge(self.node)
        self.node.start()
        for port in PORTS:
            self.node.ctl("port", "add", port, "network", BRIDGE)
        self.guest = self._start(0, [])
        self.guest.wait_ready()
        block = os.urandom(BLOCK_BYTES)
        self.upload = Upload(self.node.netns, block)
        self.download = Download(self.node.netns, block)
        self._start_load()

    def parts(self) -> list[Guest]:
        return [self.guest] if self.guest else []

    def _start(self, number: int, more_arguments: list[str]) -> Guest:
        """A QEMU on the port whose turn it is."""
        port = PORTS[number % len(PORTS)]
        arguments = qemu_arguments(self.node, port, self._qemu) + more_arguments
        # Two ports of one network cannot have the same address, but the guest keeps its own.
        arguments = [a.replace(str(self.node.port(port)["mac"]), MAC) for a in arguments]
        addresses = [f"{ipv4(2)}/24,{ipv6(2)}/64"]
        return Guest(
            f"guest-{number}",
            self.node.directory,
            self._image,
            arguments,
            addresses,
            qemu=self._qemu,
            memory=MEMORY,
        )

    def _start_load(self) -> None:
        """The guest fetches a block, and from then on sends it and compares what it receives with it."""
        assert self.guest is not None
        take_block = "dd bs=65536 count=16 iflag=fullblock 2>/dev/null"
        self.guest.run(f"nc {HOST_IPV4} {DOWN_PORT} </dev/null | {take_block} >/tmp/block").check()
        self.md5 = self.guest.run("md5sum </tmp/block").check().split()[0]
        self.guest.start(f"while cat /tmp/block; do :; done | nc {HOST_IPV4} {UP_PORT}")
        self.guest.start(
            f"nc {HOST_IPV4} {DOWN_PORT} </dev/null | while {take_block} >/tmp/part; [ -s /tmp/part ]; "
            "do md5sum </tmp/part; done >/tmp/sums"
        )

    def sums(self) -> list[str]:
        """Of the blocks that the guest has received so far."""
        assert self.guest is not None
        return self.guest.run("cut -c1-32 /tmp/sums").check().split()

    def move(self) -> dict[str, object]:
        """Migrate the guest to a new QEMU on the other port. Returns what QEMU says of it."""
        assert self.guest is not None
        uri = f"unix:{self.node.directory}/migration"
        self.n_moves += 1
        target = self._start(self.n_moves, ["-incoming", uri])
        source, self.guest = self.guest, target
        try:
            target.qmp("query-status", timeout_s=MOVE_TIMEOUT_S)  # it listens
            source.qmp("migrate-set-parameters", **{"max-bandwidth": BANDWIDTH})
            source.qmp("migrate", uri=uri)
            info: dict[str, object] = {}

            def is_over() -> bool:
                answer = source.qmp("query-migrate", timeout_s=MOVE_TIMEOUT_S)
                assert isinstance(answer, dict)
                info.update(answer)
                return info.get("status") in ("completed", "failed", "cancelled")

            wait_until(is_over, MOVE_TIMEOUT_S, "the migration", interval_s=0.1)
            expect(info["status"] == "completed", f"the migration {info}")
            return info
        finally:
            source.close()


suite = Suite[Lab]()


def check_streams(lab: Lab) -> None:
    sums = lab.sums()
    wrong = [n for n, md5 in enumerate(sums) if md5 != lab.md5]
    expect(lab.upload.wrong_at is None, f"byte {lab.upload.wrong_at} that the guest sent is wrong")
    expect(not wrong, f"blocks {wrong} that the guest received are wrong, of {len(sums)}")


@suite.case(f"{N_MIGRATIONS} live migrations under TCP load corrupt no byte", timeout_s=60 + 40 * N_MIGRATIONS)
def migrations(lab: Lab) -> None:
    downtimes_ms, gaps_s = [], []
    wait_until(lambda: len(lab.sums()) > 0 and lab.upload.n_bytes > 0, 30, "traffic both ways", interval_s=0.2)
    for number in range(N_MIGRATIONS):
        sent, received = lab.upload.n_bytes, len(lab.sums())
        lab.upload.longest_gap_s = 0.0
        info = lab.move()
        wait_until(
            lambda: lab.upload.n_bytes > sent + BYTES_PER_MOVE and len(lab.sums()) > received,
            STILL_S * lab.node.slowness,
            "traffic both ways after the migration",
            interval_s=0.2,
        )
        check_streams(lab)
        ram = info["ram"]
        assert isinstance(ram, dict)
        downtimes_ms.append(int(str(info["downtime"])))
        gaps_s.append(lab.upload.longest_gap_s)
        note(
            f"{number + 1}: {ram['dirty-sync-count']} rounds, {int(str(info['total-time'])) / 1000:.1f} s, "
            f"downtime {downtimes_ms[-1]} ms, longest pause of the stream {gaps_s[-1]:.2f} s"
        )
    note(f"{lab.upload.n_bytes >> 20} MB sent and {len(lab.sums())} MB received by the guest, no byte wrong")
    note(f"downtime: median {sorted(downtimes_ms)[N_MIGRATIONS // 2]} ms, most {max(downtimes_ms)} ms")
    note(f"pause of the stream: median {sorted(gaps_s)[N_MIGRATIONS // 2]:.2f} s, longest {max(gaps_s):.2f} s")


@suite.case("after its moves the guest is found at the port it has moved to, and the other is free")
def found_there(lab: Lab) -> None:
    here, there = PORTS[lab.n_moves % 2], PORTS[(lab.n_moves + 1) % 2]
    lab.node.wait_port_state(here, "connected")
    lab.node.wait_port_state(there, "ready")
    expect(lab.node.run("ping", "-c", "3", "-i", "0.2", "-W", "2", ipv4(2)).status == 0, "no answer")


if __name__ == "__main__":
    suite.main(Lab)
