# SPDX-License-Identifier: GPL-2.0-only
"""Guests: Debian's own kernel, a busybox userland and a disk, as vmm is given them."""

import pathlib
import shutil
import subprocess

from . import cache, cpio, initramfs, kernels, terminal

KERNEL = "6.1"
_INIT = cache.REPO / "scripts" / "guest" / "init"
_MODULES = ["virtio_pci", "virtio_blk", "ext4", "crc32c_generic"]
_DISK_MIB = 64


def initrd(command=None, disk=True):
    """The bytes of a guest's initramfs; `command` is a script to run instead of a shell."""
    archive = cpio.Archive()
    archive.folder("guest")
    if disk:
        archive.file("guest/disk", "")
    if command is None:
        archive.file("guest/size", terminal.size(0))
    else:
        archive.file("guest/command", command + "\n")
    return initrd_base() + archive.bytes()


def initrd_base():
    """The part of a guest's initramfs that is the same for all; /guest may be added behind it."""
    return initramfs.base(kernels.image(KERNEL), _MODULES, _INIT).read_bytes()


def modules(names):
    """To be added behind that: more modules in /guest/modules, in the order of their names."""
    archive = cpio.Archive()
    for number, (name, data) in enumerate(kernels.image(KERNEL).load_order(names).items()):
        archive.file(f"guest/modules/{number:02}-{name}.ko", data)
    return archive.bytes()


def cmdline(interactive):
    """The kernel's command line: with a command, only a panic may mix with the command's output."""
    quiet = "quiet" if interactive else "quiet loglevel=1"
    return f"console=ttyS0 {quiet} panic=-1 cryptomgr.notests audit=0"


def make_disk(path):
    """Make an empty ext4 file system in a file that takes little space."""
    mke2fs = shutil.which("mke2fs", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if not mke2fs:
        raise cache.Failure("there is no mke2fs: run scripts/deps host")
    subprocess.run([mke2fs, "-q", "-t", "ext4", "-E", "lazy_itable_init=1,root_owner=0:0", path,
                    f"{_DISK_MIB}M"], check=True, stdout=subprocess.DEVNULL)


def kernel_file(folder, native):
    """Put the guest's kernel into a folder; returns its path.

    Emulated, the ELF kernel is booted, since decompressing itself would cost it many seconds.
    """
    image = kernels.image(KERNEL)
    source = image.vmlinuz if native else image.vmlinux
    return pathlib.Path(shutil.copy(source, pathlib.Path(folder) / source.name))
