# SPDX-License-Identifier: GPL-2.0-only
"""Initial RAM file systems: a busybox userland, kernel modules, and an init of ours."""

import hashlib
import pathlib
import subprocess

from . import cache, cpio, debian, kernels


def busybox():
    """Debian's static busybox, in the cache."""
    def make(path):
        tree = path.with_name(path.name + "-tree")
        debian.unpack("bookworm", ["busybox-static"], tree)
        binary = next(found for found in (tree / "bin/busybox", tree / "usr/bin/busybox")
                      if found.exists())
        binary.rename(path)
        cache.remove(tree)

    return cache.entry("busybox", make, "downloading busybox")


def base(image, modules, init):
    """The part of an initramfs that is the same for every run: returns the path of an archive.

    It holds busybox with all its applets, /init (a file of the tree), and of the kernel `image` the
    named modules and what they depend on, in /modules; /modules/order lists them in loading order.
    """
    binary = pathlib.Path(busybox()).read_bytes()
    script = pathlib.Path(init).read_bytes()
    key = hashlib.sha256()
    for part in (binary, script, image.release.encode(), " ".join(modules).encode(),
                 str(image.modules.stat().st_mtime_ns).encode(),
                 pathlib.Path(__file__).read_bytes(), pathlib.Path(kernels.__file__).read_bytes()):
        key.update(hashlib.sha256(part).digest())

    def make(path):
        archive = cpio.Archive()
        for folder in ("dev", "proc", "sys", "tmp", "run", "root", "mnt", "etc", "lib", "var/log"):
            archive.folder(folder)
        archive.device("dev/console", 5, 1)
        archive.device("dev/null", 1, 3, 0o666)
        archive.file("bin/busybox", binary, 0o755)
        for applet in applets():
            archive.link(applet, "/bin/busybox")
        archive.file("init", script, 0o755)
        archive.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
        archive.file("etc/group", "root:x:0:\n")
        order = image.load_order(modules)
        for name, data in order.items():
            archive.file(f"modules/{name}.ko", data)
        archive.file("modules/order", "".join(f"{name}\n" for name in order))
        path.write_bytes(archive.bytes())

    return cache.entry(f"initramfs/{pathlib.Path(init).name}-{key.hexdigest()[:16]}", make)


def applets():
    done = subprocess.run([busybox(), "--list-full"], capture_output=True, text=True, check=True)
    return [path for path in done.stdout.split() if path != "bin/busybox"]
