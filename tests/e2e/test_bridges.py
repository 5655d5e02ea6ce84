#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Bridges come and go: each network follows its own, and none decides about the others."""

from __future__ import annotations

import json
from pathlib import Path

from lab import BRIDGE, add_bridge
from node import Node, NodeFixture
from process import wait_until
from tap import Suite, expect

LATE = "vmbr7"
CONFIG = f"[network late]\nbridge = {LATE}\n"
NOT_FOUND = 3
FOLLOW_S = 8  # the node is looked at every 2 s


class Setup(NodeFixture):
    """A node whose configuration names a bridge that is not there."""

    def __init__(self, build: Path) -> None:
        super().__init__(Node(build, CONFIG))

    def set_up(self) -> None:
        add_bridge(self.node)
        self.node.start()


suite = Suite[Setup]()


def network(node: Node, name: str) -> dict[str, object]:
    shown = node.ctl_json("network", "show", name)
    assert isinstance(shown, list)
    return shown[0]


def master(node: Node, interface: str) -> str:
    links = json.loads(node.run("ip", "-j", "link", "show", interface, check=False).stdout or "[]")
    return links[0].get("master", "") if links else ""


@suite.case("a configured bridge that is missing: vdpad starts, the other networks work")
def others_work(setup: Setup) -> None:
    setup.node.ctl("port", "add", "other", "network", BRIDGE)
    late = network(setup.node, "late")
    expect(late["available"] is False and LATE in str(late["reason"]), late)
    expect(network(setup.node, BRIDGE)["available"] is True, "the other one")
    refused = setup.node.ctl("port", "add", "p", "network", "late", check=False)
    expect(refused.status == NOT_FOUND and LATE in refused.stderr, refused)
    findings = setup.node.run(str(setup.node.programs["vdpactl"]), "-j", "doctor", check=False)
    expect(any(LATE in f["found"] for f in json.loads(findings.stdout)), findings.stdout)
    setup.node.ctl("reload")


@suite.case("its network is available when the bridge comes")
def bridge_comes(setup: Setup) -> None:
    setup.node.run("ip", "link", "add", LATE, "type", "bridge")
    wait_until(lambda: network(setup.node, "late")["available"], FOLLOW_S, "availability")
    setup.node.ctl("port", "add", "p", "network", "late")
    expect(master(setup.node, "vdp-late") == LATE, "the uplink is not in the bridge")


@suite.case("a bridge that is made again gets its uplink again")
def bridge_made_again(setup: Setup) -> None:
    for name, tap in ((LATE, "vdp-late"), (BRIDGE, f"vdp-{BRIDGE}")):
        setup.node.run("ip", "link", "del", name)
        setup.node.run("ip", "link", "add", name, "type", "bridge")
        wait_until(lambda: master(setup.node, tap) == name, FOLLOW_S, f"{tap} in {name}")


@suite.case("vdpad starts without the bridge of a port: the port is served, without uplink")
def start_without(setup: Setup) -> None:
    node = setup.node
    node.run("ip", "link", "del", LATE)
    node.kill("vdpad")
    node.services["vdpad"].wait_ready()
    node.kill("vdpad-switch")
    node.services["vdpad-switch"].wait_ready()
    node.wait_port_state("p", "ready")
    expect(network(node, "late")["available"] is False, "available")
    wait_until(lambda: "without its uplink" in node.services["vdpad"].tail(50), FOLLOW_S, "a warning")
    node.run("ip", "link", "add", LATE, "type", "bridge")
    wait_until(lambda: master(node, "vdp-late") == LATE, FOLLOW_S, "the uplink")


@suite.case("monitor shows a port come and go")
def monitor(setup: Setup) -> None:
    node = setup.node
    node.spawn(str(node.programs["vdpactl"]), "monitor")
    log = node.directory / "vdpactl.log"

    def seen() -> list[str]:
        return [line.split()[2] for line in log.read_text().splitlines() if line.split()[1] == "seen"]

    def add_and_delete() -> bool:
        node.ctl("port", "add", "seen", "network", BRIDGE)
        node.ctl("port", "del", "seen")
        return "gone" in seen()

    wait_until(add_and_delete, 10, "the monitor")
    expect(seen()[-3:] == ["ready", "deleting", "gone"], seen())


if __name__ == "__main__":
    suite.main(Setup)
