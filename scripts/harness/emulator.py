# SPDX-License-Identifier: GPL-2.0-only
"""What a host run wants of the program that emulates the host: qemu.py and bochs.py fill it in."""

import ctypes
import os
import signal
import socket
import subprocess

_PR_SET_PDEATHSIG = 1
PORTS = 4                       # console, command, its errors, control


def _die_with_parent():
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Emulator:
    """One emulated host.

    vendors: the CPU vendors it can emulate
    shares: folders are shared with the host while it runs; otherwise they are copied into it, and
      what changed in --share is copied back when the command has ended
    modules: what the host's kernel needs from the start
    ends_by: the command that ends the host
    ports: our ends of the host's serial ports, once started
    more: file objects to read besides, each with a function that takes the bytes
    """
    name = ""
    vendors = ()
    shares = False
    modules = ()
    ends_by = "poweroff"

    def __init__(self, options):
        self.options = options
        self.ports = []
        self.more = []

    def spare_cpus(self):
        """How many CPUs the host has beside those for commands and guests."""
        return 0

    def check(self):
        """Refuse, with cache.Failure, options that this emulator cannot follow."""

    def counting(self):
        """Whether the emulator is to count between markers (selftests/bench/marker.h)."""
        return bool(self.options.count or self.options.profile)

    def kernel_args(self):
        """Words for the kernel's command line."""
        return []

    def start(self, image, initrd, cmdline):
        """Start the host with a kernel, the pieces of its initramfs, and a command line.

        Returns the process; its output is noise unless something fails.
        """
        raise NotImplementedError

    def interrupt_console(self, key):
        """Send a break and a SysRq key to the console."""
        raise NotImplementedError

    def ask(self):
        """Have the emulator say where the CPUs are: yields while the answer may come in."""
        raise NotImplementedError

    def registers(self):
        """The lines of that answer which a person wants."""
        return []

    def remarks(self, noise):
        """The lines of the emulator's output that are worth showing."""
        return noise.decode(errors="replace").splitlines()

    def _sockets(self, number):
        """Make the ports; returns the other ends, for the emulator."""
        pairs = [socket.socketpair() for _ in range(number)]
        self.ports = [pair[0] for pair in pairs]
        for port in self.ports:
            port.setblocking(False)
        return [pair[1] for pair in pairs]

    def _spawn(self, words, others, files=(), environment=None):
        """Start the emulator; it inherits `others`, sockets, and `files`, descriptors. `environment`
        is added to ours."""
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            pass_fds=[*(other.fileno() for other in others), *files], start_new_session=True,
            env={**os.environ, **(environment or {})}, preexec_fn=_die_with_parent)
        for other in others:
            other.close()
        return process
