# SPDX-License-Identifier: GPL-2.0-or-later
"""What most tests start from: a node with the Linux bridge vmbr0 and guests on its ports."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

from guest import Guest, Image
from node import TOP, Node, NodeFixture
from process import wait_until

BRIDGE = "vmbr0"
HOST_IPV4 = "10.77.0.254"
HOST_IPV6 = "fd77::fe"
MEMORY = "256m"
QEMU_OF_THE_MACHINE = "qemu-system-x86_64"


def guest_image(build: Path) -> Image:
    """The guest of the tests, made when it is not there yet."""
    subprocess.run([TOP / "tests/guest/mkguest", build / "guest"], check=True)
    return Image.at(build / "guest")


def qemu_10(build: Path) -> str:
    """A QEMU of version 10 or later, fetched when it is not there yet."""
    subprocess.run([TOP / "tests/guest/mkqemu10", build / "qemu10"], check=True)
    return str(build / "qemu10/qemu-system-x86_64")


def qemu_version(qemu: str) -> str:
    """Such as "7.2.22"."""
    output = subprocess.check_output([qemu, "--version"], text=True)
    return output.split("version ")[1].split()[0]


def add_bridge(node: Node, name: str = BRIDGE, mtu_bytes: int = 1500) -> None:
    """A Linux bridge on the node that is up and has the host's addresses."""
    node.run("ip", "link", "add", name, "mtu", str(mtu_bytes), "type", "bridge")
    node.run("sh", "-c", f"echo 0 >/proc/sys/net/ipv6/conf/{name}/accept_dad")
    node.run("ip", "addr", "add", f"{HOST_IPV4}/24", "dev", name)
    node.run("ip", "addr", "add", f"{HOST_IPV6}/64", "dev", name)
    node.run("ip", "link", "set", name, "up")


def ipv4(number: int) -> str:
    return f"10.77.0.{number}"


def ipv6(number: int) -> str:
    return f"fd77::{number:x}"


def qemu_arguments(node: Node, port: str, qemu: str = QEMU_OF_THE_MACHINE) -> list[str]:
    """What `vdpactl port qemu` prints for a port and a QEMU, as a shell would split it."""
    version = ["qemu_version", qemu_version(qemu)]
    return shlex.split(node.ctl("port", "qemu", port, "memory", MEMORY, *version).stdout)


def boot(
    node: Node,
    image: Image,
    number: int,
    port: str,
    *,
    qemu: str = QEMU_OF_THE_MACHINE,
    mtu_bytes: int | None = None,
    accelerator: str = "tcg",
) -> Guest:
    """Start guest `number`, whose addresses are ipv4(number) and ipv6(number), on an existing port."""
    return Guest(
        f"guest{number}",
        node.directory,
        image,
        qemu_arguments(node, port, qemu),
        [f"{ipv4(number)}/24,{ipv6(number)}/64"],
        qemu=qemu,
        memory=MEMORY,
        mtu_bytes=mtu_bytes,
        accelerator=accelerator,
        netns=node.netns,
    )


def serve_iperf(node: Node) -> None:
    """Start an iperf3 server on the node that stays until the node goes."""
    node.spawn("iperf3", "-s", "--forceflush")
    log = node.directory / "iperf3.log"
    wait_until(lambda: "Server listening" in log.read_text(), 10, "iperf3 on the host")


def tcp_mbit_per_s(client: Guest, server: str, *, seconds: int = 2, reverse: bool = False) -> float:
    """TCP throughput from the client to the server's address, or back; an iperf3 serves there."""
    direction = " -R" if reverse else ""
    output = client.run(
        f"iperf3 -J -c {server} -t {seconds}{direction}", timeout_s=seconds + 30
    ).output
    try:
        return json.loads(output)["end"]["sum_received"]["bits_per_second"] / 1e6
    except (KeyError, json.JSONDecodeError) as error:
        raise RuntimeError(f"iperf3 to {server}: {output.strip()[-300:]}") from error


class TwoGuests(NodeFixture):
    """A node and two guests on the ports vm1 and vm2 of network vmbr0, booted once for all cases."""

    def __init__(
        self,
        build: Path,
        config: str = "",
        *,
        qemu: str = QEMU_OF_THE_MACHINE,
        mtu_bytes: int = 1500,
        port_keys: tuple[str, ...] = (),
    ) -> None:
        self._image = guest_image(build)
        super().__init__(Node(build, config))
        self._qemu, self._mtu_bytes, self._port_keys = qemu, mtu_bytes, port_keys
        self.guests: list[Guest] = []

    def set_up(self) -> None:
        add_bridge(self.node, mtu_bytes=self._mtu_bytes)
        self.node.start()
        mtu = self._mtu_bytes if self._mtu_bytes != 1500 else None
        for number in (1, 2):
            port = f"vm{number}"
            self.node.ctl("port", "add", port, "network", BRIDGE, *self._port_keys)
            self.guests.append(boot(self.node, self._image, number, port, qemu=self._qemu, mtu_bytes=mtu))
        for guest in self.guests:
            guest.wait_ready()
            guest.run("iperf3 -s -D").check()
        for number in (1, 2):
            self.node.wait_port_state(f"vm{number}", "connected")

    def parts(self) -> list[Guest]:
        return self.guests

    @property
    def first(self) -> Guest:
        return self.guests[0]

    @property
    def second(self) -> Guest:
        return self.guests[1]
