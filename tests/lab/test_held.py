#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Devices that somebody has open: the deletion that must not freeze the node, and the node that is frozen."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from machine import SIM_MGMTDEV, Machine, is_ours, kernel_devices, modprobe, pool, vdpa
from process import spawn, stop, wait_until
from tap import Suite, expect, note

ROUNDS = 20
ANSWER_GOAL_S = 1.0
DELETE_GOAL_S = 2.0
API_GOAL_S = 0.050
STOPPED_S = 2.0  # the machine that emulates this one may itself be stopped now and then
HOLD = "import os,sys,time; os.open(sys.argv[1], os.O_RDWR); print('open', flush=True); time.sleep(1000)"
suite = Suite[Machine]()


def make_machine(build: Path) -> Machine:
    modprobe("vhost_vdpa", "vdpa_sim_net", "bridge", "tun")
    machine = Machine(build, pool("sim", SIM_MGMTDEV))
    machine.api_times = build / "tests/lab/api-times"
    try:
        machine.start()
        # A family that the tool must load and resolve would be measured with it.
        machine.run("devlink", "dev", "show")
    except BaseException:
        machine.close()
        raise
    return machine


def hold(machine: Machine, node: str) -> subprocess.Popen[bytes]:
    """A process that has the device open, as QEMU has."""
    log = machine.directory / "hold.log"
    log.write_text("")
    holder = spawn([sys.executable, "-S", "-c", HOLD, node], log)
    wait_until(lambda: "open" in log.read_text(), 20, f"{node} is held open: {log.read_text()}")
    return holder


def answer_s(machine: Machine, *command: str, limit_s: float) -> float:
    started = time.monotonic()
    machine.run(*command, timeout_s=limit_s * 10)
    return time.monotonic() - started


def judge(what: str, times: list[float], goal_s: float) -> None:
    late = sum(t > goal_s for t in times)
    note(f"{what}: median {statistics.median(times):.3f} s, most {max(times):.3f} s, {late} of {len(times)} over {goal_s} s")
    expect(late <= len(times) / 10 and max(times) <= goal_s + STOPPED_S, times)


@suite.case(
    f"{ROUNDS} times a device is deleted while it is open: others are served, its end follows the holder's",
    timeout_s=400,
)
def held_open(machine: Machine) -> None:
    answers, deletions = [], []
    for number in range(ROUNDS):
        machine.add("held")
        holder = hold(machine, str(machine.port("held")["path"]))
        try:
            refused = machine.ctl("port", "del", "held", check=False)
            expect(refused.status == 1 and str(holder.pid) in refused.stderr, refused)
            port = machine.port("held")
            expect(port["state"] == "deleting" and str(holder.pid) in str(port["reason"]), port)
            answers.append(answer_s(machine, "devlink", "dev", "show", limit_s=ANSWER_GOAL_S))
        finally:
            holder.kill()
            holder.wait()
        gone = lambda: not any(map(is_ours, kernel_devices()))  # noqa: E731
        deletions.append(wait_until(gone, 10 * DELETE_GOAL_S, "the deletion"))
        wait_until(lambda: not machine.ctl_json("port", "show"), 5, "the port is forgotten")
    judge("devlink dev show while deleting", answers, ANSWER_GOAL_S)
    judge("gone after the holder", deletions, DELETE_GOAL_S)


@suite.case("a port that is held open does not hinder others", timeout_s=60)
def others(machine: Machine) -> None:
    machine.add("held")
    holder = hold(machine, str(machine.port("held")["path"]))
    try:
        machine.ctl("port", "del", "held", check=False)
        machine.add("other")
        expect(machine.backend("other") == "vdpa", machine.port("other"))
        machine.ctl("port", "del", "other")
    finally:
        holder.kill()
        holder.wait()
    wait_until(lambda: not machine.ctl_json("port", "show"), 5, "the port is forgotten")


@suite.case("a kernel that another tool has frozen leaves the API answering, and says who holds what", timeout_s=120)
def frozen(machine: Machine) -> None:
    vdpa("dev", "add", "name", "foreign0", "mgmtdev", SIM_MGMTDEV)
    node = next(Path("/sys/bus/vdpa/devices/foreign0").glob("vhost-vdpa-*")).name
    holder = hold(machine, f"/dev/{node}")
    # The trap that vdpad itself never steps into: this call hangs, with the family's lock.
    deleter = spawn(["vdpa", "dev", "del", "foreign0"], machine.directory / "deleter.log")
    try:
        found = machine.add("late", "policy", "hardware", check=False)
        note(found.stderr)
        expect(found.status != 0, found)
        refused = machine.add("late", "policy", "hardware", check=False)
        expect(refused.status == 5, refused)
        reason = str(machine.explain("vdpa")["reason"])
        expect("foreign0" in reason and str(holder.pid) in reason, reason)
        times = [float(line) / 1000 for line in machine.run(str(machine.api_times), "status", "50").stdout.split()]
        judge("vdpad's answer to Status", times, API_GOAL_S)
        machine.add("fallback")
        expect(machine.backend("fallback") == "switch", machine.port("fallback"))
    finally:
        stop(holder)
    deleter.wait(20)
    wait_until(lambda: machine.explain("vdpa")["accepted"], 20, "hardware is usable again")
    machine.add("again")
    expect(machine.backend("again") == "vdpa", machine.port("again"))
    expect("foreign0" not in kernel_devices() and os.path.exists(str(machine.port("again")["path"])), kernel_devices())


if __name__ == "__main__":
    suite.main(make_machine)
