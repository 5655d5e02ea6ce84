#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Ports on kernel vDPA devices, on a kernel that is a directory: see tests/fake/vdpa_kernel.h.

A real kernel is in the lab (tests/lab). Here is what needs none: vdpad killed at each of its durable
steps, and the same failures at will. VDPAD_KILL_EVERY thins the steps out.
"""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

from kill_plan import Plan, preload
from node import Node, NodeFixture, Output
from process import wait_until
from tap import Suite, expect, note

KILL_EVERY = int(os.environ.get("VDPAD_KILL_EVERY", "3"))
MAX_STEPS = 200  # of the script; it has far fewer
KILL_TIMEOUT_S = 600
PF = "0000:3b:00.0"
NIC = """driver mlx5_core
takes 15
one_device 1
features 12897729451
max_vqs 33
"""
CONFIG = f"""[networks]
bridges = no
[network lab]
uplink = none
[network sf]
uplink = none
[pool fast]
networks = lab
mgmtdevs = pci/*
[pool many]
networks = sf
pf = {PF}
functions = sf
"""
# Ports that come and go; each line is a durable script of its own.
SCRIPT = (
    "port add vm1 network lab",
    "port add vm2 network sf lifetime persistent",
    "port add vm3 network lab",
    "port add vm4 network lab",  # no hardware left: the switch
    "port set vm2 vlan 7",
    "port del vm1",
    "port add vm5 network lab policy hardware",
    "port del vm2",
    "port add vm2 network sf",
    "port del vm4",
    "port del vm3",
    "port set vm2 lifetime persistent",
)
LEFT = {"vm2", "vm5"}
REFUSED, FAILED = 5, 1


class Setup(NodeFixture):
    def __init__(self, build: Path) -> None:
        node = Node(build, CONFIG)
        super().__init__(node)
        self.kernel = node.directory / "kernel"
        prefix = node.directory / "kill-at"
        self.plan = Plan(prefix, "vdpad")
        root = node.directory / "root"
        for name in ("mgmtdevs", "devices", "pfs", "functions", "dev", "held", "active", "refuse", "blind"):
            (self.kernel / name).mkdir(parents=True)
        for path in ("vdpa/devices", "vdpa/drivers/vhost_vdpa", f"pci/devices/{PF}"):
            (root / "sys/bus" / path).mkdir(parents=True)
        (self.kernel / "pfs" / PF).write_text("")
        for number in (2, 3):
            self.write(f"mgmtdevs/pci,0000:3b:00.{number}", NIC)
        node.programs["vdpad-netlink"] = build / "tests/fake/fake-vdpad-netlink"
        node.env["VDPAD_FAKE_KERNEL"] = str(self.kernel)
        node.vdpad_options = ["--facts-root", str(root)]
        node.vdpad_env = preload(build, prefix) | {"ASAN_OPTIONS": "verify_asan_link_order=0"}

    def set_up(self) -> None:
        self.node.start()

    def write(self, path: str, text: str) -> None:
        """Whole or not at all."""
        new = self.kernel / ".test"
        new.write_text(text)
        new.rename(self.kernel / path)

    def device(self, port: str) -> str:
        return f"vdpad-{self.node.port(port)['generation']:x}"

    def names(self, kind: str) -> set[str]:
        return {path.name for path in (self.kernel / kind).iterdir()}


suite = Suite[Setup]()


def expect_status(output: Output, status: int, *words: str) -> None:
    expect(output.status == status, f"exit {output.status}: {output.stderr}")
    for word in words:
        expect(word in output.stderr, f"no '{word}' in: {output.stderr}")


def clean(setup: Setup) -> None:
    for port in [row["name"] for row in setup.node.ctl_json("port", "show")]:  # type: ignore[attr-defined]
        setup.node.ctl("port", "del", port)
    wait_until(lambda: not setup.names("devices") | setup.names("functions"), 10, "nothing left")


@suite.case("ports get devices, then the switch, and policy hardware is refused")
def devices_then_switch(setup: Setup) -> None:
    node = setup.node
    for name in ("a1", "a2", "a3"):
        node.ctl("port", "add", name, "network", "lab")
    backends = [node.port(name)["backend"] for name in ("a1", "a2", "a3")]
    expect(backends == ["vdpa", "vdpa", "switch"], backends)
    expect("in use" in str(node.port("a3")["choice"]), node.port("a3")["choice"])
    link = Path(str(node.port("a1")["path"]))
    expect(link.name == "a1.vdpa" and link.readlink().exists(), link)
    refused = node.ctl("port", "add", "a4", "network", "lab", "policy", "hardware", check=False)
    expect_status(refused, REFUSED, "in use")
    node.ctl("port", "del", "a1")
    expect(not link.is_symlink(), f"{link} is still there")
    node.ctl("port", "add", "a4", "network", "lab", "policy", "hardware")
    clean(setup)


@suite.case("a device that is open: the holder is named, and it goes within 2 s of its holder")
def held_open(setup: Setup) -> None:
    node = setup.node
    worst = 0.0
    for _ in range(5):
        node.ctl("port", "add", "b1", "network", "lab", "policy", "hardware")
        held = setup.kernel / "held" / setup.device("b1")
        held.write_text("process 42 (qemu)")
        refused = node.ctl("port", "del", "b1", check=False)
        expect_status(refused, FAILED, "process 42 (qemu)")
        expect(node.port("b1")["state"] == "deleting", node.port("b1"))
        held.unlink()
        worst = max(worst, wait_until(lambda: not setup.names("devices"), 10, "deletion"))
        wait_until(lambda: node.ctl("port", "show", "b1", check=False).status == 3, 10, "its end")
    note(f"at most {worst * 1000:.0f} ms after its holder")
    expect(worst < 2 * node.slowness, f"{worst:.1f} s")


@suite.case("a wedged kernel: new ports get the switch, old ones stay, the API answers")
def wedged(setup: Setup) -> None:
    node = setup.node
    node.ctl("port", "add", "c1", "network", "lab", "policy", "hardware")
    setup.write("wedged", "process 9 (vdpa) deletes vdpa0, which process 42 has open")
    for name in ("c2", "c3"):
        node.ctl("port", "add", name, "network", "lab")
        expect(node.port(name)["backend"] == "switch", node.port(name))
    expect("process 42" in str(node.port("c3")["choice"]), node.port("c3")["choice"])
    expect(node.port("c1")["state"] == "ready", node.port("c1"))
    (setup.kernel / "wedged").unlink()
    add = ("port", "add", "c4", "network", "lab", "policy", "hardware")
    wait_until(lambda: node.ctl(*add, check=False).status == 0, 5, "hardware again", 0.1)
    clean(setup)


@suite.case("a NIC that vanishes degrades its port, which returns with it")
def vanishing(setup: Setup) -> None:
    node = setup.node
    node.ctl("port", "add", "d1", "network", "lab", "policy", "hardware")
    nics = [f"mgmtdevs/pci,0000:3b:00.{number}" for number in (2, 3)]
    for nic in nics:  # one alone would be replaced by the other at once
        (setup.kernel / nic).unlink()
    node.wait_port_state("d1", "degraded")
    expect("management device" in str(node.port("d1")["reason"]), node.port("d1"))
    for nic in nics:
        setup.write(nic, NIC)
    node.wait_port_state("d1", "ready")
    expect(setup.device("d1") in setup.names("devices"), setup.names("devices"))
    clean(setup)


def run_line(node: Node, line: str) -> None:
    """Until it has succeeded; what a killed vdpad did of it must not matter."""
    flag = {"add": ["--may-exist"], "del": ["--may-not-exist"]}.get(line.split()[1], [])
    deadline = time.monotonic() + 30 * node.slowness
    while (output := node.ctl(*line.split(), *flag, check=False)).status != 0:
        if time.monotonic() > deadline:
            raise AssertionError(f"{line}: exit {output.status}: {output.stderr}")
        time.sleep(0.05)


def stored(node: Node) -> dict[str, int]:
    with sqlite3.connect(f"file:{node.state_dir}/state.db?mode=ro", uri=True) as db:
        expect(db.execute("SELECT count(*) FROM intents").fetchone()[0] == 0, "an intent is left")
        return dict(db.execute("SELECT name, generation FROM ports").fetchall())


def disagreement(setup: Setup) -> str:
    """Between store, API and kernel."""
    rows = setup.node.ctl_json("port", "show")
    assert isinstance(rows, list)
    devices = {f"vdpad-{row['generation']:x}" for row in rows if row["backend"] == "vdpa"}
    functions = {f"{PF},sf{1000000 + row['generation']}" for row in rows if row["network"] == "sf"}
    links = {path.name for path in (setup.node.run_dir / "port").iterdir() if path.is_symlink()}
    found = (
        ("the API", {row["name"] for row in rows}, LEFT),
        ("the store", stored(setup.node), {row["name"]: row["generation"] for row in rows}),
        ("the kernel", setup.names("devices"), devices),
        ("the PF", setup.names("functions"), functions),
        ("the links", links, {f"{row['name']}.vdpa" for row in rows if row["backend"] == "vdpa"}),
    )
    return "; ".join(f"{what}: {has}, not {wanted}" for what, has, wanted in found if has != wanted)


@suite.case("vdpad killed at its durable steps: store, API and kernel agree after each", KILL_TIMEOUT_S)
def killed_at_each_step(setup: Setup) -> None:
    node = setup.node
    vdpad, plan = node.services["vdpad"], setup.plan
    n_kills = 0
    for step in range(1, MAX_STEPS, KILL_EVERY):
        for after in (False, True):
            starts, deaths = vdpad.starts, plan.deaths
            plan.die_at(step, after)
            for line in SCRIPT:
                run_line(node, line)
            plan.die_at(0, False)
            killed = plan.deaths > deaths
            n_kills += killed
            expect(vdpad.starts - starts == killed, f"{vdpad.starts - starts} starts at step {step}")
            try:
                wait_until(lambda: not disagreement(setup), 10 * node.slowness, "agreement", 0.1)
            except TimeoutError:
                raise AssertionError(f"killed at step {step}: {disagreement(setup)}") from None
            clean(setup)
        if not killed:
            break
    note(f"{n_kills} kills in a script of {len(SCRIPT)} operations, {step} durable steps at most")
    expect(n_kills > 0, "vdpad was never killed")


if __name__ == "__main__":
    suite.main(Setup)
