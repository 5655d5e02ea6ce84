#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Two hundred ports: how long one takes, and that nothing of them stays."""

from __future__ import annotations

import sqlite3
import statistics
import time
from pathlib import Path

from lab import BRIDGE, add_bridge
from node import Node, NodeFixture
from process import wait_until
from tap import Suite, expect, note

N_PORTS = 200
N_SHOWS = 20
SHOW_GOAL_MS = 20.0
ADD_GOAL_P50_MS = 10.0
# A virtual machine whose CPUs its host shares out swings by a factor of two to three. The goals are for a
# quiet one; the test fails where noise cannot explain it.
NOISE = 3.0


class Setup(NodeFixture):
    def __init__(self, build: Path) -> None:
        super().__init__(Node(build))
        self.fds: dict[str, int] = {}

    def set_up(self) -> None:
        add_bridge(self.node)
        self.node.start()
        # What is made once and kept is made by the first port.
        self.node.ctl("port", "add", "first", "network", BRIDGE)
        self.node.ctl("port", "del", "first")
        self.fds = count_fds(self.node)


suite = Suite[Setup]()


def count_fds(node: Node) -> dict[str, int]:
    return {name: len(list(Path(f"/proc/{node.pid(name)}/fd").iterdir())) for name in node.services}


def sockets(node: Node) -> list[Path]:
    return sorted((node.run_dir / "port").glob("*.sock"))


def rows(node: Node) -> int:
    """Rows of all tables of the state file that name a port of this test."""
    with sqlite3.connect(f"file:{node.state_dir}/state.db?mode=ro", uri=True) as db:
        tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        contents = [row for (table,) in tables for row in db.execute(f'SELECT * FROM "{table}"')]
    return sum(any(str(value).startswith("scale") for value in row) for row in contents)


def measure_ms(node: Node, *args: str) -> float:
    """From vdpactl's start to its end. What enters the namespace is not counted."""
    return float(node.run("sh", "-c", TIMED, str(node.programs["vdpactl"]), *args).stdout.split()[-1])


# Two clock readings of a shell around the command, in milliseconds.
TIMED = 'a=$(date +%s%N); "$0" "$@" >/dev/null || exit; b=$(date +%s%N); echo $(((b - a) / 1000)).e-3'


def describe(title: str, samples_ms: list[float]) -> float:
    percentiles = statistics.quantiles(samples_ms, n=100)
    note(f"{title}: p50 {percentiles[49]:.1f} ms, p99 {percentiles[98]:.1f} ms")
    return percentiles[49]


def expect_speed(node: Node, p50_ms: float, goal_ms: float) -> None:
    goal_ms *= node.slowness
    note(f"goal {goal_ms:g} ms: {'met' if p50_ms < goal_ms else 'missed'}")
    expect(p50_ms < goal_ms * NOISE, f"p50 {p50_ms:.1f} ms")


@suite.case(f"{N_PORTS} ports are added, each socket listens, p50 in about {ADD_GOAL_P50_MS:g} ms or less", 180)
def add_ports(setup: Setup) -> None:
    node = setup.node
    samples = [
        measure_ms(node, "port", "add", f"scale{i}", "network", BRIDGE) for i in range(N_PORTS)
    ]
    p50 = describe("one port add", samples)
    expect(len(sockets(node)) == N_PORTS, f"{len(sockets(node))} sockets")
    expect(rows(node) >= N_PORTS, f"{rows(node)} rows")
    expect_speed(node, p50, ADD_GOAL_P50_MS)


@suite.case(f"port show with {N_PORTS} ports takes about {SHOW_GOAL_MS:g} ms or less")
def show_ports(setup: Setup) -> None:
    samples = [measure_ms(setup.node, "port", "show") for _ in range(N_SHOWS)]
    p50 = describe(f"port show with {N_PORTS} ports", samples)
    expect_speed(setup.node, p50, SHOW_GOAL_MS)


def states(node: Node) -> list[str]:
    ports = node.ctl_json("port", "show")
    assert isinstance(ports, list)
    return [port["state"] for port in ports]


@suite.case(f"vdpad killed with {N_PORTS} ports serves them all again")
def restart_with_ports(setup: Setup) -> None:
    start = time.monotonic()
    setup.node.kill("vdpad")
    setup.node.services["vdpad"].wait_ready()
    note(f"vdpad with {N_PORTS} ports: serves {time.monotonic() - start:.2f} s after kill -9")
    wait_until(lambda: states(setup.node) == ["ready"] * N_PORTS, 5, "every port ready")
    note(f"vdpad with {N_PORTS} ports: all ready {time.monotonic() - start:.2f} s after kill -9")


@suite.case(f"{N_PORTS} ports are deleted, and no fd, socket or row is left", 180)
def delete_ports(setup: Setup) -> None:
    node = setup.node
    samples = [measure_ms(node, "port", "del", f"scale{i}") for i in range(N_PORTS)]
    describe("one port del", samples)
    expect(node.ctl_json("port", "show") == [], "a port is left")
    expect(not sockets(node), f"left: {sockets(node)}")
    expect(rows(node) == 0, f"{rows(node)} rows are left")
    now = count_fds(node)
    grown = {name: count - setup.fds[name] for name, count in now.items() if count > setup.fds[name]}
    expect(not grown, f"more file descriptors than before: {grown}")


if __name__ == "__main__":
    suite.main(Setup)
