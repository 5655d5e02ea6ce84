#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest without an operating system: the boot ROM's own virtio driver gets an address by DHCP."""

from __future__ import annotations

from pathlib import Path

from lab import BRIDGE, HOST_IPV4, MEMORY, QEMU_OF_THE_MACHINE, add_bridge, qemu_arguments
from node import Node
from process import spawn, stop, wait_until
from tap import Suite, expect, note

DHCP_TIMEOUT_S = 40
LEASE = "10.77.0.100"
DHCP_CONFIG = """interface {bridge}
start {lease}
end {lease}
lease_file {directory}/udhcpd.leases
pidfile {directory}/udhcpd.pid
option subnet 255.255.255.0
option router {router}
"""
suite = Suite[Node]()


def make_node(build: Path) -> Node:
    node = Node(build)
    try:
        add_bridge(node)
        node.start()
        (node.directory / "udhcpd.leases").touch()
        config = node.directory / "udhcpd.conf"
        config.write_text(
            DHCP_CONFIG.format(
                bridge=BRIDGE, lease=LEASE, directory=node.directory, router=HOST_IPV4
            )
        )
        node.spawn("/bin/busybox", "udhcpd", "-f", str(config))
    except BaseException:
        node.close()
        raise
    return node


@suite.case("iPXE gets an address by DHCP through the switch", timeout_s=DHCP_TIMEOUT_S + 20)
def dhcp(node: Node) -> None:
    node.ctl("port", "add", "rom", "network", BRIDGE)
    arguments = qemu_arguments(node, "rom")
    arguments += ["-nodefaults", "-no-user-config", "-display", "none"]
    arguments += ["-machine", "pc,accel=tcg", "-m", MEMORY, "-boot", "n"]
    arguments += ["-global", "virtio-net-pci.vectors=0"]
    qemu = spawn([QEMU_OF_THE_MACHINE, *arguments], node.directory / "rom.log")
    try:
        log = node.directory / "busybox.log"
        what = f"an answer of the DHCP server, whose log is: {log}"
        taken_s = wait_until(lambda: f"sending ACK to {LEASE}" in log.read_text(), DHCP_TIMEOUT_S, what)
        note(f"DHCPACK {taken_s:.1f} s after the machine's start")
    finally:
        stop(qemu)
        note((node.directory / "busybox.log").read_text())
    mac = str(node.port("rom")["mac"])
    lease = (node.directory / "busybox.log").read_text()
    expect("sending OFFER" in lease, f"no offer to {mac}")


if __name__ == "__main__":
    suite.main(make_node)
