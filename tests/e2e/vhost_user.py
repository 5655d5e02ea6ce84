# SPDX-License-Identifier: GPL-2.0-or-later
"""A vhost-user front-end and its guest, byte by byte, for peers that do what no QEMU would do.

Nothing here is checked: a test says what goes over the wire and into memory.
"""

from __future__ import annotations

import array
import mmap
import os
import socket
import struct
from pathlib import Path
from typing import Sequence

GET_FEATURES, SET_FEATURES, SET_OWNER, RESET_OWNER = 1, 2, 3, 4
SET_MEM_TABLE, SET_LOG_BASE, SET_LOG_FD = 5, 6, 7
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE = 8, 9, 10, 11
SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR = 12, 13, 14
GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM = 15, 16, 17
SET_VRING_ENABLE, SEND_RARP, NET_SET_MTU = 18, 19, 20
GET_MAX_MEM_SLOTS, ADD_MEM_REG, REM_MEM_REG, SET_STATUS, GET_STATUS = 36, 37, 38, 39, 40
LAST_REQUEST = GET_STATUS
SIZES = {  # of the payload, where there is one
    SET_FEATURES: 8, SET_MEM_TABLE: 40, SET_LOG_BASE: 16, SET_VRING_NUM: 8, SET_VRING_ADDR: 40, SET_VRING_BASE: 8,
    GET_VRING_BASE: 8, SET_VRING_KICK: 8, SET_VRING_CALL: 8, SET_VRING_ERR: 8, SET_PROTOCOL_FEATURES: 8,
    SET_VRING_ENABLE: 8, SEND_RARP: 8, NET_SET_MTU: 8, ADD_MEM_REG: 40, REM_MEM_REG: 40, SET_STATUS: 8,
}  # fmt: skip

VERSION, REPLY, NEED_REPLY = 1, 4, 8

F_MRG_RXBUF, F_LOG_ALL, F_INDIRECT, F_EVENT_IDX = 1 << 15, 1 << 26, 1 << 28, 1 << 29
F_PROTOCOL, F_VERSION_1, F_PACKED = 1 << 30, 1 << 32, 1 << 34
BASIC = F_PROTOCOL | F_VERSION_1

NEXT, WRITE, INDIRECT = 1, 2, 4  # of a descriptor

GUEST_BASE = 0x100000
USER_BASE = 0x7F0000000000
MEMORY_SIZE = 16 << 20
RING_AREA = 1 << 20  # one ring of 32,768 entries fits
AVAIL, USED = 0x90000, 0xA0000  # in the area of a ring
DATA = 8 << 20
SEND = DATA + (1 << 20)  # of it, what is sent and never received into: nobody's frame is sent back
FRAME_SIZE = 112  # with the header
RX, TX = 0, 1  # as the guest sees them
FILL = 0x02  # with it a frame at any place goes from 02:02:02:02:02:02 to itself, and so nowhere
MAC = ":".join([f"{FILL:02x}"] * 6)
TIMEOUT_S = 3.0


def region(guest: int, size: int, user: int, offset: int = 0) -> bytes:
    return struct.pack("<QQQQ", guest, size, user, offset)


def table(*regions: bytes) -> bytes:
    return struct.pack("<II", len(regions), 0) + b"".join(regions)


def memory_file(size: int = MEMORY_SIZE) -> int:
    fd = os.memfd_create("hostile")
    os.ftruncate(fd, size)
    return fd


class Peer:
    """One connection, one guest memory, and as many rings as are set up."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(TIMEOUT_S)
        self.socket.connect(str(path))
        self._fds: list[int] = []
        self.memory_fd = self.keep(memory_file())
        self.memory = mmap.mmap(self.memory_fd, MEMORY_SIZE)
        self.memory[DATA:] = bytes([FILL]) * (MEMORY_SIZE - DATA)
        self.sizes: dict[int, int] = {}
        self.kicks: dict[int, int] = {}
        self.calls: dict[int, int] = {}

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        self.memory.close()
        for fd in self._fds:
            os.close(fd)

    def keep(self, fd: int) -> int:
        """Close `fd` with the peer."""
        self._fds.append(fd)
        return fd

    # Messages.

    def send_bytes(self, data: bytes, fds: Sequence[int] = ()) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.socket.sendmsg([data], rights)

    def send(self, request: int, payload: bytes = b"", fds: Sequence[int] = (), flags: int = 0) -> None:
        self.send_bytes(struct.pack("<III", request, VERSION | flags, len(payload)) + payload, fds)

    def number(self, request: int, value: int, fds: Sequence[int] = (), flags: int = 0) -> None:
        self.send(request, struct.pack("<Q", value), fds, flags)

    def vring(self, request: int, index: int, value: int, flags: int = 0) -> None:
        self.send(request, struct.pack("<II", index, value), (), flags)

    def reply(self, to: int | None = None) -> bytes:
        """The payload of the next answer, or of the next to a certain request."""
        while True:
            header = self.socket.recv(12, socket.MSG_WAITALL)
            if len(header) < 12:
                raise ConnectionResetError("hung up")
            request, _, size = struct.unpack("<III", header)
            payload = self.socket.recv(size, socket.MSG_WAITALL) if size else b""
            if to in (None, request):
                return payload

    def ask(self, request: int) -> int:
        """Returns the number that is the answer. All that was sent before has been handled then."""
        self.send(request)
        return int(struct.unpack("<Q", self.reply(request))[0])

    def sync(self) -> None:
        self.ask(GET_FEATURES)

    def is_served(self) -> bool:
        try:
            self.sync()
        except OSError:
            return False
        return True

    # Setting up.

    def negotiate(self, features: int = 0) -> None:
        """All protocol features, and what is offered of `features`."""
        offered = self.ask(GET_FEATURES)
        self.number(SET_PROTOCOL_FEATURES, self.ask(GET_PROTOCOL_FEATURES))
        self.send(SET_OWNER)
        self.number(SET_FEATURES, (features | BASIC) & offered)

    def set_memory(self) -> None:
        self.send(SET_MEM_TABLE, table(region(GUEST_BASE, MEMORY_SIZE, USER_BASE)), [self.memory_fd])

    def set_addr(self, index: int, *, desc: int, avail: int, used: int, log: int = 0, flags: int = 0) -> None:
        places = (USER_BASE + desc, USER_BASE + used, USER_BASE + avail)
        self.send(SET_VRING_ADDR, struct.pack("<IIQQQQ", index, flags, *places, log))

    def set_ring(self, index: int, size: int = 256) -> None:
        at = index * RING_AREA
        self.sizes[index] = size
        if index not in self.kicks:
            self.kicks[index] = self.keep(os.eventfd(0, os.EFD_NONBLOCK))
            self.calls[index] = self.keep(os.eventfd(0, os.EFD_NONBLOCK))
        self.vring(SET_VRING_NUM, index, size)
        self.vring(SET_VRING_BASE, index, 0)
        self.set_addr(index, desc=at, avail=at + AVAIL, used=at + USED)
        self.number(SET_VRING_KICK, index, [self.kicks[index]])
        self.number(SET_VRING_CALL, index, [self.calls[index]])
        self.vring(SET_VRING_ENABLE, index, 1)

    def start(self, features: int = 0, size: int = 256) -> Peer:
        """Everything that a good peer does before its first frame."""
        self.negotiate(features)
        self.set_memory()
        for index in (RX, TX):
            self.set_ring(index, size)
        for i in range(size):
            self.desc(TX, i, GUEST_BASE + SEND + i % 256 * 2048, FRAME_SIZE)
        self.number(SET_STATUS, 15)
        self.sync()
        return self

    # The guest.

    def desc(self, index: int, i: int, addr: int, size: int, flags: int = 0, following: int = 0) -> None:
        at = index * RING_AREA + i * 16
        struct.pack_into("<QIHH", self.memory, at, addr % (1 << 64), size % (1 << 32), flags, following)

    def avail_entry(self, index: int, position: int, head: int) -> None:
        at = index * RING_AREA + AVAIL + 4 + 2 * (position % self.sizes[index])
        struct.pack_into("<H", self.memory, at, head)

    def avail_index(self, index: int) -> int:
        return int(struct.unpack_from("<H", self.memory, index * RING_AREA + AVAIL + 2)[0])

    def set_avail_index(self, index: int, value: int) -> None:
        struct.pack_into("<H", self.memory, index * RING_AREA + AVAIL + 2, value & 0xFFFF)

    def used_index(self, index: int) -> int:
        return int(struct.unpack_from("<H", self.memory, index * RING_AREA + USED + 2)[0])

    def offer(self, index: int, heads: Sequence[int]) -> None:
        """Make chains available and kick."""
        position = self.avail_index(index)
        for i, head in enumerate(heads):
            self.avail_entry(index, position + i, head)
        self.set_avail_index(index, position + len(heads))
        self.kick(index)

    def kick(self, index: int) -> None:
        os.eventfd_write(self.kicks[index], 1)

    def fill_receive_ring(self, size: int = 2048) -> None:
        for i in range(self.sizes[RX]):
            self.desc(RX, i, GUEST_BASE + DATA + i * 2048, size, WRITE)
        self.offer(RX, range(self.sizes[RX]))
