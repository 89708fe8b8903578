# SPDX-License-Identifier: GPL-2.0-only
"""Tests of the KVM ABI that others wrote: run in an emulated host, one process each, and held against a list of what is known.

A line of such a list: test; where; "out", not started unless named, or "fails", for a reason that is known; the reason.
Where is a place that the caller names, "all" or "stock": "stock" is the host's stock module, all the others are ours.
"""

import argparse
import dataclasses
import pathlib
import re
import shutil
import subprocess
import tempfile

from . import cache

SKIPPED = 4
KILLED = 137

# In the host: what each test printed, behind bars, then its name, status and seconds.
_SCRIPT = """#!/bin/sh
limit=$1 program=$2
shift 2
[ -c /dev/kvm ] || exit
for t; do
	s=$(date +%s)
	timeout -s KILL $limit $program$t >/tmp/out 2>&1
	status=$?
	tail -n 200 /tmp/out | sed 's/^/| /'
	echo
	echo "@ $t $status $(($(date +%s) - s))"
done
"""


@dataclasses.dataclass
class Suite:
    """A folder or a program."""
    files: list             # what the host is given
    program: str            # what comes before a test's name there
    out: dict               # test to reason: left out
    fails: dict             # test to reason: known to fail
    reasons: tuple          # patterns of lines that say why a test failed, the best one first
    host: list              # words for hostrun
    skipped: str = None     # a pattern in the output of a test that was skipped, where its status does not tell


def parser(description):
    """What all of them are told."""
    found = argparse.ArgumentParser(description=description)
    found.add_argument("--vendor", choices=["amd", "intel"], default="amd", help="the host's CPU (amd)")
    found.add_argument("--kernel", default="6.1", help="the host's kernel (6.1)")
    found.add_argument("--kvm", action="store_true", help="on the host's stock module")
    found.add_argument("--seconds", type=int, help="limit for each test (90; 400 on Intel hosts)")
    found.add_argument("tests", metavar="TEST", nargs="*", help="only these, also those that are left out")
    return found


def known(path, kvm, *places):
    """Two dicts of a list, test to reason: left out, and known to fail."""
    found = {"out": {}, "fails": {}}
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        test, where, what, why = line.split(None, 3)
        if where == "stock" and kvm or where in ("all", *places) and (what == "out" or not kvm):
            found[what][test] = why
    return found["out"], found["fails"]


def _reason(text, patterns):
    """The line of a test's output that says most."""
    for pattern in patterns:
        found = re.search(pattern, text, re.MULTILINE)
        if found:
            return found.group().strip()[:140]
    return text.strip().splitlines()[-1][:140] if text.strip() else ""


def _host_command(options, suite, tests, share):
    seconds = options.seconds or (400 if options.vendor == "intel" else 90)
    command = [cache.REPO / "selftests" / "hosts" / "hostrun", "--vendor", options.vendor, "--kernel", options.kernel,
               "--share", share, "--silence", str(seconds + 60), "--timeout", str(len(tests) * seconds + 600), *suite.host]
    command += ["--no-module", "--with-kvm"] if options.kvm else ["--module-args", "kvm_node=1"]
    return [*command, "sh", "run.sh", str(seconds), suite.program, *tests]


def _verdict(suite, test, status, text):
    """What a test came to, and a word on it."""
    if status == SKIPPED or not status and suite.skipped and re.search(suite.skipped, text, re.MULTILINE):
        return "skipped", _reason(text, suite.reasons)
    if not status:
        return "passed", ""
    if test in suite.fails:
        return "skipped", f"fails: {suite.fails[test]}"
    return "failed", "it took too long" if status == KILLED else _reason(text, suite.reasons)


def run(options, suite, tests):
    """Run tests and print what comes of each; returns the exit status."""
    if not options.kvm:
        subprocess.run([cache.REPO / "scripts" / "build-module", options.kernel], check=True, stdout=subprocess.DEVNULL)
    count = {"passed": 0, "failed": 0, "skipped": 0}
    width = max(36, *map(len, tests))
    with tempfile.TemporaryDirectory(dir=cache.root()) as share:
        for file in suite.files:
            shutil.copy(file, share)
        pathlib.Path(share, "run.sh").write_text(_SCRIPT, encoding="ascii")
        with subprocess.Popen(_host_command(options, suite, tests, share), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True, errors="replace") as host:
            left = set(tests)
            text = ""
            for line in host.stdout:
                found = re.fullmatch(r"@ (\S+) (\d+) (\d+)\n", line)
                if line.startswith("| "):
                    text += line.removeprefix("| ")
                elif found:
                    test, status, seconds = found.group(1), int(found.group(2)), found.group(3)
                    left.discard(test)
                    verdict, said = _verdict(suite, test, status, text)
                    count[verdict] += 1
                    print(f"{verdict:<8}{test:<{width}}{seconds:>4} s  {said}", flush=True)
                    text = ""
                elif line.strip():
                    print(line, end="", flush=True)
        if left or host.returncode:
            print(f"FAILED: hostrun ended with {host.returncode}, without {', '.join(sorted(left)) or 'a test missing'}")
            count["failed"] += max(1, len(left))
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 1 if count["failed"] else 0
