# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# What the whole-guest tests share. They run inside the emulated host, with busybox's commands; beside
# them are vmm.bin, e2fsck.bin, the guest kernel as vmlinux.img (ELF) and vmlinuz.img (bzImage), initrd.img and an
# empty ext4 disk.img.
#
#   plan 2
#   guest --cpus 2 <<'END'        boots a guest that runs this script; what it prints is in
#   nproc                         $scratch/out, vmm's messages in $scratch/err, vmm's exit status
#   END                           (the script's own, when it ended) in $status
#   check "it ended well" [ $status = 0 ]
#   check "it has 2 CPUs" [ "$(output)" = 2 ]

here=$(dirname "$0")
device=${OST_DEVICE:-/dev/ostler}
slower=${OST_SLOWER:-1}
scratch=$(mktemp -d)
number=0
kernel=vmlinux.img
cmdline="console=ttyS0 quiet loglevel=1 panic=-1 cryptomgr.notests audit=0"
trap 'rm -rf "$scratch"' EXIT

plan() {
	echo "TAP version 13"
	echo "1..$1"
}

# check NAME COMMAND...: one result. On failure what the guest and vmm said is shown, once a guest.
check() {
	number=$((number + 1))
	name=$1
	shift
	if "$@"; then
		echo "ok $number $name"
		return
	fi
	echo "not ok $number $name"
	echo "# failed: $*; vmm's status: $status"
	sed 's/^/# out: /' "$scratch/out"
	sed 's/^/# err: /' "$scratch/err"
}

output() {
	cat "$scratch/out"
}

# vmm ARG...: the bare command, on the kernel, device and console of these tests. It takes the shell's
# place, so that in the background $! is vmm itself; in the foreground: (vmm ...).
vmm() {
	exec "$here/vmm.bin" run --device "$device" --kernel "$here/$kernel" --cmdline "$cmdline" "$@"
}

# pack FILE: an initramfs for a guest that runs the script on standard input, in FILE.
pack() {
	mkdir -p "$scratch/tree/guest"
	cat >"$scratch/tree/guest/command"
	[ -z "$mount_disk" ] || : >"$scratch/tree/guest/disk"
	pack_tree "$1"
}

# pack_tree FILE: the guest's initramfs with $scratch/tree/guest, which scripts/guest/init reads, in FILE.
pack_tree() {
	(cd "$scratch/tree" && find guest | cpio -o -H newc 2>/dev/null) >"$scratch/tail"
	cat "$here/initrd.img" "$scratch/tail" >"$1"
	rm -r "$scratch/tree"
}

# start ARG...: like guest, but with the initramfs that pack made, and not waiting for its end.
start() {
	vmm --initrd "$scratch/initrd" --debug-exit --no-reboot "$@" </dev/null \
		>"$scratch/out" 2>"$scratch/err" &
	child=$!
}

finish() {
	wait "$child"
	status=$?
}

# finish_within SECONDS: like finish; a vmm that is not done by then is killed, and its status is 137.
finish_within() {
	victim=$child
	(trap 'kill $!; exit' TERM; sleep "$1" & wait $!; kill -KILL "$victim") 2>/dev/null &
	watch=$!
	finish
	kill $watch
}

guest() {
	pack "$scratch/initrd"
	start "$@"
	finish
}

# with_disk: a fresh disk of this test's own, given to guests by --disk "$disk" and mounted on /mnt.
with_disk() {
	disk=$scratch/disk.img
	cp "$here/disk.img" "$disk"
	mount_disk=yes
}
