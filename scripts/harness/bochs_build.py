# SPDX-License-Identifier: GPL-2.0-only
"""Bochs 3.0 out of Debian's source package, with what it gets wrong set right.

Debian's own binary is slow, for it has the debugger in it, and it has the mistakes below. Each edit is
a place in a file of Bochs, what stands there instead, and why; one that no longer finds its place ends
the build with a sentence.
"""

import hashlib
import os
import pathlib
import re
import subprocess

from . import cache, debian

_SUITE = "trixie"
_VERSION = "3.0"

_CONFIGURE = [
    "--with-nogui", "--without-x", "--without-x11", "--disable-docbook", "--enable-x86-64",
    "--enable-smp", "--enable-vmx=2", "--enable-svm", "--enable-avx", "--enable-evex",
    "--enable-cet", "--enable-protection-keys", "--enable-all-optimizations", "--enable-pci",
    # The handler of its every second's alarm logs: in the middle of another line it waits for ever for the
    # log's lock, which its own thread holds.
    "--disable-show-ips",
]
_FLAGS = "-O2 -fno-strict-aliasing"

# The instrumentation of the Bochs that counts, first its source.
_COUNT = [cache.REPO / "selftests" / "bench" / name for name in ("count_bochs.cc", "dear.h", "marker.h")]
_HOOKS = """
#define BX_INSTR_STORE_OPCODE_BYTES
class bxInstruction_c;
void bx_instr_init_env(void);
void bx_instr_before_execution(unsigned cpu, bxInstruction_c *i);
#undef BX_INSTR_INIT_ENV
#define BX_INSTR_INIT_ENV() bx_instr_init_env()
#undef BX_INSTR_BEFORE_EXECUTION
#define BX_INSTR_BEFORE_EXECUTION(cpu_id, i) bx_instr_before_execution(cpu_id, i)
"""

_EDITS = [
    # VM entry looks at RFLAGS.IF to know which events are masked before the CPU counts as being in
    # the guest. With "external-interrupt exiting" the guest's IF masks none of the host's interrupts
    # (SDM vol. 3C, 26.5), so that a guest that spins with IF=0 would never be left again.
    ("cpu/vmx.cc", r"(  BX_CPU_THIS_PTR in_vmx_guest = true;\n)",
     r"\1  handleInterruptMaskChange();\n"),
    # The same on VMRUN, where V_INTR_MASKING leaves it to the host's IF (APM vol. 2, 15.21.1), and
    # where the guest's IF masks virtual interrupts.
    ("cpu/svm.cc", r"(  BX_CPU_THIS_PTR in_svm_guest = true;\n)",
     r"\1  handleInterruptMaskChange();\n"
     r"  if (SVM_V_INTR_MASKING && SVM_HOST_IF)\n"
     r"    unmask_event(BX_EVENT_PENDING_INTR | BX_EVENT_PENDING_LAPIC_INTR);\n"),
    # A #DB has written DR6 before it is intercepted (APM vol. 2, 15.12.2).
    ("cpu/svm.cc", r"(?=  BX_CPU_THIS_PTR debug_trap = 0; // clear debug_trap field)",
     r"  if (vector == BX_DB_EXCEPTION)\n"
     r"    BX_CPU_THIS_PTR dr6.val32 = (BX_CPU_THIS_PTR dr6.val32 & 0xffff6ff0) |\n"
     r"                                (BX_CPU_THIS_PTR debug_trap & 0x0000e00f);\n"),
    # VMRUN loads CR2. #VMEXIT can leave a guest that is in virtual-8086 mode or that is stepped, and a
    # trap that is due to the guest does not come in the host.
    ("cpu/svm.cc", r"(?=  BX_CPU_THIS_PTR dr6\.set32\(guest\.dr6\);)",
     r"  BX_CPU_THIS_PTR cr2 = guest.cr2;\n"),
    ("cpu/svm.cc", r"(?=  setEFlags\(host->eflags & ~EFlagsVMMask\);)",
     r"  BX_CPU_THIS_PTR eflags &= ~EFlagsVMMask;\n"
     r"  BX_CPU_THIS_PTR debug_trap = 0;\n"
     r"  BX_CPU_THIS_PTR inhibit_mask = 0;\n"),
    # When the delivery of an interrupt ends in a #VMEXIT, a nested page fault at the stack for one, the
    # exit tells of that interrupt (APM vol. 2, 15.7.2), not of an older event. Exceptions do already.
    ("cpu/exception.cc", r"(?=  RSP_SPECULATIVE;\n\n#if BX_SUPPORT_X86_64\n  if \(long_mode\(\)\))",
     r"  if (BX_CPU_THIS_PTR in_svm_guest &&\n"
     r"      (type == BX_EXTERNAL_INTERRUPT || type == BX_NMI || type == BX_SOFTWARE_INTERRUPT)) {\n"
     r"    BX_CPU_THIS_PTR vmcb->ctrls.exitintinfo = vector | (type << 8);\n"
     r"    BX_CPU_THIS_PTR vmcb->ctrls.exitintinfo_error_code = 0;\n"
     r"  }\n\n"),
    # A VMRUN that is refused leaves the guest's state as it is; what is not yet loaded can't be saved.
    ("cpu/svm.cc", r"(?<=in the VMCB\n  //\n)  SvmExitSaveGuestState\(\);",
     r"  if (reason != SVM_VMEXIT_INVALID)\n    SvmExitSaveGuestState();\n"
     r"  else\n    clear_event(BX_EVENT_SVM_VIRQ_PENDING);"),
    # It is refused for a CR3 beyond the CPU's physical addresses (APM vol. 2, 15.5.1), and for an injected
    # exception whose vector is none (15.20).
    ("cpu/svm.cc", r"(?=  guest\.cr4\.val32 = vmcb_read32)",
     r"  if (guest.efer.get_LMA() && ! IsValidPhyAddr(guest.cr3)) {\n"
     r'    BX_ERROR(("VMRUN: Guest CR3 reserved bits set"));' "\n    return 0;\n  }\n\n"),
    ("cpu/svm.cc", r"if \(vector == 2 \|\| vector > 31\)",
     r"if (vector >= 32 || (0x8fd08204 >> vector & 1))"),
    # A guest of SVM enters long mode with the 16-bit TSS that it has from reset, as every kernel's
    # second CPU does.
    ("cpu/crregs.cc", r"if \(BX_CPU_THIS_PTR tr\.cache\.type <= 3\)",
     r"if (BX_CPU_THIS_PTR tr.cache.type <= 3 && ! BX_CPU_THIS_PTR in_svm_guest)"),
    # A posted-interrupt descriptor is aligned to 64 bytes, not to a page (SDM vol. 3C, 26.2.1.1).
    ("cpu/vmx.cc", r"! IsValidPageAlignedPhyAddr\(vm->pid_addr\)",
     r"! IsValidPhyAddr(vm->pid_addr) || (vm->pid_addr & 63)"),
    # A notification that finds no posted interrupt, and none in VIRR, leaves RVI alone (30.6), rather than
    # having vector 255 delivered.
    ("cpu/vapic.cc", r"  vector = (BX_CPU_THIS_PTR lapic->highest_priority_int\(virr\);)\n"
     r"  if \(vector >= vm->rvi\) vm->rvi = vector;",
     r"  int highest = \1\n  if (highest > vm->rvi) vm->rvi = highest;"),
    # An interrupt of the host's that arrives while a virtual one waits for the guest's IF must not
    # deliver the virtual one (SDM vol. 3C, 29.2.2: only where RFLAGS.IF is 1).
    ("cpu/event.cc", r"if \(is_pending\(BX_EVENT_PENDING_VMX_VIRTUAL_INTR\)\)",
     r"if (is_unmasked_event_pending(BX_EVENT_PENDING_VMX_VIRTUAL_INTR))"),
    # When the delivery of a virtual interrupt ends in a VM exit, an EPT violation at the guest's stack
    # for one, the exit tells of that interrupt (SDM vol. 3C, 27.2.4), not of an older event.
    ("cpu/vapic.cc", r"(void BX_CPU_C::VMX_Deliver_Virtual_Interrupt\(void\)\n(?:.*\n)*?"
     r"  BX_CPU_THIS_PTR EXT = 1;.*\n)",
     r"\1  vm->idt_vector_info = vector | (BX_EXTERNAL_INTERRUPT << 8);\n"
     r"  vm->idt_vector_error_code = 0;\n"),
    # Fetching an instruction from the APIC-access page ends the guest's run (SDM vol. 3C, 30.4.1), not Bochs'.
    ("cpu/cpu.cc", r"(?=    // Sanity checks\n    if \(! BX_CPU_THIS_PTR eipFetchPtr\))",
     r"    if (is_virtual_apic_page(BX_CPU_THIS_PTR pAddrFetchPage))\n"
     r"      VMexit(VMX_VMEXIT_APIC_ACCESS, VMX_APIC_INSTRUCTION_FETCH | pageOffset);\n\n"),
    # This CPU is of 2017. The microcode of 2019 brought it MD_CLEAR, IBRS, IBPB, STIBP, SSBD and the flush of
    # the L1 data cache; the host and we use all of them against what guests could learn by speculation.
    ("cpu/cpudb/intel/corei7_skylake-x.cc", r"(  enable_cpu_extension\(BX_ISA_CLWB\);\n)",
     r"\1  enable_cpu_extension(BX_ISA_SCA_MITIGATIONS);\n"),
    ("cpu/cpudb/intel/corei7_skylake-x.cc", r"(ENCHANCED_REP_STRINGS\);\n.*\n\s*leaf->edx = )0;",
     r"\g<1>1u << 10 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 31;"),
    # The microcode's revision: one that has no known errata.
    ("cpu/msr.cc", r"(?=    if \(! msr_desc\[index\]\) return handle_unknown_rdmsr\(index, msr\);)",
     r"    if (index == 0x8b && is_cpu_extension_supported(BX_ISA_VMX)) {\n"
     r"      *msr = BX_CONST64(0x7fffffff) << 32;\n      return true;\n    }\n"),
    # What is no mistake of the host's is no error, and the log stays one that can be read.
    ("cpu/vapic.cc", r'BX_INFO\(\("(Pending|Clear) Virtual', r'BX_DEBUG(("\1 Virtual'),
    ("cpu/vapic.cc", r'BX_INFO\(\("Virtual Apic', r'BX_DEBUG(("Virtual Apic'),
    ("cpu/msr.cc", r'BX_ERROR\(\("(RDMSR|WRMSR): Unknown', r'BX_DEBUG(("\1: Unknown'),
    ("cpu/proc_ctrl.cc", r'BX_ERROR\(\("(?=%s: not allowed to use instruction)', r'BX_DEBUG(("'),
    ("cpu/svm.cc", r'BX_ERROR\(\("SVM VMEXIT: ', r'BX_DEBUG(("SVM VMEXIT: '),
    ("cpu/paging.cc", r'BX_ERROR\(\("VMEXIT: EPT', r'BX_DEBUG(("VMEXIT: EPT'),
    # A halted CPU counts as if it had executed a quantum, so that time runs faster the fewer CPUs have
    # work. It counts nothing; when all are halted, time goes on to the next thing that happens.
    ("main.cc", r"if \(n == 0\) n = quantum; // the CPU was halted\n",
     r"if (n != 0) active++;\n"),
    ("main.cc", r"BX_TICKN\(executed / BX_SMP_PROCESSORS\);\s*executed %= BX_SMP_PROCESSORS;",
     r"if (active == 0) {\n"
     r"               BX_TICKN(bx_pc_system.getNumCpuTicksLeftNextEvent());\n"
     r"             } else {\n"
     r"               BX_TICKN(executed / active);\n"
     r"               executed %= active;\n"
     r"             }\n"
     r"             active = 0;"),
    ("main.cc", r"static int quantum = .*;\n(\s*)(Bit32u executed = 0)",
     r"\1volatile \2, active = 0"),
    # With several CPUs, an event's delivery did not commit the RIP and RSP that it had loaded. A VM exit
    # before the handler's first instruction, by an interrupt or by an EPT violation of the handler's
    # page, then stored those of the interrupted code, with the handler's CS and stack.
    ("cpu/cpu.cc", r"(void BX_CPU_C::cpu_run_trace\(void\)\n\{\n)",
     r"\1  BX_CPU_THIS_PTR prev_rip = RIP;\n  BX_CPU_THIS_PTR speculative_rsp = false;\n\n"),
    # A RAM image is read as if memory were one piece; it comes in blocks, in the order of first use.
    ("memory/misc_mem.cc", r"read\(fd, \(bx_ptr_t\) BX_MEM_THIS get_vector\(offset\), size\)",
     r"read(fd, (bx_ptr_t) BX_MEM_THIS get_vector(offset), "
     r"BX_MIN(size, BX_MEM_THIS block_size - offset % BX_MEM_THIS block_size))"),
    ("memory/misc_mem.cc", r"(#define BX_MEM_HANDLERS )",
     r"#define BX_MIN(a, b) ((a) < (b) ? (a) : (b))\n\1"),
    # A serial port's "terminal" may be a descriptor that Bochs inherits: dev=fd:N.
    ("iodev/serial.cc", r"open\(dev, O_RDWR\|O_NONBLOCK,600\)",
     r'strncmp(dev, "fd:", 3) ? open(dev, O_RDWR|O_NONBLOCK) : atoi(dev + 3)'),
    # There, 0xff on the first port is a break, which is how SysRq is asked for on a serial console.
    ("iodev/serial.cc", r"(?<=    if \(data_ready\) \{\n)",
     r"      if (port == 0 && chbuf == 0xff) {\n"
     r"        chbuf = 0;\n"
     r"        BX_SER_THIS s[port].line_status.break_int = 1;\n"
     r"      }\n"),
    # A reset sets the TSC to 0 by giving TSC_ADJUST an offset, which the kernel takes back on the one CPU that
    # comes back from suspend to RAM: then the CPUs' TSCs differ. So the TSC goes on through a reset.
    ("cpu/init.cc", r'(#include "cpu.h"\n)', r'\1#include "pc_system.h"\n'),
    ("cpu/init.cc", r"  if \(source == BX_RESET_HARDWARE\) (\{\n    BX_CPU_THIS_PTR set_TSC\(0\);)",
     r"  if (source == BX_RESET_HARDWARE && !bx_pc_system.time_ticks()) \1"),
    # Kernel and initramfs are in memory again after a reset, but not where one ends suspend to RAM (0xfe in the
    # CMOS register for the way a reset goes).
    ("pc_system.cc", r'(#include "iodev/iodev.h"\n)', r'\1#include "memory/memory-bochs.h"\n#include "param_names.h"\n'),
    ("pc_system.cc", r"(  set_enable_a20\(1\);\n\n  // Always reset cpu\n)",
     r"  for (int i=1; i<=BX_N_OPTRAM_IMAGES && DEV_cmos_get_reg(0xf) != 0xfe; i++) {\n"
     r"    char name[80];\n"
     r'    sprintf(name, "%s.%d", BXPN_OPTRAM_BASE, i);\n'
     r"    bx_list_c *image = (bx_list_c*) SIM->get_param(name);\n"
     r'    if (!SIM->get_param_string("file", image)->isempty())\n'
     r'      BX_MEM(0)->load_RAM(SIM->get_param_string("file", image)->getptr(),\n'
     r'                          SIM->get_param_num("address", image)->get());\n'
     r"  }\n\1"),
    # A byte is sent in a microsecond, not in a real line's 87: a test's output has not to wait.
    ("iodev/serial.cc", r"(activate_timer\(BX_SER_THIS s\[port\]\.tx_timer_index,\s*)"
     r"BX_SER_THIS s\[port\]\.databyte_usec", r"\g<1>1"),
]


def _edit(tree):
    for name, pattern, replacement in _EDITS:
        path = tree / name
        text = path.read_text(encoding="latin-1")
        text, count = re.subn(pattern, replacement, text)
        if not count:
            raise cache.Failure(f"Bochs {_VERSION} cannot be built: an edit of its {name} in "
                                "scripts/harness/bochs_build.py no longer finds its place")
        path.write_text(text, encoding="latin-1")


def _instrument(tree):
    """Put our instrumentation in the place of the stubs: of all its hooks, two are used."""
    folder = tree / "instrument" / "stubs"
    header = (folder / "instrument.h").read_text(encoding="latin-1")
    unused, found, _ = header.partition("\n#else\n")[2].rpartition("#endif")
    if not found:
        raise cache.Failure(f"Bochs {_VERSION} cannot be built: its instrumentation's header is not "
                            "what scripts/harness/bochs_build.py expects")
    (folder / "instrument.h").write_text(unused + _HOOKS, encoding="latin-1")
    (folder / "instrument.cc").write_bytes(_COUNT[0].read_bytes())
    for path in _COUNT[1:]:
        (folder / path.name).write_bytes(path.read_bytes())


def _run(words, tree, log):
    with open(log, "ab") as file:
        environment = {**os.environ, "CFLAGS": _FLAGS, "CXXFLAGS": _FLAGS}
        for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
            environment.pop(name, None)
        if subprocess.run(words, cwd=tree, env=environment, stdin=subprocess.DEVNULL, stdout=file,
                          stderr=subprocess.STDOUT, check=False).returncode:
            lines = pathlib.Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
            raise cache.Failure("\n".join([f"Bochs {_VERSION} cannot be built:", *lines[-15:]]))


def _make(path, counting):
    if subprocess.run([cache.REPO / "scripts" / "deps", "bochs"], stdin=subprocess.DEVNULL,
                      check=False).returncode:
        raise cache.Failure(f"Bochs {_VERSION} cannot be built: scripts/deps bochs failed")
    work = path.with_name(path.name + "-tree")
    if work.exists():
        cache.remove(work)
    tree = debian.source(_SUITE, "bochs", work)
    if not tree.name.startswith(f"bochs-{_VERSION}"):
        raise cache.Failure(f"{_SUITE} has {tree.name}, where Bochs {_VERSION} was expected")
    _edit(tree)
    if counting:
        _instrument(tree)
    configure = [*_CONFIGURE, *(["--enable-instrumentation"] if counting else [])]
    _run(["./configure", *configure], tree, work / "log")
    _run(["make", f"-j{len(os.sched_getaffinity(0))}", "bochs"], tree, work / "log")
    debian.unpack("bookworm", ["bochsbios", "vgabios"], work / "firmware")
    path.mkdir()
    (tree / "bochs").rename(path / "bochs")
    (work / "firmware/usr/share/bochs/BIOS-bochs-latest").rename(path / "bios")
    (work / "firmware/usr/share/vgabios/vgabios.bin").rename(path / "vgabios")
    cache.remove(work)


def folder(counting=False):
    """The folder with the program bochs, and its firmware: bios and vgabios.

    With `counting` it is a Bochs that counts instructions (selftests/bench/count_bochs.cc), a third slower.
    """
    name = f"bochs/{_VERSION}"
    parts = [pathlib.Path(__file__)]
    if counting:
        name += "-count"
        parts += _COUNT
    key = hashlib.sha256(b"".join(path.read_bytes() for path in parts)).hexdigest()[:8]
    return cache.entry(f"{name}-{key}", lambda path: _make(path, counting),
                       f"downloading and building Bochs {_VERSION}, which takes some minutes")
