# SPDX-License-Identifier: GPL-2.0-only
"""Reading what a test program prints: TAP, and KTAP (Documentation/dev-tools/ktap.rst).

Only lines at the outermost level count; an indented subtest is summed up by its own outer line.
"""

import dataclasses
import re

_PLAN = re.compile(r"1\.\.(\d+)(?:\s+#\s*SKIP\b\s*(.*))?", re.IGNORECASE)
_RESULT = re.compile(r"(not )?ok\b(?:\s+(\d+))?(?:\s*-)?\s*(.*)")
_SKIP = re.compile(r"(.*?)\s*#\s*SKIP\b:?\s*(.*)", re.IGNORECASE)

KSFT_FAIL = 1       # exit statuses of kselftest programs
KSFT_SKIP = 4


@dataclasses.dataclass
class Verdict:
    """What one program's run came to; `failures` has a line for each thing that went wrong."""
    passed: int = 0
    skipped: int = 0
    failures: list = dataclasses.field(default_factory=list)


def _lines(output, verdict):
    """Count the results in the output; returns the plan (None: there is none) and the names seen."""
    plan = None
    seen = 0
    for line in output.splitlines():
        if match := _PLAN.fullmatch(line.rstrip()):
            if plan is not None:
                verdict.failures.append("more than one plan")
            plan = int(match[1])
            if plan == 0:
                verdict.skipped += 1
        elif match := _RESULT.fullmatch(line.rstrip()):
            seen += 1
            name = match[3] or f"number {match[2]}"
            skip = _SKIP.fullmatch(match[3])
            if match[1]:
                verdict.failures.append(f"not ok: {name}")
            elif skip:
                verdict.skipped += 1
            else:
                verdict.passed += 1
        elif line.startswith("Bail out!"):
            verdict.failures.append(line.rstrip())
    return plan, seen


def read(output, status):
    """The verdict on a program that printed `output` and ended with exit status `status`.

    A status of None: it did not end by itself. A program that dies, or has fewer results than its plan
    says, or has no plan, has failed, whatever its results say.
    """
    verdict = Verdict()
    plan, seen = _lines(output, verdict)
    if status is None:
        verdict.failures.append("did not end")
    elif status == KSFT_SKIP and not seen and plan is None:
        verdict.skipped += 1
        return verdict
    elif status >= 128:
        verdict.failures.append(f"died with status {status} (signal {status - 128})")
    elif status and not (status == KSFT_FAIL and verdict.failures):
        verdict.failures.append(f"ended with status {status}")
    if plan is None:
        verdict.failures.append("printed no plan")
    elif seen != plan:
        verdict.failures.append(f"{seen} results where {plan} were planned")
    return verdict
