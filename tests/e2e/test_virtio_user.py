#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""DPDK applications as guests: two dpdk-testpmd on virtio-user ports, without QEMU.

virtio-user connects once. When its peer goes, its link goes down and stays down (only a virtio-user that
listens takes a new peer); the application must open the port again, here by being started again.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from node import Node, NodeFixture
from process import spawn, stop, wait_until
from tap import Suite, expect, note

NETWORK = "default"
PORTS = ("dpdk1", "dpdk2")
BURSTS = 4
FRAMES = BURSTS * 32  # of testpmd
TIMEOUT_S = 10.0


class Peer:
    """One dpdk-testpmd on a port. It polls only while it is told to send or to receive."""

    def __init__(self, node: Node, name: str, port: str, receiver_mac: str) -> None:
        self._log = node.directory / f"{name}.log"
        device = f"path={node.run_dir}/port/{port}.sock,mac={node.port(port)['mac']}"
        cpus = ",".join(str(cpu) for cpu in sorted(os.sched_getaffinity(0)))
        argv = ["stdbuf", "-oL", "dpdk-testpmd", f"--lcores=0@({cpus}),1@({cpus})", "-m", "64"]
        argv += ["--no-huge", "--no-shconf", "--no-pci", "--no-telemetry", f"--file-prefix={name}"]
        argv += [f"--vdev=net_virtio_user0,{device}", "--", "--interactive"]
        argv += ["--total-num-mbufs=2048", "--forward-mode=rxonly", f"--eth-peer=0,{receiver_mac}"]
        self.process = spawn(argv, self._log, netns=node.netns, stdin=subprocess.PIPE)

    def _say(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n".encode())
        self.process.stdin.flush()

    def ask(self, command: str, answer: str) -> str:
        """Give a command and return what `answer`, a pattern with one group, finds in the reply."""
        start = self._log.stat().st_size
        self._say(command)

        def found() -> re.Match[str] | None:
            return re.search(answer, self._log.read_bytes()[start:].decode(errors="replace"))

        wait_until(found, TIMEOUT_S, f"testpmd's reply to '{command}'")
        match = found()
        assert match is not None
        return match[1]

    def send(self) -> None:
        """Send FRAMES frames."""
        self.ask(f"start tx_first {BURSTS}", r"(rxonly packet forwarding packets/burst)")
        self.ask("stop", r"(Done\.)")

    def receive(self, at_least: int = 0) -> int:
        """Take what has come, until `at_least` frames came in its life. Returns how many did."""

        def count() -> int:
            return int(self.ask("show port stats 0", r"RX-packets: (\d+)"))

        self.ask("start", r"(rxonly packet forwarding packets/burst)")
        wait_until(lambda: count() >= at_least, TIMEOUT_S, f"{at_least} frames")
        self.ask("stop", r"(Done\.)")
        return count()

    def link(self) -> str:
        return self.ask("show port info 0", r"Link status: (\w+)")

    def close(self) -> None:
        stop(self.process)
        assert self.process.stdin is not None
        self.process.stdin.close()

    def diagnosis(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-10:])


class TwoPeers(NodeFixture):
    """A node and two peers on the ports dpdk1 and dpdk2 of a network without a bridge."""

    def __init__(self, build: Path) -> None:
        super().__init__(Node(build))
        self.started: list[Peer] = []

    def set_up(self) -> None:
        self.node.start()
        for port in PORTS:
            self.node.ctl("port", "add", port, "network", NETWORK)
        self.start_peers()

    def parts(self) -> list[Peer]:
        return self.started

    def start_peers(self) -> None:
        """Start a peer on each port, beside those that run."""
        receivers = [str(self.node.port(port)["mac"]) for port in reversed(PORTS)]
        for port, mac in zip(PORTS, receivers):
            name = f"testpmd{len(self.started) + 1}"
            self.started.append(Peer(self.node, name, port, mac))
        for port in PORTS:
            self.node.wait_port_state(port, "connected")
        for peer in self.peers:
            expect(peer.link() == "up", "a link is down")

    @property
    def peers(self) -> list[Peer]:
        return self.started[-len(PORTS) :]

    def transfer(self, sender: int, receiver: int, wanted: int = FRAMES) -> tuple[int, int]:
        """Send FRAMES frames, and wait until the other peer has `wanted`.

        Returns how many frames it got meanwhile, and how many the switch says it gave it."""
        taken = self.node.stats(PORTS[sender])["rx_packets"]
        given = self.node.stats(PORTS[receiver])["tx_packets"]
        got = self.peers[receiver].receive()
        self.peers[sender].send()

        def switch_has_all() -> bool:
            return self.node.stats(PORTS[sender])["rx_packets"] >= taken + FRAMES

        wait_until(switch_has_all, TIMEOUT_S, f"{FRAMES} frames in the switch")
        got = self.peers[receiver].receive(got + wanted) - got
        return got, self.node.stats(PORTS[receiver])["tx_packets"] - given


suite = Suite[TwoPeers]()


@suite.case("frames pass between DPDK applications in both directions and are counted")
def pass_frames(lab: TwoPeers) -> None:
    for sender, receiver in ((0, 1), (1, 0)):
        got, counted = lab.transfer(sender, receiver)
        note(f"{FRAMES} frames sent, {got} came, {counted} counted")  # the host's TAP has a few of its own
        expect(FRAMES <= got < 2 * FRAMES, f"{got} frames came")
        expect(FRAMES <= counted < 2 * FRAMES, f"{counted} frames are counted")


@suite.case("VLAN 10 cannot hear VLAN 20, and one VLAN hears itself")
def vlans(lab: TwoPeers) -> None:
    lab.node.ctl("port", "set", PORTS[0], "vlan", "10")
    lab.node.ctl("port", "set", PORTS[1], "vlan", "20")
    lab.peers[1].receive()
    heard = lab.transfer(0, 1, wanted=0)
    expect(heard == (0, 0), f"VLAN 20 got and was given {heard} frames of VLAN 10")
    lab.node.ctl("port", "set", PORTS[1], "vlan", "10")
    heard = lab.transfer(0, 1)
    expect(heard == (FRAMES, FRAMES), f"one VLAN got and was given {heard} of {FRAMES} frames")


@suite.case("kill -9 of vdpad-switch: the applications live on, and new ones talk on the same ports")
def switch_killed(lab: TwoPeers) -> None:
    before = lab.peers
    lab.node.kill("vdpad-switch")
    lab.node.services["vdpad-switch"].wait_ready()
    for port in PORTS:
        lab.node.wait_port_state(port, "ready")
    for peer in before:
        wait_until(lambda: peer.link() == "down", TIMEOUT_S, "the link goes down")
    lab.start_peers()
    expect(all(peer.process.poll() is None for peer in before), "an application died")
    heard = lab.transfer(0, 1)
    expect(heard == (FRAMES, FRAMES), f"got and was given {heard} of {FRAMES} frames")


if __name__ == "__main__":
    suite.main(TwoPeers)
