# SPDX-License-Identifier: GPL-2.0-or-later
"""Test files: cases that share one fixture, reported as TAP."""

from __future__ import annotations

import argparse
import fnmatch
import signal
import sys
import time
import traceback
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Callable, Generic, NoReturn, TypeVar

Fixture = TypeVar("Fixture")
CASE_TIMEOUT_S = 60


def note(text: object) -> None:
    """A line for the reader of the report: a figure, the reason of a failure."""
    for line in str(text).splitlines():
        print(f"# {line}", flush=True)


def expect(condition: object, what: object) -> None:
    """Fail the case and say what was found, unless the condition holds."""
    if not condition:
        raise AssertionError(str(what))


def _on_alarm(_signal: int, _frame: object) -> NoReturn:
    raise TimeoutError("the case took too long")


class Suite(Generic[Fixture]):
    """The cases of one file, in the order in which they are written."""

    def __init__(self) -> None:
        self._cases: list[tuple[str, Callable[[Fixture], None], int]] = []

    def case(
        self, name: str, timeout_s: int = CASE_TIMEOUT_S
    ) -> Callable[[Callable[[Fixture], None]], Callable[[Fixture], None]]:
        def register(function: Callable[[Fixture], None]) -> Callable[[Fixture], None]:
            self._cases.append((name, function, timeout_s))
            return function

        return register

    def main(self, make_fixture: Callable[[Path], AbstractContextManager[Fixture]]) -> NoReturn:
        """Run the cases against one fixture, made from the build directory; exit with the result."""
        parser = argparse.ArgumentParser()
        parser.add_argument("build", type=Path)
        parser.add_argument("--only", default="*", metavar="PATTERN", help="names, as the shell's *")
        parser.add_argument("--list", action="store_true", help="print the names of the cases")
        arguments = parser.parse_args()
        chosen = [c for c in self._cases if fnmatch.fnmatch(c[0], arguments.only)]
        if not chosen:
            parser.error(f"no case is like '{arguments.only}': --list has their names")
        if arguments.list:
            print("\n".join(name for name, _, _ in chosen))
            sys.exit(0)

        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        signal.signal(signal.SIGALRM, _on_alarm)
        print(f"1..{len(chosen)}", flush=True)
        failed = 0
        try:
            with make_fixture(arguments.build.resolve()) as fixture:
                for number, (name, function, timeout_s) in enumerate(chosen, 1):
                    failed += not self._run(number, name, function, timeout_s, fixture)
                chosen = []
        except Exception:
            note(traceback.format_exc())
            for number, (name, _, _) in enumerate(chosen, 1):
                print(f"not ok {number} - {name} (nothing to test it on)", flush=True)
            failed += 1
        sys.exit(1 if failed else 0)

    @staticmethod
    def _run(
        number: int,
        name: str,
        function: Callable[[Fixture], None],
        timeout_s: int,
        fixture: Fixture,
    ) -> bool:
        start = time.monotonic()
        signal.alarm(timeout_s)
        try:
            function(fixture)
        except Exception:
            signal.alarm(0)
            note(traceback.format_exc())
            diagnosis = getattr(fixture, "diagnosis", None)
            if diagnosis is not None:
                note(diagnosis())
            print(f"not ok {number} - {name}", flush=True)
            return False
        finally:
            signal.alarm(0)
        print(f"ok {number} - {name} # {time.monotonic() - start:.1f} s", flush=True)
        return True
