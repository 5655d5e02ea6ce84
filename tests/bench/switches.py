# SPDX-License-Identifier: GPL-2.0-or-later
"""The switches that are compared, each with two vhost-user ports and one thread on SWITCH_CPU.

`sockets` are as vhost-load takes them: with an @ where the switch is the one that connects.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from pathlib import Path

from node import Node
from process import spawn, stop, wait_until

SWITCH_CPU = 0
LOAD_CPU = 1
TIMEOUT_S = 20.0
OVS_PROGRAM = Path("/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk")
OVS_SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")

# What vdpad is told: two ports in one VLAN that reach only each other.
VDPAD_CONFIG = f"""[switch]
cpus = {SWITCH_CPU}
[networks]
bridges = no
[network bench]
uplink = none
"""


class Absent(Exception):
    """This machine cannot run the switch; says why."""


def find_thread(pid: int, pattern: str) -> int:
    """The id of the thread that moves frames, once it is there."""

    def found() -> int:
        for task in Path(f"/proc/{pid}/task").iterdir():
            if re.match(pattern, (task / "comm").read_text()):
                return int(task.name)
        return 0

    wait_until(found, TIMEOUT_S, f"a thread named {pattern}")
    return found()


class Vdpad:
    """vdpad-switch as vdpad runs it: MAC table, VLAN and counters at work."""

    name = "vdpad"

    def __init__(self, node: Node) -> None:
        self._node = node
        for number in (1, 2):
            mac = f"02:00:00:00:00:0{number}"
            node.ctl("port", "add", f"bench{number}", "network", "bench", "vlan", "10", "mac", mac)
        self.sockets = [f"{node.run_dir}/port/bench{number}.sock" for number in (1, 2)]
        self.pid = node.pid("vdpad-switch")
        self.thread = find_thread(self.pid, "worker-0")

    def resume(self) -> None:
        """Go on after vhost-load, which leaves a switch stopped."""
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        self.resume()
        for number in (1, 2):
            self._node.ctl("port", "del", f"bench{number}", check=False)


class Testpmd:
    """dpdk-testpmd in io mode: no lookup, not even a look at the frame."""

    name = "testpmd"

    def __init__(self, node: Node, offloads: bool, mode: str = "io") -> None:
        directory = Path(tempfile.mkdtemp(prefix="testpmd-", dir=node.directory))
        self.sockets = [f"{directory}/{number}.sock" for number in (1, 2)]
        log = directory / "log"
        argv = ["dpdk-testpmd", f"--lcores=0@{LOAD_CPU},1@{SWITCH_CPU}", "--file-prefix=testpmd"]
        argv += ["--no-huge", "--no-shconf", "-m", "512", "--no-pci", "--no-telemetry"]
        # So the offload header of a frame survives the way through io mode, and a large frame is one
        # buffer: in a chain of small ones it costs testpmd four times as many cycles.
        flags = ",legacy-ol-flags=1,tso=1,linear-buffer=1,ext-buffer=1" if offloads else ""
        for number, path in enumerate(self.sockets):
            argv.append(f"--vdev=net_vhost{number},iface={path},queues=1{flags}")
        # It begins when both links are up, and would first throw away what the guests have sent by then.
        argv += ["--", "--no-flush-rx", f"--forward-mode={mode}", "--auto-start", "--total-num-mbufs=16384"]
        self._process = spawn(argv, log, netns=node.netns, stdin=subprocess.PIPE)
        self.pid = self._process.pid
        try:
            wait_until(lambda: all(map(os.path.exists, self.sockets)), TIMEOUT_S, "testpmd's sockets")
            # the prefix is DPDK's, and since 23.11 another one
            self.thread = find_thread(self.pid, r"((rte|lcore)-worker-|dpdk-worker)1\b")
        except BaseException:
            print(log.read_text(errors="replace"))
            self.close()
            raise

    def close(self) -> None:
        os.kill(self.pid, signal.SIGCONT)
        stop(self._process)
        assert self._process.stdin is not None
        self._process.stdin.close()


class Ovs:
    """Open vSwitch with DPDK: a bridge with the action NORMAL, one PMD thread."""

    name = "ovs"

    def __init__(self, node: Node, offloads: bool) -> None:
        if not OVS_PROGRAM.exists():
            raise Absent(f"{OVS_PROGRAM} is not there: install openvswitch-switch-dpdk")
        self._directory = Path(tempfile.mkdtemp(prefix="ovs-", dir=node.directory))
        self._node = node
        self._children: list[subprocess.Popen[bytes]] = []
        self.sockets: list[str] = []
        try:
            self._start(offloads)
        except BaseException:
            for log in self._directory.glob("*.log"):
                print(log.read_text(errors="replace"))
            self.close()
            raise

    def _vsctl(self, *args: str) -> None:
        database = f"--db=unix:{self._directory}/db.sock"
        self._node.run("ovs-vsctl", database, *args)

    def _spawn(self, name: str, argv: list[str]) -> int:
        env = {**self._node.env, "OVS_RUNDIR": str(self._directory)}
        log = self._directory / f"{name}.log"
        self._children.append(spawn(argv, log, netns=self._node.netns, env=env))
        return self._children[-1].pid

    def _start(self, offloads: bool) -> None:
        database, remote = self._directory / "conf.db", self._directory / "db.sock"
        self._node.run("ovsdb-tool", "create", str(database), str(OVS_SCHEMA))
        control = f"--unixctl={self._directory}/"
        self._spawn("ovsdb", ["ovsdb-server", str(database), f"--remote=punix:{remote}", f"{control}db.ctl"])
        wait_until(remote.exists, TIMEOUT_S, "the database of Open vSwitch")
        self._vsctl("--no-wait", "init")
        options = {
            "dpdk-init": "true",
            "dpdk-extra": "--no-huge --legacy-mem --no-shconf --file-prefix=ovs -m 1024 --no-pci --no-telemetry",
            "per-port-memory": "true",  # buffers for two ports, not for a hundred: starts at once
            "dpdk-lcore-mask": hex(1 << LOAD_CPU),
            "pmd-cpu-mask": hex(1 << SWITCH_CPU),
            "userspace-tso-enable": str(offloads).lower(),
        }
        settings = [f'other_config:{key}="{value}"' for key, value in options.items()]
        self._vsctl("--no-wait", "set", "Open_vSwitch", ".", *settings)
        self.pid = self._spawn("vswitchd", [str(OVS_PROGRAM), f"unix:{remote}", f"{control}vswitchd.ctl"])
        self._vsctl("add-br", "bench", "--", "set", "bridge", "bench", "datapath_type=netdev")
        for number in (1, 2):
            port = f"bench{number}"
            path = self._directory / f"{number}.sock"
            client = ["type=dpdkvhostuserclient", f"options:vhost-server-path={path}"]
            self._vsctl("add-port", "bench", port, "--", "set", "Interface", port, *client)
            self.sockets.append(f"@{path}")
        self.thread = find_thread(self.pid, "pmd-c")

    def close(self) -> None:
        for child in reversed(self._children):
            child.send_signal(signal.SIGCONT)
            stop(child)
