#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Bad input: the exit status and one line that says what is wrong, and nothing has changed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab import BRIDGE, add_bridge
from node import Node, NodeFixture, Output
from process import in_netns
from tap import Suite, expect

FAILED, USAGE, NOT_FOUND, CONFLICT, REFUSED, UNREACHABLE = 1, 2, 3, 4, 5, 6
MAC = "52:54:00:00:00:01"
NOBODY = 65534
DAEMON_TIMEOUT_S = 20


class Setup(NodeFixture):
    """A node with one port, `taken`."""

    def __init__(self, build: Path) -> None:
        super().__init__(Node(build))
        self.build = build

    def set_up(self) -> None:
        add_bridge(self.node)
        self.node.start()
        self.node.ctl("port", "add", "taken", "network", BRIDGE, "mac", MAC)


@dataclass(frozen=True)
class Refusal:
    title: str
    arguments: str  # of vdpactl
    status: int
    words: tuple[str, ...]  # that the message must have


REFUSALS = (
    Refusal("an unknown network", "port add p network nowhere", NOT_FOUND, ("nowhere", "network")),
    Refusal("no network", "port add p", USAGE, ("network",)),
    Refusal("a bad MAC", f"port add p network {BRIDGE} mac 52:54:00:zz:00:01", USAGE, ("52:54:00:zz",)),
    Refusal("a short MAC", f"port add p network {BRIDGE} mac 52:54:00:00:01", USAGE, ("mac",)),
    Refusal(
        "a multicast MAC", f"port add p network {BRIDGE} mac 53:54:00:00:00:01", USAGE, ("multicast",)
    ),
    Refusal("a duplicate MAC", f"port add p network {BRIDGE} mac {MAC}", CONFLICT, (MAC, "taken")),
    Refusal("an MTU too small", f"port add p network {BRIDGE} mtu 67", USAGE, ("mtu", "68")),
    Refusal("an MTU too large", f"port add p network {BRIDGE} mtu 9001", USAGE, ("mtu", "9000")),
    Refusal("an MTU that is no number", f"port add p network {BRIDGE} mtu 15OO", USAGE, ("15OO",)),
    Refusal(
        "no queue pairs", f"port add p network {BRIDGE} queue_pairs 0", USAGE, ("queue", "1")
    ),
    Refusal(
        "queue pairs over the limit", f"port add p network {BRIDGE} queue_pairs 65", REFUSED, ("65", "64")
    ),
    Refusal("a name too long", f"port add {'p' * 33} network {BRIDGE}", USAGE, ("32",)),
    Refusal("a name with a slash", f"port add a/b network {BRIDGE}", USAGE, ("a/b",)),
    Refusal("a name that walks up", f"port add ../p network {BRIDGE}", USAGE, ("../p",)),
    Refusal(
        "a name taken by another specification",
        f"port add taken network {BRIDGE} vlan 7",
        CONFLICT,
        ("taken",),
    ),
    Refusal(
        "a name taken by another specification, with --may-exist",
        f"port add taken network {BRIDGE} vlan 7 --may-exist",
        CONFLICT,
        ("taken", "vlan"),
    ),
    Refusal("VLAN 0", f"port add p network {BRIDGE} vlan 0", USAGE, ("vlan", "1", "4094")),
    Refusal("VLAN 4095", f"port add p network {BRIDGE} vlan 4095", USAGE, ("vlan", "1", "4094")),
    Refusal("an unknown key", f"port add p network {BRIDGE} colour red", USAGE, ("colour",)),
    Refusal("a key without a value", f"port add p network {BRIDGE} vlan", USAGE, ("vlan",)),
    Refusal("a key given twice", f"port add p network {BRIDGE} vlan 1 vlan 2", USAGE, ("vlan",)),
    Refusal("an unknown verb", "port make p", USAGE, ("make",)),
    Refusal("an unknown object", "prot add p", USAGE, ("prot",)),
    Refusal("an unknown policy", f"port add p network {BRIDGE} policy best", USAGE, ("best",)),
    Refusal(
        "hardware where there is none", f"port add p network {BRIDGE} policy hardware", REFUSED, ("hardware",)
    ),
    Refusal("a port that is not there", "port show p", NOT_FOUND, ("'p'",)),
    Refusal("deleting a port that is not there", "port del p", NOT_FOUND, ("'p'",)),
    Refusal("a change of what cannot change", "port set taken mtu 1400", USAGE, ("mtu",)),
)

suite = Suite[Setup]()


def check_refusal(output: Output, status: int, words: tuple[str, ...]) -> None:
    message = output.stderr.strip()
    expect(output.status == status, f"exit {output.status}, not {status}: {message}")
    expect(message and len(message.splitlines()) == 1, f"not one line: {message!r}")
    for word in words:
        expect(word in message, f"no {word!r} in: {message}")


def add_refusal_case(refusal: Refusal) -> None:
    @suite.case(f"{refusal.title}: exit {refusal.status}")
    def refused(setup: Setup) -> None:
        before = setup.node.ctl("-j", "port", "show").stdout
        output = setup.node.ctl(*refusal.arguments.split(), check=False)
        check_refusal(output, refusal.status, refusal.words)
        expect(setup.node.ctl("-j", "port", "show").stdout == before, "the ports have changed")


for each in REFUSALS:
    add_refusal_case(each)


@suite.case("the same port again: success with --may-exist, and a conflict that says so without")
def same_again(setup: Setup) -> None:
    request = ("port", "add", "taken", "network", BRIDGE, "mac", MAC)
    setup.node.ctl(*request, "--may-exist")
    check_refusal(setup.node.ctl(*request, check=False), CONFLICT, ("taken", "--may-exist"))
    setup.node.ctl("port", "del", "absent", "--may-not-exist")


@suite.case("no permission: exit 5")
def no_permission(setup: Setup) -> None:
    output = as_nobody(setup.node, "port", "add", "p", "network", BRIDGE)
    check_refusal(output, REFUSED, ())


def as_nobody(node: Node, *args: str) -> Output:
    ids = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return node.run("setpriv", *ids, str(node.programs["vdpactl"]), *args, check=False)


@suite.case("an unreachable bus: exit 6")
def no_bus(setup: Setup) -> None:
    done = subprocess.run(
        [setup.node.programs["vdpactl"], "port", "show"],
        env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"},
        capture_output=True,
        text=True,
    )
    check_refusal(Output(done.returncode, done.stdout, done.stderr), UNREACHABLE, ())


@suite.case("an unreachable daemon: exit 6")
def no_daemon(setup: Setup) -> None:
    with Node(setup.build) as node:
        check_refusal(node.ctl("port", "show", check=False), UNREACHABLE, ("vdpad",))


@suite.case("a stale socket file is no obstacle")
def stale_socket(setup: Setup) -> None:
    path = setup.node.run_dir / "port" / "stale.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    setup.node.ctl("port", "add", "stale", "network", BRIDGE)
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(path))
    setup.node.ctl("port", "del", "stale")
    expect(not path.exists(), "the socket file is still there")


@suite.case("a second instance refuses to start and disturbs nothing")
def second_instance(setup: Setup) -> None:
    pid = setup.node.pid("vdpad")
    second = run_vdpad(setup.node, setup.node.config, setup.node.run_dir, setup.node.state_dir)
    check_start_refused(second, ("already runs", str(pid)))
    setup.node.ctl("port", "show", "taken")
    expect(setup.node.pid("vdpad") == pid, "the first one was started again")


def run_vdpad(node: Node, config: Path, run_dir: Path, state_dir: Path) -> Output:
    """Start one more vdpad, which is expected to end by itself."""
    options = ["--config", str(config), "--run-dir", str(run_dir), "--state-dir", str(state_dir)]
    done = subprocess.run(
        in_netns(node.netns, [str(node.programs["vdpad"]), *options]),
        env=node.env,
        capture_output=True,
        text=True,
        timeout=DAEMON_TIMEOUT_S,
    )
    return Output(done.returncode, done.stdout, done.stderr)


def check_start_refused(output: Output, words: tuple[str, ...]) -> None:
    expect(output.status != 0, "it ended as if all were well")
    for word in words:
        expect(word in output.stderr, f"no {word!r} in: {output.stderr}")


def scratch(setup: Setup, name: str) -> Path:
    directory = setup.node.directory / name
    directory.mkdir()
    return directory


@suite.case("a corrupt state file: refuses to start, says how to recover, touches nothing")
def corrupt_state(setup: Setup) -> None:
    directory = scratch(setup, "corrupt")
    state = directory / "state.db"
    content = b"this is no database\n" * 500
    state.write_bytes(content)
    output = run_vdpad(setup.node, setup.node.config, directory / "run", directory)
    check_start_refused(output, (str(state),))
    expect(state.read_bytes() == content, "the file was touched")


@suite.case("an unreadable state file: refuses to start and names it")
def unreadable_state(setup: Setup) -> None:
    directory = scratch(setup, "unreadable")
    (directory / "state.db").mkdir()
    output = run_vdpad(setup.node, setup.node.config, directory / "run", directory)
    check_start_refused(output, (str(directory / "state.db"),))


@suite.case("a configuration with a duplicate network: refused with file and line")
def duplicate_network(setup: Setup) -> None:
    directory = scratch(setup, "duplicate")
    config = directory / "vdpad.conf"
    config.write_text("[network fast0]\nuplink = tap\n\n[network fast0]\nuplink = none\n")
    output = run_vdpad(setup.node, config, directory / "run", directory)
    check_start_refused(output, (f"{config}:", "fast0"))


@suite.case("a configuration with an unknown key: refused with file, line and key")
def unknown_config_key(setup: Setup) -> None:
    directory = scratch(setup, "unknown-key")
    config = directory / "vdpad.conf"
    config.write_text("[limits]\nports = 10\nprots = 10\n")
    output = run_vdpad(setup.node, config, directory / "run", directory)
    check_start_refused(output, (f"{config}:3", "prots"))


@suite.case("a CPU and a group that do not exist take no port away, and are complained about")
def wrong_switch_settings(setup: Setup) -> None:
    with Node(setup.build, "[switch]\ncpus = 1000\nsocket_group = nosuch\n") as node:
        add_bridge(node)
        node.start()
        node.ctl("port", "add", "p", "network", BRIDGE)
        log = node.services["vdpad-switch"].tail()
        for words in ("no CPU 1000", "no group 'nosuch'"):
            expect(words in log, log)
        wanted = ("[switch] cpus '1000': this node has CPUs ", "[switch] socket_group 'nosuch': this node has no")
        log = node.services["vdpad"].tail()
        for words in wanted:
            expect(log.count(words) == 1, log)
        findings = json.loads(node.ctl("-j", "doctor", check=False).stdout)
        found = [f["found"] for f in findings if f["check"] == "config" and f["verdict"] == "warn"]
        expect(len(found) == 2 and all(f.startswith(w) for f, w in zip(found, wanted)), found)
        node.config.write_text("[switch]\nsocket_group = nosuch\n[devices]\nuser = nosuch\n")
        answer = node.ctl("reload")
        expect(answer.status == 0 and answer.stderr.count("vdpactl: warning: ") == 2, answer)
        expect("[devices] user 'nosuch': this node has no such user" in answer.stderr, answer)
        node.config.write_text("[switch]\nsocket_group = root\n")
        expect(node.ctl("reload").stderr == "", "a configuration without a mistake is warned of")


if __name__ == "__main__":
    suite.main(Setup)
