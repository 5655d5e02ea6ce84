# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's virtual machine as a node: vdpad on real kernel vDPA devices, and the hands that disturb it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/e2e"))

from node import Node  # noqa: E402
from process import wait_until  # noqa: E402

BRIDGE = "vmbr0"
FUNCTION = "0000:00:10.0"  # an emulated NIC behind an IOMMU, the stand-in for a SmartNIC's function
CABLE_END = "0000:00:11.0"  # the NIC at the other end of its cable
NIC_MGMTDEV = f"pci/{FUNCTION}"
SIM_MGMTDEV = "vdpasim_net"


def modprobe(*names: str) -> None:
    subprocess.run(["modprobe", "-a", *names], check=True)


def hide_unused_drivers() -> None:
    """DPDK loads all of its drivers over the lab's slow file system, of which vdpad-switch uses two."""
    for folder in Path("/usr/lib/x86_64-linux-gnu/dpdk").glob("pmds-*"):
        with tempfile.TemporaryDirectory() as kept:
            for name in ("mempool_ring", "bus_pci"):
                for path in folder.glob(f"librte_{name}.so*"):
                    # A link stays one: the same library under two names would be loaded twice.
                    shutil.copy2(path, kept, follow_symlinks=False)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder], check=True)
            shutil.copytree(kept, folder, symlinks=True, dirs_exist_ok=True)
            folder.chmod(0o755)  # DPDK trusts no other


def bind_function(address: str = FUNCTION) -> None:
    """Give the emulated NIC to vp_vdpa, which makes it a management device."""
    device = Path("/sys/bus/pci/devices") / address
    (device / "driver_override").write_text("vp-vdpa")
    if (device / "driver").exists():
        (device / "driver/unbind").write_text(address)
    Path("/sys/bus/pci/drivers_probe").write_text(address)


def vdpa(*arguments: str, timeout_s: float = 20.0) -> str:
    """The plain vdpa tool, as a foreign hand and as the yardstick."""
    return subprocess.run(
        ["vdpa", *arguments], check=True, capture_output=True, text=True, timeout=timeout_s
    ).stdout


def kernel_devices() -> dict[str, dict[str, object]]:
    """Every vDPA device as the kernel lists it."""
    return json.loads(vdpa("-j", "dev", "show"))["dev"]


def sysfs_devices() -> list[str]:
    """Their names alone: costs no process, and the vdpa tool dies of names that are long."""
    return os.listdir("/sys/bus/vdpa/devices")


def is_ours(device: str) -> bool:
    return device.startswith("vdpad-")


class Machine(Node):
    """A node in the machine's own network, with the bridge vmbr0."""

    def __init__(self, build: Path, pools: str = "") -> None:
        super().__init__(build, pools, own_network=False)
        hide_unused_drivers()
        self.run("ip", "link", "add", BRIDGE, "type", "bridge")
        self.run("ip", "link", "set", BRIDGE, "up")

    def add(self, name: str, *keys: str, check: bool = True):
        return self.ctl("port", "add", name, "network", BRIDGE, *keys, check=check)

    def backend(self, name: str) -> str:
        return str(self.port(name)["backend"])

    def explain(self, backend: str, *keys: str) -> dict[str, object]:
        """What `explain` says of a backend's first candidate."""
        answer = self.ctl_json("explain", BRIDGE, *keys)
        return next(c for c in answer["candidates"] if c["backend"] == backend)


def started(machine: Machine) -> Machine:
    try:
        machine.start()
    except BaseException:
        machine.close()
        raise
    return machine


def pool(name: str, mgmtdevs: str, limit: int = 0) -> str:
    text = f"[pool {name}]\nnetworks = {BRIDGE}\nmgmtdevs = {mgmtdevs}\n"
    return text + (f"limit = {limit}\n" if limit else "")


class Peer:
    """What is at the other end of the cable: a namespace with a DHCP and an HTTP server, none of it ours."""

    ADDRESS = "10.9.0.1"
    LEASE = "10.9.0.100"

    def __init__(self, node: Machine, boot_file: str) -> None:
        self.folder = node.directory / "peer"
        self.www = self.folder / "www"
        self.www.mkdir(parents=True)
        (interface,) = (p.name for p in Path(f"/sys/bus/pci/devices/{CABLE_END}").glob("virtio*/net/*"))
        node.run("ip", "netns", "add", "peer")
        node.run("ip", "link", "set", interface, "netns", "peer")
        for words in (f"addr add {self.ADDRESS}/24 dev {interface}", f"link set {interface} up", "link set lo up"):
            node.run("ip", "-n", "peer", *words.split())
        (self.folder / "leases").touch()
        config = self.folder / "udhcpd.conf"
        config.write_text(
            f"interface {interface}\nstart {self.LEASE}\nend {self.LEASE}\nmax_leases 1\n"
            f"lease_file {self.folder}/leases\npidfile {self.folder}/pid\n"
            f"option subnet 255.255.255.0\nboot_file http://{self.ADDRESS}/{boot_file}\n"
        )
        self.dhcp_log = node.directory / "udhcpd.log"
        self.http_log = node.directory / "httpd.log"
        self._spawn(node, self.dhcp_log, "udhcpd", "-f", str(config))
        self._spawn(node, self.http_log, "httpd", "-f", "-vv", "-p", "80", "-h", str(self.www))

    @staticmethod
    def _spawn(node: Machine, log: Path, *command: str) -> None:
        script = f'exec ip netns exec peer /bin/busybox "$@" >{log} 2>&1'
        node.spawn("sh", "-c", script, "sh", *command)

    def wait_dhcp_ack(self, timeout_s: float) -> float:
        return wait_until(lambda: f"ACK to {self.LEASE}" in self.dhcp_log.read_text(), timeout_s, "DHCPACK")

    def wait_request(self, path: str, timeout_s: float) -> float:
        return wait_until(lambda: path in self.http_log.read_text(), timeout_s, f"a request for {path}")
