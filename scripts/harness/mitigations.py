# SPDX-License-Identifier: GPL-2.0-only
"""Do our world switches clear the CPU's buffers where the stock KVM's do?

Which feature bit asks for it differs between kernels, vendors and stable updates, and a wrong one is seen
by nobody: the alternative is left out, and all works. So what our module asks is held against what the
kernel's own KVM modules ask.
"""

import pathlib
import re
import struct
import subprocess
import tempfile

from . import cache

_NAMES = re.compile(r"^#define X86_FEATURE_(CLEAR_CPU_BUF(?:_VM)?)\s+\(\s*(\d+)\*32\s*\+\s*(\d+)\)",
                    re.MULTILINE)
_RELOCATION = re.compile(r"^([0-9a-f]{16})  \S+ R_X86_64_PC32\s+\S+ (\S+)", re.MULTILINE)


def _numbers(headers):
    """The numbers of the feature bits that ask for VERW, by name."""
    common = headers.with_name(headers.name.replace("-amd64", "-common"))
    text = (common / "arch/x86/include/asm/cpufeatures.h").read_text(encoding="ascii")
    return {name: int(word) * 32 + int(bit) for name, word, bit in _NAMES.findall(text)}


def _alternatives(module):
    """The feature bits of the alternatives in a module's noinstr code (struct alt_instr, asm/alternative.h)."""
    with tempfile.TemporaryDirectory() as folder:
        ko, raw = pathlib.Path(folder, "ko"), pathlib.Path(folder, "raw")
        ko.write_bytes(module)
        done = subprocess.run(["objcopy", "-O", "binary", "--only-section=.altinstructions", ko, raw],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise cache.Failure(f"objcopy: {done.stderr.strip()}")
        data = raw.read_bytes()
        done = subprocess.run(["readelf", "-rW", ko], capture_output=True, text=True, check=False)
    table = done.stdout.partition("'.rela.altinstructions'")[2].partition("Relocation section")[0]
    sites = {int(offset, 16): section for offset, section in _RELOCATION.findall(table)}
    # Two offsets, the feature (and, since 6.3, flags), the lengths of what is there and of what replaces it.
    for layout in ("<iiHBB", "<iiHHBB"):
        size = struct.calcsize(layout)
        if len(data) % size or any(at not in sites for at in range(0, len(data), size)):
            continue
        return {entry[2] for n, entry in enumerate(struct.iter_unpack(layout, data))
                if sites[n * size] == ".noinstr.text"}
    raise cache.Failure("the module's .altinstructions have a layout that scripts/harness/"
                        "mitigations.py does not know")


def missing(image, ours):
    """Names of the bits by which the kernel's KVM modules ask for VERW and `ours`, a path, does not."""
    stock = image.load_order(["kvm-intel", "kvm-amd"])
    numbers = _numbers(image.headers)
    asked = set().union(*(_alternatives(stock[name]) for name in ("kvm_intel", "kvm_amd")))
    wanted = {name for name, number in numbers.items() if number in asked}
    if not wanted:
        raise cache.Failure("the kernel's KVM modules were not seen to clear CPU buffers")
    have = _alternatives(ours.read_bytes())
    return sorted(name for name in wanted if numbers[name] not in have)
