# SPDX-License-Identifier: GPL-2.0-only
"""The QEMU that emulates an AMD host.

QEMU 10 of bookworm-backports is unpacked into the cache: 7.2 of bookworm works too, but can abort in
an assertion (tcg_handle_interrupt) while its guest is itself running a guest. The libraries are those
that bookworm's qemu-system-x86 depends on. OSTLER_QEMU names another binary.
"""

import os
import pathlib
import shutil
import subprocess

from . import cache, debian

_SUITE = "bookworm-backports"
_PACKAGES = ["qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios"]


def _make(path):
    debian.unpack(_SUITE, _PACKAGES[:3], path)
    debian.unpack("bookworm", _PACKAGES[3:], path)


def _works(command):
    try:
        return subprocess.run([*command, "--version"], capture_output=True, check=False,
                              timeout=30).returncode == 0
    except OSError:
        return False


def command():
    """The words that start QEMU: the binary and where its firmware is."""
    own = os.environ.get("OSTLER_QEMU")
    if own:
        if not _works([own]):
            raise cache.Failure(f"OSTLER_QEMU={own} does not run")
        return [own]
    try:
        tree = cache.entry("qemu/10.0", _make, "downloading QEMU 10 from bookworm-backports")
        words = [str(tree / "usr/bin/qemu-system-x86_64"),
                 "-L", str(tree / "usr/share/qemu"), "-L", str(tree / "usr/share/seabios")]
        if _works(words):
            return words
        cache.say("QEMU 10 does not start here (a library is missing?), trying the machine's own")
    except cache.Failure as failure:
        cache.say(f"no QEMU 10: {failure}; trying the machine's own")
    system = shutil.which("qemu-system-x86_64")
    if not system:
        raise cache.Failure("there is no QEMU: run scripts/deps host")
    return [str(pathlib.Path(system))]
