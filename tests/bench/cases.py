# SPDX-License-Identifier: GPL-2.0-or-later
"""What is measured: the kinds of traffic."""

from __future__ import annotations

from dataclasses import dataclass

CHECKSUM_BYTES = 4  # of an Ethernet frame, which sizes count by custom and rings do not carry
TSO_SIZE = 65536
TSO_BYTES = 64294  # 44 segments of 1,460 bytes behind one header


@dataclass(frozen=True)
class Case:
    """One kind of traffic. The names are those of bench.json."""

    size: int
    direction: str = "both"  # or "one"
    descriptors: str = "plain"  # or "linux", "indirect"
    ring: str = "split"  # or "packed"
    flows: int = 1
    touch: str = "none"  # or "all": the guests write and read every cache line of each frame
    rounds: int = 30

    def __str__(self) -> str:
        words = [str(self.size), self.direction, self.descriptors, self.ring]
        words += [f"flows {self.flows}"] if self.flows > 1 else []
        words += [f"touch {self.touch}"] if self.touch != "none" else []
        return " ".join(words)

    @property
    def offloads(self) -> bool:
        """Whether the frames ask for a checksum or segmentation."""
        return self.descriptors != "plain" or self.size == TSO_SIZE

    def options(self) -> list[str]:
        """For vhost-load."""
        size = TSO_BYTES if self.size == TSO_SIZE else self.size - CHECKSUM_BYTES
        options = ["-s", str(size), "-l", self.descriptors, "-t", self.touch, "-f", str(self.flows)]
        options += ["-r", str(self.rounds)]
        options += ["-d"] if self.direction == "both" else []
        options += ["-p"] if self.ring == "packed" else []
        return options


def plan(quick: bool, rounds: int | None) -> list[Case]:
    """All cases, those with goals first. A quick run has only these."""
    n = rounds or (20 if quick else 40)
    less = rounds or 20
    sizes = (64, 1518, TSO_SIZE) if quick else (64, 512, 1518, TSO_SIZE)
    layouts = ("plain", "linux")
    cases = [Case(size, descriptors=layout, rounds=n) for layout in layouts for size in sizes]
    if quick:
        return cases
    for layout in layouts:
        cases += [Case(size, "one", layout, rounds=n) for size in sizes]
        cases += [
            Case(size, direction, layout, "packed", rounds=less)
            for direction in ("both", "one")
            for size in sizes
        ]
        cases += [Case(size, "both", layout, touch="all", rounds=less) for size in (64, 1518)]
        cases.append(Case(64, "both", layout, flows=256, rounds=less))
    cases += [Case(size, "both", "indirect", rounds=less) for size in (64, 1518, TSO_SIZE)]
    return cases
