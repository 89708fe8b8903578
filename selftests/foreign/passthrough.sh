# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# A guest has a disk of the host's for itself, by VFIO: an NVMe controller behind an IOMMU (hostrun's --passthrough).
# shellcheck source=selftests/foreign/lib.sh
. "$(dirname "$0")/lib.sh"

disk=0000:00:10.0
patience=$((600 * ${OST_SLOWER:-1}))

bind_disk() {
	echo vfio-pci >/sys/bus/pci/devices/$disk/driver_override
	echo $disk >/sys/bus/pci/drivers_probe
	group=$(basename "$(readlink /sys/bus/pci/devices/$disk/iommu_group)")
	[ -c "/dev/vfio/$group" ]
}

make_initrd() {
	mkdir -p "$scratch/tree/guest"
	cat >"$scratch/tree/guest/command" <<-'GUEST'
	for module in /guest/modules/*; do
		insmod "$module" 2>/dev/null		# some of them are there
	done
	until [ -b /dev/nvme0n1 ]; do
		sleep 0.1
	done
	interrupts() {
		awk '/nvme0q/ { for (i = 2; i <= NF; i++) if ($i ~ /^[0-9]+$/) n += $i } END { print n + 0 }' /proc/interrupts
	}
	sum() {
		dd if=/dev/nvme0n1 bs=16k iflag=direct count=256 2>/dev/null | md5sum | cut -c 1-32
	}
	echo "found $(sum)"
	head -c 4194304 /dev/urandom >/tmp/data
	before=$(interrupts)
	echo ready
	dd if=/dev/ttyS0 bs=1 count=1 of=/dev/null 2>/dev/null
	dd if=/tmp/data of=/dev/nvme0n1 bs=16k oflag=direct 2>/dev/null
	[ "$(sum)" = "$(md5sum </tmp/data | cut -c 1-32)" ] && echo "data are read back"
	echo "interrupts $(($(interrupts) - before))"
	echo "wrote $(sum)"
	dd if=/dev/ttyS0 bs=1 count=1 of=/dev/null 2>/dev/null
	dmesg | grep -E 'BUG|WARNING: CPU|Oops|stall|lockup|unchecked MSR|nvme.*(timeout|abort|failed)|I/O error' | sed 's/^/trouble: /'
	GUEST
	(cd "$scratch/tree" && find guest | cpio -o -H newc 2>/dev/null) >"$scratch/tail"
	cat "$here/initrd.img" "$here/nvme.img" "$scratch/tail" >"$scratch/initrd"
}

boot() {
	begin qemu-10 q35 -m 256M -device vfio-pci,host=$disk -kernel "$here/vmlinux.img" -initrd "$scratch/initrd" \
		-append "console=ttyS0 quiet loglevel=1 panic=-1 cryptomgr.notests audit=0"
}

counters() {
	tr -d '\r' <"$scratch/$vm.monitor" | grep 'mmio_exits.*: [0-9]'
}

# mmio_exits: how often the vCPU has left KVM for MMIO.
mmio_exits() {
	: >"$scratch/$vm.monitor"
	monitor "info stats vcpu mmio_exits"
	wait_until counters >/dev/null && counters | awk '{ n += $NF } END { print n + 0 }'
}

by_itself() {
	[ "$before" ] && [ "$after" ] && [ "$left" -lt 256 ]
}

# number_of WORD: what the guest has printed behind it.
number_of() {
	tr -d '\r' <"$scratch/$vm.out" | sed -n "s/^$1 //p"
}

# passthrough NONCOHERENT: 0 or 1
passthrough() {
	needs
	plan 9
	check "VFIO has the device" bind_disk
	make_initrd
	boot
	wait_for '^ready'
	sleep 1
	before=$(mmio_exits)
	type_in x
	wait_for '^wrote'
	after=$(mmio_exits) left=$((after - before))
	check "the guest reads what it wrote" said '^data are read back'
	echo "# $(number_of interrupts) interrupts, $left times out of KVM for MMIO"
	check "by interrupts" [ "$(number_of interrupts)" -ge 256 ]
	# A transfer is a doorbell or two, and there are 768 of them.
	check "the guest reaches the device's registers by itself" by_itself
	if [ "$device" = /dev/ostler ]; then
		check "the module knows what the device's accesses see" grep -q "devices 1 noncoherent $1\$" /sys/kernel/debug/ostler/stats
	else
		skip 1 "the stock module does not tell"
	fi
	type_in x
	finish
	check "the guest ends, and its kernel reports no trouble" [ "$status$(grep ^trouble "$scratch/$vm.out")" = 1 ]
	check "QEMU has told the module of the device" [ -z "$(grep -i kvm "$scratch/$vm.err")" ]
	wrote=$(number_of wrote)
	boot
	wait_for '^ready'
	check "another guest finds it on the disk" [ "$(number_of found)" = "$wrote" ]
	type_in x
	wait_for '^wrote'
	type_in x
	finish
	check "that ends, too" [ "$status" = 1 ]
}
