# SPDX-License-Identifier: GPL-2.0-or-later
"""From samples to rows, ratios and goals."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

from cases import TSO_SIZE, Case

# One way of a cache line between the two CPUs: about 100 cycles within one cache, 500 without.
NEAR_CYCLES = 300
# Samples of one round are alike when the distances around them differ by less than this factor: the
# hypervisor also makes the CPUs slower and faster, and a cache line then takes longer or not.
ALIKE = 1.25
MIN_SAMPLES = 3  # of a median that is compared
DISTURBED = 0.03  # of a sample without a CPU, for the load or for the switch
MIN_IDLE = 0.05  # of the generator; below, it may have been the bound
MAX_STARVED = 0.05  # looks at which the switch had run out of frames
PLACEMENTS = ("near", "far", "mixed")

# Goals: two-way, split rings. Cycles of vdpad at most so many times those of testpmd; frames per
# second at least so many times those of the other.
CYCLES_GOAL = {64: 0.70, 1518: 0.55, TSO_SIZE: 0.55}
TESTPMD_GOAL = {64: 1.4, 1518: 1.8}
OVS_GOAL = {64: 1.8, 1518: 2.5}

Row = dict[str, Any]


def placement(one_way: list[int]) -> str:
    """What the distance before and after a sample says of it."""
    near = [cycles < NEAR_CYCLES for cycles in one_way]
    return "near" if all(near) else "mixed" if any(near) else "far"


def are_alike(one: Row, other: Row) -> bool:
    """Whether two samples were taken at about the same distance."""
    distances = [sum(one["one_way"]), sum(other["one_way"])]
    return max(distances) < ALIKE * min(distances)


class Report:
    """Collects what vhost-load prints."""

    def __init__(self) -> None:
        self.samples: dict[tuple[Case, str, str], list[Row]] = defaultdict(list)
        self.failures: list[str] = []
        self._absent: dict[str, str] = {}
        self._n_disturbed = 0
        self._counted: dict[tuple[Case, str], Row] = {}

    def absent(self, switch: str, reason: str) -> None:
        self._absent[switch] = reason

    def fail(self, reason: str) -> None:
        self.failures.append(reason)

    def add(self, case: Case, line: Row) -> None:
        switch = line["switch"]
        if "absent" in line:
            self._absent[f"{switch}, {case}"] = line["absent"]
        elif "sent" in line:
            self._counted[case, switch] = line
            if line["wrong"] > 0:
                self.fail(f"{switch}, {case}: {line['wrong']} of {line['checked']} frames were not as sent")
        elif max(line["switch_waited"], line["generator_away"]) > DISTURBED:
            self._n_disturbed += 1
        else:
            self.samples[case, switch, placement(line["one_way"])].append(line)

    def rows(self) -> list[Row]:
        return [self._row(*key) for key in self.samples]

    def _row(self, case: Case, switch: str, where: str) -> Row:
        samples = self.samples[case, switch, where]

        def middle(name: str) -> float:
            return round(float(median(sample[name] for sample in samples)), 4)

        counted = self._counted.get((case, switch), {})
        return {
            "switch": switch,
            "size": case.size,
            "flows": case.flows,
            "ring": case.ring,
            "direction": case.direction,
            "descriptors": case.descriptors,
            "touch": case.touch,
            "placement": where,
            "mpps": middle("mpps"),
            "cycles": middle("cycles"),
            "generator_idle": middle("generator_idle"),
            "starved": middle("starved"),
            "one_way_cycles": median(cycles for sample in samples for cycles in sample["one_way"]),
            "samples": len(samples),
            "lost": counted.get("lost"),
            "sent": counted.get("sent"),
            "checked": counted.get("checked"),
        }

    def write(self, path: Path) -> None:
        path.write_text("[\n" + ",\n".join(json.dumps(row) for row in self.rows()) + "\n]\n")

    def _comparable(self, case: Case, switch: str, where: str) -> Row | None:
        if len(self.samples.get((case, switch, where), ())) < MIN_SAMPLES:
            return None
        return self._row(case, switch, where)

    def _ratio(self, case: Case, other: str, where: str, key: str) -> float | None:
        """vdpad divided by the other one, measured within a fraction of a second: the median."""
        theirs = {sample["round"]: sample for sample in self.samples.get((case, other, where), ())}
        ratios = [
            own[key] / theirs[own["round"]][key]
            for own in self.samples.get((case, "vdpad", where), ())
            if own["round"] in theirs and are_alike(own, theirs[own["round"]])
        ]
        return median(ratios) if len(ratios) >= MIN_SAMPLES else None

    def progress(self, case: Case) -> None:
        """One line while the run goes on."""
        words = []
        for switch in ("vdpad", "testpmd", "ovs"):
            found = [row for where in PLACEMENTS if (row := self._comparable(case, switch, where))]
            words += [f"{switch} {row['placement']} {row['cycles']:.0f}" for row in found]
        print(f"{str(case):32}  cycles/frame: {', '.join(words) or 'none'}", flush=True)

    def print_all(self) -> None:
        cases = list(dict.fromkeys(case for case, _, _ in self.samples))
        for touch, title in (
            ("none", "Prepared frames: the guests touch one in 64"),
            ("all", "Fresh frames: the guests write and read every cache line"),
        ):
            chosen = [case for case in cases if case.touch == touch]
            if chosen:
                print(f"\n{title}")
                self._print_table(chosen)
        self._print_goals(cases)
        self._print_remarks()

    def _print_table(self, cases: list[Case]) -> None:
        print(f"{'':40} {'cycles/frame':^24}  {'Mpps':^22}  {'idle':>5}  {'vdpad/testpmd':^13}  {'vdpad/ovs':^13}")
        names = ("vdpad", "testpmd", "ovs")
        head = "  ".join(f"{name:>7}" for name in names)
        print(f"{'':40} {head}  {head}  {'load':>5}  {'cycles':>6} {'Mpps':>6}  {'cycles':>6} {'Mpps':>6}")
        for case in cases:
            for where in PLACEMENTS:
                rows = {name: self._comparable(case, name, where) for name in names}
                if any(rows.values()):
                    print(self._table_line(case, where, rows))

    def _table_line(self, case: Case, where: str, rows: dict[str, Row | None]) -> str:
        def cells(key: str, digits: int) -> str:
            return "  ".join(f"{row[key]:7.{digits}f}" if row else f"{'-':>7}" for row in rows.values())

        def ratios(other: str) -> str:
            found = [self._ratio(case, other, where, key) for key in ("cycles", "mpps")]
            return " ".join(f"{'-':>6}" if ratio is None else f"{ratio:6.2f}" for ratio in found)

        idle = min(row["generator_idle"] for row in rows.values() if row)
        return (
            f"{str(case):34} {where:5} {cells('cycles', 0)}  {cells('mpps', 2)}  {idle:5.0%}"
            f"  {ratios('testpmd')}  {ratios('ovs')}"
        )

    def _print_goals(self, cases: list[Case]) -> None:
        print("\nGoals (two-way, split rings, prepared frames)")
        for case in cases:
            if (case.direction, case.ring, case.flows, case.touch) != ("both", "split", 1, "none"):
                continue
            for where in ("near", "far"):
                for other, key, goals in (
                    ("testpmd", "cycles", CYCLES_GOAL),
                    ("testpmd", "mpps", TESTPMD_GOAL),
                    ("ovs", "mpps", OVS_GOAL),
                ):
                    self._print_goal(case, where, other, key, goals.get(case.size))

    def _print_goal(self, case: Case, where: str, other: str, key: str, goal: float | None) -> None:
        ratio = self._ratio(case, other, where, key)
        if goal is None or ratio is None:
            return
        met = ratio <= goal if key == "cycles" else ratio >= goal
        sign = "<=" if key == "cycles" else ">="
        verdict = "met" if met else "MISSED"
        print(f"{str(case):32} {where:5} {key:6} vdpad/{other:7} {ratio:5.2f} {sign} {goal:4.2f}  {verdict}")

    def _print_remarks(self) -> None:
        print()
        for key, reason in self._absent.items():
            print(f"ABSENT: {key}: {reason}")
        for row in self.rows():
            what = ", ".join(str(row[key]) for key in ("switch", "size", "direction", "descriptors", "ring", "placement"))
            if row["generator_idle"] < MIN_IDLE or row["starved"] > MAX_STARVED:
                idle, starved = row["generator_idle"], row["starved"]
                print(f"NOT THE SWITCH'S LIMIT: {what}: load idle {idle:.1%}, switch without frames {starved:.1%}")
        for (case, switch), counted in self._counted.items():
            if counted["lost"] > 0:
                print(f"LOST: {switch}, {case}: {counted['lost']} of {counted['sent']} frames")
        if self._n_disturbed > 0:
            print(f"{self._n_disturbed} samples left out: somebody else used the CPUs.")
        for failure in self.failures:
            print(f"FAILED: {failure}")
