# SPDX-License-Identifier: GPL-2.0-or-later
"""Attacks on the control channel: connections, messages, their order."""

from __future__ import annotations

import random
import resource
import select
import socket
import struct
import time

from hostile import Target, attack, for_a_while, pack_u32, pack_u64
from vhost_user import (
    ADD_MEM_REG,
    BASIC,
    GET_FEATURES,
    GET_VRING_BASE,
    GUEST_BASE,
    LAST_REQUEST,
    MEMORY_SIZE,
    NEED_REPLY,
    NET_SET_MTU,
    REPLY,
    RESET_OWNER,
    RX,
    SEND_RARP,
    SET_FEATURES,
    SET_LOG_BASE,
    SET_MEM_TABLE,
    SET_STATUS,
    SET_VRING_ADDR,
    SET_VRING_BASE,
    SET_VRING_CALL,
    SET_VRING_ENABLE,
    SET_VRING_ERR,
    SET_VRING_KICK,
    SET_VRING_NUM,
    SIZES,
    TX,
    USER_BASE,
    VERSION,
    region,
    table,
)

N_CONNECTIONS = 1500


@attack
def half_message(target: Target) -> None:
    """Announce a payload of 8 bytes, send none of it, and hold the line."""
    with target.peer() as peer:
        peer.send_bytes(struct.pack("<III", SET_MEM_TABLE, VERSION, 8))
        time.sleep(0.6)


@attack
def all_connections(target: Target) -> None:
    """Open more connections than a process has descriptors by default, and keep them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 2 * N_CONNECTIONS), hard))
    held = []
    try:
        with target.cut_off():
            for _ in range(N_CONNECTIONS):
                s = socket.socket(socket.AF_UNIX)
                held.append(s)
                s.setblocking(False)
                s.connect(str(target.path))
        time.sleep(0.2)
    finally:
        for s in held:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@attack
def dripping_bytes(target: Target) -> None:
    """Send a message byte by byte, a pause before each."""
    with target.peer() as peer:
        for byte in struct.pack("<IIIQ", SET_FEATURES, VERSION, 8, 1 << 32):
            peer.send_bytes(bytes([byte]))
            time.sleep(0.02)


@attack
def connect_storm(target: Target) -> None:
    """Connect and hang up as fast as a process can."""
    with target.cut_off():
        for _ in for_a_while():
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(1)
                s.connect(str(target.path))


@attack
def setup_cut_anywhere(target: Target) -> None:
    """Hang up after each of the messages of a good start, and in the middle of each."""
    for cut in range(1, 16):
        with target.peer() as peer, target.cut_off():
            steps = [
                lambda: peer.negotiate(),
                peer.set_memory,
                *(lambda i=i: peer.set_ring(i) for i in (RX, TX)),
                lambda: peer.number(SET_STATUS, 15),
            ]
            for step in steps[: cut // 3 + 1]:
                step()
            peer.send_bytes(struct.pack("<III", SET_VRING_NUM, VERSION, 8)[: cut % 12] or b"\x01")
            if cut % 2:
                peer.socket.shutdown(socket.SHUT_WR)


@attack
def garbage(target: Target) -> None:
    """Speak noise."""
    for seed in range(40):
        with target.peer() as peer, target.cut_off():
            peer.send_bytes(random.Random(seed).randbytes(1000))
            peer.sync()


@attack
def unknown_requests(target: Target) -> None:
    """Ask for requests that do not exist, crypto, IOTLB, in-flight regions and postcopy among them."""
    for request in [0, *range(21, 36), *range(LAST_REQUEST + 1, 60), 255, 1 << 16, 0xFFFFFFFF]:
        with target.peer() as peer, target.cut_off():
            peer.send(request, bytes(40), [peer.memory_fd])
            peer.sync()


@attack
def wrong_sizes(target: Target) -> None:
    """Give each request a payload that is too short, too long, or announced as 4 GiB."""
    for request, size in SIZES.items():
        for wrong in (0, size - 1, size + 1, 264, 265, 0xFFFFFFFF):
            with target.peer() as peer, target.cut_off():
                peer.send_bytes(struct.pack("<III", request, VERSION, wrong) + bytes(min(wrong, 300)))


@attack
def wrong_flags(target: Target) -> None:
    """Send other versions of the protocol, and replies to questions that nobody asked."""
    for flags in (0, 2, 3, VERSION | REPLY, 0xFFFFFFFF):
        with target.peer() as peer, target.cut_off():
            peer.send_bytes(struct.pack("<III", GET_FEATURES, flags, 0))
            peer.sync()


@attack
def surplus_descriptors(target: Target) -> None:
    """Attach descriptors to requests that take none, and as many as the kernel allows to one."""
    for request in (GET_FEATURES, SET_VRING_NUM, SET_MEM_TABLE, SET_VRING_KICK, SET_LOG_BASE, SEND_RARP):
        for count in (1, 8, 9, 253):
            with target.peer() as peer, target.cut_off():
                peer.send(request, bytes(SIZES.get(request, 0)), [peer.memory_fd] * count)
                peer.sync()


@attack
def descriptors_on_each_byte(target: Target) -> None:
    """Attach eight descriptors to every byte of one message."""
    for _ in range(10):
        with target.peer() as peer, target.cut_off():
            for byte in struct.pack("<IIIQ", SET_VRING_KICK, VERSION, 8, 0):
                peer.send_bytes(bytes([byte]), [peer.memory_fd] * 8)
            peer.sync()


@attack
def descriptors_never_read(target: Target) -> None:
    """Queue messages with descriptors behind half a message and hang up."""
    for _ in range(10):
        with target.peer() as peer, target.cut_off():
            peer.socket.setblocking(False)
            for _ in range(200):
                peer.send(SET_MEM_TABLE, table(*[region(0, 0, 0)] * 8), [peer.memory_fd] * 8)


@attack
def missing_descriptors(target: Target) -> None:
    """Announce memory, kicks and logs without their descriptors."""
    for request, payload in (
        (SET_MEM_TABLE, table(region(0, 4096, 0))),
        (ADD_MEM_REG, pack_u64(0) + region(0, 4096, 0)),
        (SET_LOG_BASE, pack_u64(4096, 0)),
        (SET_VRING_KICK, pack_u64(0)),
        (SET_VRING_CALL, pack_u64(1)),
    ):
        with target.peer() as peer, target.cut_off():
            peer.negotiate()
            peer.send(request, payload)
            peer.sync()


@attack
def never_reading(target: Target) -> None:
    """Ask for answers without end and read none."""
    with target.peer() as peer, target.cut_off():
        peer.negotiate()
        peer.socket.setblocking(False)
        for _ in for_a_while():
            peer.send_bytes(struct.pack("<III", GET_FEATURES, VERSION, 0) * 64)


@attack
def message_flood(target: Target) -> None:
    """Send small requests as fast as the socket takes them."""
    with target.peer() as peer:
        peer.socket.setblocking(False)
        data = struct.pack("<IIIQ", SET_FEATURES, VERSION, 8, BASIC) * 64
        for _ in for_a_while(0.6):
            try:
                peer.socket.send(data)
            except BlockingIOError:
                select.select([], [peer.socket], [], 0.05)


@attack
def stop_and_go(target: Target) -> None:
    """Stop and start rings under traffic so often that workers have no time for anything else."""
    with target.good_peer() as peer:
        peer.fill_receive_ring()
        for i in for_a_while(0.6):
            peer.vring(SET_VRING_ENABLE, i % 2, i // 2 % 2)
            peer.number(SET_STATUS, 15 if i % 2 else 0)


@attack
def any_order(target: Target) -> None:
    """Send two thousand right messages in no order at all."""
    rng = random.Random(1)
    for _ in range(4):
        with target.good_peer() as peer, target.cut_off():
            for _ in range(500):
                request = rng.choice(list(SIZES))
                fds = {SET_MEM_TABLE: 1, SET_LOG_BASE: 1, ADD_MEM_REG: 1}.get(request, 0)
                payload = {
                    SET_MEM_TABLE: table(region(GUEST_BASE, MEMORY_SIZE, USER_BASE)),
                    SET_FEATURES: pack_u64(BASIC),
                    SET_STATUS: pack_u64(rng.choice((0, 7, 15))),
                }.get(request, pack_u32(rng.randrange(2), rng.choice((0, 1, 256, 32768))) + bytes(32))
                peer.send(request, payload[: SIZES[request]], [peer.memory_fd] * fds, NEED_REPLY)
                if request in (SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR):
                    return
                peer.reply()


@attack
def before_their_time(target: Target) -> None:
    """Start rings before features, memory before an owner, status before everything."""
    with target.peer() as peer, target.cut_off():
        peer.number(SET_STATUS, 15)
        peer.sync()
    for first in (RX, TX):
        with target.peer() as peer, target.cut_off():
            peer.set_ring(first)
            peer.set_memory()
            peer.offer(first, range(200))
            peer.sync()


@attack
def ring_that_is_not_there(target: Target) -> None:
    """Name rings beyond those of the port, in 8, 16 and 32 bits."""
    for index in (2, 127, 128, 255, 0x100, 0x10000, 0x10001, 0x80000000, 0xFFFFFFFF):
        for request in (SET_VRING_NUM, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_ENABLE, SET_VRING_ADDR):
            with target.peer() as peer, target.cut_off():
                peer.send(request, pack_u32(index, 256) + bytes(SIZES[request] - 8))
                peer.sync()


@attack
def feature_flips(target: Target) -> None:
    """Change the features, and with them the layout of headers and rings, under running rings."""
    with target.good_peer() as peer, target.cut_off():
        offered = peer.ask(GET_FEATURES)
        peer.fill_receive_ring()
        for i in for_a_while():
            peer.number(SET_FEATURES, offered & random.Random(i).getrandbits(64) | (BASIC if i % 2 else 0))
            peer.offer(TX, range(16))


@attack
def resets(target: Target) -> None:
    """Reset, take the owner away, and set everything up again, without a pause."""
    with target.good_peer() as peer, target.cut_off():
        for i in for_a_while():
            peer.send(RESET_OWNER) if i % 2 else peer.number(SET_STATUS, 0)
            peer.set_memory()
            peer.set_ring(i % 2)
            peer.number(SET_STATUS, 15)


@attack
def announcements(target: Target) -> None:
    """Announce itself to the network thousands of times, and have the MTU set to what cannot be."""
    with target.good_peer() as peer, target.cut_off():
        for i in for_a_while():
            peer.number(SEND_RARP, 0x020202020202)
            peer.number(NET_SET_MTU, random.Random(i).choice((0, 67, 68, 1500, 65535, 1 << 32)), flags=NEED_REPLY)
            peer.reply()
