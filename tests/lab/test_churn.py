#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Many devices: foreign ones that churn while we reconcile ours, and what making one costs.

VDPAD_FOREIGN and VDPAD_PORTS set how many.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import threading
import time
from pathlib import Path

from machine import BRIDGE, SIM_MGMTDEV, Machine, is_ours, kernel_devices, modprobe, pool, started, vdpa
from process import wait_until
from tap import Suite, expect, note

N_FOREIGN = int(os.environ.get("VDPAD_FOREIGN", "150"))
N_PORTS = int(os.environ.get("VDPAD_PORTS", "50"))
CHURN_S = 20.0
N_TIMED = 50
RATIO_GOAL = 1.5
suite = Suite[Machine]()


def make_machine(build: Path) -> Machine:
    modprobe("vhost_vdpa", "vdpa_sim_net", "bridge", "tun")
    machine = Machine(build, pool("sim", SIM_MGMTDEV))
    machine.api_times = build / "tests/lab/api-times"
    return started(machine)


def timed_ms(*command: str, **options: object) -> float:
    started = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **options)  # type: ignore[call-overload]
    return (time.monotonic() - started) * 1000


@suite.case(f"a port is made in at most {RATIO_GOAL} times what the plain vdpa tool takes, median of {N_TIMED}", timeout_s=200)
def cost(machine: Machine) -> None:
    """Alternating, so that a slow moment of the machine hits all of them.

    What is judged is vdpad's answer. vdpactl is told apart: its libraries take an emulated processor longer to
    load than everything that follows.
    """
    ctl = str(machine.programs["vdpactl"])
    times: dict[str, list[float]] = {}
    for number in range(N_TIMED):
        mac = f"52:54:00:00:01:{number:02x}"
        found = {"vdpa dev add": timed_ms("vdpa", "dev", "add", "name", "plain", "mgmtdev", SIM_MGMTDEV, "mac", mac)}
        found["AddPort"] = float(machine.run(str(machine.api_times), "add", "ours", BRIDGE, mac).stdout)
        expect(number > 0 or machine.backend("ours") == "vdpa", "not on hardware")
        machine.ctl("port", "del", "ours")
        vdpa("dev", "del", "plain")
        if number % 5 == 0:  # for the reader
            found["vdpa -V"] = timed_ms("vdpa", "-V")
            found["vdpactl --version"] = timed_ms(ctl, "--version")
            found["vdpactl port add"] = timed_ms(ctl, "port", "add", "ours", "network", BRIDGE, env=machine.env)
            machine.ctl("port", "del", "ours")
        for what, time_ms in found.items():
            times.setdefault(what, []).append(time_ms)
    medians = {what: statistics.median(found) for what, found in times.items()}
    note("medians: " + ", ".join(f"{what} {median:.1f} ms" for what, median in medians.items()))
    kernel = max(0.0, medians["vdpa dev add"] - medians["vdpa -V"])
    ratio = medians["AddPort"] / medians["vdpa dev add"]
    note(f"ratio {ratio:.2f}; vdpad's own share {medians['AddPort'] - kernel:.1f} ms")
    note(f"with the start of vdpactl {medians['vdpactl port add'] / medians['vdpa dev add']:.2f}")
    expect(ratio <= RATIO_GOAL, "more than the goal")


class Churn(threading.Thread):
    """Foreign devices that come and go, some of them with names much like ours."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.made = 0
        self.failure: Exception | None = None
        self._end = threading.Event()

    def run(self) -> None:
        try:
            while not self._end.is_set():
                self._replace()
        except Exception as failure:  # shown by the case
            self.failure = failure

    def _replace(self) -> None:
        oldest = self.names.pop(0)
        vdpa("dev", "del", oldest)
        self.fill(1)

    def fill(self, count: int) -> None:
        for _ in range(count):
            name = f"{'vdpa' if self.made % 2 else 'foreign'}-{self.made}"
            vdpa("dev", "add", "name", name, "mgmtdev", SIM_MGMTDEV)
            self.names.append(name)
            self.made += 1

    def end(self) -> None:
        self._end.set()
        self.join()


def ours() -> dict[str, int]:
    """Our devices and a number that a device made again would not have."""
    return {name: os.stat(f"/sys/bus/vdpa/devices/{name}/").st_ino for name in kernel_devices() if is_ours(name)}


@suite.case(f"{N_FOREIGN} foreign devices churn while {N_PORTS} ports are reconciled: none of ours is touched", timeout_s=400)
def churn(machine: Machine) -> None:
    for number in range(N_PORTS):
        machine.add(f"p{number}")
    expect({machine.backend(f"p{number}") for number in (0, N_PORTS - 1)} == {"vdpa"}, "not on hardware")
    before = ours()
    expect(len(before) == N_PORTS, before)
    foreign = Churn()
    foreign.fill(N_FOREIGN)
    foreign.start()
    deadline = time.monotonic() + CHURN_S
    rounds = 0
    try:
        while time.monotonic() < deadline:
            for service in ("vdpad", "vdpad-netlink"):
                machine.kill(service)
                machine.services[service].wait_ready()
            machine.ctl("reload")
            states = lambda: {p["state"] for p in machine.ctl_json("port", "show")}  # noqa: E731
            wait_until(lambda: states() == {"ready"}, 60, f"all ports are ready: {states()}", 0.2)
            rounds += 1
    finally:
        foreign.end()
    note(f"{rounds} rounds of kills and reconciling; {foreign.made} foreign devices made")
    expect(foreign.failure is None, foreign.failure)
    expect(rounds >= 2, rounds)
    expect(ours() == before, f"before {before}, after {ours()}")
    expect(set(foreign.names) <= set(kernel_devices()), "a foreign device was deleted")
    expect({p["generation"] for p in machine.ctl_json("port", "show")} == {int(n[6:], 16) for n in before}, "generations")


if __name__ == "__main__":
    suite.main(make_machine)
