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
_RELOCATION = re.compile(r"^([0-9a-f]{16})  \S+ R_X86_64_PC32\s+\S+ \.noinstr\.text \+ ([0-9a-f]+)$",
                         re.MULTILINE)
_OFFSET = re.compile(r"^([0-9a-f]{16})  ", re.MULTILINE)
_SYMBOL = re.compile(r"^\s*\d+: ([0-9a-f]{16})\s+(\d+) FUNC .* (\S+)$", re.MULTILINE)


def _numbers(headers):
    """The numbers of the feature bits that ask for VERW, by name."""
    common = headers.with_name(headers.name.replace("-amd64", "-common"))
    text = (common / "arch/x86/include/asm/cpufeatures.h").read_text(encoding="ascii")
    return {name: int(word) * 32 + int(bit) for name, word, bit in _NAMES.findall(text)}


def _tool(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise cache.Failure(f"{words[0]}: {done.stderr.strip()}")
    return done.stdout


def _entries(ko, relocated):
    """The alternatives of a module: their offsets in the table, and the feature bit of each.

    struct alt_instr in asm/alternative.h: two offsets, the feature (and, since 6.3, flags), the lengths of
    what is there and of what replaces it. `relocated` are the offsets in the table that have relocations: of
    each entry the first two words.
    """
    with tempfile.TemporaryDirectory() as folder:
        raw = pathlib.Path(folder, "raw")
        _tool("objcopy", "-O", "binary", "--only-section=.altinstructions", ko, raw)
        data = raw.read_bytes()
    for layout in ("<iiHBB", "<iiHHBB"):
        size = struct.calcsize(layout)
        entries = [] if len(data) % size else list(struct.iter_unpack(layout, data))
        if entries and relocated == {n * size + word for n in range(len(entries)) for word in (0, 4)}:
            return {n * size: entry[2] for n, entry in enumerate(entries)}
    raise cache.Failure("the module's .altinstructions have a layout that scripts/harness/"
                        "mitigations.py does not know")


def _alternatives(module, function=None):
    """The feature bits of the alternatives in a module's noinstr code, or in one function of it."""
    with tempfile.TemporaryDirectory() as folder:
        ko = pathlib.Path(folder, "ko")
        ko.write_bytes(module)
        table = _tool("readelf", "-rW", ko).partition("'.rela.altinstructions'")[2]
        table = table.partition("Relocation section")[0]
        entries = _entries(ko, {int(offset, 16) for offset in _OFFSET.findall(table)})
        symbols = {name: (int(value, 16), int(size))
                   for value, size, name in _SYMBOL.findall(_tool("readelf", "-sW", ko))}
    sites = {int(offset, 16): int(site, 16) for offset, site in
             _RELOCATION.findall(table)}
    start, size = symbols[function] if function else (0, 1 << 32)
    return {feature for offset, feature in entries.items()
            if offset in sites and start <= sites[offset] < start + size}


def missing(image, ours):
    """What of the kernel's KVM modules' clearing `ours`, a path, lacks: 'VMX: CLEAR_CPU_BUF' and the like."""
    stock = image.load_order(["kvm-intel", "kvm-amd"])
    numbers = _numbers(image.headers)
    result = []
    for vendor, module, function in (("VMX", "kvm_intel", "ost_vmx_enter"),
                                     ("SVM", "kvm_amd", "ost_svm_enter")):
        asked = _alternatives(stock[module])
        wanted = {name for name, number in numbers.items() if number in asked}
        if not wanted:
            raise cache.Failure(f"{module} was not seen to clear CPU buffers")
        have = _alternatives(ours.read_bytes(), function)
        result += [f"{vendor}: {name}" for name in sorted(wanted) if numbers[name] not in have]
        result += [f"{vendor}: not {name}" for name, number in sorted(numbers.items())
                   if number in have and name not in wanted]
    return result
