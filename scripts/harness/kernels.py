# SPDX-License-Identifier: GPL-2.0-only
"""Kernels in the cache: bootable images, their modules, and headers to build against."""

import dataclasses
import os
import pathlib
import struct
import subprocess
import tempfile

from . import cache, debian, debug_kernel


@dataclasses.dataclass(frozen=True)
class Series:
    """Where one kernel line comes from, and in which tree modules for it are compiled."""
    suite: str
    toolchain: str | None = None    # a suite whose compiler is needed, None: the machine's own


SERIES = {
    "6.1": Series("bookworm"),
    "6.12": Series("bookworm-backports"),
    "7.3": Series("trixie-backports", toolchain="trixie"),
}

NATIVE = "native"               # in place of a series: the kernel that runs here
DEBUG = "debug"                 # likewise: one that looks for mistakes, of Debian's 6.1

# A kernel is in several packages, and into how many it is split differs between suites.
_PREFIXES = tuple(f"linux-{part}-" for part in
                  ("image", "binary", "modules", "base", "headers", "kbuild"))

# Decompressors by the first bytes of a compressed kernel or module.
_MAGIC = {
    b"\xfd7zXZ\0": ["xz", "-dc", "--single-stream"],
    b"\x28\xb5\x2f\xfd": ["zstd", "-dc"],
    b"\x1f\x8b": ["gzip", "-dc"],
}


def _series(kernel):
    if kernel not in SERIES:
        raise cache.Failure(f"unknown kernel '{kernel}'; there are {', '.join(SERIES)} and {DEBUG}")
    return SERIES[kernel]


def _decompress(data):
    for magic, command in _MAGIC.items():
        if data.startswith(magic):
            # A bzImage's payload has the unpacked size behind it: a warning about it, not an error.
            done = subprocess.run(command, input=data, capture_output=True, check=False)
            if not done.stdout:
                raise cache.Failure(f"{command[0]}: {done.stderr.decode().strip()}")
            return done.stdout
    return data


def _vmlinux(image):
    """The ELF kernel inside a bzImage (Documentation/arch/x86/boot.rst: payload_offset).

    Unpacking it here saves the emulated machine many seconds; it is booted by PVH.
    """
    setup_sectors = image[0x1f1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    vmlinux = _decompress(image[start:start + length])
    if not vmlinux.startswith(b"\x7fELF"):
        raise cache.Failure("the kernel image holds no ELF kernel")
    return vmlinux


class Image:
    """A kernel in the cache.

    folder: holds vmlinuz, vmlinux, System.map, config, lib/modules/RELEASE/ and usr/src/
    release: what uname -r prints
    headers: the folder to build modules against
    """

    def __init__(self, folder):
        self.folder = folder
        self.vmlinuz = folder / "vmlinuz"
        self.vmlinux = folder / "vmlinux"
        self.release = (folder / "release").read_text(encoding="ascii").strip()
        self.modules = folder / "lib" / "modules" / self.release
        self.headers = folder / "usr" / "src" / f"linux-headers-{self.release}"
        self._paths = None

    def _path(self, name):
        if self._paths is None:
            self._paths = {path.name.split(".ko")[0].replace("-", "_"): path
                           for path in self.modules.glob("kernel/**/*.ko*")}
        return self._paths.get(name.replace("-", "_"))

    def load_order(self, names):
        """The modules to load for `names`: those and what they depend on, dependencies first.

        Returns a dict of module name to the module's bytes. A name that the kernel has built in
        is left out.
        """
        order = {}
        builtin = {pathlib.PurePath(line).stem.replace("-", "_") for line in
                   (self.modules / "modules.builtin").read_text(encoding="ascii").split()}

        def visit(name):
            name = name.replace("-", "_")
            if name in order or name in builtin:
                return
            path = self._path(name)
            if not path:
                raise cache.Failure(f"kernel {self.release} has no module {name}")
            data = _quick(_decompress(path.read_bytes()))
            for needed in _modinfo(data, "depends").split(","):
                if needed:
                    visit(needed)
            order[name] = data

        for name in names:
            visit(name)
        return order


def _quick(data):
    """A module without what takes an emulated CPU seconds when it is loaded: the signature, the BTF,
    and the names of its own symbols, which ftrace searches once for each function."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        subprocess.run(["objcopy", "--strip-unneeded", "--remove-section=.BTF", file.name], check=True)
        return pathlib.Path(file.name).read_bytes()


def _modinfo(data, key):
    """The value of a key in a module's .modinfo, strings that each end in a NUL byte."""
    start = data.find(b"\0" + key.encode() + b"=")
    if start < 0:
        return ""
    start += len(key) + 2
    return data[start:data.index(b"\0", start)].decode()


def image(kernel):
    """The kernel of a series ("6.1") with its headers, downloaded on first use; DEBUG is built."""
    if kernel == DEBUG:
        return Image(debug_kernel.folder())
    series = _series(kernel)

    def make(path):
        tree = path.with_name(path.name + "-tree")
        debian.unpack(series.suite, _packages(series.suite), tree)
        modules = next(found for found in (tree / "lib/modules", tree / "usr/lib/modules")
                       if found.exists())
        release = next(modules.iterdir()).name
        path.mkdir()
        for name in ("vmlinuz", "System.map", "config"):
            places = (modules / release / name, tree / "boot" / f"{name}-{release}")
            next(place for place in places if place.exists()).rename(path / name)
        (path / "vmlinux").write_bytes(_vmlinux((path / "vmlinuz").read_bytes()))
        (path / "release").write_text(release + "\n", encoding="ascii")
        (path / "lib").mkdir()
        modules.rename(path / "lib" / "modules")
        (tree / "usr").rename(path / "usr")
        _relocate(path / "usr" / "src" / f"linux-headers-{release}", entry)
        cache.remove(tree)

    name = f"kernel/{kernel}"
    entry = cache.root() / name
    return Image(cache.entry(name, make, f"downloading Debian's kernel {kernel}"))


def extra_args(kernel):
    """Words that a kernel wants on its command line wherever it is booted."""
    return debug_kernel.KERNEL_ARGS if kernel == DEBUG else []


def headers(kernel):
    """The folder to build modules for a kernel against: a series, DEBUG or NATIVE."""
    if kernel != NATIVE:
        return image(kernel).headers
    folder = pathlib.Path("/lib/modules") / os.uname().release / "build"
    if not folder.exists():
        raise cache.Failure(f"the running kernel's headers are missing ({folder}): install "
                            f"linux-headers-{os.uname().release}")
    return folder


def _packages(suite):
    """The packages that Debian's meta packages for an amd64 kernel and its headers stand for."""
    found = []
    todo = ["linux-image-amd64", "linux-headers-amd64"]
    while todo:
        name = todo.pop()
        if name not in found and name.startswith(_PREFIXES):
            found.append(name)
            todo += debian.depends(suite, name)
    return found


def _relocate(headers, folder):
    """Make headers, which name each other by absolute path, usable inside `folder`."""
    makefile = headers / "Makefile"
    makefile.write_text(makefile.read_text(encoding="ascii").replace(
        "/usr/src/", f"{folder}/usr/src/"), encoding="ascii")
