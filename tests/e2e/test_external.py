#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Sockets of somebody else's vhost-user switch: handed out, watched, and never connected to.

The other switch is dpdk-testpmd with two net_vhost ports, which knows nothing of vdpad: once as one that
listens (mode client), once as one that connects to QEMU (mode server).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from guest import Guest
from lab import boot, guest_image, ipv4, tcp_mbit_per_s
from node import Node, NodeFixture, Part
from process import spawn, stop, wait_until
from tap import Suite, expect, note

USAGE, NOT_FOUND, CONFLICT, REFUSED = 2, 3, 4, 5
NOTICE_S = 3.0  # a listener that was killed is missed within half a second
RECONNECT_S = 20.0  # of QEMU under emulation


# Listens and has a peer, until SIGUSR1.
OCCUPIED = """
import signal, socket, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
listener, peer = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
peer.connect(sys.argv[1])
accepted = listener.accept()[0]
print("occupied", flush=True)
signal.sigwait([signal.SIGUSR1])
accepted.close()
print("free", flush=True)
signal.pause()
"""


def config(directory: Path, *, without: str = "") -> str:
    text = "[network lan]\nuplink = none\n[network other]\nuplink = none\n"
    for name, mode in (("a1", "client"), ("a2", "client"), ("b1", "server"), ("b2", "server")):
        if name != without:
            text += f"[socket {name}]\npath = {directory}/{name}.sock\nnetwork = lan\nmode = {mode}\n"
    return text


class OtherSwitch:
    """dpdk-testpmd that forwards all frames of one socket to the other one."""

    def __init__(self, node: Node, directory: Path, sockets: tuple[str, str], is_client: bool) -> None:
        self.log = node.directory / f"testpmd-{sockets[0]}.log"
        self._node, self._directory = node, directory
        self._sockets, self._is_client = sockets, is_client
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        cpus = ",".join(str(cpu) for cpu in sorted(os.sched_getaffinity(0)))
        argv = ["nice", "-n", "10", "stdbuf", "-oL", "dpdk-testpmd"]  # which polls without rest
        argv += [f"--lcores=0@({cpus}),1@({cpus})", "-m", "128"]
        argv += ["--no-huge", "--no-shconf", "--no-pci", "--no-telemetry", "--file-prefix=other"]
        for number, socket in enumerate(self._sockets):
            client = ",client=1" if self._is_client else ""
            if not self._is_client:  # librte_vhost refuses to listen where an old socket is
                (self._directory / f"{socket}.sock").unlink(missing_ok=True)
            argv.append(f"--vdev=net_vhost{number},iface={self._directory}/{socket}.sock{client}")
        argv += ["--", "--interactive", "--auto-start", "--total-num-mbufs=4096", "--forward-mode=io"]
        start = self.log.stat().st_size if self.log.exists() else 0
        self.process = spawn(argv, self.log, netns=self._node.netns, stdin=subprocess.PIPE)

        def runs() -> bool:
            return b"io packet forwarding - " in self.log.read_bytes()[start:]

        wait_until(runs, 20, "testpmd")

    def kill(self) -> None:
        """As SIGKILL does it: its sockets stay in the file system."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def connections(self) -> int:
        """How many peers it has ever seen."""
        return self.log.read_bytes().count(b"new vhost user connection is")

    def diagnosis(self) -> str:
        return self.log.read_text(errors="replace")[-1500:]

    def close(self) -> None:
        if self.process is not None:
            stop(self.process)
            assert self.process.stdin is not None
            self.process.stdin.close()


class Lab(NodeFixture):
    """A node with four configured sockets, which belong to nobody yet."""

    def __init__(self, build: Path) -> None:
        self.image = guest_image(build)
        super().__init__(Node(build))
        self.sockets = self.node.directory / "theirs"
        self.guests: list[Guest] = []
        self.others: list[OtherSwitch] = []

    def set_up(self) -> None:
        self.sockets.mkdir()
        self.node.config.write_text(config(self.sockets))
        self.node.start()

    def parts(self) -> Iterable[Part]:
        return [*self.guests, *self.others]

    def boot(self, *ports: str) -> None:
        """Two guests on these ports that can ping each other."""
        for number, port in enumerate(ports, 1):
            self.guests.append(boot(self.node, self.image, number, port))
        for guest in self.guests:
            guest.wait_ready()
        for port in ports:
            self.node.wait_port_state(port, "connected", RECONNECT_S)

    def power_off(self) -> None:
        for guest in self.guests:
            guest.close()
        self.guests.clear()


suite = Suite[Lab]()


def add(lab: Lab, name: str, socket: str, *keys: str, network: str = "lan") -> object:
    return lab.node.ctl("port", "add", name, "network", network, "socket", socket, *keys, check=False)


def refused(lab: Lab, status: int, word: str, *arguments: str, network: str = "lan") -> None:
    answer = add(lab, *arguments, network=network)
    expect(answer.status == status and word in answer.stderr, answer)


@suite.case("nobody listens: the port is refused, and explain says why")
def nobody_listens(lab: Lab) -> None:
    refused(lab, REFUSED, "no backend can serve the port with policy external; external: nobody listens on", "p1", "a1")
    explained = lab.node.ctl_json("explain", "lan", "socket", "a1")
    expect(explained["chosen"] == "" and explained["capabilities"] == [], explained)
    expect(lab.node.ctl_json("port", "show") == [], "a port is there")
    facts = lab.node.ctl_json("facts")["sockets"]
    expect([s["name"] for s in facts] == ["a1", "a2", "b1", "b2"], facts)
    expect(not any(s["listening"] for s in facts), facts)


@suite.case("somebody else's VM is connected: the port is refused until it has gone, and explain says why")
def somebody_elses(lab: Lab) -> None:
    log = lab.node.directory / "occupied.log"
    program = spawn([sys.executable, "-c", OCCUPIED, f"{lab.sockets}/a1.sock"], log, netns=lab.node.netns)
    try:
        wait_until(lambda: log.read_text() == "occupied\n", 5, "a peer")
        refused(lab, REFUSED, "somebody who is no port of vdpad is connected to", "p1", "a1")
        explained = lab.node.ctl_json("explain", "lan", "socket", "a1")
        expect(explained["chosen"] == "" and "end that VM" in explained["candidates"][-1]["reason"], explained)
        expect(lab.node.ctl_json("port", "show") == [], "a port is there")
        program.send_signal(signal.SIGUSR1)
        wait_until(lambda: log.read_text() == "occupied\nfree\n", 5, "the peer's end")
        lab.node.ctl("port", "add", "p1", "network", "lan", "socket", "a1")
        lab.node.ctl("port", "del", "p1")
    finally:
        stop(program)


@suite.case("a socket is handed out by its name, once, on its network, for what it can do")
def handed_out(lab: Lab) -> None:
    lab.others.append(OtherSwitch(lab.node, lab.sockets, ("a1", "a2"), is_client=False))
    lab.node.ctl("port", "add", "p1", "network", "lan", "socket", "a1")
    refused(lab, NOT_FOUND, "[socket zz]", "p2", "zz")
    refused(lab, CONFLICT, "of network 'lan'", "p2", "a2", network="other")
    refused(lab, CONFLICT, "in use by port 'p1'", "p2", "a1")
    refused(lab, USAGE, "policy", "p2", "a2", "policy", "switch")
    for key, value in (("vlan", "10"), ("trunks", "10-12"), ("rate", "10mbit"), ("link", "down")):
        refused(lab, REFUSED, f"'{key}'", "p2", "a2", key, value)
    lab.node.ctl("port", "add", "p2", "network", "lan", "socket", "a2", "policy", "external")
    moved = lab.node.ctl("port", "set", "p2", "network", "other", check=False)
    expect(moved.status == REFUSED, moved)
    port = lab.node.port("p1")
    expect((port["backend"], port["state"], port["socket"]) == ("external", "ready", "a1"), port)
    link = lab.node.run_dir / "port/p1.sock"
    expect(os.readlink(link) == f"{lab.sockets}/a1.sock", os.readlink(link))
    used = {s["name"]: s["port"] for s in lab.node.ctl_json("facts")["sockets"]}
    expect(used == {"a1": "p1", "a2": "p2", "b1": "", "b2": ""}, used)


@suite.case("guests talk through the other switch, which had no peer but QEMU", timeout_s=150)
def traffic(lab: Lab) -> None:
    plug = lab.node.ctl_json("port", "qemu", "p1", "memory", "none", "qemu_version", "7.2")
    expect(f"path={lab.node.run_dir}/port/p1.sock,reconnect=1" in plug["ports"][0]["chardev"], plug)
    lab.boot("p1", "p2")
    expect(lab.guests[0].ping(ipv4(2)), "no answer")
    lab.guests[1].run("iperf3 -s -D").check()
    note(f"{tcp_mbit_per_s(lab.guests[0], ipv4(2)):.0f} Mbit/s of TCP")
    expect(lab.others[0].connections() == 2, f"{lab.others[0].connections()} connections")


@suite.case("kill -9 of vdpad costs no frame and no connection", timeout_s=90)
def vdpad_killed(lab: Lab) -> None:
    flow = lab.guests[0].start(f"exec ping -c 30 -i 0.1 -W 10 {ipv4(2)}")
    lab.node.kill("vdpad")
    lab.node.services["vdpad"].wait_ready()
    for port in ("p1", "p2"):
        lab.node.wait_port_state(port, "connected")
    output = flow.wait()
    expect("30 packets received" in output, output)
    expect(lab.others[0].connections() == 2, f"{lab.others[0].connections()} connections")


@suite.case("the other switch is killed: degraded with a reason, and back by itself", timeout_s=150)
def other_switch_restarts(lab: Lab) -> None:
    lab.others[0].kill()
    for port in ("p1", "p2"):
        lab.node.wait_port_state(port, "degraded", NOTICE_S)
    expect("nobody listens on" in str(lab.node.port("p1")["reason"]), lab.node.port("p1"))
    expect(os.path.lexists(lab.sockets / "a1.sock"), "it left no socket behind: the case is void")
    lab.others[0].start()
    for port in ("p1", "p2"):
        lab.node.wait_port_state(port, "connected", RECONNECT_S)
    wait_until(lambda: lab.guests[0].ping(ipv4(2), 1), RECONNECT_S, "an answer")


@suite.case("a [socket] that is taken out of the configuration degrades its port until it is back")
def reload(lab: Lab) -> None:
    lab.node.config.write_text(config(lab.sockets, without="a1"))
    lab.node.ctl("reload")
    lab.node.wait_port_state("p1", "degraded", NOTICE_S)
    expect("not configured any more" in str(lab.node.port("p1")["reason"]), lab.node.port("p1"))
    expect(lab.node.port("p2")["state"] == "connected", lab.node.port("p2"))
    expect(lab.guests[0].ping(ipv4(2)), "the VM was touched")
    lab.node.kill("vdpad")  # which then knows the port from its state file only
    lab.node.services["vdpad"].wait_ready()
    lab.node.wait_port_state("p1", "degraded", NOTICE_S)
    lab.node.config.write_text(config(lab.sockets))
    lab.node.ctl("reload")
    lab.node.wait_port_state("p1", "connected", NOTICE_S)


@suite.case("deleting the ports takes the links away and nothing else")
def deleted(lab: Lab) -> None:
    lab.power_off()
    before = {path: path.lstat().st_ino for path in lab.sockets.iterdir()}
    for port in ("p1", "p2"):
        lab.node.wait_port_state(port, "ready", NOTICE_S)
        lab.node.ctl("port", "del", port)
        expect(not os.path.lexists(lab.node.run_dir / f"port/{port}.sock"), "the link is there")
    expect(before == {p: p.lstat().st_ino for p in lab.sockets.iterdir()} != {}, "their files")
    lab.others.pop().close()


@suite.case("mode server: QEMU listens, the other switch comes, goes and comes again", timeout_s=200)
def qemu_listens(lab: Lab) -> None:
    for port, socket in (("p1", "b1"), ("p2", "b2")):
        lab.node.ctl("port", "add", port, "network", "lan", "socket", socket)
        expect(lab.node.port(port)["state"] == "ready", lab.node.port(port))
    plug = lab.node.ctl_json("port", "qemu", "p1", "memory", "none")["ports"][0]
    expect(f"path={lab.sockets}/b1.sock,server=on,wait=off" in plug["chardev"], plug)
    for number, port in ((1, "p1"), (2, "p2")):
        lab.guests.append(boot(lab.node, lab.image, number, port))
    lab.node.wait_port_state("p1", "degraded", RECONNECT_S)  # QEMU waits for nobody
    expect("QEMU listens on" in str(lab.node.port("p1")["reason"]), lab.node.port("p1"))
    lab.others.append(OtherSwitch(lab.node, lab.sockets, ("b1", "b2"), is_client=True))
    for guest in lab.guests:
        guest.wait_ready()
    for port in ("p1", "p2"):
        lab.node.wait_port_state(port, "connected", RECONNECT_S)
    wait_until(lambda: lab.guests[0].ping(ipv4(2), 1), RECONNECT_S, "an answer")
    lab.others[0].kill()
    lab.node.wait_port_state("p1", "degraded", NOTICE_S)
    lab.others[0].start()
    lab.node.wait_port_state("p1", "connected", RECONNECT_S)
    wait_until(lambda: lab.guests[0].ping(ipv4(2), 1), RECONNECT_S, "an answer")
    lab.power_off()
    for port in ("p1", "p2"):
        lab.node.wait_port_state(port, "ready", NOTICE_S)
        lab.node.ctl("port", "del", port)


if __name__ == "__main__":
    suite.main(Lab)
