# SPDX-License-Identifier: GPL-2.0-or-later
"""Attacks on the control channel: sockets, messages, descriptors, memory."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import random
import resource
import select
import socket
import struct
import threading
import time

from hostile import Target, attack, for_a_while, pack_u32, pack_u64
from vhost_user import (
    ADD_MEM_REG,
    BASIC,
    F_LOG_ALL,
    GET_FEATURES,
    GET_STATUS,
    GET_VRING_BASE,
    GUEST_BASE,
    LAST_REQUEST,
    MEMORY_SIZE,
    NEED_REPLY,
    NET_SET_MTU,
    REM_MEM_REG,
    REPLY,
    RESET_OWNER,
    RX,
    SEND_RARP,
    SET_FEATURES,
    SET_LOG_BASE,
    SET_LOG_FD,
    SET_MEM_TABLE,
    SET_PROTOCOL_FEATURES,
    SET_STATUS,
    SET_VRING_ADDR,
    SET_VRING_BASE,
    SET_VRING_CALL,
    SET_VRING_ENABLE,
    SET_VRING_ERR,
    SET_VRING_KICK,
    SET_VRING_NUM,
    TX,
    USER_BASE,
    VERSION,
    Peer,
    memory_file,
    region,
    table,
)

SIZES = {
    SET_FEATURES: 8, SET_MEM_TABLE: 40, SET_LOG_BASE: 16, SET_VRING_NUM: 8, SET_VRING_ADDR: 40, SET_VRING_BASE: 8,
    GET_VRING_BASE: 8, SET_VRING_KICK: 8, SET_VRING_CALL: 8, SET_VRING_ERR: 8, SET_PROTOCOL_FEATURES: 8,
    SET_VRING_ENABLE: 8, SEND_RARP: 8, NET_SET_MTU: 8, ADD_MEM_REG: 40, REM_MEM_REG: 40, SET_STATUS: 8,
}  # fmt: skip
FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE = 1, 2
N_CONNECTIONS = 1500
LINGER_S = 4
LARGE = 512 << 20
libc = ctypes.CDLL(None, use_errno=True)


def connect(target: Target) -> socket.socket:
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(1)
    s.connect(str(target.path))
    return s


# The three of old: half a message, all the connections, memory that shrinks.


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
def shrinking_memory(target: Target) -> None:
    """Truncate the memory to nothing while rings run in it."""
    for _ in range(5):
        with target.good_peer() as peer, target.cut_off():
            peer.fill_receive_ring()
            peer.offer(TX, [0] * 64)
            os.ftruncate(peer.memory_fd, 0)
            time.sleep(0.05)
            peer.sync()


# Sockets and messages.


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
            connect(target).close()


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


# Descriptors of other kinds.


@attack
def memory_of_other_kinds(target: Target) -> None:
    """Share as memory what is a device, a directory, a pipe, a socket, a file on a disk or an eventfd."""
    disk = target.directory / "disk"
    disk.write_bytes(bytes(1 << 20))
    pair = os.pipe()
    fds = [
        os.open("/dev/zero", os.O_RDWR), os.open("/dev/null", os.O_RDWR), os.open("/", os.O_RDONLY), *pair,
        socket.socket(socket.AF_UNIX).detach(), os.open(disk, os.O_RDWR), os.eventfd(0),
    ]  # fmt: skip
    for fd in fds:
        for request, payload in (
            (SET_MEM_TABLE, table(region(GUEST_BASE, 4096, USER_BASE))),
            (SET_LOG_BASE, pack_u64(4096, 0)),
        ):
            with target.peer() as peer, target.cut_off():
                peer.negotiate()
                peer.send(request, payload, [fd])
                peer.sync()
        os.close(fd)


@attack
def memory_that_may_not_be_written(target: Target) -> None:
    """Share memory that is open for reading only, or sealed against writes."""
    for sealed in (False, True):
        with target.peer() as peer, target.cut_off():
            peer.negotiate()
            fd = peer.keep(os.memfd_create("frozen", os.MFD_ALLOW_SEALING))
            os.ftruncate(fd, MEMORY_SIZE)
            if sealed:
                fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
            else:
                fd = peer.keep(os.open(f"/proc/self/fd/{fd}", os.O_RDONLY))
            peer.send(SET_MEM_TABLE, table(region(GUEST_BASE, MEMORY_SIZE, USER_BASE)), [fd])
            peer.set_ring(TX)
            peer.number(SET_STATUS, 15)
            peer.sync()


@attack
def kicks_of_other_kinds(target: Target) -> None:
    """Give a pipe, a terminal, a timer, an epoll or the memory where an eventfd belongs."""
    read_end, write_end = os.pipe()
    master, slave = os.openpty()
    fds = [read_end, write_end, master, slave, os.open("/dev/zero", os.O_RDWR), memory_file(4096)]
    with select.epoll() as epoll:
        fds += [os.dup(epoll.fileno()), libc.timerfd_create(0, 0), libc.inotify_init()]
    for fd in fds:
        for request in (SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR):
            with target.good_peer() as peer, target.cut_off():
                peer.number(request, TX, [fd])
                peer.sync()
        os.close(fd)


@attack
def descriptor_that_is_slow_to_close(target: Target) -> None:
    """Leave the switch the last descriptor of a connection that lingers when it is closed."""
    sink = socket.socket()
    sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sink.bind(("127.0.0.1", 0))
    sink.listen(8)
    for request in (SET_VRING_ERR, SET_MEM_TABLE, GET_FEATURES):
        slow = socket.create_connection(sink.getsockname())
        slow.setblocking(False)
        with target.cut_off():
            while True:
                slow.send(bytes(1 << 16))
        slow.setblocking(True)
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, LINGER_S))
        with Peer(target.path) as peer, target.cut_off():
            peer.send(request, bytes(SIZES.get(request, 0)), [slow.fileno()])
            slow.close()
            peer.sync()
    time.sleep(0.5)
    sink.close()


@attack
def logs(target: Target) -> None:
    """Give dirty logs that are empty, beyond their file, huge, or too short for what is written."""
    for size, offset in ((0, 0), (8, MEMORY_SIZE), (1 << 63, 0), (2**64 - 1, 1), (8, 2**64 - 4), (1, 4095)):
        with target.good_peer() as peer, target.cut_off():
            peer.send(SET_LOG_BASE, pack_u64(size, offset), [peer.memory_fd])
            for i in range(20):
                peer.number(SET_FEATURES, BASIC | (F_LOG_ALL if i % 2 == 0 else 0))
                peer.set_addr(RX, desc=0, avail=0x90000, used=0xA0000, log=2**64 - 2, flags=1)
                peer.fill_receive_ring()
            peer.sync()
            time.sleep(0.03)


@attack
def log_that_shrinks(target: Target) -> None:
    """Take the dirty log away while it is written."""
    with target.good_peer() as peer, target.cut_off():
        log = peer.keep(memory_file(1 << 20))
        peer.send(SET_LOG_BASE, pack_u64(1 << 20, 0), [log])
        peer.reply()
        peer.number(SET_FEATURES, BASIC | F_LOG_ALL)
        os.ftruncate(log, 0)
        peer.fill_receive_ring()
        time.sleep(0.2)
        peer.sync()
    with target.good_peer() as peer, target.cut_off():
        peer.number(SET_LOG_FD, 0, [peer.calls[RX]])
        peer.sync()


# Memory.


@attack
def impossible_regions(target: Target) -> None:
    """Share regions that overlap, overflow, are empty, are beyond the file, or larger than all memory."""
    end = 1 << 64
    for regions in (
        [region(0, 8192, 0), region(4096, 8192, 1 << 30)],
        [region(end - 4096, 8192, 0)],
        [region(0, 8192, end - 4096)],
        [region(0, 0, 0)],
        [region(0, MEMORY_SIZE + 1, 0)],
        [region(0, 4096, 0, MEMORY_SIZE)],
        [region(0, 8192, 0, end - 4096)],
        [region(0, 1 << 46, 0)],
        [region(0, (1 << 63) + 1, 0)],
        [region(i << 44, 1 << 44, i << 44) for i in range(8)],
    ):
        with target.peer() as peer, target.cut_off():
            peer.negotiate()
            peer.send(SET_MEM_TABLE, table(*regions), [peer.memory_fd] * len(regions), NEED_REPLY)
            peer.reply()
            peer.set_ring(TX)
            peer.sync()


@attack
def table_with_a_lie(target: Target) -> None:
    """Say that a table has more regions than it has bytes or descriptors."""
    for count in (2, 8, 9, 0x7FFFFFFF, 0xFFFFFFFF):
        with target.peer() as peer, target.cut_off():
            peer.send(SET_MEM_TABLE, pack_u32(count, 0) + region(0, 4096, 0), [peer.memory_fd])
            peer.sync()


@attack
def table_storm(target: Target) -> None:
    """Replace all eight regions as fast as the socket takes it, with frames under way."""
    with target.good_peer() as peer:
        half = MEMORY_SIZE // 8
        regions = [region(GUEST_BASE + i * half, half, USER_BASE + i * half, i * half) for i in range(8)]
        peer.fill_receive_ring()
        peer.socket.setblocking(False)
        for i in for_a_while(0.6):
            try:
                peer.send(SET_MEM_TABLE, table(*regions), [peer.memory_fd] * 8)
            except BlockingIOError:
                select.select([], [peer.socket], [], 0.05)
            if i % 16 == 0:
                peer.offer(TX, range(16))


@attack
def table_without_the_rings(target: Target) -> None:
    """Take the memory away from under running rings, by a table that has them no more."""
    with target.good_peer() as peer, target.cut_off():
        for i in range(50):
            peer.fill_receive_ring()
            peer.offer(TX, range(64))
            if i % 2:
                peer.send(SET_MEM_TABLE, table(region(1 << 40, 4096, 1 << 40)), [peer.memory_fd])
            else:
                peer.send(SET_MEM_TABLE, table())
            peer.set_memory()
        peer.sync()


@attack
def memory_slots(target: Target) -> None:
    """Add more memory slots than there are, the same twice, and remove what was never added."""
    with target.good_peer() as peer, target.cut_off():
        for i in range(200):
            slot = region((1 << 40) + i * 8192, 4096, (1 << 50) + i * 8192)
            peer.send(ADD_MEM_REG, pack_u64(0) + slot, [peer.memory_fd], NEED_REPLY)
            peer.reply()
            peer.send(ADD_MEM_REG, pack_u64(0) + slot, [peer.memory_fd], NEED_REPLY)
            peer.reply()
            peer.send(REM_MEM_REG, pack_u64(0) + region(i, 4096, 0), (), NEED_REPLY)
            peer.reply()
        peer.send(REM_MEM_REG, pack_u64(0) + region(GUEST_BASE, MEMORY_SIZE, USER_BASE))
        peer.offer(TX, range(64))
        peer.sync()


@attack
def holes(target: Target) -> None:
    """Punch holes into the memory under rings and buffers, again and again."""
    with target.good_peer() as peer, target.cut_off():
        mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
        for _ in for_a_while():
            peer.fill_receive_ring()
            peer.offer(TX, range(128))
            libc.fallocate(peer.memory_fd, mode, ctypes.c_long(0), ctypes.c_long(MEMORY_SIZE))


@attack
def huge_pages_that_are_not_there(target: Target) -> None:
    """Share huge pages of which the machine has none, so that the first touch fails."""
    for _ in range(3):
        with target.peer() as peer, target.cut_off():
            fd = peer.keep(os.memfd_create("huge", os.MFD_HUGETLB))
            os.ftruncate(fd, MEMORY_SIZE)
            peer.negotiate()
            peer.send(SET_MEM_TABLE, table(region(GUEST_BASE, MEMORY_SIZE, USER_BASE)), [fd])
            peer.set_ring(TX)
            peer.set_ring(RX)
            peer.number(SET_STATUS, 15)
            peer.sync()
            time.sleep(0.05)
            peer.sync()


@attack
def last_owner_of_large_memory(target: Target) -> None:
    """Leave it to the switch to free half a gigabyte."""
    with target.good_peer() as peer, target.cut_off():
        fd = memory_file(LARGE)
        os.posix_fallocate(fd, 0, LARGE)
        with mmap.mmap(fd, LARGE) as large:
            for i in range(0, LARGE, mmap.PAGESIZE):
                large[i] = 1
        peer.send(ADD_MEM_REG, pack_u64(0) + region(1 << 40, LARGE, 1 << 50), [fd])
        os.close(fd)
        peer.sync()
    with target.good_peer():
        pass


@attack
def two_at_once(target: Target) -> None:
    """Have several threads attack one port at the same time, each as a peer of its own."""

    def one(number: int) -> None:
        rng = random.Random(number)
        with target.cut_off():
            for _ in for_a_while(0.5):
                with Peer(target.path) as peer, target.cut_off():
                    peer.socket.settimeout(0.1)
                    peer.start()
                    peer.offer(TX, [rng.randrange(256) for _ in range(64)])
                    peer.number(SET_FEATURES, rng.getrandbits(64))
                    os.ftruncate(peer.memory_fd, rng.choice((0, MEMORY_SIZE)))
                    peer.sync()

    threads = [threading.Thread(target=one, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
