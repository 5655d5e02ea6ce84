#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""The examples of vdpactl(8) do what they say, in their order, on a node with vmbr0.

qemu-system-x86_64 is the real one, but its machine is stopped before the first instruction and ends at
once, because this is about its arguments.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from lab import QEMU_OF_THE_MACHINE, add_bridge
from node import TOP, Node, NodeFixture
from process import wait_until
from tap import Suite, expect, note

PAGE = TOP / "packaging/man/vdpactl.8"
QEMU_WRAPPER = """#!/bin/bash
case $* in --version) exec {qemu} --version ;; esac
args=()
for arg; do [ "$arg" = kvm ] && arg=tcg; args+=("$arg"); done
exec {qemu} "${{args[@]}}" -S -nodefaults -qmp stdio <<'END'
{{"execute": "qmp_capabilities"}}
{{"execute": "query-rx-filter"}}
{{"execute": "quit"}}
END
"""


def example_blocks() -> list[str]:
    """The displays of section EXAMPLES, as the reader sees them."""
    section = PAGE.read_text().split(".Sh EXAMPLES\n")[1].split(".Sh ")[0]
    blocks = re.findall(r"^\.Bd .*\n((?:.*\n)*?)\.Ed$", section, re.MULTILINE)
    return [block.replace("\\e", "\\") for block in blocks]


def commands(block: str) -> list[str]:
    """Split at the prompts: a command may go on over several lines."""
    return [part.strip() for part in re.split(r"^# ", block, flags=re.MULTILINE) if part]


class Setup(NodeFixture):
    """A node, and a directory with vdpactl and QEMU at the head of PATH."""

    def __init__(self, build: Path) -> None:
        super().__init__(Node(build))

    def set_up(self) -> None:
        add_bridge(self.node)
        programs = self.node.directory / "bin"
        programs.mkdir()
        (programs / "vdpactl").symlink_to(self.node.programs["vdpactl"])
        wrapper = programs / "qemu-system-x86_64"
        wrapper.write_text(QEMU_WRAPPER.format(qemu=shutil.which(QEMU_OF_THE_MACHINE)))
        wrapper.chmod(0o755)
        self.node.env["PATH"] = f"{programs}:{self.node.env['PATH']}"
        self.node.start()
        wait_until(self._switch_is_there, 10, "the switch")

    def _switch_is_there(self) -> bool:
        facts = self.node.ctl_json("facts")
        return isinstance(facts, dict) and facts["switch"]["connected"]

    def run_block(self, block: str) -> None:
        """In one shell, as at one terminal; the first command that fails ends it."""
        script = "\n".join([f"cd {self.node.directory}", "set -e -o pipefail", *commands(block)])
        done = self.node.run("bash", "-c", script, check=False)
        expect(done.status == 0, f"{block}exit {done.status}: {done.stderr}")
        if "qemu-system" in block:
            expect('"main-mac"' in done.stdout, f"QEMU has no NIC: {done.stdout} {done.stderr}")


suite: Suite[Setup] = Suite()


@suite.case("all of them run")
def all_examples(setup: Setup) -> None:
    blocks = example_blocks()
    for block in blocks:
        setup.run_block(block)
    note(f"{len(blocks)} examples")
    expect(len(blocks) >= 8, "the page's examples were not found")


@suite.case("they leave no port")
def nothing_is_left(setup: Setup) -> None:
    left = setup.node.ctl_json("port", "show")
    expect(left == [], left)


if __name__ == "__main__":
    suite.main(Setup)
