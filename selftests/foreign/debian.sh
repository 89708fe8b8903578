# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# Debian's kernel with the harness's initramfs, from QEMU's -kernel to a command's output and the end.
# shellcheck source=selftests/foreign/lib.sh
. "$(dirname "$0")/lib.sh"

patience=$((900 * ${OST_SLOWER:-1}))

# debian QEMU MACHINE CPUS ARG...
debian() {
	qemu=$1 machine=$2 cpus=$3
	shift 3
	mkdir -p "$scratch/tree/guest"
	cat >"$scratch/tree/guest/command" <<'END'
echo "release $(uname -r)"
echo "cpus $(nproc)"
awk '/^ *LOC:/ { for (i = 2; $i ~ /^[0-9]+$/; i++) if ($i + 0 > 0) ticking++ } END { print "ticking", ticking }' \
	/proc/interrupts
dmesg | grep -E 'BUG|WARNING: CPU|Oops|stall|lockup|unchecked MSR|not responding' | sed 's/^/trouble /'
END
	(cd "$scratch/tree" && find guest | cpio -o -H newc 2>/dev/null) >"$scratch/tail"
	cat "$here/initrd.img" "$scratch/tail" >"$scratch/initrd"
	begin "$qemu" "$machine" -m 256M -smp "$cpus" -kernel "$here/vmlinux.img" -initrd "$scratch/initrd" \
		-append "console=ttyS0 quiet loglevel=1 panic=-1 cryptomgr.notests audit=0" "$@"
	finish
	what="$qemu, $machine, $cpus CPUs"
	check "$what: it boots, runs a command, and ends" [ "$status" = 1 ]
	check "$what: it is Debian's 6.1 kernel" said '^release 6\.1\.'
	check "$what: all its CPUs take timer interrupts" said "^ticking $cpus"
	check "$what: its kernel reports no trouble" [ -z "$(grep ^trouble "$scratch/$vm.out")" ]
}
