#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes die, guests reboot: what is lost, and how soon it is back."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Iterator

from guest import Guest, PingFlow
from lab import QEMU_OF_THE_MACHINE, TwoGuests, ipv4, qemu_10, qemu_version
from process import wait_until
from tap import Suite, expect, note

SWITCH_LIMIT_S = 2.0
N_KILLS = 3
N_ROUNDS = 3  # of kills of the switch, until one is not disturbed by the machine's other work
N_PINGS = 100
PING_INTERVAL_S = 0.05
QUEUE_PAIRS = 4


class Setup:
    """Two guests with four queue pairs, under one QEMU at a time."""

    def __init__(self, build: Path) -> None:
        self._build = build
        self._stack = ExitStack()
        self._labs: dict[str, TwoGuests] = {}

    def __enter__(self) -> Setup:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def lab(self, qemu: str) -> TwoGuests:
        if qemu not in self._labs:
            self._stack.close()
            self._labs.clear()
            keys = ("queue_pairs", str(QUEUE_PAIRS))
            self._labs[qemu] = self._stack.enter_context(
                TwoGuests(self._build, qemu=qemu, port_keys=keys)
            )
            note(f"QEMU {qemu_version(qemu)}")
        return self._labs[qemu]

    def own(self) -> TwoGuests:
        return self.lab(QEMU_OF_THE_MACHINE)

    def newer(self) -> TwoGuests:
        return self.lab(qemu_10(self._build))

    def diagnosis(self) -> str:
        return "\n".join(lab.diagnosis() for lab in self._labs.values())


suite = Suite[Setup]()


def start_flow(lab: TwoGuests) -> PingFlow:
    flow = lab.first.start_ping(ipv4(2))
    wait_until(lambda: flow.answers() > 5, 10, "ping answers")
    return flow


def use_queue_pairs(guest: Guest, count: int) -> None:
    guest.run(f"ethtool -L eth0 combined {count}").check()


def carrier(guest: Guest) -> bool:
    return guest.run("cat /sys/class/net/eth0/carrier").output.strip() == "1"


@contextmanager
def no_ping_lost(lab: TwoGuests, what: str) -> Iterator[None]:
    """Every one of N_PINGS, sent while the block runs, must be answered."""
    job = lab.first.start(f"ping -c {N_PINGS} -i {PING_INTERVAL_S} -W 2 {ipv4(2)}")
    started = time.monotonic()
    yield
    took_s = time.monotonic() - started
    expect(took_s < N_PINGS * PING_INTERVAL_S, f"{what} took longer than the pings: {took_s:.1f} s")
    output = job.wait()
    note(f"{what}: {output.strip().splitlines()[-2]}")
    expect(f"{N_PINGS} packets received" in output, output)


def kill_vdpad(lab: TwoGuests) -> None:
    with no_ping_lost(lab, f"kill -9 vdpad, {N_KILLS} times"):
        for _ in range(N_KILLS):
            lab.node.kill("vdpad")
            lab.node.services["vdpad"].wait_ready()
            lab.node.wait_port_state("vm1", "connected")


def kill_netlink(lab: TwoGuests) -> None:
    with no_ping_lost(lab, f"kill -9 vdpad-netlink, {N_KILLS} times"):
        for _ in range(N_KILLS):
            lab.node.kill("vdpad-netlink")
            lab.node.ctl("port", "add", "vm3", "network", "vmbr0")
            lab.node.ctl("port", "del", "vm3")


def kill_switch(lab: TwoGuests) -> None:
    """Half of the time is QEMU's wait before it connects again, a part the guest's before it asks again for
    its neighbour. Both are up to a second and meet by chance, so that the median of some kills counts."""
    pids = [guest.process.pid for guest in lab.guests]
    for _ in range(N_ROUNDS):
        samples = sorted(one_switch_kill(lab) for _ in range(N_KILLS))
        note(f"kill -9 vdpad-switch: answers after {', '.join(f'{s:.2f}' for s in samples)} s")
        median_s = samples[len(samples) // 2]
        if median_s < SWITCH_LIMIT_S * lab.node.slowness:
            break
    expect(all(guest.process.poll() is None for guest in lab.guests), "a QEMU ended")
    expect(pids == [guest.process.pid for guest in lab.guests], "a guest was touched")
    expect(median_s < SWITCH_LIMIT_S * lab.node.slowness, f"median {median_s:.2f} s")


def one_switch_kill(lab: TwoGuests) -> float:
    """Returns after how many seconds the first answer came."""
    flow = start_flow(lab)
    killed = time.monotonic()
    lab.node.kill("vdpad-switch")
    before = flow.answers()
    wait_until(lambda: flow.answers() > before, 15, "traffic after the switch was killed")
    back_s = time.monotonic() - killed
    flow.stop()
    for port in ("vm1", "vm2"):
        lab.node.wait_port_state(port, "connected")
        expect(lab.node.stats(port)["connects"] == 1, "its peer came once to the new switch")
    return back_s


def reboot_guest(lab: TwoGuests) -> None:
    lab.second.reboot()
    lab.second.wait_ready()
    expect(lab.first.ping(ipv4(2)), "no answer after the reboot")
    lab.node.wait_port_state("vm2", "connected")


def reboot_without_switch(lab: TwoGuests) -> None:
    lab.node.pause("vdpad-switch")
    try:
        wait_until(lambda: not carrier(lab.first), 5, "the guest sees its link go down")
        lab.second.reboot()
        lab.second.wait_ready()
    finally:
        lab.node.resume("vdpad-switch")
    wait_until(lambda: lab.first.ping(ipv4(2), count=1, wait_s=1), 10, "ping after both are back")


def four_queue_pairs(lab: TwoGuests) -> None:
    for guest in lab.guests:
        use_queue_pairs(guest, QUEUE_PAIRS)
    expect(lab.first.ping(ipv4(2)), "four to four")
    use_queue_pairs(lab.second, 1)
    expect(lab.first.ping(ipv4(2)), "four to one")
    expect(lab.second.ping(ipv4(1)), "one to four")
    use_queue_pairs(lab.second, QUEUE_PAIRS)


@suite.case("kill -9 of vdpad loses no ping")
def vdpad_killed(setup: Setup) -> None:
    kill_vdpad(setup.own())


@suite.case("kill -9 of vdpad-netlink loses no ping and the next request works")
def netlink_killed(setup: Setup) -> None:
    kill_netlink(setup.own())


@suite.case("kill -9 of vdpad-switch: traffic is back in under 2 s")
def switch_killed(setup: Setup) -> None:
    kill_switch(setup.own())


@suite.case("a guest that reboots is back")
def guest_reboots(setup: Setup) -> None:
    reboot_guest(setup.own())


@suite.case("a guest that reboots while the switch is down is back")
def guest_reboots_without_switch(setup: Setup) -> None:
    reboot_without_switch(setup.own())


@suite.case("guests with four queue pairs reach each other, whatever number each uses")
def queue_pairs(setup: Setup) -> None:
    four_queue_pairs(setup.own())


@suite.case("kill -9 of vdpad-switch with four queue pairs in use: back in under 2 s")
def switch_killed_queue_pairs(setup: Setup) -> None:
    kill_switch(setup.own())


@suite.case("QEMU 10: kill -9 of vdpad-switch: traffic is back in under 2 s", timeout_s=180)
def newer_switch_killed(setup: Setup) -> None:
    kill_switch(setup.newer())


@suite.case("QEMU 10: a guest that reboots is back, also while the switch is down")
def newer_guest_reboots(setup: Setup) -> None:
    reboot_guest(setup.newer())
    reboot_without_switch(setup.newer())


@suite.case("QEMU 10: four queue pairs, and kill -9 of vdpad-switch with them")
def newer_queue_pairs(setup: Setup) -> None:
    four_queue_pairs(setup.newer())
    kill_switch(setup.newer())


if __name__ == "__main__":
    suite.main(Setup)
