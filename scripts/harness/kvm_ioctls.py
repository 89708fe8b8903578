# SPDX-License-Identifier: GPL-2.0-only
"""The unit tests of the Rust crate kvm-ioctls, out of Debian's packages of it and of the crates that it uses.

They are built once, statically, by trixie's cargo in a tree of its own, which is thrown away; bookworm has neither the
crate nor a compiler that is new enough. selftests/kvm-ioctls runs them.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

from . import cache, debian, toolchain

_SUITE = "trixie"
_CRATE = "librust-kvm-ioctls-dev"
_PACKAGES = [_CRATE, "librust-byteorder-dev", "cargo", "gcc", "libc6-dev", "dash", "coreutils"]
_REGISTRY = "usr/share/cargo/registry"
_TARGET = "x86_64-unknown-linux-gnu"        # named, since a target that is the build's own has its flags in build scripts, too
_CONFIG = f"""[source.crates-io]
replace-with = "debian"
[source.debian]
directory = "/{_REGISTRY}"
[build]
target = "{_TARGET}"
rustflags = ["-C", "target-feature=+crt-static"]
"""


def _make(path):
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="kvm-ioctls.part-") as scratch:
        tree = pathlib.Path(scratch, "tree")
        debian.unpack_closure(_SUITE, _PACKAGES, tree)
        crate = tree / "crate"
        shutil.copytree(next((tree / _REGISTRY).glob("kvm-ioctls-*")), crate)
        (crate / ".cargo").mkdir(exist_ok=True)
        (crate / ".cargo/config.toml").write_text(_CONFIG, encoding="ascii")
        shell = tree / "usr/bin/sh"
        if not shell.exists():
            shell.symlink_to("dash")
        # Build scripts are linked by "cc", which Debian's packages leave to alternatives.
        (tree / "usr/bin/cc").symlink_to("gcc")
        (tree / "tmp").mkdir(exist_ok=True)
        jobs = len(os.sched_getaffinity(0))
        done = subprocess.run([*toolchain.enter(tree), "env", "-i", "PATH=/usr/bin", "HOME=/tmp", "sh", "-c",
                               f"cd /crate && cargo test --no-run --offline --lib -j {jobs}"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        programs = [found for found in (crate / "target" / _TARGET / "debug/deps").glob("kvm_ioctls-*")
                    if os.access(found, os.X_OK)]
        if done.returncode or len(programs) != 1:
            raise cache.Failure(f"the tests of kvm-ioctls do not build:\n{done.stderr[-2000:]}")
        subprocess.run(["strip", "-o", path, *programs], check=True)


def program():
    """The test program: a static one, which says with --list what it has."""
    key = hashlib.sha256(pathlib.Path(__file__).read_bytes() +
                         debian.version(_SUITE, _CRATE).encode()).hexdigest()[:8]
    return cache.entry(f"kvm-ioctls/{key}", _make, "downloading a Rust compiler to build the tests of kvm-ioctls, 190 MB")
