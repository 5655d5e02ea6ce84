#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""A port moves to another network while its guest uses it: by `port set NAME network NET`.

The node is on both networks, vmbr0 and vmbr1, under an address of its own on each; the guest keeps its
address and its connection to the switch.
"""

from __future__ import annotations

from pathlib import Path

from lab import BRIDGE, HOST_IPV4, TwoGuests, ipv4
from process import wait_until
from tap import Suite, expect

OTHER = "vmbr1"
OTHER_HOST = "10.77.0.253"
SMALL = "vmbr2"
NOT_FOUND, REFUSED = 3, 5
CONFIG = "[network late]\nbridge = vmbr9\n"


class Lab(TwoGuests):
    """Guests on vm1 and vm2 of vmbr0, and two more bridges, one of them with a small MTU."""

    def __init__(self, build: Path) -> None:
        super().__init__(build, CONFIG)

    def set_up(self) -> None:
        for bridge, mtu in ((OTHER, "1500"), (SMALL, "1400")):
            self.node.run("ip", "link", "add", bridge, "mtu", mtu, "type", "bridge")
            self.node.run("ip", "link", "set", bridge, "up")
        self.node.run("ip", "addr", "add", f"{OTHER_HOST}/32", "dev", OTHER)
        # each bridge answers for its own address only
        self.node.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore")
        super().set_up()

    def route(self, bridge: str) -> None:
        """Where the node has guest 1."""
        self.node.run("ip", "route", "replace", f"{ipv4(1)}/32", "dev", bridge)
        self.node.run("ip", "neigh", "flush", "to", ipv4(1))


suite = Suite[Lab]()


def has_interface(node: Node, name: str) -> bool:
    return node.run("ip", "link", "show", name, check=False).status == 0


@suite.case("a guest that moves reaches its new network, and its old one no more", timeout_s=90)
def moves(lab: Lab) -> None:
    guest = lab.guests[0]
    expect(guest.ping(HOST_IPV4) and guest.ping(ipv4(2)), "no answer before the move")
    expect(not guest.ping(OTHER_HOST, 1), "the other network answers before the move")
    carriers = guest.run("cat /sys/class/net/eth0/carrier_changes").check().strip()
    connects = lab.node.stats("vm1")["connects"]
    generation = lab.node.port("vm1")["generation"]

    lab.node.ctl("port", "set", "vm1", "network", OTHER)
    lab.route(OTHER)
    wait_until(lambda: guest.ping(OTHER_HOST, 1), 10, "an answer on the new network")
    expect(not guest.ping(ipv4(2), 1), "the guest on the old network answers")
    port = lab.node.port("vm1")
    expect((port["network"], port["state"]) == (OTHER, "connected"), port)
    expect(port["generation"] == generation, "it is another lease")
    expect(lab.node.stats("vm1")["connects"] == connects, "QEMU connected again")
    after = guest.run("cat /sys/class/net/eth0/carrier_changes").check().strip()
    expect(after == carriers, "the guest's link flapped")
    expect(has_interface(lab.node, f"vdp-{OTHER}"), "the new network has no uplink")


@suite.case("it stays there when vdpad is killed, and when vdpad-switch is", timeout_s=90)
def stays(lab: Lab) -> None:
    for name in ("vdpad", "vdpad-switch"):
        lab.node.kill(name)
        lab.node.services[name].wait_ready()
        lab.node.wait_port_state("vm1", "connected")
        wait_until(lambda: lab.guests[0].ping(OTHER_HOST, 1), 10, f"an answer after {name}")
    expect(lab.node.port("vm1")["network"] == OTHER, lab.node.port("vm1"))


@suite.case("the network that the last port left goes, with its uplink")
def old_network_goes(lab: Lab) -> None:
    lab.node.ctl("port", "set", "vm2", "network", OTHER)
    wait_until(lambda: not has_interface(lab.node, f"vdp-{BRIDGE}"), 10, "the old uplink to go")
    wait_until(lambda: lab.guests[0].ping(ipv4(2), 1), 10, "an answer where both are now")


@suite.case("a network that does not fit is refused, and the guest does not notice")
def refused(lab: Lab) -> None:
    for network, status, word in (
        (SMALL, REFUSED, "mtu 1500"),
        ("late", NOT_FOUND, "vmbr9"),
        ("nowhere", NOT_FOUND, "nowhere"),
    ):
        answer = lab.node.ctl("port", "set", "vm1", "network", network, check=False)
        expect(answer.status == status and word in answer.stderr, answer)
    answer = lab.node.ctl("port", "set", "vm1", "rate", "10mbit", check=False)
    expect(answer.status == REFUSED and "rate" in answer.stderr, answer)
    expect(lab.guests[0].ping(ipv4(2)), "the guest is gone")


@suite.case("VLAN and network in one step, and back")
def with_vlan(lab: Lab) -> None:
    for number in (1, 2):
        lab.node.ctl("port", "set", f"vm{number}", "network", BRIDGE, "vlan", "10")
    wait_until(lambda: lab.guests[0].ping(ipv4(2), 1), 10, "an answer in VLAN 10")
    lab.node.ctl("port", "set", "vm2", "vlan", "20")
    expect(not lab.guests[0].ping(ipv4(2), 1), "VLAN 10 hears VLAN 20")
    explained = lab.node.ctl_json("explain", BRIDGE)
    expect({"vlan", "link", "network"} <= set(explained["capabilities"]), explained)


if __name__ == "__main__":
    suite.main(Lab)
