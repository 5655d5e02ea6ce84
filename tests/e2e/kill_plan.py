# SPDX-License-Identifier: GPL-2.0-or-later
"""Daemons that die at a chosen step of their work: the test's side of tests/fake/kill_at.c."""

from __future__ import annotations

import struct
from pathlib import Path


def preload(build: Path, prefix: Path) -> dict[str, str]:
    """The environment in which the daemons that have a plan of that prefix obey it."""
    return {"LD_PRELOAD": str(build / "tests/fake/libkill_at.so"), "KILL_AT": str(prefix)}


class Plan:
    """What tests/fake/kill_at.c shares with the test: when the processes of one program are to die."""

    LAYOUT = struct.Struct("=IIIIII")

    def __init__(self, prefix: Path, program: str) -> None:
        self._path = prefix.with_name(f"{prefix.name}.{program}")
        self._path.write_bytes(bytes(self.LAYOUT.size))

    def _read(self) -> tuple[int, ...]:
        return self.LAYOUT.unpack(self._path.read_bytes())

    @property
    def steps(self) -> int:
        """How many were made so far."""
        return self._read()[0]

    @property
    def deaths(self) -> int:
        return self._read()[5]

    def die_at(self, step: int, after: bool, then: int = 0) -> None:
        """Die at the step of that number from now on; 0: do not. The next process may die too."""
        with self._path.open("r+b") as file:
            file.seek(4)
            file.write(struct.pack("=IIII", step, after, then, False))
