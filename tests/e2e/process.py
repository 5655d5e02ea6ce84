# SPDX-License-Identifier: GPL-2.0-or-later
"""Child processes that never outlive the test, even when the test is killed."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import time
from pathlib import Path
from typing import Callable, Mapping, Sequence

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def _die_with_parent() -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def in_netns(netns: str | None, argv: Sequence[str]) -> list[str]:
    """The same command inside a network namespace; the process id stays that of the command."""
    return list(argv) if netns is None else ["ip", "netns", "exec", netns, *argv]


def spawn(
    argv: Sequence[str],
    log: Path,
    *,
    netns: str | None = None,
    env: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a process whose output is appended to `log`. It dies with the calling thread."""
    with log.open("ab") as output:
        return subprocess.Popen(
            in_netns(netns, argv),
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            pass_fds=pass_fds,
            preexec_fn=_die_with_parent,
        )


def stop(process: subprocess.Popen[bytes], grace_s: float = 2.0) -> None:
    """SIGTERM, then SIGKILL for what does not listen."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def wait_until(
    condition: Callable[[], object], timeout_s: float, what: str, interval_s: float = 0.02
) -> float:
    """Wait for something that gives no event. Returns the seconds it took."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > timeout_s:
            raise TimeoutError(f"{what}: not after {timeout_s:g} s")
        time.sleep(interval_s)
    return time.monotonic() - start
