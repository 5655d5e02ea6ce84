#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests that take neither unfinished checksums nor large segments get right data from senders of both."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Callable, Iterable

from guest import Guest
from lab import BRIDGE, MEMORY, add_bridge, guest_image, ipv4, ipv6, qemu_arguments
from node import Node, NodeFixture
from process import wait_until
from tap import Suite, expect, note

DATA_MB = 4
DATA_BYTES = DATA_MB << 20
SEGMENT_BYTES = 1460  # the most that a frame of MTU 1500 carries
TCP_PORT = 5001
TIMEOUT_S = 40.0
SENDER = "full"
UPLINK = f"vdp-{BRIDGE}"
# The ports, and what their guests do without.
SIMPLE = ("guest_csum", "guest_tso4", "guest_tso6")
WITHOUT: dict[str, tuple[str, ...]] = {
    SENDER: (),
    "plain": SIMPLE,
    "bare": (*SIMPLE, "mrg_rxbuf"),
}
# Bits of a virtio-net device's features: virtio 1.2, section 5.1.3.
FEATURE_BITS = {"guest_csum": 1, "guest_tso4": 7, "guest_tso6": 8, "mrg_rxbuf": 15}


class Lab(NodeFixture):
    """A node with the bridge vmbr0, a running guest on each port, and data to send in SENDER and on the host."""

    def __init__(self, build: Path) -> None:
        self._image = guest_image(build)
        super().__init__(Node(build))
        self.guests: dict[str, Guest] = {}

    def set_up(self) -> None:
        add_bridge(self.node)
        self.node.start()
        for port in WITHOUT:
            self.guests[port] = self._boot(port)
        for port, guest in self.guests.items():
            guest.wait_ready()
            self.node.wait_port_state(port, "connected")
        make_data = f"dd if=/dev/urandom of={{}} bs=1M count={DATA_MB} 2>/dev/null && md5sum {{}}"
        self._host_data = self.node.directory / "data"
        command = make_data.format(self._host_data, self._host_data)
        self.host_md5 = self.node.run("sh", "-c", command).stdout.split()[0]
        command = make_data.format("/tmp/data", "/tmp/data")
        self.guest_md5 = self.guests[SENDER].run(command).check().split()[0]

    def parts(self) -> Iterable[Guest]:
        return self.guests.values()

    def _boot(self, port: str) -> Guest:
        self.node.ctl("port", "add", port, "network", BRIDGE)
        arguments = qemu_arguments(self.node, port)
        arguments[arguments.index("-device") + 1] += "".join(f",{f}=off" for f in WITHOUT[port])
        addresses = [",".join(f"{a}/{n}" for a, n in zip(self.addresses(port), (24, 64)))]
        return Guest(port, self.node.directory, self._image, arguments, addresses, memory=MEMORY)

    def addresses(self, port: str) -> tuple[str, str]:
        number = list(WITHOUT).index(port) + 1
        return ipv4(number), ipv6(number)

    def count(self, name: str, counter: str) -> int:
        """A counter of a port or of the uplink."""
        rows = self.node.ctl_json("stats")
        assert isinstance(rows, list)
        return int(next(row[counter] for row in rows if row["name"] == name))

    def bad_checksums(self, port: str) -> int:
        """How many TCP segments the guest has dropped for their checksum; the sender repeats them."""
        snmp = self.guests[port].run("grep ^Tcp: /proc/net/snmp").check()
        names, values = (line.split() for line in snmp.splitlines())
        return int(values[names.index("InCsumErrors")])

    def send_from_guest(self, address: str) -> None:
        self.guests[SENDER].run(f"nc {address} {TCP_PORT} </tmp/data", TIMEOUT_S).check()

    def send_from_host(self, address: str) -> None:
        command = f"busybox nc {address} {TCP_PORT} <{self._host_data}"
        self.node.run("sh", "-c", command, timeout_s=TIMEOUT_S)

    def md5_of_received(self, port: str, send: Callable[[str], None], address: str) -> str:
        """Send DATA_BYTES to the guest on a port. Returns the sum of what it got."""
        guest = self.guests[port]
        # It must not find the end of its own input, which would end the connection.
        guest.run("test -p /tmp/silence || mkfifo /tmp/silence").check()
        receiver = guest.start(f"nc -l -p {TCP_PORT} <>/tmp/silence | md5sum")
        listens = f"netstat -lnt | grep -q ':{TCP_PORT} '"
        wait_until(lambda: guest.run(listens).status == 0, TIMEOUT_S, "a listener in the guest")
        start = time.monotonic()
        send(address)
        md5 = receiver.wait(TIMEOUT_S).split()[0]
        mbit_per_s = DATA_BYTES * 8 / (time.monotonic() - start) / 1e6
        note(f"{port} at {address}: {mbit_per_s:.0f} Mbit/s")
        return md5


suite = Suite[Lab]()


def transfer(lab: Lab, port: str, source: str, send: Callable[[str], None], md5: str) -> None:
    """Data that `source`, a port or the uplink, sends in large segments arrives in small ones, and whole."""
    for address in lab.addresses(port):
        into, out = -lab.count(source, "rx_packets"), -lab.count(port, "tx_packets")
        got = lab.md5_of_received(port, send, address)
        into, out = into + lab.count(source, "rx_packets"), out + lab.count(port, "tx_packets")
        note(f"{into} frames from {source}, {out} to {port}")
        expect(got == md5, f"{address}: {got} came of {md5}")
        expect(lab.bad_checksums(port) == 0, f"{lab.bad_checksums(port)} bad checksums came")
        expect(into < DATA_BYTES / SEGMENT_BYTES / 2, "the source did not send large segments")
        expect(out > DATA_BYTES / SEGMENT_BYTES, "large segments went to a guest that takes none")


@suite.case("each guest has the features that it shall have")
def features(lab: Lab) -> None:
    for port, without in WITHOUT.items():
        bits = lab.guests[port].run("cat /sys/class/net/eth0/device/features").check()
        off = tuple(name for name, bit in FEATURE_BITS.items() if bits[bit] == "0")
        expect(off == without, f"{port} is without {off}")


@suite.case("TCP from an offloading guest to guests without offloads is right, IPv4 and IPv6")
def from_guest(lab: Lab) -> None:
    for port in ("plain", "bare"):
        transfer(lab, port, SENDER, lab.send_from_guest, lab.guest_md5)


@suite.case("TCP from the offloading host to guests without offloads is right, IPv4 and IPv6")
def from_host(lab: Lab) -> None:
    for port in ("plain", "bare"):
        transfer(lab, port, UPLINK, lab.send_from_host, lab.host_md5)


@suite.case("TCP from the offloading host to an offloading guest is right, IPv4 and IPv6")
def from_host_to_full(lab: Lab) -> None:
    for address in lab.addresses(SENDER):
        got = lab.md5_of_received(SENDER, lab.send_from_host, address)
        expect(got == lab.host_md5, f"{address}: {got} came of {lab.host_md5}")
    expect(lab.bad_checksums(SENDER) == 0, f"{lab.bad_checksums(SENDER)} bad checksums came")


if __name__ == "__main__":
    suite.main(Lab)
