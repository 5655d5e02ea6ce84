#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""From `port add` to a guest that runs: vp_vdpa in front of a NIC, a real QEMU, a boot ROM as the guest."""

from __future__ import annotations

import os
import resource
import secrets
import shlex
import subprocess
from pathlib import Path

from machine import FUNCTION, NIC_MGMTDEV, Machine, Peer, bind_function, modprobe, pool, started, vdpa
from process import spawn, stop
from tap import Suite, expect, note

MEMORY = "64m"
QEMU = "qemu-system-x86_64"
# Each network stack of its own is emulated by another one here.
DHCP_LIMIT_S = 120
DOWNLOAD_LIMIT_S = 120
FILE_LINES = 2500
suite = Suite[Machine]()


def make_machine(build: Path) -> Machine:
    modprobe("virtio_net", "vhost_vdpa", "vp_vdpa", "bridge", "tun", "af_packet")
    bind_function()
    return started(Machine(build, pool("nic", NIC_MGMTDEV)))


def write_boot_script(peer: Peer, secret: str) -> None:
    """A script of 200 kB whose last line asks for a name that only its end knows."""
    filler = "# a line of a file that is long enough to need many TCP segments, all of them in order\n"
    end = f"imgfetch http://{peer.ADDRESS}/{secret} ||\n"
    (peer.www / "boot.ipxe").write_text("#!ipxe\n" + filler * FILE_LINES + end)
    (peer.www / secret).write_text("found\n")


def qemu_words(machine: Machine, port: str) -> list[str]:
    version = subprocess.check_output([QEMU, "--version"], text=True).split("version ")[1].split()[0]
    return shlex.split(machine.ctl("port", "qemu", port, "memory", MEMORY, "qemu_version", version).stdout)


def device_options(words: list[str]) -> str:
    """What the guest's NIC is made of. The address is the port's own; how long its rings may be is the hardware's
    business, and a profile that is portable has them as short everywhere."""
    device = words[words.index("-device") + 1]
    own = ("mac=", "id=", "netdev=", "rx_queue_size=", "tx_queue_size=")
    return ",".join(option for option in device.split(",") if not option.startswith(own))


@suite.case("a port gets the NIC's vDPA device, with what the kernel reports", timeout_s=60)
def add(machine: Machine) -> None:
    machine.add("vm1")
    port = machine.port("vm1")
    expect((port["backend"], port["resource"]) == ("vdpa", NIC_MGMTDEV), port)
    expect(port["path"] == f"{machine.run_dir}/port/vm1.vdpa", port["path"])
    node = Path(str(port["path"]))
    expect(os.stat(node).st_rdev == os.stat(node.resolve()).st_rdev and "vhost-vdpa-" in str(node.resolve()), node.resolve())
    expect(str(port["mac"]) in vdpa("dev", "config", "show"), f"the kernel does not report mac {port['mac']}")


@suite.case("too little memlock is refused before QEMU starts, with what to do")
def memlock(machine: Machine) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (1 << 20, hard))
    try:
        refused = machine.ctl("port", "qemu", "vm1", "memory", MEMORY, check=False)
    finally:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (soft, hard))
    note(refused.stderr)
    expect(refused.status == 5 and "memlock" in refused.stderr.lower(), refused)


@suite.case(
    "a guest gets DHCP and downloads a file over TCP from a peer that is not ours",
    timeout_s=DHCP_LIMIT_S + DOWNLOAD_LIMIT_S + 60,
)
def boot(machine: Machine) -> None:
    peer = Peer(machine, "boot.ipxe")
    secret = secrets.token_hex(8)
    write_boot_script(peer, secret)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    machine_words = ["-machine", "pc,accel=tcg,graphics=off", "-nodefaults", "-display", "none", "-boot", "n"]
    serial = machine.directory / "serial.log"
    words = [QEMU, *machine_words, "-serial", f"file:{serial}", *qemu_words(machine, "vm1")]
    note(" ".join(words))
    qemu = spawn(words, machine.directory / "qemu.log")
    try:
        note(f"DHCPACK after {peer.wait_dhcp_ack(DHCP_LIMIT_S):.0f} s")
        note(f"the end of {(peer.www / 'boot.ipxe').stat().st_size} octets known {peer.wait_request(secret, DOWNLOAD_LIMIT_S):.0f} s later")
        machine.wait_port_state("vm1", "connected")
    finally:
        stop(qemu)
        if serial.exists():
            note(serial.read_text(errors="replace")[-400:])
    machine.wait_port_state("vm1", "ready")


@suite.case("without the hardware the same port works through the switch, with the same device options", timeout_s=60)
def same_on_switch(machine: Machine) -> None:
    on_hardware = device_options(qemu_words(machine, "vm1"))
    machine.ctl("port", "del", "vm1")
    Path(f"/sys/bus/pci/devices/{FUNCTION}/driver/unbind").write_text(FUNCTION)
    machine.add("vm1")
    expect(machine.backend("vm1") == "switch", machine.port("vm1"))
    note(machine.port("vm1")["choice"])
    on_switch = device_options(qemu_words(machine, "vm1"))
    expect(on_hardware == on_switch, f"{on_hardware}\n{on_switch}")


if __name__ == "__main__":
    suite.main(make_machine)
