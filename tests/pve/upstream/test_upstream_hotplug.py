#!/usr/bin/python3 -B
# SPDX-License-Identifier: AGPL-3.0-or-later
"""qemu-server's own hotplug code against a real vdpad, a real switch and a real QEMU with a guest.

Run by `make pve-test`. QEMU_SERVER_PATH is Perl's path to qemu-server and what it needs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "e2e"))

from guest import Guest  # noqa: E402
from lab import BRIDGE, HOST_IPV4, add_bridge, guest_image, ipv4  # noqa: E402
from node import Node, NodeFixture, Part  # noqa: E402
from process import wait_until  # noqa: E402
from tap import Suite, expect, note  # noqa: E402

CONFIG = f"""
[network fast0]
bridge = {BRIDGE}
[network other0]
uplink = none
"""
MAC = "virtio=BC:24:11:00:00:01"
PORT = "vm100-net0"
CYCLES = 50
suite = Suite["Lab"]()


class Driver:
    """The Perl side."""

    def __init__(self, node: Node, qmp_socket: Path, qemu_pid: int) -> None:
        env = {
            **node.env,
            "PERL5LIB": os.environ["QEMU_SERVER_PATH"],
            "PERL5OPT": "-MUpstreamHost",
            "VDPACTL": str(node.programs["vdpactl"]),
            "VDPAD_RUN_DIR": str(node.run_dir),
            "QMP_SOCKET": str(qmp_socket),
            "QEMU_PID": str(qemu_pid),
        }
        self.log = node.directory / "driver.log"
        self._process = subprocess.Popen(
            ["ip", "netns", "exec", node.netns, "perl", str(HERE / "hotplug-driver")],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log.open("ab"),
            text=True,
        )
        self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.startswith(("ok", "error")):
                return line.strip()
        raise RuntimeError(f"the driver ended: {self.log.read_text()[-2000:]}")

    def ask(self, *words: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def do(self, *words: str) -> str:
        answer = self.ask(*words)
        expect(answer.startswith("ok"), f"{' '.join(words)}: {answer}\n{self.log.read_text()[-1000:]}")
        return answer.removeprefix("ok").strip()

    def diagnosis(self) -> str:
        return self.log.read_text()[-1000:]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


class Lab(NodeFixture):
    """A guest with a QEMU that both qemu-server's code and we command."""

    def __init__(self, build: Path) -> None:
        self._image = guest_image(build)
        super().__init__(Node(build, CONFIG))
        self._parts: list[Part] = []

    def set_up(self) -> None:
        add_bridge(self.node)
        self.node.start()
        qmp = self.node.directory / "qmp"
        arguments = ["-chardev", f"socket,id=pve,path={qmp},server=on,wait=off"]
        arguments += ["-mon", "chardev=pve,mode=control", "-machine", "memory-backend=virtiofs-mem"]
        arguments += ["-object", "memory-backend-memfd,id=virtiofs-mem,size=256M,share=on"]
        self.guest = Guest("guest", self.node.directory, self._image, arguments)
        self._parts.append(self.guest)
        self.guest.wait_ready()
        self.driver = Driver(self.node, qmp, self.guest.process.pid)
        self._parts.insert(0, self.driver)

    def parts(self) -> Iterable[Part]:
        return self._parts

    def plug(self, extra: str = "") -> None:
        self.driver.do("update", "net0", f"{MAC},bridge=fast0{extra}")

    def configure(self) -> None:
        """In the guest, once its NIC is there."""
        wait_until(lambda: self.guest.run("test -e /sys/class/net/eth0").status == 0, 10, "eth0")
        self.guest.run(f"ip addr add {ipv4(1)}/24 dev eth0; ip link set eth0 up").check()

    def chardevs(self) -> list[str]:
        found = self.guest.qmp("query-chardev")
        assert isinstance(found, list)
        return [c["label"] for c in found if c["label"].startswith("vdpad-")]

    def ports(self) -> list[str]:
        shown = self.node.ctl_json("port", "show")
        assert isinstance(shown, list)
        return [port["name"] for port in shown]

    def carrier(self) -> str:
        return self.guest.run("cat /sys/class/net/eth0/carrier").output.strip()


@suite.case("qemu-server plugs a NIC on a network, and the guest reaches the host")
def plug(lab: Lab) -> None:
    lab.plug()
    lab.configure()
    lab.node.wait_port_state(PORT, "connected")
    expect(lab.guest.ping(HOST_IPV4), "ping")
    expect(lab.chardevs() == [f"vdpad-{PORT}"], lab.chardevs())


@suite.case("what the profile switches off is off in the device")
def profile(lab: Lab) -> None:
    value = lab.guest.qmp("qom-get", path="/machine/peripheral/net0", property="packed")
    expect(value is False, value)
    value = lab.guest.qmp("qom-get", path="/machine/peripheral/net0", property="tx_queue_size")
    expect(value == 1024, value)


@suite.case("the VM's counters come from the switch")
def counters(lab: Lab) -> None:
    before = [int(n) for n in lab.driver.do("counters").split()]
    expect(lab.guest.ping(HOST_IPV4, count=5), "ping")
    after = [int(n) for n in lab.driver.do("counters").split()]
    expect(all(b > a + 400 for a, b in zip(before, after)), f"{before}, {after}")


@suite.case("the VLAN changes while the VM runs")
def vlan(lab: Lab) -> None:
    lab.plug(",tag=7")
    expect(not lab.guest.ping(HOST_IPV4, wait_s=1), "VLAN 7 reaches the untagged host")
    lab.plug()
    expect(lab.guest.ping(HOST_IPV4), "back in the host's VLAN")


@suite.case("the network changes while the VM runs, and the guest keeps its NIC")
def network(lab: Lab) -> None:
    index = lab.guest.run("cat /sys/class/net/eth0/ifindex").output
    connects = lab.node.stats("vm100-net0")["connects"]
    lab.driver.do("update", "net0", f"{MAC},bridge=other0")
    expect(not lab.guest.ping(HOST_IPV4, wait_s=1), "network other0 has no uplink")
    lab.plug()
    lab.node.wait_port_state(PORT, "connected")
    expect(lab.guest.ping(HOST_IPV4), "back on network fast0")
    expect(lab.node.stats("vm100-net0")["connects"] == connects, "QEMU connected again")
    expect(lab.guest.run("cat /sys/class/net/eth0/ifindex").output == index, "another NIC")


@suite.case("link_down is held through a restart of the switch")
def link_down(lab: Lab) -> None:
    lab.plug(",link_down=1")
    wait_until(lambda: lab.carrier() == "0", 5, "no carrier")
    lab.node.kill("vdpad-switch")
    lab.node.wait_port_state(PORT, "connected")
    expect(not lab.guest.ping(HOST_IPV4, wait_s=1), "packets pass although the link is down")
    lab.plug()
    wait_until(lambda: lab.carrier() == "1", 5, "carrier")
    expect(lab.guest.ping(HOST_IPV4), "the link is up again")


@suite.case("the guest pings again after a restart of the switch")
def switch_restart(lab: Lab) -> None:
    lab.node.kill("vdpad-switch")
    answered = lambda: lab.guest.ping(HOST_IPV4, count=1, wait_s=1)
    note(f"an answer {wait_until(answered, 15, 'a ping after the restart'):.1f} s after the restart")


@suite.case("what cannot be had is refused, and the NIC that works stays")
def refusals(lab: Lab) -> None:
    for wanted, reason in (
        ("bridge=fast0,firewall=1", "firewall=1 is not possible"),
        ("bridge=fast0,backend=vdpa", "nothing on this node can serve it"),
        ("bridge=fast0,mtu=9000", "is more than the 1500"),
        ("bridge=fast0,trunks=3;4", "trunks is not offered"),
        ("bridge=fast0,backend=/tmp/x", "is unknown"),
        ("bridge=nowhere0,backend=vhost-user", "nowhere0"),
    ):
        answer = lab.driver.ask("update", "net0", f"{MAC},{wanted}")
        expect(answer.startswith("error") and reason in answer, f"{wanted}: {answer}")
    expect(lab.guest.ping(HOST_IPV4), "ping")


@suite.case("an unplug leaves no chardev and no port")
def unplug(lab: Lab) -> None:
    lab.driver.do("unplug", "net0")
    expect(lab.chardevs() == [], lab.chardevs())
    expect(lab.ports() == [], lab.ports())


@suite.case(f"{CYCLES} plugs and unplugs leak nothing", timeout_s=600)
def cycles(lab: Lab) -> None:
    def descriptors() -> tuple[int, ...]:
        pids = [lab.guest.process.pid, *(lab.node.pid(name) for name in ("vdpad", "vdpad-switch"))]
        return tuple(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)

    counts = []
    for _ in range(CYCLES):
        lab.plug()
        wait_until(lambda: lab.guest.run("test -e /sys/class/net/eth0").status == 0, 10, "eth0")
        lab.driver.do("unplug", "net0")
        counts.append(descriptors())
    note(f"descriptors of QEMU, vdpad and switch: {counts[4]} after 5 cycles, {counts[-1]} at the end")
    expect(all(b <= a for a, b in zip(counts[4], counts[-1])), counts)
    expect(lab.chardevs() == [] and lab.ports() == [], f"{lab.chardevs()} {lab.ports()}")


@suite.case("a NIC that was plugged again works")
def plug_again(lab: Lab) -> None:
    lab.plug(",queues=1")
    lab.configure()
    expect(lab.guest.ping(HOST_IPV4), "ping")


@suite.case("the end of the VM gives its ports back")
def stop(lab: Lab) -> None:
    lab.guest.close()
    lab.driver.do("stop")
    expect(lab.ports() == [], lab.ports())


if __name__ == "__main__":
    suite.main(Lab)
