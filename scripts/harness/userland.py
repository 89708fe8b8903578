# SPDX-License-Identifier: GPL-2.0-only
"""A whole Debian userland for guests, with systemd, as a disk image; and what checks such an image."""

import hashlib
import os
import pathlib
import shutil
import subprocess

from . import cache, debian, guest, kernels

_SUITE = "bookworm"
_PACKAGES = ["systemd-sysv", "udev", "dbus", "kmod", "e2fsprogs", "login"]
_MODULES = ["autofs4"]          # of those that systemd asks for, the one it does not do without
_IMAGE_MIB = 256
_SCRIPT = cache.REPO / "scripts" / "guest" / "make-debian"


def debian_image():
    """An ext4 image of Debian's userland, for a guest's /dev/vda: returns its path in the cache.

    root's password is "ostler". Making it wants root, or sudo.
    """
    image = kernels.image(guest.KERNEL)

    def make(path):
        if not shutil.which("debootstrap", path="/usr/sbin:/sbin:/usr/bin:/bin"):
            raise cache.Failure("there is no debootstrap: run scripts/deps test")
        folder = path.with_name(path.name + "-tree")
        modules = folder / "modules" / "lib" / "modules" / image.release
        modules.mkdir(parents=True)
        for name, data in image.load_order(_MODULES).items():
            (modules / f"{name}.ko").write_bytes(data)
        sudo = [] if os.geteuid() == 0 else ["sudo"]
        # What debootstrap mounts ends with it, however it ends.
        done = subprocess.run([*sudo, "unshare", "--mount", _SCRIPT, folder, _SUITE, debian.mirror(_SUITE),
                               debian.KEYRING, ",".join(_PACKAGES), str(_IMAGE_MIB)], stdin=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise cache.Failure(f"debootstrap failed:\n{done.stderr}")
        (folder / "image").rename(path)
        cache.remove(folder)

    key = hashlib.sha256("\n".join([_SUITE, *_PACKAGES, *_MODULES, str(_IMAGE_MIB), image.release,
                                    _SCRIPT.read_text(encoding="utf-8")]).encode()).hexdigest()[:8]
    return cache.entry(f"userland/{_SUITE}-{key}", make, "making a Debian userland by debootstrap")


def e2fsck():
    """Debian's static e2fsck, in the cache."""
    def make(path):
        tree = path.with_name(path.name + "-tree")
        debian.unpack(_SUITE, ["e2fsck-static"], tree)
        (tree / "sbin" / "e2fsck.static").rename(path)
        cache.remove(tree)

    return pathlib.Path(cache.entry("e2fsck", make, "downloading e2fsck"))
