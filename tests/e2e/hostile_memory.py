# SPDX-License-Identifier: GPL-2.0-or-later
"""Attacks by what a peer shares: descriptors of other kinds, dirty logs, memory."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import random
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
    GUEST_BASE,
    MEMORY_SIZE,
    NEED_REPLY,
    REM_MEM_REG,
    RX,
    SET_FEATURES,
    SET_LOG_BASE,
    SET_LOG_FD,
    SET_MEM_TABLE,
    SET_STATUS,
    SET_VRING_CALL,
    SET_VRING_ERR,
    SET_VRING_KICK,
    SIZES,
    TX,
    USER_BASE,
    Peer,
    memory_file,
    region,
    table,
)

FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE = 1, 2
LINGER_S = 4
LARGE = 512 << 20
libc = ctypes.CDLL(None, use_errno=True)

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
def shrinking_memory(target: Target) -> None:
    """Truncate the memory to nothing while rings run in it."""
    for _ in range(5):
        with target.good_peer() as peer, target.cut_off():
            peer.fill_receive_ring()
            peer.offer(TX, [0] * 64)
            os.ftruncate(peer.memory_fd, 0)
            time.sleep(0.05)
            peer.sync()


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
