#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets between two guests, between VLANs, and to the host."""

from lab import (
    BRIDGE,
    HOST_IPV4,
    HOST_IPV6,
    TwoGuests,
    ipv4,
    ipv6,
    serve_iperf,
    tcp_mbit_per_s,
)
from tap import Suite, expect, note

MTU = 9000
ICMP_IPV4_OVERHEAD = 28  # IPv4 and ICMP headers
suite = Suite[TwoGuests]()


@suite.case("IPv4 ping works in both directions")
def ping_ipv4(lab: TwoGuests) -> None:
    expect(lab.first.ping(ipv4(2)), "1 -> 2")
    expect(lab.second.ping(ipv4(1)), "2 -> 1")


@suite.case("IPv6 ping works in both directions, neighbour discovery included")
def ping_ipv6(lab: TwoGuests) -> None:
    for guest in lab.guests:
        guest.run("ip -6 neigh flush dev eth0")
    expect(lab.first.ping(ipv6(2)), "1 -> 2")
    expect(lab.second.ping(ipv6(1)), "2 -> 1")


@suite.case("TCP works in both directions between guests")
def tcp_between_guests(lab: TwoGuests) -> None:
    there = tcp_mbit_per_s(lab.first, ipv4(2))
    back = tcp_mbit_per_s(lab.first, ipv4(2), reverse=True)
    note(f"guest to guest, TCP: {there:.0f} Mbit/s, back {back:.0f} Mbit/s")
    expect(min(there, back) > 50, "slower than without any offload")


@suite.case("TCP over IPv6 works between guests")
def tcp_ipv6(lab: TwoGuests) -> None:
    figure = tcp_mbit_per_s(lab.first, ipv6(2))
    note(f"guest to guest, TCP over IPv6: {figure:.0f} Mbit/s")
    expect(figure > 50, "slower than without any offload")


@suite.case("frames of the network's MTU of 9000 pass unfragmented")
def jumbo(lab: TwoGuests) -> None:
    seen = lab.first.run("cat /sys/class/net/eth0/mtu").output.strip()
    expect(seen == str(MTU), f"the guest's MTU is {seen}")
    expect(lab.first.ping(ipv4(2), size_bytes=MTU - ICMP_IPV4_OVERHEAD), "1 -> 2")
    expect(lab.first.ping(HOST_IPV4, size_bytes=MTU - ICMP_IPV4_OVERHEAD), "1 -> host")


@suite.case("the guest reaches the host through the uplink, IPv4 and IPv6")
def uplink_ping(lab: TwoGuests) -> None:
    expect(lab.first.ping(HOST_IPV4), "IPv4")
    expect(lab.first.ping(HOST_IPV6), "IPv6")
    members = lab.node.run("ls", f"/sys/class/net/{BRIDGE}/brif").stdout.split()
    expect(members == [f"vdp-{BRIDGE}"], f"members of the bridge: {members}")


@suite.case("TCP with offloads works between guest and host in both directions")
def uplink_tcp(lab: TwoGuests) -> None:
    serve_iperf(lab.node)
    there = tcp_mbit_per_s(lab.first, HOST_IPV4)
    back = tcp_mbit_per_s(lab.first, HOST_IPV4, reverse=True)
    note(f"guest to host, TCP: {there:.0f} Mbit/s, back {back:.0f} Mbit/s")
    expect(min(there, back) > 50, "slower than without any offload")
    offloads = lab.first.run("ethtool -k eth0").check()
    for offload in ("tcp-segmentation-offload: on", "tx-checksumming: on"):
        expect(offload in offloads, f"the guest does not have {offload}")


@suite.case("the counters of a port show its packets")
def port_counters(lab: TwoGuests) -> None:
    before = lab.node.stats("vm1")
    expect(lab.first.ping(ipv4(2), count=5), "ping")
    after = lab.node.stats("vm1")
    for key in ("rx_packets", "tx_packets"):
        expect(after[key] >= before[key] + 5, f"5 pings, but {key}: {before[key]}, {after[key]}")


def forget_neighbours(lab: TwoGuests) -> None:
    for guest in lab.guests:
        guest.run("ip neigh flush dev eth0; ip -6 neigh flush dev eth0")


@suite.case("VLAN 10 cannot hear VLAN 20, and one VLAN hears itself")
def vlans(lab: TwoGuests) -> None:
    lab.node.ctl("port", "set", "vm1", "vlan", "10")
    lab.node.ctl("port", "set", "vm2", "vlan", "20")
    forget_neighbours(lab)
    heard = int(lab.second.run("cat /sys/class/net/eth0/statistics/rx_packets").output)
    expect(not lab.first.ping(ipv4(2), wait_s=1), "IPv4 passes between VLANs")
    expect(not lab.first.ping(ipv6(2), wait_s=1), "IPv6 passes between VLANs")
    still = int(lab.second.run("cat /sys/class/net/eth0/statistics/rx_packets").output)
    expect(still == heard, f"VLAN 20 heard {still - heard} frames of VLAN 10")
    lab.node.ctl("port", "set", "vm2", "vlan", "10")
    forget_neighbours(lab)  # the guest drops what waits for an answer that did not come
    expect(lab.first.ping(ipv4(2)), "one VLAN")


@suite.case("a port whose link is set down is silent, and speaks again when up")
def link_down(lab: TwoGuests) -> None:
    lab.node.ctl("port", "set", "vm2", "link", "down")
    expect(not lab.first.ping(ipv4(2), count=2, wait_s=1), "it still answers")
    lab.node.ctl("port", "set", "vm2", "link", "up")
    expect(lab.first.ping(ipv4(2)), "it does not answer again")


if __name__ == "__main__":
    suite.main(lambda build: TwoGuests(build, mtu_bytes=MTU, port_keys=("mtu", str(MTU))))
