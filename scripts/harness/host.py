# SPDX-License-Identifier: GPL-2.0-only
"""One run of an emulated host: see selftests/hosts/hostrun, which this is the inside of.

Four serial ports join the host and this process, each a socket here: the kernel's console, the
command's input and output, its error output, and a control port on which the host's first process
(selftests/hosts/init) reports. They need no driver module, and lose nothing when the kernel dies.
What emulates the host is in qemu.py and bochs.py.
"""

import collections
import contextlib
import functools
import gzip
import os
import pathlib
import selectors
import shlex
import stat
import subprocess
import sys
import tempfile
import time

from . import bochs, cache, cpio, initramfs, kernels, qemu, splat, terminal

TIMED_OUT = 124
FAILED = 125
TROUBLE = 126

_INIT = cache.REPO / "selftests" / "hosts" / "init"
_END_S = 20                     # how long the host may take to power off
_START_S = 600                  # this long a kernel may take to boot on an overloaded machine; 15 is usual
_EMULATORS = {"qemu": qemu.Qemu, "bochs": bochs.Bochs}
_USUAL = {"amd": "qemu", "intel": "bochs"}


def _settings(options, emulator, tty, merged):
    """The shell variables that tell the host's init what to do."""
    shares = emulator.shares
    variables = {
        "HOST_USERLAND": ("shared" if shares else "copied") if options.userland else "",
        "HOST_BUILD": "1" if shares and not options.pack else "",
        "HOST_SHARE": "1" if shares and options.share and not options.pack else "",
        "HOST_SAVE": "1" if not shares and options.share and not options.pack else "",
        "HOST_INSTANCE": "" if options.no_module else options.instance,
        "HOST_MODULE_ARGS": options.module_args,
        "HOST_KVM": f"kvm_{options.vendor}",
        "HOST_KVM_ARGS": options.kvm_args,
        "HOST_GDB": "1" if options.gdb else "",
        "HOST_SPARE_CPU": "1" if emulator.spare_cpus() else "",
        "HOST_TTY": "1" if tty else "",
        "HOST_SIZE": terminal.size(0) if tty else "",
        "HOST_MERGED": "1" if merged else "",
        "HOST_END": emulator.ends_by,
        "HOST_STDIN": "/host/stdin" if options.stdin else "/dev/null",
    }
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())


def _command(options):
    """The script that starts the command."""
    lines = ["#!/bin/sh"]
    environment = {"TERM": os.environ.get("TERM", "linux")} if options.tty else {}
    for setting in options.env:
        name, equals, value = setting.partition("=")
        if not equals or not name.isidentifier():
            raise cache.Failure(f"--env wants NAME=VALUE, not '{setting}'")
        environment[name] = value
    lines += [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    if options.share:
        lines.append("cd /share || exit 125")
    words = options.command if len(options.command) > 1 else ["/bin/sh", "-c", options.command[0]]
    lines.append("exec " + " ".join(map(shlex.quote, words)))
    return "\n".join(lines) + "\n"


def _pack(archive, folder, prefix):
    """Copy a folder into the archive, as the folder `prefix`."""
    archive.folder(prefix)
    for path in sorted(folder.rglob("*")):
        name = f"{prefix}/{path.relative_to(folder)}"
        if path.is_symlink():
            archive.link(name, os.readlink(path))
        elif path.is_file():
            archive.file(name, path.read_bytes(), path.stat().st_mode & 0o7777)
        elif path.is_dir():
            archive.folder(name, path.stat().st_mode & 0o7777)


def _copy_in(options, archive):
    """What an emulator that cannot share folders finds in the host's memory instead.

    Of the repository's build/ that is vmm and what --bring names: all the rest a test is given by --share.
    """
    root = ""
    if options.userland:
        root = "userland/"
        _pack(archive, options.userland, "userland")
    vmm = cache.BUILD / "vmm" / "vmm"
    if vmm.exists():
        archive.file(f"{root}ostler/vmm/vmm", vmm.read_bytes(), 0o755)
    for name in options.bring:
        archive.file(f"{root}ostler/{name}", (cache.BUILD / name).read_bytes())
    if options.share:
        _pack(archive, options.share, f"{root}share")


def _module(options):
    """The bytes of our module without its debugging information, built first if that is needed."""
    done = subprocess.run(["make", "-s", "--no-print-directory", "-C", cache.REPO, "module",
                           f"KERNEL={options.kernel}", f"INSTANCE={options.instance}"],
                          stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno(), check=False)
    if done.returncode:
        raise cache.Failure("the module does not build")
    with tempfile.NamedTemporaryFile() as stripped:
        subprocess.run(["strip", "--strip-debug", "-o", stripped.name,
                        cache.BUILD / options.kernel / f"{options.instance}.ko"], check=True)
        return pathlib.Path(stripped.name).read_bytes()


def _run_archive(options, emulator, image, tty, merged):
    """The part of the initramfs that belongs to this run."""
    archive = cpio.Archive()
    archive.file("host/settings", _settings(options, emulator, tty, merged))
    archive.file("host/command", _command(options), 0o755)
    names = [f"kvm_{options.vendor}"] if options.with_kvm else []
    names += ["overlay"] if options.userland and emulator.shares else []
    names += [name for name in options.modules.split(",") if name]
    order = image.load_order(names)
    for name, data in order.items():
        archive.file(f"host/modules/{name}.ko", data)
    archive.file("host/modules/order", "".join(f"{name}\n" for name in order))
    if not options.no_module:
        archive.file(f"host/{options.instance}.ko", _module(options))
    if options.kexec:
        kvm = image.load_order([f"kvm_{options.vendor}"])
        for name, data in kvm.items():
            archive.file(f"host/kvm/{name}.ko", data)
        archive.file("host/kvm/order", "".join(f"{name}\n" for name in kvm))
    if options.stdin:
        archive.file("host/stdin", sys.stdin.buffer.read())
    if not emulator.shares:
        _copy_in(options, archive)
    elif options.pack:
        _pack(archive, options.share, "share")
    return archive.bytes()


def _again(image, initrd):
    """What the host needs to start this kernel with these pieces of an initramfs by itself."""
    archive = cpio.Archive()
    archive.file("host/again/vmlinux", image.vmlinux.read_bytes())
    archive.file("host/again/initrd", b"".join(initrd))
    return archive.bytes()


def _check(options):
    for name in ("share", "userland"):
        folder = getattr(options, name)
        if folder is None:
            continue
        if not folder.is_dir():
            raise cache.Failure(f"--{name} {folder}: no such folder")
    for name in options.bring:
        if not (cache.BUILD / name).is_file():
            raise cache.Failure(f"--bring {name}: no such file in build/")
    if options.pack and not options.share:
        raise cache.Failure("--pack needs --share")
    if options.pack and options.userland:
        raise cache.Failure("--pack and --userland do not go together")
    if options.tty and options.stdin:
        raise cache.Failure("--tty and --stdin do not go together")
    if options.cpus < 1:
        raise cache.Failure("--cpus wants a positive number")


def _emulator(options):
    name = options.emulator or _USUAL[options.vendor]
    emulator = _EMULATORS[name](options)
    if options.vendor not in emulator.vendors:
        raise cache.Failure(f"{emulator.name} emulates no {options.vendor} host that has "
                            "virtualization; leave out --emulator")
    emulator.check()
    return emulator


def _kernel_args(options, emulator):
    words = ["console=ttyS0", "panic=-1", "oops=panic", "tsc=reliable", "loglevel=5",
             "sysrq_always_enabled", "sysctl.kernel.hung_task_timeout_secs=60",
             "cryptomgr.notests", "audit=0", *kernels.extra_args(options.kernel),
             *emulator.kernel_args()]
    return " ".join([*words, options.kernel_args])


class _Console:
    """The kernel's console: looks for trouble in it, and keeps what a failure has to show."""

    def __init__(self, options):
        self.trouble = None             # the lines from the first sign of trouble on
        self._watch = splat.Watch()
        self._tail = collections.deque(maxlen=60)
        self._rest = b""
        self._show = options.console
        self._log = open(options.console_log, "wb") if options.console_log else None

    def feed(self, data):
        if self._log:
            self._log.write(data)
            self._log.flush()
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line.decode(errors="replace").rstrip("\r"))

    def _line(self, line):
        if self._show:
            print(f"[host] {line}", file=sys.stderr, flush=True)
        self._tail.append(line)
        if self.trouble is not None:
            self.trouble.append(line)
        elif self._watch.find(line):
            self.trouble = list(self._tail)[-4:]

    def close(self):
        if self._rest:
            self._line(self._rest.decode(errors="replace"))
            self._rest = b""
        if self._log:
            self._log.close()

    def tail(self):
        """The console's last lines, for a message; nothing when they were shown as they came."""
        return [] if self._show else list(self._tail)


def _start_s(options):
    """Seconds that a host's kernel may take to come to our module, where somebody minds."""
    return _START_S * (8 if options.kernel == kernels.DEBUG else 1)


class _Run:
    """The host while it runs: moves bytes between its ports and our files, and keeps the time."""

    def __init__(self, options, emulator):
        self.options = options
        self.emulator = emulator
        self.console = _Console(options)
        self.loads = False              # our module was about to be loaded, or is
        self.ready = False
        self.died = False               # the emulator, by a signal
        self.stuck = False              # the host's kernel, before it came to us
        self.sections = []              # of our module: name and address
        self.status = None              # the command's exit status, once reported
        self.failure = None             # why there will be none
        self.left = None                # what was wrong after the command
        self.noise = b""                # what the emulator itself says
        self.saved = None               # an archive of what the command changed in /share
        self._saved_size = None
        self._control_rest = b""
        self._input = b""               # from our standard input, not yet taken by the host
        self._selector = selectors.DefaultSelector()
        self._started = time.monotonic()
        self._spoke = self._started     # when the command last said something

    def _start(self, image, archive):
        base = initramfs.base(image, self.emulator.modules, _INIT).read_bytes()
        initrd = [base, archive]
        if self.options.kexec:
            initrd.append(_again(image, initrd))
        process = self.emulator.start(image, initrd, _kernel_args(self.options, self.emulator))
        consumers = [self.console.feed, self._to(1), self._to(2), self._control]
        for port, consume in [*zip(self.emulator.ports, consumers), *self.emulator.more]:
            self._selector.register(port, selectors.EVENT_READ,
                                    functools.partial(self._read, port, consume))
        self._started = self._spoke = time.monotonic()
        os.set_blocking(process.stdout.fileno(), False)
        self._selector.register(process.stdout, selectors.EVENT_READ,
                                lambda: self._read_noise(process.stdout))
        if self.options.tty:
            self._open_input()
        return process

    def _open_input(self):
        try:
            self._selector.register(0, selectors.EVENT_READ, self._read_input)
        except PermissionError:         # a regular file or /dev/null: always ready, so read it now
            self._input += os.read(0, 1 << 20)
            self._flush_input()

    def _to(self, fd):
        def write(data):
            self._spoke = time.monotonic()
            while data:
                data = data[os.write(fd, data):]
        return write

    def _read(self, port, consume):
        try:
            data = port.recv(65536)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if data:
            consume(data)
        else:
            self._selector.unregister(port)

    def _read_noise(self, pipe):
        data = os.read(pipe.fileno(), 65536)
        if data:
            self.noise += data
        else:
            self._selector.unregister(pipe)

    def _read_input(self):
        data = os.read(0, 4096)
        if not data:
            self._selector.unregister(0)
        self._input += data
        self._flush_input()

    def _flush_input(self):
        if not self.ready:
            return
        port = self.emulator.ports[1]
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            while self._input:
                self._input = self._input[port.send(self._input):]

    def _control(self, data):
        self._control_rest += data
        while True:
            if self._saved_size is not None:
                if len(self._control_rest) < self._saved_size:
                    return
                self.saved = self._control_rest[:self._saved_size]
                self._control_rest = self._control_rest[self._saved_size:]
                self._saved_size = None
            line, newline, rest = self._control_rest.partition(b"\n")
            if not newline:
                return
            self._control_rest = rest
            self._report(*line.decode(errors="replace").partition(" ")[::2])

    def _report(self, word, rest):
        """A line of what init reports."""
        if word == "section":
            self.sections.append(rest.split())
        elif word == "loads":
            self.loads = True
        elif word == "ready":
            self.ready = True
            if self.sections:
                self._write_gdb()
            self._flush_input()
            if not self.options.quiet:
                cache.say(f"the host is up after {self.seconds():.1f} s")
        elif word == "fail":
            self.failure = rest
        elif word == "left":
            self.left = rest
        elif word == "share":
            self._saved_size = int(rest)
        elif word == "status":
            self.status = int(rest)

    def _write_gdb(self):
        """Write gdb's commands for attaching, with the module's symbols where the host has it."""
        module = cache.BUILD / self.options.kernel / f"{self.options.instance}.ko"
        text = next(address for name, address in self.sections if name == ".text")
        others = "".join(f" -s {name} {address}" for name, address in self.sections
                         if name in (".data", ".bss", ".rodata", ".init.text"))
        path = cache.BUILD / f"gdb-{self.options.kernel}"
        path.write_text(f"add-symbol-file {module} {text}{others}\n"
                        "target remote localhost:1234\n", encoding="utf-8")
        cache.say(f"attach with: gdb -x {path.relative_to(cache.REPO)}")

    def _turn(self, deadline):
        """Move what is there to move; returns False once the time is up."""
        wait = 0.5 if deadline is None else min(0.5, deadline - time.monotonic())
        if wait <= 0:
            return False
        for key, _ in self._selector.select(wait):
            key.data()
        if self._input:
            self._flush_input()
        return True

    def seconds(self):
        """How long the host has been running."""
        return time.monotonic() - self._started

    def _open(self):
        """True while a port of the host is open, which is until the emulator ends."""
        return any(key.fileobj != 0 for key in self._selector.get_map().values())

    def _timed_out(self):
        """Have the kernel say what its CPUs and blocked tasks do, and the emulator where its CPUs
        are."""
        def listen():
            end = time.monotonic() + 1
            while self._open() and self._turn(end):
                pass

        for key in (b"l", b"w"):
            self.emulator.interrupt_console(key)
            listen()
        for _ in self.emulator.ask():
            listen()

    def _pump(self):
        deadline = self._started + self.options.timeout if self.options.timeout else None
        ending = False
        while self._open():
            if (self.status is not None or self.failure) and not ending:
                ending = True
                deadline = time.monotonic() + _END_S
            if self.options.silence and not ending:
                if time.monotonic() > self._spoke + self.options.silence:
                    break
                self.stuck = not self.loads and self.seconds() > _start_s(self.options)
                if self.stuck:
                    break
            if not self._turn(deadline):
                break
        else:
            return True
        if not ending:
            self._timed_out()
        return ending

    def go(self, image, archive):
        """Run the host to its end; returns False when the time was up."""
        process = self._start(image, archive)
        try:
            tty = self.options.tty and os.isatty(0)
            with terminal.raw(0) if tty else contextlib.nullcontext():
                ended = self._pump()
            if ended and not self.loads:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.died = process.wait(_END_S) < 0
            return ended
        finally:
            process.kill()
            process.wait()
            self.console.close()
            for port in self.emulator.ports:
                port.close()


def _tell(*lines):
    for line in lines:
        print(line, file=sys.stderr)
    sys.stderr.flush()


def _verdict(run, in_time):
    """Say what went wrong, if anything, and return the exit status."""
    if run.console.trouble is not None:
        _tell("hostrun: the host's kernel reports trouble:",
              *(f"  {line}" for line in run.console.trouble[:200]))
        if not in_time:
            _tell("its CPUs:", *run.emulator.registers())
        return TROUBLE
    if run.left:
        _tell(f"hostrun: {run.left}", *(f"  {line}" for line in run.console.tail()))
        return TROUBLE
    if run.status is not None:
        return run.status
    console = [f"  {line}" for line in run.console.tail()]
    remarks = run.emulator.remarks(run.noise)
    if run.failure:
        _tell(f"hostrun: {run.failure}", *console, *remarks)
        return FAILED
    if not in_time:
        _tell(f"hostrun: given up after {run.seconds():.0f} s; the console's last lines:",
              *console, "its CPUs:", *run.emulator.registers(), *remarks)
        return TIMED_OUT
    when = "before the command did" if run.ready else "while starting"
    _tell(f"hostrun: the host ended {when}; the console's last lines:", *console, *remarks)
    return FAILED


def _same_file(one, other):
    try:
        return os.path.samestat(os.fstat(one), os.fstat(other))
    except OSError:
        return False


def _save(share, archive):
    """Write the files of an archive that the host made back into the folder it came from."""
    top = share.resolve()
    for name, mode, data in cpio.read(archive):
        path = top / name
        if not stat.S_ISREG(mode) or not path.resolve().is_relative_to(top):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(stat.S_IMODE(mode))


def run(options):
    """Boot the host, run the command in it, and return hostrun's exit status."""
    _check(options)
    emulator = _emulator(options)
    image = kernels.image(options.kernel)
    merged = _same_file(1, 2)
    archive = _run_archive(options, emulator, image, options.tty, merged)
    if not options.quiet:
        vendor = {"amd": "AMD", "intel": "Intel"}[options.vendor]
        cache.say(f"starting an emulated {vendor} host ({emulator.name}, {image.release}, "
                  f"{options.cpus} CPUs)")
    the_run = _Run(options, emulator)
    in_time = the_run.go(image, archive)
    if (the_run.died or the_run.stuck) and not the_run.loads and the_run.console.trouble is None:
        # Nothing of ours has run. QEMU 10 was seen to fail an assertion of its own there (msix_table_mmio_write), and
        # Linux to wait for ever for a timer of QEMU's, which it could not calibrate ("tsc: Unable to calibrate").
        _tell(f"hostrun: the {'emulator died' if the_run.died else 'host hung'} before our module was loaded, "
              "and is started once more", *(f"  {line}" for line in the_run.console.tail()),
              *emulator.remarks(the_run.noise))
        emulator = _emulator(options)
        the_run = _Run(options, emulator)
        in_time = the_run.go(image, archive)
    if the_run.saved is not None:
        _save(options.share, gzip.decompress(the_run.saved))
    return _verdict(the_run, in_time)
