# SPDX-License-Identifier: GPL-2.0-only
"""A host kernel that looks for mistakes, out of Debian's linux-source-6.1: `make debug-kernel`.

KASAN, UBSAN, lockdep, kmemleak, debugging of objects and lists, fault injection: what is in it says
selftests/hosts/debug.config. The entry in the cache is named for that file, this one, and the version of
the sources; it looks like that of Debian's own kernels (kernels.py), with the tree it was built in as headers.
"""

import hashlib
import os
import pathlib
import re
import subprocess
import time

from . import cache, debian

_SUITE = "bookworm"
_PACKAGE = "linux-source-6.1"
_CONFIG = cache.REPO / "selftests" / "hosts" / "debug.config"

# What runs before KASAN's shadow is mapped, on the way in by PVH, must not be instrumented; the kernel
# itself sees to that only where memory encryption is configured.
_NOT_INSTRUMENTED = {
    "lib/Makefile": "KASAN_SANITIZE_string.o := n\nCFLAGS_string.o += -fno-stack-protector\n",
    "arch/x86/platform/pvh/Makefile": "KASAN_SANITIZE := n\n",
}

# Words for the kernel's command line. Without the first kmemleak would only say that it is off.
KERNEL_ARGS = ["kmemleak=on"]

_PROGRESS_S = 60


def _key():
    parts = [_CONFIG.read_bytes(), pathlib.Path(__file__).read_bytes(),
             debian.version(_SUITE, _PACKAGE).encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:8]


def _make(tree, *words, log):
    """Run the kernel's make, and say now and then how far it is."""
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    jobs = len(os.sched_getaffinity(0))
    begun = said = time.monotonic()
    done = 0
    with open(log, "w", encoding="utf-8", errors="replace") as file:
        process = subprocess.Popen(["make", "-C", tree, f"-j{jobs}", *words], env=environment,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, errors="replace")
        for line in process.stdout:
            file.write(line)
            done += 1
            if time.monotonic() > said + _PROGRESS_S:
                said = time.monotonic()
                cache.say(f"{(said - begun) / 60:.0f} min: {done} steps of about 2100")
    if process.wait():
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
        raise cache.Failure("the debug kernel does not build:\n" + "\n".join(tail))


def _configure(tree, log):
    """Write .config; every option that debug.config asks for has to be in it."""
    _make(tree, f"KCONFIG_ALLCONFIG={_CONFIG}", "allnoconfig", log=log)
    made = set((tree / ".config").read_text(encoding="utf-8").splitlines())
    wanted = [line for line in _CONFIG.read_text(encoding="utf-8").splitlines()
              if line.startswith("CONFIG_")]
    missing = [line for line in wanted if line not in made]
    if missing:
        raise cache.Failure(f"{_CONFIG.name} asks for what cannot be had: {', '.join(missing)}")


def _prune(tree):
    """Leave of the tree what modules are built with."""
    keep = ("scripts", "tools", "include", "arch/x86/include")
    for path in tree.rglob("*"):
        name = str(path.relative_to(tree))
        if path.is_symlink() or not path.is_file() or name.startswith(keep):
            continue
        if re.search(r"(\.[coSa]|\.o\.cmd|\.ko|\.mod|\.dts.?|\.rst|/vmlinux.*|/bzImage)$", name):
            path.unlink()
    for name in ("Documentation", "drivers", "sound", "vmlinux", "vmlinux.o", ".tmp_vmlinux.kallsyms1", ".tmp_vmlinux.kallsyms2"):
        if (tree / name).exists():
            cache.remove(tree / name)


def _unpack(path):
    """The sources, made ready to be built; returns their folder."""
    scratch = path.with_name(path.name + "-tree")
    debian.unpack(_SUITE, [_PACKAGE], scratch)
    archive = next((scratch / "usr/src").glob("linux-source-*.tar.xz"))
    tree = path / "usr" / "src" / "linux-headers-debug"
    tree.mkdir(parents=True)
    subprocess.run(["tar", "-x", "--no-same-owner", "--strip-components=1", "-C", tree, "-f", archive],
                   check=True)
    cache.remove(scratch)
    for name, lines in _NOT_INSTRUMENTED.items():
        with open(tree / name, "a", encoding="utf-8") as file:
            file.write(lines)
    return tree


def _install(path, tree):
    """Put what was built where kernels.Image looks for it."""
    release = (tree / "include/config/kernel.release").read_text(encoding="ascii").strip()
    _make(tree, f"INSTALL_MOD_PATH={path}", "modules_install", log=path / "install.log")
    for link in ("build", "source"):
        (path / "lib/modules" / release / link).unlink(missing_ok=True)
    (tree / "arch/x86/boot/bzImage").rename(path / "vmlinuz")
    subprocess.run(["strip", "-o", path / "vmlinux", tree / "vmlinux"], check=True)
    (tree / "System.map").rename(path / "System.map")
    (path / "config").write_bytes((tree / ".config").read_bytes())
    (path / "release").write_text(release + "\n", encoding="ascii")
    _prune(tree)
    tree.rename(tree.with_name(f"linux-headers-{release}"))


def _build(path):
    path.mkdir()
    tree = _unpack(path)
    log = path / "build.log"
    _configure(tree, log)
    _make(tree, "bzImage", "modules", log=log)
    _install(path, tree)


def folder():
    """The kernel's folder in the cache, built first when it is not there: 20 minutes of two CPUs."""
    return cache.entry(f"kernel/debug-{_key()}", _build, "building the debug kernel, 20 minutes or more")
