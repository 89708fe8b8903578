# SPDX-License-Identifier: GPL-2.0-only
"""What some tests of foreign VMMs want beside the tree of foreign.py: a function each, which adds it to a copy of that.

A test names its tree in its first comment, "tree: libvirt".
"""

import hashlib
import pathlib
import shutil

from . import cache, debian, foreign

_SUITE = "bookworm"
_LIBVIRT = ["libvirt-daemon", "libvirt-daemon-driver-qemu", "libvirt-clients", "qemu-system-x86", "bsdutils",
            "util-linux"]
_LIBVIRT_PROGRAMS = ["usr/sbin/libvirtd", "usr/sbin/dmidecode", "usr/bin/virsh", "usr/bin/script", "usr/bin/unshare",
                     "usr/lib/libvirt/libvirt_iohelper",
                     "usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so",
                     "usr/lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so"]


def _libvirt(tree, scratch):
    """libvirtd with its driver for QEMU, which it loads by name, virsh, script, which is a terminal for that, and unshare.

    The QEMU is Debian 12's, in its usual place; its TCG is for what libvirt asks it at first. The packages' scripts would
    have added the users.
    """
    debian.unpack_closure(_SUITE, _LIBVIRT, scratch)
    for name in _LIBVIRT_PROGRAMS:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(scratch / name, tree / name)
    foreign.copy_libraries(scratch, [scratch / name for name in _LIBVIRT_PROGRAMS], tree)
    shutil.copytree(scratch / "usr/share/libvirt/cpu_map", tree / "usr/share/libvirt/cpu_map")
    (tree / "opt/qemu-7").rename(tree / "usr/bin/qemu-system-x86_64")
    (tree / "usr/share/qemu").symlink_to("/opt/qemu-7.firmware")
    with open(tree / "etc/passwd", "a", encoding="ascii") as file:
        file.write("libvirt-qemu:x:64055:64055::/var/lib/libvirt:/bin/false\n")
    with open(tree / "etc/group", "a", encoding="ascii") as file:
        file.write("libvirt-qemu:x:64055:\ntty:x:5:\n")


_OVMF = {"OVMF_CODE_4M.fd": "ovmf.fd", "OVMF_CODE_4M.secboot.fd": "ovmf-secboot.fd", "OVMF_VARS_4M.fd": "ovmf-variables.fd"}


def _uefi(tree, scratch):
    """OVMF, with and without Secure Boot, and an empty store for variables."""
    debian.unpack(_SUITE, ["ovmf"], scratch)
    for source, name in _OVMF.items():
        shutil.copy(scratch / "usr/share/OVMF" / source, tree / "opt/guests" / name)


def _installer(tree, scratch):
    """The kernel and the initrd of Debian's installer, as they are booted from a network."""
    debian.unpack(_SUITE, ["debian-installer-12-netboot-amd64"], scratch)
    folder = next(scratch.glob("usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64"))
    for name in ("linux", "initrd.gz"):
        shutil.copy(folder / name, tree / "opt/guests" / f"installer-{name}")


def _gvisor(tree, scratch):
    """gVisor's runsc, a static program; of trixie, for bookworm's is of 2022."""
    debian.unpack("trixie", ["runsc"], scratch)
    shutil.copy(scratch / "usr/bin/runsc", tree / "bin/runsc")


_ADDITIONS = {"libvirt": _libvirt, "uefi": _uefi, "installer": _installer, "gvisor": _gvisor}


def tree(name):
    """A tree by its name, a folder in the cache; without a name that of foreign.py."""
    base = foreign.tree()
    if not name:
        return base
    add = _ADDITIONS.get(name)
    if not add:
        raise cache.Failure(f"there is no tree '{name}' of foreign VMMs")

    def make(path):
        scratch = path.with_name(path.name + "-packages")
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.copytree(base, path, symlinks=True)
        add(path, scratch)
        cache.remove(scratch)

    key = hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()[:8]
    return cache.entry(f"foreign/{base.name}-{name}-{key}", make, f"downloading {name} for tests with stock QEMU")
