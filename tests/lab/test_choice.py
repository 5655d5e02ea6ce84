#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Which backend a port gets and why, on real management devices; what is asked for and what the kernel has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from machine import BRIDGE, FUNCTION, NIC_MGMTDEV, SIM_MGMTDEV, Machine, bind_function, is_ours, kernel_devices, modprobe
from machine import pool, sysfs_devices, vdpa
from process import spawn, stop, wait_until
from tap import Suite, expect, note

SIM_LIMIT = 2
LONG_NAME = "a-foreign-device-whose-name-has-more-than-seventy-characters-in-all-0123456789"
VDUSE_NETWORK = "vmbr1"
suite = Suite[Machine]()


def make_machine(build: Path) -> Machine:
    modprobe("virtio_net", "vhost_vdpa", "vp_vdpa", "vdpa_sim_net", "vduse", "bridge", "tun")
    bind_function()
    pools = pool("nic", NIC_MGMTDEV) + pool("sim", SIM_MGMTDEV, limit=SIM_LIMIT)
    machine = Machine(build, pools + f"[pool user]\nnetworks = {VDUSE_NETWORK}\nmgmtdevs = vduse\n")
    machine.vduse_net = build / "tests/lab/vduse-net"
    try:
        machine.run("ip", "link", "add", VDUSE_NETWORK, "type", "bridge")
        machine.run("ip", "link", "set", VDUSE_NETWORK, "up")
        machine.start()
    except BaseException:
        machine.close()
        raise
    return machine


def clear(machine: Machine) -> None:
    """No port of an earlier case, whatever came of it."""
    for port in machine.ctl_json("port", "show"):
        machine.ctl("port", "del", port["name"])


def config(machine: Machine, name: str) -> dict[str, object]:
    """What the kernel says of a port's device."""
    generation = int(str(machine.port(name)["generation"]))
    return json.loads(vdpa("-j", "dev", "config", "show", f"vdpad-{generation:x}"))["config"][f"vdpad-{generation:x}"]


@suite.case("explain names the reason before and after the last device is taken, and the next port falls back", timeout_s=90)
def last_device(machine: Machine) -> None:
    clear(machine)
    before = machine.explain("vdpa")
    expect(before["accepted"] and before["resource"] == NIC_MGMTDEV, before)
    for name in ("nic", "sim1", "sim2"):
        machine.add(name)
        expect(machine.backend(name) == "vdpa", machine.port(name))
    expect(machine.port("nic")["resource"] == NIC_MGMTDEV, machine.port("nic"))
    after = [c for c in machine.ctl_json("explain", BRIDGE)["candidates"] if c["backend"] == "vdpa"]
    note(json.dumps(after, indent=1))
    expect(len(after) == 2 and not any(c["accepted"] for c in after), after)
    expect("in use" in after[0]["reason"] and str(SIM_LIMIT) in after[1]["reason"], after)
    machine.add("next")
    port = machine.port("next")
    expect(port["backend"] == "switch" and "in use" in str(port["choice"]), port)
    note(port["choice"])


@suite.case("policy hardware refuses with exit code 5 and the same reasons")
def hardware_only(machine: Machine) -> None:
    refused = machine.add("strict", "policy", "hardware", check=False)
    note(refused.stderr)
    expect(refused.status == 5 and "in use" in refused.stderr, refused)
    expect("strict" not in {p["name"] for p in machine.ctl_json("port", "show")}, "a refused port is there")


@suite.case("a device that is free again serves the next new port")
def comes_back(machine: Machine) -> None:
    machine.ctl("port", "del", "nic")
    machine.ctl("port", "del", "next")
    machine.add("next")
    expect((machine.backend("next"), machine.port("next")["resource"]) == ("vdpa", NIC_MGMTDEV), machine.port("next"))
    machine.ctl("port", "del", "next")
    machine.ctl("port", "del", "sim1")
    machine.ctl("port", "del", "sim2")
    expect(not any(map(is_ours, kernel_devices())), kernel_devices())


@suite.case("MAC, MTU and features asked for are what the kernel reports")
def values(machine: Machine) -> None:
    clear(machine)
    machine.add("exact", "mac", "52:54:00:aa:bb:cc", "mtu", "1400", "policy", "vdpa")
    port, kernel = machine.port("exact"), config(machine, "exact")
    note(f"{port['choice']}\n{kernel}")
    expect(port["resource"] == SIM_MGMTDEV, "the NIC's driver takes no MAC, so the simulator had to be chosen")
    expect((kernel["mac"], kernel["mtu"]) == ("52:54:00:aa:bb:cc", 1400), kernel)
    listed = next(d for d in machine.ctl_json("dev", "show") if d["port"] == "exact")
    expect((listed["mac"], listed["mtu"]) == ("52:54:00:aa:bb:cc", 1400), listed)
    machine.ctl("port", "del", "exact")


@suite.case("what a driver does not take is a reason: vp_vdpa takes features only")
def not_taken(machine: Machine) -> None:
    clear(machine)
    for keys, word in ((("mac", "52:54:00:aa:bb:cc"), "MAC"), (("mtu", "1400"), "MTU"), (("queue_pairs", "2"), "queue pair")):
        candidate = machine.explain("vdpa", *keys)
        note(candidate["reason"])
        expect(candidate["pool"] == "nic" and not candidate["accepted"] and word in str(candidate["reason"]), candidate)
    vlan = machine.explain("vdpa", "vlan", "10")
    expect(not vlan["accepted"] and "VLAN" in str(vlan["reason"]), vlan)


@contextmanager
def driver_on(machine: Machine, port: str) -> Iterator[int]:
    """A driver that uses a port's device; the features that the device offers it."""
    log = machine.directory / "driver.log"
    log.write_text("")
    driver = spawn([str(machine.vduse_net.parent / "vdpa-driver"), str(machine.port(port)["path"])], log)
    try:
        wait_until(lambda: "ready" in log.read_text(), 20, "a driver on the device")
        yield int(log.read_text().split()[1], 16)
    finally:
        stop(driver)


@suite.case("the features that a driver is offered are those that were asked for, not all that the device has")
def features(machine: Machine) -> None:
    clear(machine)
    has = {m["name"]: int(str(m["features"]), 16) for m in machine.ctl_json("mgmtdev", "show")}
    for resource, keys in ((NIC_MGMTDEV, ()), (SIM_MGMTDEV, ("mac", "52:54:00:aa:bb:cc"))):
        machine.add("driven", *keys)
        port = machine.port("driven")
        with driver_on(machine, "driven") as offered:
            note(f"{resource} has {has[resource]:#x}, the port {port['features']:#x}, the driver gets {offered:#x}")
            expect(port["resource"] == resource and offered == port["features"], port)
            expect(has[resource] & ~offered != 0 and offered & ~has[resource] == 0, "nothing was masked out")
        machine.ctl("port", "del", "driven")


@suite.case("vendor statistics of a device with a driver appear in stats", timeout_s=90)
def statistics(machine: Machine) -> None:
    clear(machine)
    machine.add("counted", "mac", "52:54:00:aa:bb:cc")
    with driver_on(machine, "counted"):
        machine.wait_port_state("counted", "connected")
        wait_until(lambda: any("packets" in k or "recv" in k for k in machine.stats("counted")), 10, "vendor statistics")
        note(machine.stats("counted"))
    machine.wait_port_state("counted", "ready")
    machine.ctl("port", "del", "counted")


@suite.case("VDUSE served by another process is a management device like any other", timeout_s=60)
def vduse(machine: Machine) -> None:
    clear(machine)
    expect("vduse" in {m["name"] for m in machine.ctl_json("mgmtdev", "show")}, machine.ctl_json("mgmtdev", "show"))
    machine.ctl("port", "add", "probe", "network", BRIDGE, "policy", "switch")
    generation = int(str(machine.port("probe")["generation"])) + 1
    machine.ctl("port", "del", "probe")
    # VDUSE makes the device that a process serves under the very name that is asked for.
    server = spawn([str(machine.vduse_net), f"vdpad-{generation:x}"], machine.directory / "vduse.log")
    try:
        wait_until(lambda: "ready" in (machine.directory / "vduse.log").read_text(), 10, "the VDUSE server")
        machine.ctl("port", "add", "user", "network", VDUSE_NETWORK)
        port = machine.port("user")
        expect((port["backend"], port["resource"], port["mac"]) == ("vdpa", "vduse", "52:54:00:00:0d:01"), port)
        machine.ctl("port", "del", "user")
        refused = machine.ctl("port", "add", "user", "network", VDUSE_NETWORK, "policy", "vdpa", check=False)
        note(refused.stderr)
        expect(refused.status != 0, "no process serves a device of that name")
    finally:
        clear(machine)  # the kernel asks the process for each thing, also while it deletes the device
        stop(server)


@suite.case("foreign devices with odd names are listed, and survive us")
def foreign(machine: Machine) -> None:
    clear(machine)
    names = ["a!b", LONG_NAME, "vdpad", "vdpad-", "vdpad-xyz", "vdpad_1"]
    for name in names:
        # The kernel makes "a!b" of a slash: there could be no such folder in sysfs.
        vdpa("dev", "add", "name", name.replace("!", "/"), "mgmtdev", SIM_MGMTDEV)
    shown = {d["name"]: d for d in machine.ctl_json("dev", "show")}
    note(sorted(shown))
    for name in names:
        found = [d for n, d in shown.items() if n == name or (len(name) > 60 and n.startswith(name[:40]))]
        expect(len(found) == 1 and found[0]["port"] in ("", None), f"{name}: {found}")
    machine.add("between", "mac", "52:54:00:aa:bb:cc")
    for service in ("vdpad", "vdpad-netlink"):
        machine.kill(service)
        machine.services[service].wait_ready()
    machine.wait_port_state("between", "ready")
    machine.ctl("port", "del", "between")
    expect(set(names) <= set(sysfs_devices()), sysfs_devices())
    for name in names:
        vdpa("dev", "del", name)


@suite.case("a device that vanishes makes its port degraded, with the reason, and it returns by itself", timeout_s=60)
def vanishes(machine: Machine) -> None:
    clear(machine)
    machine.add("nic")
    expect(machine.port("nic")["resource"] == NIC_MGMTDEV, machine.port("nic"))
    Path(f"/sys/bus/pci/devices/{FUNCTION}/driver/unbind").write_text(FUNCTION)
    machine.wait_port_state("nic", "degraded")
    note(machine.port("nic")["reason"])
    expect(NIC_MGMTDEV in str(machine.port("nic")["reason"]), machine.port("nic"))
    bind_function()
    machine.wait_port_state("nic", "ready")
    expect(str(machine.port("nic")["mac"]) == config(machine, "nic")["mac"], machine.port("nic"))
    machine.ctl("port", "del", "nic")


if __name__ == "__main__":
    suite.main(make_machine)
