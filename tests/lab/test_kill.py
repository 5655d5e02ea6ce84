#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Daemons die while vDPA devices come and go: no device is lost, none is left over, none is given twice.

VDPAD_KILLS and VDPAD_NETLINK_KILLS set how often; VDPAD_STEPS which durable steps are tried: 1 all of them, 5 every
fifth. VDPAD_SEED repeats a run as far as that is possible.
"""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from pathlib import Path

from machine import BRIDGE, SIM_MGMTDEV, Machine, is_ours, kernel_devices, modprobe, pool
from process import wait_until
from tap import Suite, expect, note

N_KILLS = int(os.environ.get("VDPAD_KILLS", "60"))
N_NETLINK_KILLS = int(os.environ.get("VDPAD_NETLINK_KILLS", "20"))
STRIDE = int(os.environ.get("VDPAD_STEPS", "5"))
SEED = int(os.environ.get("VDPAD_SEED", str(random.randrange(1 << 32))))
N_PORTS = 8
MAX_PAUSE_S = 1.5  # between two kills: from amid a start to amid the work after it
SETTLE_S = 30
SCRIPT = (
    "add a", "add b", "add s policy switch", "set a lifetime persistent", "del a", "add a mac 52:54:00:00:00:0a",
    "add d", "del b", "add b mtu 1400", "del s", "del a", "del d",
)  # fmt: skip
LEFT = {"b"}  # by the script
suite = Suite[Machine]()


def make_machine(build: Path) -> Machine:
    modprobe("vhost_vdpa", "vdpa_sim_net", "bridge", "tun")
    machine = Machine(build, pool("sim", SIM_MGMTDEV))
    machine.kill_file = machine.directory / "kill-at"
    machine.env |= {"LD_PRELOAD": str(build / "tests/fake/libkill_at.so"), "KILL_AT": str(machine.kill_file)}
    try:
        machine.start()
    except BaseException:
        machine.close()
        raise
    return machine


def settle(machine: Machine, words: str) -> int:
    """Make a request until it succeeds, as one does whose answer was lost. Returns how often it failed."""
    verb, name, *keys = words.split()
    request = ["port", verb, name, *(["network", BRIDGE] if verb == "add" else []), *keys]
    request += {"add": ["--may-exist"], "del": ["--may-not-exist"], "set": []}[verb]
    for failed in range(20):
        output = machine.ctl(*request, check=False)
        if output.status == 0:
            return failed
        time.sleep(0.1)
    raise RuntimeError(f"{words} never succeeds: {output.stderr.strip()}")


def rows(machine: Machine, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(f"file:{machine.state_dir}/state.db?mode=ro", uri=True) as db:
        return sorted(db.execute(query))


def disagreement(machine: Machine, names: set[str]) -> str:
    """What differs between the kernel, the store, the API and what must be there; nothing if all agree."""
    shown = machine.ctl("-j", "port", "show", check=False)
    if shown.status != 0:
        return shown.stderr
    ports = machine.ctl_json("port", "show")
    on_hardware = [p for p in ports if p["backend"] == "vdpa"]
    devices = sorted(f"vdpad-{int(p['generation']):x}" for p in on_hardware)
    links = sorted(path.stem for path in (machine.run_dir / "port").glob("*.vdpa"))
    nodes = [os.path.realpath(str(p["path"])) for p in on_hardware]
    found = (
        ("the API", {p["name"] for p in ports}, names),
        ("states", {p["state"] for p in ports} - {"ready"}, set()),
        ("the kernel", sorted(filter(is_ours, kernel_devices())), devices),
        ("the store", {row[0] for row in rows(machine, "SELECT name FROM ports")}, names),
        ("intents", rows(machine, "SELECT * FROM intents"), []),
        ("links", links, sorted(p["name"] for p in on_hardware)),
        ("nodes given twice", len(nodes) - len(set(nodes)), 0),
        ("nodes that are not there", [n for n in nodes if not os.path.exists(n)], []),
    )
    return "; ".join(f"{what}: {has}, not {wanted}" for what, has, wanted in found if has != wanted)


def check_agreement(machine: Machine, names: set[str]) -> None:
    for service in machine.services.values():
        service.wait_ready()
    try:
        wait_until(lambda: not disagreement(machine, names), SETTLE_S, "agreement", 0.2)
    except TimeoutError:
        raise AssertionError(disagreement(machine, names)) from None


def run_script(machine: Machine) -> None:
    for words in SCRIPT:
        settle(machine, words)


def die_at_each_step(machine: Machine, name: str) -> None:
    """Run the script with the daemon dying at step 1, 2, 3 ... until it ends before the step comes."""
    for name_left in ("b",):
        settle(machine, f"del {name_left}")
    tried, step = 0, random.Random(SEED).randrange(1, STRIDE + 1)
    while True:
        for when in ("before", "after"):
            machine.kill_file.write_text(f"{step} {when}")
            machine.kill(name)
            machine.services[name].wait_ready()
            run_script(machine)
            check_agreement(machine, LEFT)
            settle(machine, "del b")
            died = machine.kill_file.exists()
            machine.kill_file.unlink(missing_ok=True)
            if not died:
                note(f"{name}: {tried} deaths; the script has less than {step} durable steps")
                expect(tried > 0, "no step was found to die at")
                return
            tried += 1
        step += STRIDE


@suite.case("vdpad dies before and after the durable steps of a script of twelve operations", timeout_s=3000)
def steps_of_vdpad(machine: Machine) -> None:
    note(f"VDPAD_SEED={SEED}")
    die_at_each_step(machine, "vdpad")


@suite.case("vdpad-netlink dies before and after the durable steps of the same script", timeout_s=3000)
def steps_of_netlink(machine: Machine) -> None:
    die_at_each_step(machine, "vdpad-netlink")


class Killer(threading.Thread):
    """Kills the two daemons at random moments, as often as is asked for."""

    def __init__(self, machine: Machine, plan: list[str]) -> None:
        super().__init__()
        self._machine = machine
        self._plan = plan
        self.failure: Exception | None = None

    def run(self) -> None:
        pauses = random.Random(SEED + 1)
        try:
            for name in self._plan:
                time.sleep(pauses.uniform(0, MAX_PAUSE_S))
                self._machine.kill(name)
        except Exception as failure:  # shown by the case
            self.failure = failure


@suite.case(f"vdpad dies {N_KILLS} times and vdpad-netlink {N_NETLINK_KILLS} times at random moments", timeout_s=3000)
def random_moments(machine: Machine) -> None:
    chance = random.Random(SEED)
    plan = ["vdpad"] * N_KILLS + ["vdpad-netlink"] * N_NETLINK_KILLS
    chance.shuffle(plan)
    killer = Killer(machine, plan)
    killer.start()
    names: set[str] = set()
    requests, again = 0, 0
    while killer.is_alive():
        name = f"p{chance.randrange(N_PORTS)}"
        again += settle(machine, f"del {name}" if name in names else f"add {name}")
        names ^= {name}
        requests += 1
    killer.join()
    expect(killer.failure is None, killer.failure)
    note(f"{len(plan)} deaths; {requests} requests, {again} had to be made again")
    check_agreement(machine, names)
    for name in names:
        settle(machine, f"del {name}")
    check_agreement(machine, set())


if __name__ == "__main__":
    suite.main(make_machine)
