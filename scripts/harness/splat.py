# SPDX-License-Identifier: GPL-2.0-only
"""What a Linux kernel prints on its console when something went wrong with it.

What kmemleak suspects is not among it: selftests/run reads who allocated that, and fails for our module's.
"""

import re

_PATTERNS = [
    r"BUG: ", r"(?<!Stack Overflow: )WARNING: ", r"\bOops\b", r"Kernel panic", r"cut here",
    r"general protection fault", r"unable to handle", r"double fault", r"invalid opcode: ",
    r"unchecked MSR access error", r"traps: PANIC", r"Bad page (state|map)", r"bad pmd",
    r"rcu: INFO: .*(stall|kthread)", r"rcu_\w+ (self-)?detected", r"soft lockup", r"hard LOCKUP",
    r"blocked for more than \d+ seconds", r"workqueue lockup", r"nobody cared",
    r"KASAN: ", r"UBSAN: ", r"KCSAN: ", r"KFENCE: ", r"ODEBUG: ",
    r"possible (circular|recursive) locking", r"inconsistent .*lock state", r"Invalid wait context",
    r"possible irq lock inversion", r"suspicious RCU usage", r"held when returning to user space",
    r"held lock freed", r"bad unlock balance", r"sleeping function called from invalid context",
    r"scheduling while atomic", r"refcount_t: ", r"list_(add|del) corruption",
    r"usercopy: Kernel memory (exposure|overwrite)", r"Objects remaining in", r"corrupted stack end",
    r"Trying to (vfree|free already)", r"invoked oom-killer", r"Module \S+ is still in use",
    r"exitcode: .*sigtrap", r"segfault at .* in kernel",
]
_ANY = re.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS))


class Watch:
    """Reads a console from its beginning.

    A crash that was asked for by SysRq is no trouble, nor is what comes of it until another kernel starts.
    """

    def __init__(self):
        self._crashing = False

    def find(self, line):
        """True when this, the next line, belongs to a kernel's report of its own trouble."""
        if "sysrq: Trigger a crash" in line:
            self._crashing = True
        elif "Linux version " in line:
            self._crashing = False
        return not self._crashing and _ANY.search(line) is not None
