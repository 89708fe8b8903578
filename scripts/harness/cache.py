# SPDX-License-Identifier: GPL-2.0-only
"""The cache outside the clone: what is downloaded or slow to build is made once and kept there.

Every entry is made in a temporary folder and renamed into place under a lock, so that an entry that
exists is complete, whichever process made it and however that process ended.
"""

import contextlib
import fcntl
import os
import pathlib
import shutil
import sys

REPO = pathlib.Path(__file__).resolve().parents[2]
BUILD = REPO / "build"


class Failure(Exception):
    """Something a person has to know about, in one sentence; the scripts print it and exit 125."""


def root():
    """The cache's folder: $XDG_CACHE_HOME/ostler, by default ~/.cache/ostler."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(base) / "ostler"


def say(message):
    """A line of progress, on stderr, so that a command's own output stays its own."""
    print(f"ostler: {message}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def locked(name):
    """Hold the lock `name` of the cache; other processes wait, and say so when they do."""
    path = root() / "lock" / name.replace("/", "-")
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process that prepares {name}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def remove(path):
    """Remove a file or a whole folder, also where the folder's own permissions forbid it."""
    if path.is_dir() and not path.is_symlink():
        for folder, _, _ in os.walk(path):
            os.chmod(folder, 0o755)
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def entry(name, make, what=None):
    """Return the path of the cache's entry `name`, making it first when it is not there.

    `make(path)` fills the path it is given (which does not exist yet, but its parent does) with a
    file or a folder. `what` is said before, for work that takes long.
    """
    path = root() / name
    if path.exists():
        return path
    with locked(name):
        if path.exists():
            return path
        if what:
            say(f"{what} (once, kept in {path})")
        path.parent.mkdir(parents=True, exist_ok=True)
        for stale in path.parent.glob(path.name + ".part-*"):
            remove(stale)
        part = path.with_name(f"{path.name}.part-{os.getpid()}")
        make(part)
        part.rename(path)
    return path
