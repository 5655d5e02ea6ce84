#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Daemons die at random moments while ports come, change and go: nothing is lost, nothing is left.

Scripts work on ports of their own and know what they were told: a success must hold, a failure may
have either result, which the next request settles. VDPAD_KILLS sets how often vdpad is killed, and
VDPAD_SEED repeats a run as far as that is possible.
"""

from __future__ import annotations

import os
import random
import select
import signal
import socket
import sqlite3
import threading
import time
from pathlib import Path

from lab import BRIDGE, add_bridge
from node import Node, NodeFixture, Output
from process import wait_until
from tap import Suite, expect, note

N_KILLS = int(os.environ.get("VDPAD_KILLS", "60"))
N_SCRIPTS = 2
N_PORTS = 8  # of each script
KILL_TIMEOUT_S = 60 + 2 * N_KILLS
MAX_PAUSE_S = 0.35  # between two kills: from amid a start to amid the work after it
OTHERS = ("vdpad-switch", "vdpad-netlink")
SECOND_BRIDGE = "vmbr1"
UNREACHABLE = 6


class Setup(NodeFixture):
    def __init__(self, build: Path) -> None:
        super().__init__(Node(build))

    def set_up(self) -> None:
        add_bridge(self.node)
        self.node.run("ip", "link", "add", SECOND_BRIDGE, "type", "bridge")
        self.node.start()


suite = Suite[Setup]()


def kill_at_once(node: Node, name: str) -> None:
    """SIGKILL to a process that serves; returns when it is gone, before the next one is there."""
    service = node.services[name]
    wait_until(lambda: Path(f"/proc/{service.pid}/exe").exists(), 5, f"{name} runs")  # no zombie
    service.wait_ready()
    pidfd = os.pidfd_open(service.pid)
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    select.select([pidfd], [], [])
    os.close(pidfd)


def expect_served(node: Node, port: str) -> None:
    node.wait_port_state(port, "ready")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(node.run_dir / "port" / f"{port}.sock"))


@suite.case("requests right after kill -9 of vdpad-switch succeed")
def requests_after_switch(setup: Setup) -> None:
    node = setup.node
    kill_at_once(node, "vdpad-switch")
    node.ctl("port", "add", "grace", "network", BRIDGE)
    expect_served(node, "grace")
    kill_at_once(node, "vdpad-switch")
    node.ctl("port", "add", "grace", "network", BRIDGE, "--may-exist")
    kill_at_once(node, "vdpad-switch")
    node.ctl("port", "set", "grace", "vlan", "7")
    expect_served(node, "grace")
    kill_at_once(node, "vdpad-switch")
    node.ctl("port", "del", "grace")
    check_agreement(node, {})


@suite.case("a request right after kill -9 of vdpad-netlink succeeds")
def request_after_netlink(setup: Setup) -> None:
    kill_at_once(setup.node, "vdpad-netlink")
    setup.node.ctl("port", "add", "grace", "network", SECOND_BRIDGE)
    expect_served(setup.node, "grace")
    kill_at_once(setup.node, "vdpad-netlink")
    setup.node.ctl("port", "del", "grace")
    check_agreement(setup.node, {})


@suite.case("requests right after kill -9 of vdpad succeed")
def requests_after_vdpad(setup: Setup) -> None:
    node = setup.node
    node.kill("vdpad")  # until the next one is started; it has no name yet
    node.ctl("port", "add", "grace", "network", BRIDGE)
    expect_served(node, "grace")
    node.kill("vdpad")
    node.ctl("port", "add", "grace", "network", BRIDGE, "--may-exist")
    node.kill("vdpad")
    node.ctl("port", "set", "grace", "vlan", "7")
    node.kill("vdpad")
    node.ctl("port", "del", "grace")
    check_agreement(node, {})


class Killer(threading.Thread):
    """Kills vdpad N_KILLS times, and now and then one of the others."""

    def __init__(self, node: Node, seed: int) -> None:
        super().__init__()
        self._node = node
        self._random = random.Random(seed)
        self.killed = dict.fromkeys(("vdpad", *OTHERS), 0)
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            while self.killed["vdpad"] < N_KILLS:
                time.sleep(self._random.uniform(0, MAX_PAUSE_S))
                self._kill("vdpad")
                if self._random.random() < 0.3:
                    time.sleep(self._random.uniform(0, 0.1))
                    self._kill(self._random.choice(OTHERS))
        except Exception as failure:  # shown by the case
            self.failure = failure

    def _kill(self, name: str) -> None:
        self._node.kill(name)
        self.killed[name] += 1


class Script(threading.Thread):
    """Adds, sets and deletes ports until stop, and knows which must be there and with which VLAN."""

    def __init__(self, node: Node, prefix: str, seed: int, stop: threading.Event) -> None:
        super().__init__()
        self._node = node
        self._prefix = prefix
        self._random = random.Random(seed)
        self._end = stop
        self.failure: Exception | None = None
        self.ports: dict[str, int] = {}  # name: VLAN, 0 for none
        self.done = 0
        self.failed: list[str] = []

    def run(self) -> None:
        try:
            while not self._end.is_set():
                self._step()
        except Exception as failure:  # shown by the case
            self.failure = failure

    def _step(self) -> None:
        name = f"{self._prefix}{self._random.randrange(N_PORTS)}"
        if name not in self.ports:
            self._add(name)
        elif self._random.random() < 0.3:
            self._set(name, self._random.randrange(1, 4095))
        else:
            self._del(name)

    def _settle(self, *request: str) -> None:
        """Until it succeeds: a request whose answer was lost is made again."""
        for _ in range(20):
            output = self._node.ctl(*request, check=False)
            self.done += 1
            if output.status == 0:
                return
            self.failed.append(f"{' '.join(request[:3])}: {output.status} {output.stderr.strip()}")
        raise RuntimeError(f"{' '.join(request)} never succeeds: {output.stderr.strip()}")

    def _add(self, name: str) -> None:
        network = self._random.choice((BRIDGE, SECOND_BRIDGE))
        self._settle("port", "add", name, "network", network, "--may-exist")
        self.ports[name] = 0

    def _set(self, name: str, vlan: int) -> None:
        self._settle("port", "set", name, "vlan", str(vlan))
        self.ports[name] = vlan

    def _del(self, name: str) -> None:
        self._settle("port", "del", name, "--may-not-exist")
        del self.ports[name]


def rows(node: Node, table: str) -> list[str]:
    with sqlite3.connect(f"file:{node.state_dir}/state.db?mode=ro", uri=True) as db:
        return sorted(str(row[0]) for row in db.execute(f'SELECT * FROM "{table}"'))


def taps(node: Node) -> list[str]:
    links = node.run("ip", "-o", "link", "show", "type", "tun").stdout.splitlines()
    return sorted(line.split(": ")[1].split("@")[0] for line in links)


def disagreement(node: Node, ports: dict[str, int]) -> str:
    """What differs from what must be there; nothing if all agree."""
    shown = node.ctl("-j", "port", "show", check=False)
    if shown.status != 0:
        return shown.stderr
    api = {port["name"]: port for port in node.ctl_json("port", "show")}  # type: ignore[attr-defined]
    sockets = sorted(path.stem for path in (node.run_dir / "port").glob("*.sock"))
    uplinks = sorted({f"vdp-{port['network']}" for port in api.values()})
    names = sorted(ports)
    stats = node.ctl_json("stats")
    found = (
        ("the API", sorted(api), names),
        ("states", sorted({port["state"] for port in api.values()}), ["ready"] if names else []),
        ("VLANs", {name: port["vlan"] for name, port in api.items()}, ports),
        ("the store", rows(node, "ports"), names),
        ("intents", rows(node, "intents"), []),
        ("sockets", sockets, names),
        ("TAPs", taps(node), uplinks),
        ("the switch", sorted(row["name"] for row in stats), sorted(names + uplinks)),  # type: ignore[attr-defined]
    )
    return "; ".join(f"{what}: {has}, not {wanted}" for what, has, wanted in found if has != wanted)


def check_agreement(node: Node, ports: dict[str, int]) -> None:
    """All of vdpad's parts must soon agree that these ports are there, and no others."""
    try:
        wait_until(lambda: not disagreement(node, ports), 10, "agreement", 0.1)
    except TimeoutError:
        raise AssertionError(disagreement(node, ports)) from None
    for port in ports:
        expect_served(node, port)


@suite.case(f"vdpad killed {N_KILLS} times under a script, the others as well", KILL_TIMEOUT_S)
def kill_under_script(setup: Setup) -> None:
    node = setup.node
    seed = int(os.environ.get("VDPAD_SEED", str(random.randrange(1 << 32))))
    note(f"VDPAD_SEED={seed}")
    stop = threading.Event()
    killer = Killer(node, seed)
    scripts = [Script(node, "ab"[i], seed + i, stop) for i in range(N_SCRIPTS)]
    for thread in (killer, *scripts):
        thread.start()
    killer.join()
    stop.set()
    for script in scripts:
        script.join()
    failed = [line for script in scripts for line in script.failed]
    n_requests = sum(script.done for script in scripts)
    note(f"killed: {killer.killed}; {n_requests} requests, {len(failed)} had to be made again")
    for line in sorted({line.split(": ", 1)[1] for line in failed}):
        note(f"{sum(line in each for each in failed)} times: {line}")
    for thread in (killer, *scripts):
        expect(thread.failure is None, thread.failure)
    for service in node.services.values():
        service.wait_ready()
    ports = {name: vlan for script in scripts for name, vlan in script.ports.items()}
    check_agreement(node, ports)
    for name in ports:
        node.ctl("port", "del", name)
    check_agreement(node, {})


if __name__ == "__main__":
    suite.main(Setup)
