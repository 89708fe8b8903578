# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own tests of the KVM ABI, tools/testing/selftests/kvm, out of Debian's packages of the kernel's sources.

They are built here, statically, and run in emulated hosts by selftests/kvm-selftests.
"""

import hashlib
import os
import pathlib
import re
import subprocess
import tempfile

from . import cache, debian

SERIES = {"6.1": "bookworm", "7.3": "trixie-backports"}

_PARTS = ["tools", "include", "arch/x86", "scripts", "usr", "Makefile", "Kbuild"]

# Of 6.1's: kvm.h wants a macro that only the kernel's own stddef.h has, and one test a macro of later versions.
_COMPILERS = {"6.1": "gcc -include linux/stddef.h -DTEST_ASSERT_EQ=ASSERT_EQ"}


def _run(command, log, cwd=None):
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    with open(log, "w", encoding="utf-8") as file:
        return subprocess.run(command, cwd=cwd, env=environment, check=False, stdin=subprocess.DEVNULL, stdout=file,
                              stderr=subprocess.STDOUT).returncode


def _programs(folder):
    for path in sorted([*folder.glob("*"), *folder.glob("x86*/*")]):
        if path.is_file() and os.access(path, os.X_OK) and path.suffix not in (".sh", ".c", ".o"):
            yield path


def _make(series):
    def make(path):
        with tempfile.TemporaryDirectory(dir=path.parent, prefix="kvm-selftests.part-") as scratch:
            debian.unpack(SERIES[series], [f"linux-source-{series}"], scratch)
            sources = pathlib.Path(scratch, "usr", "src")
            name = f"linux-source-{series}"
            log = pathlib.Path(scratch, "log")
            patterns = [f"{name}/{part}" for part in _PARTS]
            if _run(["tar", "-C", sources, "-xf", sources / f"{name}.tar.xz", *patterns], log):
                raise cache.Failure(f"can't unpack {name}: {log.read_text(errors='replace')[-500:]}")
            tree = sources / name
            tests = tree / "tools" / "testing" / "selftests" / "kvm"
            # Passed-through devices, of which there are none, by headers of drivers.
            makefile = tests / "Makefile.kvm"
            if makefile.exists():
                lines = makefile.read_text().splitlines(keepends=True)
                makefile.write_text("".join(line for line in lines if not re.search(r"vfio|irq_test", line)))
            jobs = f"-j{len(os.sched_getaffinity(0))}"
            arch = "x86" if makefile.exists() else "x86_64"
            # What does not build is told of by its absence: -k.
            if _run(["make", "-C", tree, jobs, "ARCH=x86", "headers"], log):
                raise cache.Failure(f"the headers of {name} do not build: {log.read_text(errors='replace')[-500:]}")
            _run(["make", "-C", tests, jobs, "-k", f"ARCH={arch}", "LDFLAGS=-static -pthread",
                  f"CC={_COMPILERS.get(series, 'gcc')}"], log)
            path.mkdir()
            for program in _programs(tests):
                subprocess.run(["strip", "-o", path / program.name, program], check=True)
            if not any(path.iterdir()):
                raise cache.Failure(f"the KVM selftests of {name} do not build: {log.read_text(errors='replace')[-500:]}")
    return make


def folder(series):
    """The folder of the programs, by their names."""
    key = hashlib.sha256(pathlib.Path(__file__).read_bytes() +
                         debian.version(SERIES[series], f"linux-source-{series}").encode()).hexdigest()[:8]
    return cache.entry(f"kvm-selftests/{series}-{key}", _make(series),
                       f"building the KVM selftests of Linux {series}, a few minutes")
