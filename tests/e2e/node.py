# SPDX-License-Identifier: GPL-2.0-or-later
"""A hypervisor node of its own: network namespace, message bus, and vdpad's processes, supervised."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Mapping, Protocol, Self, Sequence

from process import in_netns, spawn, stop
from tap import note

TOP = Path(__file__).resolve().parents[2]
PROGRAMS = {
    "vdpad": "vdpad/vdpad",
    "vdpad-netlink": "netlink/vdpad-netlink",
    "vdpad-switch": "fallback/vdpad-switch",
    "vdpactl": "vdpad/ctl/vdpactl",
}
RESTART_DELAY_S = 0.1  # RestartSec= of the units
READY_TIMEOUT_S = 30.0
NETNS_PREFIX = "vdpad-e2e"

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>
  <include>{policy}</include>
</busconfig>
"""


@dataclass(frozen=True)
class Output:
    """What a command on the node said."""

    status: int
    stdout: str
    stderr: str


class Service:
    """One process that is started again whenever it ends, as systemd would."""

    def __init__(self, name: str, argv: Sequence[str], netns: str | None, env: Mapping[str, str], log: Path):
        self.name = name
        self.log = log
        self._argv = argv
        self._netns = netns
        notify_path = log.with_suffix(".notify")
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(notify_path))
        self._env = {**env, "NOTIFY_SOCKET": str(notify_path)}
        self._changed = threading.Condition()
        self._process: subprocess.Popen[bytes] | None = None
        self._ready_pid = 0
        self._starts = 0
        self._stopping = threading.Event()
        self._may_run = threading.Event()
        self._may_run.set()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)
        self._listener = threading.Thread(target=self._listen, daemon=True)

    def start(self) -> None:
        self._listener.start()
        self._supervisor.start()

    def _supervise(self) -> None:
        while not self._stopping.is_set():
            with self._changed:
                self._process = spawn(self._argv, self.log, netns=self._netns, env=self._env)
                self._starts += 1
                self._changed.notify_all()
            self._process.wait()
            self._stopping.wait(RESTART_DELAY_S)
            self._may_run.wait()

    def _listen(self) -> None:
        while message := self._notify.recv(4096):
            if b"READY=1" in message.split(b"\n"):
                with self._changed:
                    self._ready_pid = self.pid
                    self._changed.notify_all()

    @property
    def pid(self) -> int:
        with self._changed:
            return self._process.pid if self._process is not None else 0

    @property
    def starts(self) -> int:
        """How often it was started."""
        return self._starts

    def wait_ready(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Wait until the process that runs now has said READY=1."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._ready_pid == self.pid != 0, timeout_s):
                raise TimeoutError(f"{self.name} is not ready:\n{self.tail()}")

    def kill(self, number: int) -> None:
        """Send a signal. After a fatal one, return when the next process has been started."""
        starts = self._starts
        os.kill(self.pid, number)
        if number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGABRT):
            with self._changed:
                self._changed.wait_for(lambda: self._starts > starts, READY_TIMEOUT_S)

    def pause(self) -> None:
        """SIGKILL, and no new process until resume()."""
        self._may_run.clear()
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def resume(self) -> None:
        self._may_run.set()

    def stop(self) -> None:
        self._stopping.set()
        self._may_run.set()
        if self._process is not None:
            stop(self._process, grace_s=3.0)
        if self._supervisor.is_alive():
            self._supervisor.join()
        self._notify.shutdown(socket.SHUT_RDWR)

    def tail(self, count: int = 15) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(f"{self.name}: {line}" for line in lines[-count:])


class Node:
    """Make it, prepare its network with run(), then start() the daemons; close() leaves nothing behind.

    With own_network=False it lives in the network of the caller, who has a machine to himself: the kernel's
    vDPA family is in the first namespace only.
    """

    _numbers = itertools.count(1)

    def __init__(self, build: Path, config: str = "", *, own_network: bool = True) -> None:
        remove_dead_namespaces()
        self.directory = Path(tempfile.mkdtemp(prefix="vdpad-e2e-"))
        self.directory.chmod(0o755)
        self.run_dir = self.directory / "run"
        self.state_dir = self.directory / "state"
        self.config = self.directory / "vdpad.conf"
        self.config.write_text(config)
        self.programs = {name: build / path for name, path in PROGRAMS.items()}
        # A build with sanitizers is several times slower: limits of time stretch by this.
        self.slowness = 5.0 if b"libasan" in self.programs["vdpad"].read_bytes() else 1.0
        bus_socket = self.directory / "bus"
        self.env = {
            **os.environ,
            "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={bus_socket}",
            "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin",
        }
        self.services: dict[str, Service] = {}
        self.vdpad_options: list[str] = []  # more of them
        self.vdpad_env: dict[str, str] = {}
        self._children: list[subprocess.Popen[bytes]] = []

        name = f"{NETNS_PREFIX}-{os.getpid()}-{next(self._numbers)}"
        self.netns = name if own_network else None
        try:
            if self.netns is not None:
                subprocess.run(["ip", "netns", "add", self.netns], check=True)
                self.run("ip", "link", "set", "lo", "up")
            self._start_bus(bus_socket)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start_bus(self, bus_socket: Path) -> None:
        policy = TOP / "packaging/dbus/org.vdpad1.conf"
        bus_config = self.directory / "bus.conf"
        bus_config.write_text(BUS_CONFIG.format(socket=bus_socket, policy=policy))
        read_end, write_end = os.pipe()
        argv = ["dbus-daemon", f"--config-file={bus_config}", "--nofork", "--nopidfile"]
        argv += [f"--print-address={write_end}"]
        self._children.append(spawn(argv, self.directory / "bus.log", pass_fds=[write_end]))
        os.close(write_end)
        with os.fdopen(read_end) as address:
            if not address.readline():
                raise RuntimeError((self.directory / "bus.log").read_text())

    def start(self) -> Node:
        """Start the daemons in the order of their units, each when the one before is ready."""
        directories = ["--run-dir", str(self.run_dir)]
        own = ["--config", str(self.config), *directories, "--state-dir", str(self.state_dir)]
        own += self.vdpad_options
        self.run_dir.mkdir(exist_ok=True)
        self.state_dir.mkdir(exist_ok=True)
        for name, options in (("vdpad", own), ("vdpad-netlink", directories), ("vdpad-switch", directories)):
            argv = [str(self.programs[name]), *options]
            log = self.directory / f"{name}.log"
            env = {**self.env, **(self.vdpad_env if name == "vdpad" else {})}
            self.services[name] = Service(name, argv, self.netns, env, log)
        for service in self.services.values():
            service.start()
            service.wait_ready()
        return self

    def run(self, *argv: str, check: bool = True, timeout_s: float = 30.0) -> Output:
        """Run a command in the node's network namespace, with the node's environment."""
        done = subprocess.run(
            in_netns(self.netns, argv),
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(argv)}: exit {done.returncode}: {done.stderr.strip()}")
        return Output(done.returncode, done.stdout, done.stderr)

    def spawn(self, *argv: str) -> subprocess.Popen[bytes]:
        """Start a process on the node that ends with it."""
        log = self.directory / f"{Path(argv[0]).name}.log"
        child = spawn(argv, log, netns=self.netns, env=self.env)
        self._children.append(child)
        return child

    def ctl(self, *args: str, check: bool = True) -> Output:
        """Run vdpactl."""
        return self.run(str(self.programs["vdpactl"]), *args, check=check)

    def ctl_json(self, *args: str) -> object:
        """Run vdpactl -j and read what it prints."""
        return json.loads(self.ctl("-j", *args).stdout)

    def pid(self, name: str) -> int:
        return self.services[name].pid

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        self.services[name].kill(number)

    def pause(self, name: str) -> None:
        self.services[name].pause()

    def resume(self, name: str) -> None:
        self.services[name].resume()

    def wait_port_state(self, port: str, state: str, timeout_s: float = 15.0) -> None:
        deadline = time.monotonic() + timeout_s
        while (found := self.port(port)["state"]) != state:
            if time.monotonic() > deadline:
                raise TimeoutError(f"port {port} is {found}, not {state}")
            time.sleep(0.05)

    def port(self, name: str) -> dict[str, object]:
        """One port as `vdpactl -j port show NAME` has it."""
        shown = self.ctl_json("port", "show", name)
        port = shown[0] if isinstance(shown, list) else shown
        assert isinstance(port, dict)
        return port

    def stats(self, name: str) -> dict[str, int]:
        """The counters of one port or uplink as `vdpactl stats NAME` has them."""
        shown = self.ctl_json("stats", name)
        stats = shown[0] if isinstance(shown, list) else shown
        assert isinstance(stats, dict)
        return stats

    def diagnosis(self) -> str:
        """The last lines of every log."""
        return "\n".join(service.tail() for service in self.services.values())

    def stop_services(self) -> None:
        for name in reversed(list(self.services)):
            self.services[name].stop()
        self.services.clear()

    def close(self) -> None:
        self.stop_services()
        for child in reversed(self._children):
            stop(child)
        if self.netns is not None:
            subprocess.run(["ip", "netns", "del", self.netns], check=False)
        if "VDPAD_E2E_KEEP" in os.environ:
            print(f"# kept {self.directory}", flush=True)
        else:
            shutil.rmtree(self.directory, ignore_errors=True)


class Part(Protocol):
    """What runs on a node: a guest, a program."""

    def diagnosis(self) -> str: ...
    def close(self) -> None: ...


class NodeFixture:
    """A node for the cases of one test file. What can fail is in set_up(): then nothing is left behind."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def set_up(self) -> None:
        raise NotImplementedError

    def parts(self) -> Iterable[Part]:
        """What runs on the node by now, and is closed before it."""
        return ()

    def __enter__(self) -> Self:
        try:
            self.set_up()
        except BaseException:
            note(self.diagnosis())
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def diagnosis(self) -> str:
        return "\n".join([self.node.diagnosis(), *(part.diagnosis() for part in self.parts())])

    def close(self) -> None:
        for part in self.parts():
            part.close()
        self.node.close()


def remove_dead_namespaces() -> None:
    """Delete what test runs that were killed have left."""
    for path in Path("/run/netns").glob(f"{NETNS_PREFIX}-*"):
        pid = path.name.removeprefix(f"{NETNS_PREFIX}-").split("-")[0]
        if not Path(f"/proc/{pid}").exists():
            subprocess.run(["ip", "netns", "del", path.name], check=False)
