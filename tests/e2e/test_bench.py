#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""The load generator of `make bench`: what it reports can be believed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from node import Node, NodeFixture
from tap import Suite, expect, note

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))

from cases import TSO_BYTES  # noqa: E402
from switches import VDPAD_CONFIG, Testpmd, Vdpad  # noqa: E402

SHORT = ["-r", "2", "-m", "10"]
TIMEOUT_S = 50.0


class Lab(NodeFixture):
    """A node with a switch that nobody else uses."""

    def __init__(self, build: Path) -> None:
        self._load = build / "tests/bench/vhost-load"
        super().__init__(Node(build, VDPAD_CONFIG))

    def set_up(self) -> None:
        self.node.start()

    def load(self, switch: Vdpad | Testpmd, *options: str) -> tuple[int, list[dict[str, Any]]]:
        """Exit status and lines of the generator."""
        first, second = switch.sockets
        target = f"{switch.name}:{switch.pid}:{switch.thread}:{first},{second}"
        argv = [str(self._load), *SHORT, *options, target]
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT_S)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


suite = Suite[Lab]()


@suite.case("frames of every kind arrive as they were sent, and the switch counts the same")
def all_kinds(lab: Lab) -> None:
    tso = ["-s", str(TSO_BYTES)]
    kinds = [[], ["-d"], ["-d", "-t", "all", "-s", "1514"], tso]
    kinds += [["-l", layout, *more] for layout in ("linux", "indirect") for more in ([], tso)]
    switch = Vdpad(lab.node)
    try:
        for options in kinds:
            counters = [lab.node.stats(f"bench{number}") for number in (1, 2)]
            before = sum(port["tx_packets"] for port in counters)
            status, lines = lab.load(switch, *options)
            total = lines[-1]
            switch.resume()
            after = sum(lab.node.stats(f"bench{number}")["tx_packets"] for number in (1, 2))
            note(f"{' '.join(options) or 'plain'}: {total}")
            expect(status == 0 and total["wrong"] == 0 and total["lost"] == 0, total)
            expect(total["checked"] > 0, "no frame was looked at")
            expect(after - before == total["received"], f"the switch has counted {after - before}")
    finally:
        switch.close()


@suite.case("a switch that changes frames is found out")
def changed_frames(lab: Lab) -> None:
    switch = Testpmd(lab.node, offloads=False, mode="macswap")
    try:
        status, lines = lab.load(switch)
    finally:
        switch.close()
    note(lines[-1])
    expect(lines[-1]["wrong"] > 0 and status != 0, "it was not")


if __name__ == "__main__":
    suite.main(Lab)
