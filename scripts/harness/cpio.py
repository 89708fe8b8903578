# SPDX-License-Identifier: GPL-2.0-only
"""cpio archives in the "newc" format, as the kernel's initramfs takes them.

Documentation/driver-api/early-userspace/buffer-format.rst has the format. Owners and times are
constant, so that equal content gives equal archives. Archives of this kind may be concatenated.
"""

import io
import os
import stat


class Archive:
    """An archive that is being written; folders on the way to a file are made as needed."""

    def __init__(self):
        self._out = io.BytesIO()
        self._inode = 0
        self._folders = {""}

    def _member(self, name, mode, data=b"", rdev=(0, 0)):
        self._inode += 1
        raw = name.encode() + b"\0"
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, *rdev, len(raw), 0)
        self._out.write(b"070701" + b"".join(b"%08X" % field for field in fields) + raw)
        self._pad()
        self._out.write(data)
        self._pad()

    def _pad(self):
        self._out.write(b"\0" * (-self._out.tell() % 4))

    def folder(self, name, mode=0o755):
        """Add a folder, and those above it."""
        name = name.strip("/")
        if name in self._folders:
            return
        self.folder(os.path.dirname(name))
        self._folders.add(name)
        self._member(name, stat.S_IFDIR | mode)

    def file(self, name, data, mode=0o644):
        """Add a regular file of these bytes (or this text)."""
        name = name.strip("/")
        self.folder(os.path.dirname(name))
        self._member(name, stat.S_IFREG | mode, data.encode() if isinstance(data, str) else data)

    def link(self, name, target):
        """Add a symbolic link."""
        name = name.strip("/")
        self.folder(os.path.dirname(name))
        self._member(name, stat.S_IFLNK | 0o777, target.encode())

    def device(self, name, major, minor, mode=0o600):
        """Add a character device."""
        name = name.strip("/")
        self.folder(os.path.dirname(name))
        self._member(name, stat.S_IFCHR | mode, rdev=(major, minor))

    def bytes(self):
        """End the archive and return it, padded so that another may follow."""
        self._inode = -1
        self._member("TRAILER!!!", 0)
        self._out.write(b"\0" * (-self._out.tell() % 512))
        return self._out.getvalue()


def read(data):
    """The members of an archive, up to its end: the name, the mode and the bytes of each."""
    offset = 0
    while True:
        fields = [int(data[offset + start:offset + start + 8], 16) for start in range(6, 110, 8)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        start = offset + 110
        name = data[start:start + name_size - 1].decode()
        if name == "TRAILER!!!":
            return
        start += name_size + (-(start + name_size) % 4)
        yield name, mode, data[start:start + size]
        offset = start + size + (-size % 4)
