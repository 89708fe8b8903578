# SPDX-License-Identifier: GPL-2.0-only
"""The compiler that a kernel's modules are built with.

Debian 12's own does for 6.1 and 6.12. What 7.3 was built with is in trixie, so for it a tree with
trixie's compiler is unpacked into the cache, and make runs with that tree as its root.
"""

import os
import shlex

from . import cache, debian, kernels

_PACKAGES = ["gcc-14", "make", "dwarves", "libelf1t64", "libssl3t64", "zstd", "xz-utils", "mawk",
             "dash", "bash", "coreutils", "findutils", "sed", "grep", "diffutils", "perl-base",
             "base-files"]
_LINKS = {"gcc": "gcc-14", "cc": "gcc-14", "awk": "mawk", "sh": "dash"}


def _make(suite):
    def make(path):
        debian.unpack_closure(suite, _PACKAGES, path)
        for name, target in _LINKS.items():
            link = path / "usr" / "bin" / name
            if not link.exists():
                link.symlink_to(target)
        for name in ("proc", "dev", "tmp"):
            (path / name).mkdir(exist_ok=True)
    return make


def enter(tree):
    """The words that go before a command to run it with a tree as its root.

    A mount namespace of its own: as root, or as the root of a user namespace. The repository and the cache are seen
    inside under the paths they have outside; objtool reads /proc.
    """
    namespaces = ["--mount", "--propagation", "unchanged"]
    if os.geteuid() != 0:
        namespaces.insert(0, "--map-root-user")
    # In a chroot the root need not be a mount that could be made private; there it is somebody's own.
    steps = ["set -e", "mount --make-rprivate / 2>/dev/null || :"]
    for folder in ("/proc", "/dev", cache.REPO, cache.root()):
        inside = f"{tree}{folder}"
        steps.append(f"mkdir -p {shlex.quote(inside)}")
        steps.append(f"mount --rbind {shlex.quote(str(folder))} {shlex.quote(inside)}")
    steps.append(f'exec chroot {shlex.quote(str(tree))} "$@"')
    return ["unshare", *namespaces, "sh", "-c", "\n".join(steps), "sh"]


def command(kernel):
    """The words that go before make to build for this kernel."""
    suite = kernel in kernels.SERIES and kernels.SERIES[kernel].toolchain
    if not suite:
        return []
    return enter(cache.entry(f"toolchain/{suite}", _make(suite), f"downloading the compiler of {suite}"))
