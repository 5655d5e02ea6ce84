# SPDX-License-Identifier: GPL-2.0-or-later
"""A QEMU guest without KVM, driven over its second serial port (see tests/guest/init)."""

from __future__ import annotations

import json
import os
import shlex
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from process import spawn, stop

BOOT_TIMEOUT_S = 60.0
KVM_PROBE_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Image:
    """What tests/guest/mkguest made."""

    kernel: Path
    initrd: Path

    @classmethod
    def at(cls, directory: Path) -> Image:
        return cls(directory / "vmlinuz", directory / "initrd")


@dataclass(frozen=True)
class Result:
    status: int
    output: str

    def check(self) -> str:
        if self.status != 0:
            raise RuntimeError(f"guest command failed with {self.status}: {self.output.strip()}")
        return self.output


class Stream:
    """A socket read by lines and by counts, each with a deadline."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._buffer = b""

    def _fill(self, deadline: float) -> None:
        self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError("the guest's QEMU is gone")
        self._buffer += data

    def read_line(self, deadline: float) -> str:
        while b"\n" not in self._buffer:
            self._fill(deadline)
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.decode(errors="replace")

    def read_bytes(self, count: int, deadline: float) -> str:
        while len(self._buffer) < count:
            self._fill(deadline)
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data.decode(errors="replace")

    def send(self, text: str) -> None:
        self._socket.settimeout(10)
        self._socket.sendall(text.encode())

    def close(self) -> None:
        self._socket.close()


class Guest:
    """One running guest.

    nic_arguments   what `vdpactl port qemu` printed, split into words
    addresses       one entry for each NIC, such as "10.0.0.1/24,fd00::1/64"
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        image: Image,
        nic_arguments: Sequence[str],
        addresses: Sequence[str] = (),
        *,
        qemu: str = "qemu-system-x86_64",
        memory: str = "256M",
        mtu_bytes: int | None = None,
        accelerator: str = "tcg",
        netns: str | None = None,
    ) -> None:
        self.name = name
        self.log = directory / f"{name}.qemu.log"
        self.console = directory / f"{name}.console"
        self._background_jobs = 0
        # Linux takes the timer of a virtual machine on a busy host for a broken one.
        words = ["console=ttyS0", "quiet", "mitigations=off", "panic=1", "no_timer_check"]
        words += [f"mtu={mtu_bytes}"] if mtu_bytes else []
        words += [f"addr={a}" for a in addresses]

        control, control_of_qemu = socket.socketpair()
        qmp, qmp_of_qemu = socket.socketpair()
        argv = [qemu, *nic_arguments]
        argv += ["-nodefaults", "-no-user-config", "-display", "none", "-name", name]
        argv += ["-machine", f"pc,accel={accelerator}", "-m", memory, "-smp", "1"]
        if accelerator == "tcg":
            # QEMU 7.2 without KVM crashes when a vhost device uses MSI-X.
            argv += ["-global", "virtio-net-pci.vectors=0"]
        argv += ["-kernel", str(image.kernel), "-initrd", str(image.initrd)]
        argv += ["-append", " ".join(words)]
        argv += ["-serial", f"file:{self.console}"]
        argv += ["-chardev", f"socket,id=control,fd={control_of_qemu.fileno()}"]
        argv += ["-serial", "chardev:control"]
        argv += ["-chardev", f"socket,id=qmp,fd={qmp_of_qemu.fileno()}"]
        argv += ["-mon", "chardev=qmp,mode=control"]
        self.command_line = shlex.join(argv)
        self.process = spawn(
            argv,
            self.log,
            netns=netns,
            pass_fds=(control_of_qemu.fileno(), qmp_of_qemu.fileno()),
        )
        control_of_qemu.close()
        qmp_of_qemu.close()
        self._control = Stream(control)
        self._qmp = Stream(qmp)
        self._qmp_is_open = False

    def __enter__(self) -> Guest:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait_ready(self, timeout_s: float = BOOT_TIMEOUT_S) -> float:
        """Wait until the guest serves commands. Returns the seconds it took."""
        start = time.monotonic()
        try:
            while not self._control.read_line(start + timeout_s).endswith("ready"):
                pass
        except (TimeoutError, ConnectionError) as error:
            raise RuntimeError(f"{self.name}: no boot: {self.diagnosis()}") from error
        return time.monotonic() - start

    def diagnosis(self) -> str:
        """The last lines that QEMU and the guest's kernel said."""
        texts = [p.read_text(errors="replace") for p in (self.log, self.console) if p.exists()]
        return "\n".join(line for text in texts for line in text.splitlines()[-5:])

    def run(self, command: str, timeout_s: float = 30.0) -> Result:
        """Run one line of shell in the guest."""
        deadline = time.monotonic() + timeout_s
        self._control.send(command.replace("\n", " ") + "\n")
        _, status, size = self._control.read_line(deadline).split()
        return Result(int(status), self._control.read_bytes(int(size), deadline))

    def start(self, command: str) -> Background:
        """Run one line of shell in the guest without waiting for it."""
        self._background_jobs += 1
        job = f"/tmp/job{self._background_jobs}"
        self.run(f"({command}) >{job}.out 2>&1 & echo $! >{job}.pid").check()
        return Background(self, job)

    def ping(self, address: str, count: int = 3, *, wait_s: int = 2, size_bytes: int = 56) -> bool:
        """Whether all of `count` echo requests were answered, unfragmented ones included."""
        result = self.run(
            f"ping -c {count} -i 0.2 -W {wait_s} -s {size_bytes} {address}",
            timeout_s=count * (wait_s + 1) + 10,
        )
        return f"{count} packets received" in result.output

    def start_ping(self, address: str, interval_s: float = 0.05) -> PingFlow:
        return PingFlow(self.start(f"exec ping -i {interval_s} {address}"))

    def qmp(self, command: str, timeout_s: float = 10.0, **arguments: object) -> object:
        deadline = time.monotonic() + timeout_s
        if not self._qmp_is_open:
            self._qmp_is_open = True
            self._qmp.read_line(deadline)
            self.qmp("qmp_capabilities")
        self._qmp.send(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        while True:
            reply = json.loads(self._qmp.read_line(deadline))
            if "error" in reply:
                raise RuntimeError(f"{self.name}: {command}: {reply['error']['desc']}")
            if "return" in reply:
                return reply["return"]

    def reboot(self) -> None:
        """Press the reset button. Follow with wait_ready()."""
        self.qmp("system_reset")

    def close(self) -> None:
        """Pull the plug."""
        stop(self.process, grace_s=1.0)
        self._control.close()
        self._qmp.close()


def kvm_boots_a_guest(image: Image, directory: Path) -> bool:
    """Whether KVM works. /dev/kvm may be there and its guests hang all the same."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    with Guest("kvm-probe", directory, image, [], accelerator="kvm") as guest:
        try:
            guest.wait_ready(KVM_PROBE_TIMEOUT_S)
        except RuntimeError:
            return False
    return True


class Background:
    """A command that runs in a guest."""

    def __init__(self, guest: Guest, job: str) -> None:
        self._guest = guest
        self._job = job

    def output(self) -> str:
        return self._guest.run(f"cat {self._job}.out").output

    def wait(self, timeout_s: float = 30.0) -> str:
        """Wait until it ends by itself, and return what it said."""
        self._guest.run(f"while [ -e /proc/{self._pid}/exe ]; do usleep 10000; done", timeout_s)
        return self.output()

    def stop(self) -> str:
        """End it, and return what it said."""
        self._guest.run(f"kill -INT {self._pid}")
        return self.wait()

    @property
    def _pid(self) -> str:
        return f"$(cat {self._job}.pid)"


class PingFlow:
    """Echo requests sent at a steady rate until stopped."""

    def __init__(self, job: Background) -> None:
        self._job = job

    def answers(self) -> int:
        """How many answers came so far."""
        return self._job.output().count(" seq=")

    def stop(self) -> None:
        self._job.stop()
