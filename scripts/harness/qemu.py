# SPDX-License-Identifier: GPL-2.0-only
"""Hosts emulated by QEMU's TCG: AMD ones.

QEMU 10 of bookworm-backports is unpacked into the cache: 7.2 of bookworm works too, but can abort in
an assertion (tcg_handle_interrupt) while its guest is itself running a guest. The libraries are those
that bookworm's qemu-system-x86 depends on. OSTLER_QEMU names another binary.
"""

import contextlib
import hashlib
import os
import pathlib
import shutil
import subprocess

from . import cache, debian, emulator

_SUITE = "bookworm-backports"
_PACKAGES = ["qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios"]
_BREAK = b"\x01b"               # to the multiplexer of the console: a break
_BENCH = cache.REPO / "selftests" / "bench"
_IRQS = (4, 3, 10, 11)          # a PC's third and fourth port share the first two's; these do not


def _make(path):
    debian.unpack(_SUITE, _PACKAGES[:3], path)
    debian.unpack("bookworm", _PACKAGES[3:], path)


def _works(command):
    try:
        return subprocess.run([*command, "--version"], capture_output=True, check=False,
                              timeout=30).returncode == 0
    except OSError:
        return False


def _command():
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


_PASSED_DISK_SIZE = 16 << 20


def _plugin():
    """The plugin that counts instructions; it needs QEMU 9.1 or newer."""
    sources = [_BENCH / name for name in ("count.c", "dear.h", "marker.h", "plugin_api.h")]

    def make(path):
        if subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", path, sources[0]],
                          stdin=subprocess.DEVNULL, check=False).returncode:
            raise cache.Failure(f"{sources[0]} cannot be compiled: run scripts/deps build")

    key = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:8]
    return cache.entry(f"qemu/count-{key}.so", make)


class Qemu(emulator.Emulator):
    """A host of QEMU's; it boots the ELF kernel by PVH, or, where it is to suspend, the bzImage by firmware."""
    name = "QEMU"
    vendors = ("amd",)
    shares = True
    modules = ("virtio_pci", "9pnet_virtio", "9p")

    def __init__(self, options):
        super().__init__(options)
        self._monitor = b""
        if options.suspends:
            # Without CPU 0, which takes no part in scheduling, no CPU is left to schedule on, and the kernel
            # crashes. And once QEMU has been suspended, nothing comes of switching it off.
            options.cpus = 1
            self.ends_by = "reboot"

    def spare_cpus(self):
        """CPU 0 must run no guest where there are others:
        FXRSTOR and XRSTOR on any CPU clear IGNNE in CPU 0's hflags2 (cpu_clear_ignne()), in which
        SVM's GIF and nested paging are kept as well, and no lock orders that with CPU 0's own
        writes. When they meet, a #VMEXIT leaves nested paging on for the host, or CLGI or STGI
        does nothing."""
        return 1 if self.options.cpus > 1 else 0

    def _passed_through(self, disk):
        """An IOMMU, which has to come before other devices, and what is behind it for a guest: an NVMe disk in memory."""
        coherent = "on" if self.options.passthrough == "coherent" else "off"
        return ["-device", f"intel-iommu,intremap=on,aw-bits=48,snoop-control={coherent}",
                "-drive", f"if=none,id=passed,format=raw,file=/proc/self/fd/{disk},file.locking=off",
                "-device", "nvme,drive=passed,serial=ostler,addr=0x10"]

    def check(self):
        if self.options.emulator_log:
            raise cache.Failure("--emulator-log: QEMU has no such log; Bochs has (--emulator bochs)")
        for name in ("share", "userland", "count", "profile"):
            folder = getattr(self.options, name)
            if folder is not None and "," in str(folder.resolve()):
                raise cache.Failure(f"--{name} {folder}: a comma in the name is not supported")
        if self.options.profile and not self.options.count:
            raise cache.Failure("--profile needs --count here")

    def kernel_args(self):
        words = []
        if self.options.icount or self.options.gdb:
            words.append("nokaslr")
        if self.spare_cpus():
            words.append("isolcpus=0")
        if self.options.passthrough:
            words.append("intel_iommu=on,sm_off")
        return words

    def _file_sharing(self):
        options = self.options
        shared = []
        if not options.pack:
            cache.BUILD.mkdir(exist_ok=True)
            shared.append(("build", cache.BUILD, True))
            if options.share:
                shared.append(("share", options.share, False))
        if options.userland:
            shared.append(("userland", options.userland, True))
        words = []
        for tag, folder, readonly in shared:
            words += ["-fsdev", f"local,id={tag},path={folder.resolve()},security_model=none,"
                      f"multidevs=remap,readonly={'on' if readonly else 'off'}",
                      "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
        return words

    def _kernel(self, image):
        """An ELF kernel is in memory again after each reset, also the one that ends suspend to RAM."""
        return image.vmlinuz if self.options.suspends else image.vmlinux

    def start(self, image, initrd, cmdline):
        options = self.options
        others = self._sockets(emulator.PORTS + 1)
        archive = os.memfd_create("initrd")
        with os.fdopen(archive, "wb", closefd=False) as file:
            file.writelines(initrd)
        words = [*_command(), "-nodefaults", "-no-user-config", "-M", "q35",
                 "-display", "none", "-cpu", options.cpu or "EPYC,+svm,+npt,+pku",
                 "-smp", str(options.cpus + self.spare_cpus()),
                 "-m", options.memory, "-kernel", str(self._kernel(image)),
                 "-initrd", f"/proc/self/fd/{archive}", "-append", cmdline]
        if not options.reboots:
            words.append("-no-reboot")
        passed = [archive]
        if options.passthrough:
            passed.append(os.memfd_create("disk"))
            os.truncate(passed[-1], _PASSED_DISK_SIZE)
            words += self._passed_through(passed[-1])
        if options.icount:
            words += ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off",
                      "-rtc", "base=2026-01-01,clock=vm", "-seed", "1"]
        else:
            words += ["-accel", "tcg,thread=multi"]
        for index, irq in enumerate(_IRQS):
            mux = ",mux=on" if index == 0 else ""
            words += ["-chardev", f"socket,id=port{index},fd={others[index].fileno()}{mux}",
                      "-device", f"isa-serial,chardev=port{index},index={index},irq={irq}"]
        words += ["-chardev", f"socket,id=monitor,fd={others[-1].fileno()}",
                  "-mon", "chardev=monitor,mode=readline"]
        if options.count:
            words += ["-plugin", f"{_plugin()},out={options.count.resolve()}" +
                      (f",profile={options.profile.resolve()}" if options.profile else "")]
        if options.gdb:
            words += ["-gdb", "tcp:127.0.0.1:1234"]
        process = self._spawn(words + self._file_sharing(), others, passed)
        for file in passed:
            os.close(file)
        self.more = [(self.ports[-1], self._hear)]
        return process

    def _hear(self, data):
        self._monitor += data

    def interrupt_console(self, key):
        with contextlib.suppress(OSError):
            self.ports[0].send(_BREAK + key)

    def ask(self):
        for _ in range(3):
            with contextlib.suppress(OSError):
                self.ports[-1].send(b"info registers -a\n")
            yield

    def registers(self):
        lines = self._monitor.decode(errors="replace").replace("\r", "").splitlines()
        wanted = ("CPU#", "RIP=", "RAX=", "RSI=", "CR0=", "CR3", "CS =", "EFER=", "GDT=")
        return [line for line in lines if line.startswith(wanted)]

    def remarks(self, noise):
        return [line for line in super().remarks(noise)
                if "TCG doesn't support requested feature" not in line]
