# SPDX-License-Identifier: GPL-2.0-only
"""One run of an emulated AMD host: see selftests/hosts/hostrun, which this is the inside of.

Four serial ports join the host and this process, each a socket here: the kernel's console, the
command's input and output, its error output, and a control port on which the host's first process
(selftests/hosts/init) reports. They need no driver module, and lose nothing when the kernel dies.
"""

import collections
import contextlib
import ctypes
import os
import pathlib
import selectors
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time

from . import cache, cpio, emulator, initramfs, kernels, splat, terminal

TIMED_OUT = 124
FAILED = 125
TROUBLE = 126

_INIT = cache.REPO / "selftests" / "hosts" / "init"
_MODULES_9P = ["virtio_pci", "9pnet_virtio", "9p"]
_BREAK = b"\x01b"               # to QEMU's multiplexer: a break, which makes the next byte a SysRq
_END_S = 20                     # how long the host may take to power off
_PR_SET_PDEATHSIG = 1


def _settings(options, tty, merged):
    """The shell variables that tell the host's init what to do."""
    variables = {
        "HOST_USERLAND": "1" if options.userland else "",
        "HOST_BUILD": "1" if options.file_sharing else "",
        "HOST_SHARE": "1" if options.share and not options.pack else "",
        "HOST_INSTANCE": "" if options.no_module else options.instance,
        "HOST_MODULE_ARGS": options.module_args,
        "HOST_GDB": "1" if options.gdb else "",
        "HOST_TTY": "1" if tty else "",
        "HOST_SIZE": terminal.size(0) if tty else "",
        "HOST_MERGED": "1" if merged else "",
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


def _pack(archive, folder):
    """Copy a folder into the archive, as /share."""
    for path in sorted(folder.rglob("*")):
        name = "share/" + str(path.relative_to(folder))
        if path.is_symlink():
            archive.link(name, os.readlink(path))
        elif path.is_file():
            archive.file(name, path.read_bytes(), path.stat().st_mode & 0o777)
        elif path.is_dir():
            archive.folder(name)


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


def _run_archive(options, image, tty, merged):
    """The part of the initramfs that belongs to this run."""
    archive = cpio.Archive()
    archive.file("host/settings", _settings(options, tty, merged))
    archive.file("host/command", _command(options), 0o755)
    names = ["kvm_amd"] if options.with_kvm else []
    names += ["overlay"] if options.userland else []
    names += [name for name in options.modules.split(",") if name]
    order = image.load_order(names)
    for name, data in order.items():
        archive.file(f"host/modules/{name}.ko", data)
    archive.file("host/modules/order", "".join(f"{name}\n" for name in order))
    if not options.no_module:
        archive.file(f"host/{options.instance}.ko", _module(options))
    if options.stdin:
        archive.file("host/stdin", sys.stdin.buffer.read())
    if options.pack:
        _pack(archive, options.share)
    return archive.bytes()


def _check(options):
    for name in ("share", "userland"):
        folder = getattr(options, name)
        if folder is None:
            continue
        if not folder.is_dir():
            raise cache.Failure(f"--{name} {folder}: no such folder")
        if "," in str(folder.resolve()):
            raise cache.Failure(f"--{name} {folder}: a comma in the name is not supported")
    if options.pack and not options.share:
        raise cache.Failure("--pack needs --share")
    if options.pack and options.userland:
        raise cache.Failure("--pack and --userland do not go together")
    if options.tty and options.stdin:
        raise cache.Failure("--tty and --stdin do not go together")
    if options.cpus < 1:
        raise cache.Failure("--cpus wants a positive number")


def _file_sharing(options):
    shared = []
    if options.file_sharing:
        cache.BUILD.mkdir(exist_ok=True)
        shared.append(("build", cache.BUILD, True))
    if options.share and not options.pack:
        shared.append(("share", options.share, False))
    if options.userland:
        shared.append(("userland", options.userland, True))
    words = []
    for tag, folder, readonly in shared:
        words += ["-fsdev", f"local,id={tag},path={folder.resolve()},security_model=none,"
                  f"multidevs=remap,readonly={'on' if readonly else 'off'}",
                  "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
    return words


def _spare_cpus(options):
    """CPUs beside those that were asked for. QEMU's CPU 0 must run no guest where there are others:
    FXRSTOR and XRSTOR on any CPU clear IGNNE in CPU 0's hflags2 (cpu_clear_ignne()), in which
    SVM's GIF and nested paging are kept as well, and no lock orders that with CPU 0's own writes.
    When they meet, a #VMEXIT leaves nested paging on for the host, or CLGI or STGI does nothing."""
    return 1 if options.cpus > 1 else 0


def _kernel_args(options):
    words = ["console=ttyS0", "panic=-1", "oops=panic", "tsc=reliable", "loglevel=5",
             "sysrq_always_enabled", "sysctl.kernel.hung_task_timeout_secs=60",
             "cryptomgr.notests", "audit=0"]
    if options.icount or options.gdb:
        words.append("nokaslr")
    if _spare_cpus(options):
        words.append("isolcpus=0")
    return " ".join([*words, options.kernel_args])


def _machine(options, image, initrd, ports):
    """QEMU's command line. `ports`: file descriptors of the serial ports and the monitor."""
    words = [*emulator.command(), "-nodefaults", "-no-user-config", "-no-reboot", "-M", "q35",
             "-display", "none", "-cpu", options.cpu, "-smp", str(options.cpus + _spare_cpus(options)),
             "-m", options.memory, "-kernel", str(image.vmlinux), "-initrd", f"/proc/self/fd/{initrd}",
             "-append", _kernel_args(options)]
    if options.icount:
        words += ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off",
                  "-rtc", "base=2026-01-01,clock=vm", "-seed", "1"]
    else:
        words += ["-accel", "tcg,thread=multi"]
    # The third and fourth port of a PC share the interrupts of the first two; these do not.
    for index, irq in enumerate((4, 3, 10, 11)):
        mux = ",mux=on" if index == 0 else ""
        words += ["-chardev", f"socket,id=port{index},fd={ports[index]}{mux}",
                  "-device", f"isa-serial,chardev=port{index},index={index},irq={irq}"]
    words += ["-chardev", f"socket,id=monitor,fd={ports[4]}",
              "-mon", "chardev=monitor,mode=readline"]
    if options.gdb:
        words += ["-gdb", "tcp:127.0.0.1:1234"]
    return words + _file_sharing(options)


def _die_with_parent():
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class _Console:
    """The kernel's console: looks for trouble in it, and keeps what a failure has to show."""

    def __init__(self, options):
        self.trouble = None             # the lines from the first sign of trouble on
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
        elif splat.find(line):
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


class _Run:
    """The host while it runs: moves bytes between its ports and our files, and keeps the time."""

    def __init__(self, options, tty, merged):
        self.options = options
        self.tty = tty
        self.merged = merged
        self.console = _Console(options)
        self.ready = False
        self.sections = []              # of our module: name and address
        self.status = None              # the command's exit status, once reported
        self.failure = None             # why there will be none
        self.left = None                # what was wrong after the command
        self.noise = b""                # what QEMU itself says
        self.monitor = b""              # what QEMU's monitor says
        self._control_rest = b""
        self._input = b""               # from our standard input, not yet taken by the host
        self._selector = selectors.DefaultSelector()
        self._started = time.monotonic()
        self._spoke = self._started     # when the command last said something

    def _spawn(self, image, archive):
        pairs = [socket.socketpair() for _ in range(5)]
        initrd = os.memfd_create("initrd")
        with os.fdopen(initrd, "wb", closefd=False) as file:
            base = initramfs.base(image, _MODULES_9P, _INIT)
            file.write(base.read_bytes())
            file.write(archive)
        theirs = [pair[1].fileno() for pair in pairs]
        process = subprocess.Popen(
            _machine(self.options, image, initrd, theirs), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=[initrd, *theirs],
            start_new_session=True, preexec_fn=_die_with_parent)
        os.close(initrd)
        for _, other in pairs:
            other.close()
        self._ports = [pair[0] for pair in pairs]
        for port in self._ports:
            port.setblocking(False)
        return process

    def _register(self, process):
        select = self._selector.register
        console, output, errors, control, monitor = self._ports
        select(console, selectors.EVENT_READ, lambda: self._read(console, self.console.feed))
        select(output, selectors.EVENT_READ, lambda: self._read(output, self._to(1)))
        select(errors, selectors.EVENT_READ, lambda: self._read(errors, self._to(2)))
        select(control, selectors.EVENT_READ, lambda: self._read(control, self._control))
        select(monitor, selectors.EVENT_READ, lambda: self._read(monitor, self._monitor))
        os.set_blocking(process.stdout.fileno(), False)
        select(process.stdout, selectors.EVENT_READ, lambda: self._read_noise(process.stdout))
        if self.tty:
            self._open_input()

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
        port = self._ports[1]
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            while self._input:
                self._input = self._input[port.send(self._input):]

    def _monitor(self, data):
        self.monitor += data

    def _control(self, data):
        *lines, self._control_rest = (self._control_rest + data).split(b"\n")
        for line in lines:
            word, _, rest = line.decode(errors="replace").partition(" ")
            if word == "section":
                self.sections.append(rest.split())
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
        """True while a port of the host is open, which is until QEMU ends."""
        return any(key.fileobj != 0 for key in self._selector.get_map().values())

    def _timed_out(self):
        """Have the kernel say what its CPUs and blocked tasks do, and QEMU where its CPUs are."""
        requests = [(0, _BREAK + b"l"), (0, _BREAK + b"w")]
        requests += [(4, b"info registers -a\n")] * 3
        for port, request in requests:
            with contextlib.suppress(OSError):
                self._ports[port].send(request)
            end = time.monotonic() + 1
            while self._open() and self._turn(end):
                pass

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
            if not self._turn(deadline):
                break
        else:
            return True
        if not ending:
            self._timed_out()
        return ending

    def go(self, image, archive):
        """Run the host to its end; returns False when the time was up."""
        process = self._spawn(image, archive)
        try:
            self._register(process)
            with terminal.raw(0) if self.tty and os.isatty(0) else contextlib.nullcontext():
                return self._pump()
        finally:
            process.kill()
            process.wait()
            self.console.close()
            for port in self._ports:
                port.close()


def _tell(*lines):
    for line in lines:
        print(line, file=sys.stderr)
    sys.stderr.flush()


def _noise(run):
    """What QEMU said, less its remarks on CPU features that it does not emulate."""
    lines = run.noise.decode(errors="replace").splitlines()
    return [line for line in lines if "TCG doesn't support requested feature" not in line]


def _registers(run):
    """What QEMU's monitor said of the registers that tell where a CPU is, without its line editing."""
    lines = run.monitor.decode(errors="replace").replace("\r", "").splitlines()
    wanted = ("CPU#", "RIP=", "RAX=", "RSI=", "CR0=", "CR3", "CS =", "EFER=", "GDT=")
    return [line for line in lines if line.startswith(wanted)]


def _verdict(run, in_time):
    """Say what went wrong, if anything, and return the exit status."""
    if run.console.trouble is not None:
        _tell("hostrun: the host's kernel reports trouble:",
              *(f"  {line}" for line in run.console.trouble[:200]))
        return TROUBLE
    if run.left:
        _tell(f"hostrun: {run.left}", *(f"  {line}" for line in run.console.tail()))
        return TROUBLE
    if run.status is not None:
        return run.status
    console = [f"  {line}" for line in run.console.tail()]
    if run.failure:
        _tell(f"hostrun: {run.failure}", *console, *_noise(run))
        return FAILED
    if not in_time:
        _tell(f"hostrun: given up after {run.seconds():.0f} s; the console's last lines:",
              *console, "its CPUs, seen three times:", *_registers(run), *_noise(run))
        return TIMED_OUT
    when = "before the command did" if run.ready else "while starting"
    _tell(f"hostrun: the host ended {when}; the console's last lines:", *console, *_noise(run))
    return FAILED


def _same_file(one, other):
    try:
        return os.path.samestat(os.fstat(one), os.fstat(other))
    except OSError:
        return False


def run(options):
    """Boot the host, run the command in it, and return hostrun's exit status."""
    _check(options)
    options.file_sharing = not options.pack
    image = kernels.image(options.kernel)
    merged = _same_file(1, 2)
    archive = _run_archive(options, image, options.tty, merged)
    if not options.quiet:
        cache.say(f"starting an emulated AMD host ({image.release}, {options.cpus} CPUs)")
    the_run = _Run(options, options.tty, merged)
    in_time = the_run.go(image, archive)
    return _verdict(the_run, in_time)
