# SPDX-License-Identifier: GPL-2.0-or-later
"""Attacks by the guest: rings, descriptors, buffers, notifications."""

from __future__ import annotations

import os
import random
import resource
import select
import struct
import threading
import time
from typing import Sequence

from hostile import Target, attack, for_a_while, pack_u64
from vhost_user import (
    ADD_MEM_REG,
    AVAIL,
    BASIC,
    DATA,
    F_EVENT_IDX,
    F_INDIRECT,
    F_MRG_RXBUF,
    F_PACKED,
    GET_FEATURES,
    GET_VRING_BASE,
    GUEST_BASE,
    INDIRECT,
    MEMORY_SIZE,
    NEED_REPLY,
    NEXT,
    RING_AREA,
    RX,
    SEND,
    SET_STATUS,
    SET_VRING_CALL,
    SET_VRING_KICK,
    SET_VRING_NUM,
    TX,
    USED,
    USER_BASE,
    WRITE,
    Peer,
    region,
)

BUFFER = GUEST_BASE + DATA
FRAME = GUEST_BASE + SEND
TABLE_AT = DATA - RING_AREA  # offset of indirect tables
N_WATCHERS = 5000
SATURATED = 0xFFFFFFFFFFFFFFFE
A_WHILE_S = 0.1


def let_it_work(peer: Peer) -> None:
    """Give workers and the control thread time to meet what was prepared."""
    time.sleep(A_WHILE_S)
    peer.sync()


def send_chain(peer: Peer, descriptors: Sequence[tuple[int, int, int, int]], times: int = 64) -> None:
    """Write descriptors from 0 on, and send the chain that begins there some times."""
    for i, (addr, size, flags, following) in enumerate(descriptors):
        peer.desc(TX, i, addr, size, flags, following)
    peer.offer(TX, [0] * times)


@attack
def index_jumps(target: Target) -> None:
    """Let the available index jump forwards, backwards and round."""
    for jump in (257, 1000, 32768, 65535, -1):
        for index in (RX, TX):
            with target.good_peer() as peer, target.cut_off():
                peer.set_avail_index(index, jump)
                peer.kick(index)
                let_it_work(peer)


@attack
def heads_beyond_the_table(target: Target) -> None:
    """Offer chains that begin behind the end of the descriptor table."""
    for head in (256, 32768, 65535):
        for index in (RX, TX):
            with target.good_peer() as peer, target.cut_off():
                peer.offer(index, [head] * 8)
                let_it_work(peer)


@attack
def addresses_that_are_not(target: Target) -> None:
    """Point descriptors to where no memory is: below, behind, across the end, round the address space."""
    end = GUEST_BASE + MEMORY_SIZE
    places = [(0, 64), (GUEST_BASE - 32, 64), (end - 32, 64), (end, 64), (2**64 - 32, 64), (BUFFER, 2**32 - 1)]
    for index, flags in ((TX, 0), (RX, WRITE)):
        with target.good_peer() as peer, target.cut_off():
            for i, (addr, size) in enumerate(places):
                peer.desc(index, i, addr, size, flags)
            peer.offer(index, list(range(len(places))))
            let_it_work(peer)


@attack
def chains_in_a_circle(target: Target) -> None:
    """Link descriptors to themselves and in circles, with frames of all sizes down to nothing."""
    for size in (0, 1, 64, 65535):
        with target.good_peer() as peer, target.cut_off():
            for i in range(256):
                peer.desc(TX, i, BUFFER, size, NEXT, i if i % 2 else (i + 1) % 256)
                peer.desc(RX, i, BUFFER, size, NEXT | WRITE, (i + 1) % 256)
            for _ in for_a_while(A_WHILE_S):
                peer.offer(TX, range(32))
                peer.offer(RX, range(32))
                time.sleep(0.002)


@attack
def longest_chains(target: Target) -> None:
    """Fill a ring of 32,768 entries with chains as long as it, of one byte each, and have all refused."""
    with target.good_peer(size=32768) as peer, target.cut_off():
        for i in range(32768):
            peer.desc(TX, i, BUFFER + i * 64, 1, NEXT, (i * 4099 + 1) % 32768)
        for _ in for_a_while(0.6):
            peer.offer(TX, range(0, 32768, 16))
            time.sleep(0.005)


@attack
def empty_links(target: Target) -> None:
    """Make each frame a chain of hundreds of empty descriptors, far apart in memory."""
    with target.good_peer(size=32768) as peer, target.cut_off():
        for i in range(32768):
            last = i % 256 == 255
            peer.desc(TX, i, BUFFER + i * 128, 76 if last else 0, 0 if last else NEXT, (i + 1) % 32768)
        for _ in for_a_while():
            peer.offer(TX, range(0, 32768, 256))
            time.sleep(0.002)


@attack
def directions_swapped(target: Target) -> None:
    """Send buffers that are for writing, and offer for reception what is for reading."""
    with target.good_peer() as peer, target.cut_off():
        send_chain(peer, [(BUFFER, 112, WRITE, 0)])
        peer.desc(RX, 0, BUFFER, 2048, 0)
        peer.offer(RX, [0] * 64)
        let_it_work(peer)


@attack
def runts_and_giants(target: Target) -> None:
    """Send frames shorter than a header and longer than any frame can be."""
    with target.good_peer() as peer, target.cut_off():
        for size in (1, 11, 12, 25, 26, 65569, 65570, 1 << 20, 8 << 20):
            send_chain(peer, [(BUFFER, size, 0, 0)], times=16)
        send_chain(peer, [(BUFFER, 65535, NEXT, i + 1) for i in range(200)])
        let_it_work(peer)


@attack
def indirect_tables_gone_wild(target: Target) -> None:
    """Use indirect tables that are nested, odd, empty, huge, outside of memory, or the ring itself."""
    for addr, size, flags in (
        (GUEST_BASE + TABLE_AT, 16, INDIRECT | NEXT),
        (GUEST_BASE + TABLE_AT, 15, INDIRECT),
        (GUEST_BASE + TABLE_AT, 0, INDIRECT),
        (GUEST_BASE + TABLE_AT, 2**32 - 16, INDIRECT),
        (GUEST_BASE + MEMORY_SIZE - 16, 32, INDIRECT),
        (0, 4096, INDIRECT),
        (GUEST_BASE + TX * RING_AREA, 4096, INDIRECT),
        (GUEST_BASE + TABLE_AT + 1, 160, INDIRECT),
        (GUEST_BASE + TABLE_AT, 1 << 19, INDIRECT),
    ):
        with target.good_peer(F_INDIRECT) as peer, target.cut_off():
            for i in range(32768):
                inner = (BUFFER, i % 3, NEXT | (INDIRECT if size == 16 else 0), (i + 1) % 65536)
                struct.pack_into("<QIHH", peer.memory, TABLE_AT + i * 16, *inner)
            send_chain(peer, [(addr, size, flags, 0)], times=200)
            peer.desc(RX, 0, addr, size, flags | WRITE)
            peer.offer(RX, [0] * 200)
            let_it_work(peer)


@attack
def indirect_without_consent(target: Target) -> None:
    """Use indirect tables that were not negotiated."""
    with target.good_peer() as peer, target.cut_off():
        struct.pack_into("<QIHH", peer.memory, TABLE_AT, BUFFER, 112, 0, 0)
        send_chain(peer, [(GUEST_BASE + TABLE_AT, 16, INDIRECT, 0)])
        let_it_work(peer)


@attack
def receive_buffers_of_one_byte(target: Target) -> None:
    """Offer so small receive buffers that each frame costs a search through hundreds, mostly for nothing."""
    for features in (0, F_MRG_RXBUF):
        with target.good_peer(features, size=32768) as peer, target.cut_off():
            for i in range(32768):
                peer.desc(RX, i, BUFFER + i * 128, 1, WRITE | (NEXT if i % 4 != 3 else 0), (i + 1) % 32768)
            for _ in for_a_while(0.3):
                peer.set_avail_index(RX, peer.used_index(RX) + 32768)
                time.sleep(0.002)


@attack
def receive_buffers_over_the_rings(target: Target) -> None:
    """Have received frames written over the descriptors, the rings and the buffers that are sent."""
    for features in (0, F_MRG_RXBUF):
        with target.good_peer(features) as peer, target.cut_off():
            for i, at in enumerate((0, AVAIL, USED, RING_AREA, RING_AREA + AVAIL, RING_AREA + USED, DATA)):
                peer.desc(RX, i, GUEST_BASE + at, 4096, WRITE)
            for i in range(7, 256):
                peer.desc(RX, i, GUEST_BASE + i * 64, 512, WRITE)
            peer.offer(RX, range(256))
            send_chain(peer, [(FRAME, 112, 0, 0)])
            let_it_work(peer)


@attack
def the_same_buffer_for_everything(target: Target) -> None:
    """Receive into one buffer, offered a hundred times, and send from its other half."""
    with target.good_peer(F_MRG_RXBUF) as peer, target.cut_off():
        peer.desc(RX, 0, BUFFER, 2048, WRITE)
        for _ in for_a_while(0.2):
            peer.offer(RX, [0] * 100)
            send_chain(peer, [(BUFFER + 1024, 1024, 0, 0)])
            time.sleep(0.005)


@attack
def rings_over_one_another(target: Target) -> None:
    """Lay the three parts of a ring, and two rings, over each other."""
    for desc, avail, used in ((0, 0, 0), (0, 4096, 4096), (4096, 2, 4), (RING_AREA, RING_AREA + AVAIL, 0)):
        with target.good_peer() as peer, target.cut_off():
            for index in (RX, TX):
                peer.set_addr(index, desc=desc, avail=avail, used=used)
                peer.kick(index)
            for _ in for_a_while(A_WHILE_S):
                peer.offer(TX, range(64))
                peer.offer(RX, range(64))
                time.sleep(0.002)


@attack
def rings_in_odd_places(target: Target) -> None:
    """Put rings at odd addresses, across the end of memory, and outside of it."""
    for at in (1, 3, MEMORY_SIZE - 64, MEMORY_SIZE, -USER_BASE, 2**64 - 8 - USER_BASE):
        for part in ("desc", "avail", "used"):
            with target.good_peer() as peer, target.cut_off():
                places = {"desc": 0, "avail": AVAIL, "used": USED} | {part: at % 2**64}
                fields = (TX, 0, *((USER_BASE + places[p]) % 2**64 for p in ("desc", "used", "avail")), 0)
                peer.send(9, struct.pack("<IIQQQQ", *fields))
                peer.offer(TX, range(64))
                peer.sync()


@attack
def ring_sizes(target: Target) -> None:
    """Ask for rings of no entries, of three, of 65,535, and change the size with frames under way."""
    with target.good_peer() as peer, target.cut_off():
        for size in (0, 3, 255, 32769, 65535, 65536, 0x10000000, 0xFFFFFFFF):
            peer.vring(SET_VRING_NUM, TX, size, NEED_REPLY)
            peer.reply()
        for i in for_a_while():
            peer.vring(SET_VRING_NUM, i % 2, 1 << i % 16)
            peer.offer(TX, range(16))
            peer.offer(RX, range(16))


@attack
def stops_with_frames_under_way(target: Target) -> None:
    """Stop and start rings by GET_VRING_BASE while frames are in them."""
    with target.good_peer() as peer, target.cut_off():
        peer.fill_receive_ring()
        for i in for_a_while():
            peer.offer(TX, range(64))
            peer.vring(GET_VRING_BASE, i % 2, 0)
            peer.reply()
            peer.number(SET_VRING_KICK, i % 2, [peer.kicks[i % 2]])


@attack
def racing_writer(target: Target) -> None:
    """Change descriptors, rings and frames while they are read."""
    stop = threading.Event()

    def write(peer: Peer) -> None:
        rng = random.Random(7)
        while not stop.is_set():
            index, i = rng.randrange(2), rng.randrange(256)
            addr = rng.choice((FRAME if index == TX else BUFFER, GUEST_BASE + MEMORY_SIZE - 8, 2**64 - 8))
            peer.desc(index, i, addr, rng.choice((0, 1, 112, 70000, 2**32 - 1)), rng.randrange(8), rng.randrange(300))

    for features in (F_INDIRECT | F_MRG_RXBUF, F_EVENT_IDX | F_INDIRECT):
        with target.good_peer(features) as peer, target.cut_off():
            stop.clear()
            thread = threading.Thread(target=write, args=(peer,))
            thread.start()
            try:
                for _ in for_a_while(0.4):
                    peer.offer(TX, range(64))
                    peer.offer(RX, range(64))
                    if peer.used_index(TX) == 0:
                        peer.number(SET_STATUS, 15)
            finally:
                stop.set()
                thread.join()


@attack
def used_index_rewritten(target: Target) -> None:
    """Rewrite the used ring, which belongs to the switch, and start again from what it says."""
    with target.good_peer() as peer, target.cut_off():
        for value in (1, 255, 256, 32768, 65535):
            struct.pack_into("<HH", peer.memory, RING_AREA + USED, 0xFFFF, value)
            peer.offer(TX, range(64))
            peer.vring(SET_VRING_NUM, TX, 256)
            peer.offer(TX, range(64))
            let_it_work(peer)


@attack
def offload_headers(target: Target) -> None:
    """Ask for checksums and segments at impossible places of the frame."""
    rng = random.Random(3)
    with target.peer() as probe:
        offered = probe.ask(GET_FEATURES)
    with target.good_peer(offered & ~F_PACKED & ~(1 << 26)) as peer, target.cut_off():
        for _ in range(40):
            for i in range(64):
                at = DATA + i * 2048
                fields = (rng.choice((0, 1, 2, 3, 255)), rng.choice((0, 1, 3, 4, 5, 0x81, 255)))
                numbers = [rng.choice((0, 1, 14, 34, 54, 1000, 65535)) for _ in range(5)]
                struct.pack_into("<BB5H", peer.memory, at, *fields, *numbers)
                struct.pack_into(">H", peer.memory, at + 24, rng.choice((0x0800, 0x86DD, 0x8100, 0x0202)))
                peer.desc(TX, i, GUEST_BASE + at, rng.choice((26, 60, 112, 2048)))
            peer.offer(TX, range(64))
            time.sleep(0.005)
        peer.sync()


# Notifications.


@attack
def saturated_interrupt(target: Target) -> None:
    """Give an eventfd whose counter is full, so that a write to it would wait for ever."""
    for index in (RX, TX):
        with target.good_peer() as peer, target.cut_off():
            full = peer.keep(os.eventfd(0))
            os.eventfd_write(full, SATURATED)
            peer.number(SET_VRING_CALL, index, [full])
            peer.number(SET_VRING_KICK, index, [full])
            peer.fill_receive_ring()
            peer.offer(TX, range(64))
            let_it_work(peer)


@attack
def interrupt_that_many_watch(target: Target) -> None:
    """Have thousands of watchers woken by each interrupt."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, N_WATCHERS + 1000), hard))
    watchers = []
    try:
        with target.good_peer() as peer, target.cut_off():
            for _ in range(N_WATCHERS):
                watcher = select.epoll()
                watcher.register(peer.calls[TX], select.EPOLLIN | select.EPOLLET)
                watchers.append(watcher)
            for _ in for_a_while():
                peer.offer(TX, range(16))
                time.sleep(0.0005)
    finally:
        for watcher in watchers:
            watcher.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@attack
def kick_storm(target: Target) -> None:
    """Kick as fast as a process can, for nothing."""
    with target.good_peer() as peer, target.cut_off():
        for i in for_a_while():
            os.eventfd_write(peer.kicks[i % 2], 1)


@attack
def one_eventfd_for_all(target: Target) -> None:
    """Make the interrupt of a ring its own kick."""
    with target.good_peer() as peer, target.cut_off():
        for index in (RX, TX):
            peer.number(SET_VRING_CALL, index, [peer.kicks[TX]])
            peer.number(SET_VRING_KICK, index, [peer.kicks[TX]])
        peer.fill_receive_ring()
        for _ in for_a_while():
            peer.offer(TX, range(16))


@attack
def other_eventfd_each_time(target: Target) -> None:
    """Replace kick and interrupt thousands of times under traffic, now and then by nothing."""
    with target.good_peer() as peer, target.cut_off():
        peer.fill_receive_ring()
        for i in for_a_while():
            request = (SET_VRING_CALL, SET_VRING_KICK)[i % 2]
            if i % 7 == 0:
                peer.number(request, TX | 0x100)
            else:
                peer.number(request, i // 2 % 2, [peer.kicks[TX]])
            peer.offer(TX, range(4))


@attack
def receiver_that_takes_nothing(target: Target) -> None:
    """Be up and offer not one receive buffer."""
    with target.good_peer() as peer, target.cut_off():
        time.sleep(0.3)
        peer.sync()


@attack
def aliased_memory(target: Target) -> None:
    """Share the same page a hundred times, at different guest addresses, and use all of them at once."""
    with target.good_peer(F_MRG_RXBUF) as peer, target.cut_off():
        for i in range(100):
            slot = region((1 << 40) + i * 4096, 4096, (1 << 50) + i * 4096, DATA)
            peer.send(ADD_MEM_REG, pack_u64(0) + slot, [peer.memory_fd])
        for i in range(256):
            peer.desc(RX, i, (1 << 40) + i % 100 * 4096, 4096 * 2, WRITE)
        peer.desc(TX, 0, (1 << 40) + 4000, 65535)
        peer.offer(RX, range(256))
        peer.offer(TX, [0] * 64)
        let_it_work(peer)


@attack
def packed_ring_gone_wild(target: Target) -> None:
    """Fill a packed ring with chains without an end, or use the layout though it is not offered."""
    for size in (256, 32768, 3):
        with target.peer() as peer, target.cut_off():
            offered = peer.ask(GET_FEATURES)
            peer.negotiate()
            peer.number(2, (offered & F_PACKED) | BASIC if offered & F_PACKED else F_PACKED | BASIC)
            peer.set_memory()
            for index in (RX, TX):
                for i in range(size):
                    # Available in the first round, and linked to the next.
                    flags = 1 << 7 | NEXT | (WRITE if index == RX else 0)
                    struct.pack_into(
                        "<QIHH", peer.memory, index * RING_AREA + i * 16, BUFFER, 1, i, flags
                    )
                peer.set_ring(index, size)
                peer.vring(10, index, 0x80008000)
            peer.number(SET_STATUS, 15)
            let_it_work(peer)
