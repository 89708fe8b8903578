# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# What the tests of foreign VMMs share. They run inside the emulated host, in a tree with Debian's qemu-10 and qemu-7 and
# busybox's commands (scripts/harness/foreign.py). Beside them are guest.elf, disk.img and firmware.bin of guest/,
# capability.bin of lib/, and Debian's kernel as vmlinux.img and vmlinuz.img with initrd.img for it.
#
#   needs "$MCE"                  ends the test as skipped where the device has not that capability
#   plan 2
#   begin qemu-10 q35 -smp 2 ...  starts a QEMU; what its guest prints on COM1 is in $scratch/$vm.out
#   wait_for hello                until the guest has printed that
#   finish                        waits for QEMU's end, and leaves its status in $status; $ok is the guest's "all is well"
#   check "it ends" [ "$status" = "$ok" ]

here=$(dirname "$0")
device=${OST_DEVICE:-/dev/ostler}
scratch=$(mktemp -d)
number=0
ok=33
status=
child=
vm=one			# more than one at a time: each has a name
irqchip=		# on, off or split, where it is not QEMU's choice
dirty_ring=		# how many entries, where it is not the dirty log
patience=$((180 * ${OST_SLOWER:-1}))
trap 'rm -rf "$scratch"' EXIT
trap '' PIPE

# KVM_CAP_...
SET_GUEST_DEBUG=23 MCE=31 ROBUST_SINGLESTEP=51 SMM=117 SPLIT_IRQCHIP=121 DIRTY_LOG_RING=192

plan() {
	echo "TAP version 13"
	echo "1..$1"
}

# needs CAPABILITY...: those, and what QEMU does not start without.
needs() {
	if ! missing=$("$here/capability.bin" "$device" $MCE $ROBUST_SINGLESTEP "$@"); then
		echo "TAP version 13"
		echo "1..0 # SKIP $device has no capability ${missing:-at all}"
		exit
	fi
}

# has CAPABILITY
has() {
	"$here/capability.bin" "$device" "$1" >/dev/null
}

# skip HOW-MANY WHY
skip() {
	left=$1
	while [ "$left" -gt 0 ]; do
		number=$((number + 1))
		left=$((left - 1))
		echo "ok $number # SKIP $2"
	done
}

# check NAME COMMAND...: one result. On failure what the guest and QEMU said is shown.
check() {
	number=$((number + 1))
	name=$1
	shift
	if "$@"; then
		echo "ok $number $name"
		return
	fi
	echo "not ok $number $name"
	echo "# failed: $*; QEMU's status: $status"
	for file in "$scratch"/*.out "$scratch"/*.err "$scratch"/*.monitor; do
		# A prompt has no end of line, and would swallow the next result.
		[ ! -f "$file" ] || { tail -n 40 "$file" | sed "s/^/# ${file##*/}: /"; echo; }
	done
}

said() {
	tr -d '\r' <"$scratch/$vm.out" | grep -q "$1"
}

# begin QEMU MACHINE ARG...
begin() {
	qemu=$1 machine=$2
	shift 2
	accel=kvm
	# 7.2 opens /dev/kvm, whatever one says; that is the module's by kvm_node=1.
	[ "$qemu" = qemu-7 ] || accel="kvm,device=$device"
	accel=$accel${irqchip:+,kernel-irqchip=$irqchip}${dirty_ring:+,dirty-ring-size=$dirty_ring}
	files=$scratch/$vm
	rm -f "$files".*
	: >"$files.out"
	mkfifo "$files.keys" "$files.monitor.in" "$files.monitor.out"
	# Both are open before this ends: what is typed at once is not lost.
	{ cat "$files.monitor.out" >"$files.monitor" 2>/dev/null & } 9<>"$files.monitor.in"
	{ "$qemu" -nodefaults -no-user-config -M "$machine" -accel "$accel" -cpu host \
		-m 64M -display none -no-reboot -serial stdio -chardev "pipe,id=monitor,path=$files.monitor" \
		-mon chardev=monitor,mode=readline -device isa-debug-exit,iobase=0x501 "$@" \
		<&9 >"$files.out" 2>"$files.err" & } 9<>"$files.keys"
	child=$!
}

# bare QEMU MACHINE WORD ARG...: the guest of guest/main.c, which does what that word says.
bare() {
	qemu=$1 machine=$2 word=$3
	shift 3
	begin "$qemu" "$machine" -kernel "$here/guest.elf" -append "$word" "$@"
}

# type_in TEXT: at the guest's COM1. Nothing waits here for a reader.
type_in() {
	printf '%s' "$1" 1<>"$scratch/$vm.keys"
}

# monitor COMMAND
monitor() {
	printf '%s\n' "$1" 1<>"$scratch/$vm.monitor.in"
}

# wait_until COMMAND...: it is true, while QEMU runs and there is patience.
wait_until() {
	tries=0
	until "$@"; do
		tries=$((tries + 1))
		[ $tries -le $((patience * 5)) ] && kill -0 "$child" 2>/dev/null || return
		sleep 0.2
	done
}

wait_for() {
	wait_until said "$1"
}

# A QEMU that does not end is killed, and its status is 137.
finish() {
	victim=$child
	(trap 'kill $!; exit' TERM; sleep $patience & wait $!; kill -KILL "$victim") 2>/dev/null &
	watch=$!
	wait "$victim"
	status=$?
	kill $watch 2>/dev/null
}
