# SPDX-License-Identifier: GPL-2.0-only
"""Stock QEMU as a device model inside an emulated host: a tree with Debian's 10.0 and 7.2, to run tests in.

The tree is small enough for hosts that can share no folder: of the packages it has the programs, the libraries that they
name, and the firmware of x86 machines; and busybox for the tests' own scripts. qemu-10 and qemu-7 in its /bin start them.
Boot loaders and the like, to be their guests, are in /opt/guests. What few tests want is in trees that have more than this
one (foreign_more.py).
"""

import hashlib
import pathlib
import re
import shutil
import subprocess

from . import cache, debian, initramfs

_SUITE = "bookworm"
_CLOSURE = ["qemu-system-x86", "qemu-system-data", "qemu-utils", "seabios", "genisoimage", "grub-pc-bin"]
_TOOLS = ["qemu-img", "qemu-storage-daemon", "genisoimage"]
_GUESTS = ["memtest86+", "isolinux", "syslinux-common"]
_SYSLINUX = "usr/lib/syslinux/modules/bios"
_GUEST_FILES = {"boot/memtest86+x64.bin": "memtest", "usr/lib/ISOLINUX/isolinux.bin": "isolinux/isolinux.bin",
                **{f"{_SYSLINUX}/{name}.c32": f"isolinux/{name}.c32"
                   for name in ("ldlinux", "libcom32", "libutil", "mboot", "menu")}}
# Its menu, grub.cfg, and what that starts are in a tar file, which is the second disk.
_GRUB = "usr/lib/grub/i386-pc"
_GRUB_MODULES = ["biosdisk", "tar", "normal", "serial", "terminal", "multiboot", "boot", "echo"]
_NEWER = {"qemu-10": ("bookworm-backports", ["qemu-system-x86", "qemu-system-data"])}
_FIRMWARE = ["bios-256k.bin", "bios-microvm.bin", "vgabios-stdvga.bin", "kvmvapic.bin", "linuxboot.bin", "linuxboot_dma.bin",
             "multiboot.bin", "multiboot_dma.bin", "pvh.bin", "qboot.rom", "vgabios-bochs-display.bin", "efi-virtio.rom",
             "efi-e1000.rom"]
_BINARY = "usr/bin/qemu-system-x86_64"
_LOADER = "lib64/ld-linux-x86-64.so.2"
_LIBRARIES = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"]
_FOLDERS = ["bin", "dev", "etc", "proc", "sys", "tmp", "run", "root", "host", "lib64", "lib", "var/tmp"]


def _needed(binary):
    """The shared libraries that a program or library names."""
    shown = subprocess.run(["readelf", "-d", binary], capture_output=True, text=True, check=True).stdout
    return re.findall(r"\(NEEDED\).*\[(.*)\]", shown)


def copy_libraries(packages, binaries, tree):
    """Copy into the tree what these programs are linked with, directly or not."""
    todo = list(binaries)
    done = set()
    while todo:
        for name in _needed(todo.pop()):
            if name in done:
                continue
            done.add(name)
            path = next((found for found in (packages / folder / name for folder in _LIBRARIES) if found.exists()), None)
            if not path:
                raise cache.Failure(f"{name} is wanted, which none of the packages has")
            shutil.copy(path, tree / "lib" / name)
            todo.append(path)
    shutil.copy(packages / _LOADER, tree / _LOADER)


def _copy_firmware(packages, folder):
    folder.mkdir(parents=True)
    for name in _FIRMWARE:
        for place in ("usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu"):
            if (packages / place / name).exists():
                shutil.copy(packages / place / name, folder / name)


def _program(tree, name, binary, firmware):
    """Put a QEMU into the tree, and a command in /bin that starts it with its own firmware."""
    (tree / "opt").mkdir(exist_ok=True)
    shutil.copy(binary, tree / "opt" / name)
    subprocess.run(["strip", tree / "opt" / name], check=True)
    _copy_firmware(firmware, tree / "opt" / f"{name}.firmware")
    command = tree / "bin" / name
    command.write_text(f'#!/bin/sh\nexec /opt/{name} -L /opt/{name}.firmware "$@"\n', encoding="ascii")
    command.chmod(0o755)


def _guests(packages, folder):
    """What QEMU is given to run, beside what the tests bring with them."""
    debian.unpack(_SUITE, _GUESTS, packages)
    for source, name in _GUEST_FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(packages / source, folder / name)
    _grub(packages, folder / "grub.img")


def _grub(packages, path):
    """A disk with GRUB: boot.img is its first sector, and looks for the rest in those behind it."""
    core = path.with_name("core.img")
    libraries = ":".join(str(packages / folder) for folder in _LIBRARIES)
    subprocess.run([packages / _LOADER, "--library-path", libraries, packages / "usr/bin/grub-mkimage", "-O", "i386-pc",
                    "-d", packages / _GRUB, "-p", "(hd1)/", "-o", core, *_GRUB_MODULES], check=True)
    disk = (packages / _GRUB / "boot.img").read_bytes() + core.read_bytes()
    path.write_bytes(disk.ljust(1 << 20, b"\0"))
    core.unlink()


def _busybox(tree):
    shutil.copy(initramfs.busybox(), tree / "bin" / "busybox")
    (tree / "bin" / "busybox").chmod(0o755)
    for applet in initramfs.applets():
        link = tree / "bin" / pathlib.PurePath(applet).name
        if not link.exists():
            link.symlink_to("busybox")
    (tree / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n", encoding="ascii")
    (tree / "etc" / "group").write_text("root:x:0:\n", encoding="ascii")


def tree():
    """The tree, a folder in the cache, for hostrun's --userland."""
    def make(path):
        packages = path.with_name(path.name + "-packages")
        shutil.rmtree(packages, ignore_errors=True)
        debian.unpack_closure(_SUITE, _CLOSURE, packages)
        for folder in _FOLDERS:
            (path / folder).mkdir(parents=True, exist_ok=True)
        binaries = [packages / _BINARY, *(packages / "usr/bin" / name for name in _TOOLS)]
        _program(path, "qemu-7", packages / _BINARY, packages)
        for name, (suite, names) in _NEWER.items():
            newer = path.with_name(f"{path.name}-{name}")
            shutil.rmtree(newer, ignore_errors=True)
            debian.unpack(suite, names, newer)
            binaries.append(newer / _BINARY)
            # Debian keeps SeaBIOS and iPXE in packages of their own, of which the older ones do.
            for place in ("usr/share/seabios", "usr/lib/ipxe/qemu"):
                shutil.copytree(packages / place, newer / place)
            _program(path, name, newer / _BINARY, newer)
        for name in _TOOLS:
            shutil.copy(packages / "usr/bin" / name, path / "bin" / name)
        copy_libraries(packages, binaries, path)
        _guests(packages, path / "opt" / "guests")
        _busybox(path)
        for folder in [packages, *(path.with_name(f"{path.name}-{name}") for name in _NEWER)]:
            cache.remove(folder)

    key = hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()[:8]
    return cache.entry(f"foreign/tree-{key}", make, "downloading stock QEMU 7.2 and 10.0 for tests")
