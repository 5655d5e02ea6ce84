#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Daemons die while vDPA devices come and go: no device is lost, none is left over, none is given twice.

VDPAD_KILLS and VDPAD_NETLINK_KILLS set how often; VDPAD_STEPS which lasting steps are tried: 1 all of them, 5 every
fifth. VDPAD_SEED repeats a run as far as that is possible.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import threading
import time
from pathlib import Path

from machine import BRIDGE, SIM_MGMTDEV, Machine, is_ours, modprobe, pool, started, sysfs_devices  # first: it finds the others
from kill_plan import Plan, preload
from process import wait_until
from tap import Suite, expect, note

N_KILLS = int(os.environ.get("VDPAD_KILLS", "60"))
N_NETLINK_KILLS = int(os.environ.get("VDPAD_NETLINK_KILLS", "20"))
STRIDE = int(os.environ.get("VDPAD_STEPS", "5"))
SEED = int(os.environ.get("VDPAD_SEED", str(random.randrange(1 << 32))))
N_PORTS = 8
MAX_PAUSE_S = 1.0  # between two kills: from amid a start to amid the work after it
SETTLE_S = 30
START = "start it"
SCRIPT = (
    "add a", "add b", "add s policy switch", "set a lifetime persistent", "del a", "add a mac 52:54:00:00:00:0a",
    "add d", START, "del b", "add b mtu 1400", "del s", "del a", "del d", "del b",
)  # fmt: skip
LEFT: set[str] = set()  # by the script
RECOVERY_STEPS = 4
suite = Suite[Machine]()


def make_machine(build: Path) -> Machine:
    modprobe("vhost_vdpa", "vdpa_sim_net", "bridge", "tun")
    machine = Machine(build, pool("sim", SIM_MGMTDEV))
    prefix = machine.directory / "kill-at"
    machine.plans = {name: Plan(prefix, name) for name in ("vdpad", "vdpad-netlink")}
    machine.env |= preload(build, prefix)
    return started(machine)


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
    ports = json.loads(shown.stdout)
    on_hardware = [p for p in ports if p["backend"] == "vdpa"]
    links = sorted(path.stem for path in (machine.run_dir / "port").glob("*.vdpa"))
    nodes = [os.path.realpath(str(p["path"])) for p in on_hardware]
    found = (
        ("the API", {p["name"] for p in ports}, names),
        ("states", {p["state"] for p in ports} - {"ready"}, set()),
        ("the kernel", sorted(filter(is_ours, sysfs_devices())), sorted(f"vdpad-{int(p['generation']):x}" for p in on_hardware)),
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
        wait_until(lambda: not disagreement(machine, names), SETTLE_S, "agreement", 0.1)
    except TimeoutError:
        raise AssertionError(disagreement(machine, names)) from None


def act(machine: Machine, words: str, daemon: str) -> None:
    """One operation of the script; the last is the start of the daemon itself."""
    if words == START:
        machine.kill(daemon)
        machine.services[daemon].wait_ready()
    else:
        settle(machine, words)


def names_after(words: str, names: set[str]) -> set[str]:
    verb, name, *_ = words.split()
    return names | {name} if verb == "add" else names - {name} if verb == "del" else names


def count_steps(machine: Machine, daemon: str) -> list[int]:
    """How many lasting steps the daemon makes in each operation of the script."""
    plan, steps = machine.plans[daemon], []
    for words in SCRIPT:
        before = plan.steps
        act(machine, words, daemon)
        time.sleep(0.3)  # it may end something after its answer
        steps.append(plan.steps - before)
    return steps


def die_at_steps(machine: Machine, daemon: str) -> None:
    """Run the script until its daemon has died before and after each lasting step of each operation.

    Every other of them that follows dies once more while it recovers.
    """
    steps, plan = count_steps(machine, daemon), machine.plans[daemon]
    points = [(i, step, after) for i, n in enumerate(steps) for step in range(1, n + 1) for after in (False, True)]
    points = points[SEED % STRIDE :: STRIDE]
    note(f"{daemon}: {sum(steps)} lasting steps in the script {steps}; to die at {len(points)} points")
    left = [[point for point in points if point[0] == i] for i in range(len(SCRIPT))]
    deaths, missed, names = plan.deaths, 0, set(LEFT)
    while any(left):
        for i, words in enumerate(SCRIPT):
            names = names_after(words, names)
            if not left[i]:
                act(machine, words, daemon)
                continue
            _, step, after = left[i].pop()
            before = plan.deaths
            plan.die_at(step, after, then=1 + step % RECOVERY_STEPS if step % 2 else 0)
            act(machine, words, daemon)
            try:
                check_agreement(machine, names)
            except AssertionError as failure:
                raise AssertionError(f"'{words}', step {step}, {'after' if after else 'before'}: {failure}") from None
            plan.die_at(0, False)
            missed += plan.deaths == before
        note(f"{daemon}: {plan.deaths - deaths} deaths, {sum(map(len, left))} points left")
    check_agreement(machine, LEFT)
    note(f"{daemon}: died {plan.deaths - deaths} times at {len(points) - missed} points; {missed} did not come again")
    expect(points and missed <= len(points) / 5, "too many points did not come again")


@suite.case("vdpad dies before and after the lasting steps of a script of its operations", timeout_s=3000)
def steps_of_vdpad(machine: Machine) -> None:
    note(f"VDPAD_SEED={SEED}")
    die_at_steps(machine, "vdpad")


@suite.case("vdpad-netlink dies before and after the lasting steps of the same script", timeout_s=3000)
def steps_of_netlink(machine: Machine) -> None:
    die_at_steps(machine, "vdpad-netlink")


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
