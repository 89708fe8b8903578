# SPDX-License-Identifier: GPL-2.0-only
"""Hosts emulated by Bochs: Intel ones, and a second kind of AMD ones.

Bochs has no device to share folders by, so all that the host needs is in its initramfs. Kernel and
initramfs are put into its memory before it starts, and an option ROM (selftests/hosts/bootrom.S) enters
the kernel by PVH as soon as the BIOS has set up its tables: there is no disk and no boot loader.
"""

import contextlib
import hashlib
import os
import re
import signal
import struct
import subprocess
import tempfile
import time

from . import bochs_build, cache, emulator

_ROM = cache.REPO / "selftests" / "hosts" / "bootrom.S"
_ROM_PADDR = 0xd0000
_ROM_SIZE = 512

# Where things lie in the host's memory; the kernel itself wants to be at 16M.
_INFO_PADDR = 0x800000
_INITRD_PADDR = 0x8000000

# In the area at _INFO_PADDR: struct hvm_start_info, then these.
_ENTRY, _MODULES, _MEMMAP, _CMDLINE, _INFO_SIZE = 0x40, 0x80, 0x100, 0x1000, 0x2000
_HVM_START_MAGIC = 0x336ec578
_XEN_ELFNOTE_PHYS32_ENTRY = 18
_PT_LOAD, _PT_NOTE = 1, 4

# Instructions that are a second of the host's time; about what Bochs does in a real one.
_IPS = 100_000_000
# For exact figures more, so that the host's tick is in few of them; beyond 429 million the stock module takes
# the preemption timer, which ticks as often as the TSC here, for too fast.
_IPS_ICOUNT = 400_000_000
_MODELS = {"intel": "corei7_skylake_x", "amd": "ryzen"}
_BREAK = b"\xff"                # see bochs_build.py


def _boot_rom():
    """The option ROM: one sector whose bytes add up to zero."""
    source = _ROM.read_bytes()

    def make(path):
        with tempfile.TemporaryDirectory() as folder:
            for words in (
                    ["gcc", "-m32", "-c", "-o", "rom.o", f"-DROM={_ROM_PADDR:#x}",
                     f"-DINFO={_INFO_PADDR:#x}", f"-DENTRY={_INFO_PADDR + _ENTRY:#x}", str(_ROM)],
                    ["ld", "-m", "elf_i386", "-Ttext", "0", "--oformat", "binary",
                     "-o", str(path), "rom.o"]):
                if subprocess.run(words, cwd=folder, stdin=subprocess.DEVNULL,
                                  check=False).returncode:
                    raise cache.Failure(f"{_ROM} cannot be assembled: run scripts/deps build")
        rom = path.read_bytes().ljust(_ROM_SIZE - 1, b"\0")
        if len(rom) >= _ROM_SIZE:
            raise cache.Failure(f"{_ROM} does not fit into {_ROM_SIZE} bytes")
        path.write_bytes(rom + bytes([-sum(rom) & 0xff]))

    key = hashlib.sha256(source + f"{_ROM_PADDR} {_INFO_PADDR} {_ENTRY}".encode()).hexdigest()[:8]
    return cache.entry(f"bochs/bootrom-{key}", make)


def _notes(data):
    """The ELF notes in these bytes: name, type and contents of each."""
    offset = 0
    while offset < len(data):
        name_size, size, kind = struct.unpack_from("<III", data, offset)
        start = offset + 12 + (name_size + 3 & ~3)
        yield data[offset + 12:offset + 12 + name_size], kind, data[start:start + size]
        offset = start + (size + 3 & ~3)


def _kernel(elf):
    """An ELF kernel as it lies in memory: its physical address, its bytes, and its PVH entry."""
    table, = struct.unpack_from("<Q", elf, 32)
    size, number = struct.unpack_from("<HH", elf, 54)
    segments = []
    entry = None
    for index in range(number):
        kind, _, offset, _, paddr, length = struct.unpack_from("<IIQQQQ", elf, table + index * size)
        if kind == _PT_LOAD:
            segments.append((paddr, elf[offset:offset + length]))
        elif kind == _PT_NOTE:
            for name, note, contents in _notes(elf[offset:offset + length]):
                if (name, note) == (b"Xen\0", _XEN_ELFNOTE_PHYS32_ENTRY):
                    entry = int.from_bytes(contents, "little")
    if entry is None:
        raise cache.Failure("this kernel cannot be booted by PVH, which Bochs' hosts need")
    base = min(paddr for paddr, _ in segments)
    flat = bytearray(max(paddr + len(data) for paddr, data in segments) - base)
    for paddr, data in segments:
        flat[paddr - base:paddr - base + len(data)] = data
    return base, bytes(flat), entry


def _info(entry, initrd_size, cmdline):
    """The area at _INFO_PADDR; the option ROM adds the memory map."""
    words = cmdline.encode() + b"\0"
    if _CMDLINE + len(words) > _INFO_SIZE:
        raise cache.Failure("the kernel's command line is too long")
    area = bytearray(_INFO_SIZE)
    struct.pack_into("<IIIIQQQQII", area, 0, _HVM_START_MAGIC, 1, 0, 1, _INFO_PADDR + _MODULES,
                     _INFO_PADDR + _CMDLINE, 0, _INFO_PADDR + _MEMMAP, 0, 0)
    struct.pack_into("<I", area, _ENTRY, entry)
    struct.pack_into("<QQQQ", area, _MODULES, _INITRD_PADDR, initrd_size, 0, 0)
    area[_CMDLINE:_CMDLINE + len(words)] = words
    return area


def _mebibytes(size):
    match = re.fullmatch(r"(\d+)([MG])", size)
    if not match:
        raise cache.Failure(f"--memory wants a number and M or G, not '{size}'")
    return int(match[1]) * (1024 if match[2] == "G" else 1)


class Bochs(emulator.Emulator):
    """A host of Bochs'. Its time is the number of instructions executed, so that the same run costs
    the same each time, as far as nothing is typed."""
    name = "Bochs"
    vendors = ("intel", "amd")

    def __init__(self, options):
        super().__init__(options)
        self._log = None
        self._process = None

    def check(self):
        if self.options.gdb:
            raise cache.Failure("--gdb: Bochs lets no gdb attach; QEMU's hosts do (--vendor amd)")

    def _ips(self):
        return _IPS_ICOUNT if self.options.icount else _IPS

    def kernel_args(self):
        # What CPUID says of the TSC's frequency is true of the CPU, not of its emulation.
        words = [f"tsc_early_khz={self._ips() // 1000}", "retbleed=off", "reboot=pci"]
        if self.options.icount:
            words.append("nokaslr")
        return words

    def _config(self, folder, base, ports, files):
        options = self.options
        memory = _mebibytes(options.memory)
        begun = 1767225600 if options.icount else int(time.time())
        lines = [
            "config_interface: textconfig",
            "display_library: nogui",
            f"cpu: model={options.cpu or _MODELS[options.vendor]}, count={options.cpus}, "
            f"ips={self._ips()}, reset_on_triple_fault=0",
            f"memory: guest={memory}, host={memory}",
            f"romimage: file={folder}/bios, options=fastboot",
            f"vgaromimage: file={folder}/vgabios",
            f"optromimage1: file={_boot_rom()}, address={_ROM_PADDR:#x}",
            f"optramimage1: file={files['info']}, address={_INFO_PADDR:#x}",
            f"optramimage2: file={files['kernel']}, address={base:#x}",
            f"optramimage3: file={files['initrd']}, address={_INITRD_PADDR:#x}",
            "pci: enabled=1, chipset=i440fx",
            f"clock: sync=none, time0={begun}",
            "mouse: enabled=0",
            f"log: {files['log']}",
            "panic: action=fatal",
            "error: action=report",
            "info: action=report",
            "debug: action=ignore",
        ]
        lines += [f"com{index + 1}: enabled=1, mode=term, dev=fd:{port.fileno()}"
                  for index, port in enumerate(ports)]
        return "\n".join(lines) + "\n"

    def start(self, image, initrd, cmdline):
        folder = bochs_build.folder(self.counting())
        base, kernel, entry = _kernel(image.vmlinux.read_bytes())
        size = sum(map(len, initrd))
        if _INITRD_PADDR + 2 * size > _mebibytes(self.options.memory) << 20:
            raise cache.Failure(f"--memory {self.options.memory} has no room for what is copied "
                                f"into the host, {size >> 20} MiB, twice")
        if base + len(kernel) > _INITRD_PADDR:
            raise cache.Failure("this kernel is too large")
        files = {}
        descriptors = []

        def keep(name, pieces):
            descriptor = os.memfd_create(name)
            descriptors.append(descriptor)
            files[name] = f"/proc/self/fd/{descriptor}"
            with os.fdopen(descriptor, "wb", closefd=False) as file:
                file.writelines(pieces)

        keep("info", [_info(entry, size, cmdline)])
        keep("kernel", [kernel])
        keep("initrd", initrd)
        self._log = tempfile.TemporaryFile()
        files["log"] = self.options.emulator_log and self.options.emulator_log.absolute() or f"/proc/self/fd/{self._log.fileno()}"
        others = self._sockets(emulator.PORTS)
        keep("bochsrc", [self._config(folder, base, others, files).encode()])
        self._process = self._spawn(
            [str(folder / "bochs"), "-q", "-f", files["bochsrc"]], others,
            [*descriptors, self._log.fileno()], self._counters())
        for descriptor in descriptors:
            os.close(descriptor)
        return self._process

    def _counters(self):
        """What the Bochs that counts finds in its environment."""
        files = {"OSTLER_COUNT": self.options.count, "OSTLER_PROFILE": self.options.profile}
        return {name: str(path.absolute()) for name, path in files.items() if path}

    def interrupt_console(self, key):
        with contextlib.suppress(OSError):
            self.ports[0].send(_BREAK + key)

    def ask(self):
        self._process.send_signal(signal.SIGINT)        # it panics, and logs its CPUs' state
        yield

    def _log_lines(self):
        if self.options.emulator_log:
            data = self.options.emulator_log.read_bytes()
        else:
            self._log.seek(0)
            data = self._log.read()
        return data.decode(errors="replace").splitlines()

    def registers(self):
        wanted = re.compile(r"\[CPU\d+ *\] .*(RIP=|RAX:|RSI:|CR0=|CR3=|CPU is in|>>|EFER)")
        return [line for line in self._log_lines()[-400:] if wanted.search(line)]

    def remarks(self, noise):
        return [line for line in self._log_lines()[-400:] if re.match(r"\d+[ep]\[", line)][-20:]
