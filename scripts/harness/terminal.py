# SPDX-License-Identifier: GPL-2.0-only
"""The person's terminal, in raw mode while a guest has it, and given back in order whatever happens."""

import contextlib
import os
import signal
import termios
import tty


def size(fd):
    """The words for stty that say how large the terminal is, or "" when that is unknown."""
    try:
        columns, rows = os.get_terminal_size(fd)
    except OSError:
        return ""
    return f"rows {rows} cols {columns}" if rows and columns else ""


def _guard(fd, saved):
    """A process that restores the terminal when this one is gone, even by SIGKILL.

    It waits for the end of a pipe that only this process holds open for writing.
    """
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        for number in (signal.SIGTTOU, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.close(writing)
        if not os.read(reading, 1):
            with contextlib.suppress(termios.error):
                termios.tcsetattr(fd, termios.TCSANOW, saved)
        os._exit(0)
    os.close(reading)
    return writing


@contextlib.contextmanager
def raw(fd):
    """Put the terminal `fd` into raw mode for the length of a with block."""
    saved = termios.tcgetattr(fd)
    writing = _guard(fd, saved)
    try:
        tty.setraw(fd, termios.TCSANOW)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, saved)
        os.write(writing, b".")
        os.close(writing)
        os.wait()
