# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# What the scripts of this suite share. They run in an emulated host, as root, with busybox's commands.
#
#   plan 1
#   start_checked one -c 4              a guest that watches over its memory (checked.c), by a name
#   check "it goes on" goes_on one
#   end_checked one

here=$(dirname "$0")
device=${OST_DEVICE:-/dev/ostler}
scratch=$(mktemp -d)
cpus=/sys/devices/system/cpu
number=0
trap 'rm -rf "$scratch"' EXIT

plan() {
	echo "TAP version 13"
	echo "1..$1"
}

# check NAME COMMAND...: one result. On failure what the guests said is shown.
check() {
	number=$((number + 1))
	name=$1
	shift
	if "$@"; then
		echo "ok $number $name"
		return
	fi
	echo "not ok $number $name"
	echo "# failed: $*"
	for file in "$scratch"/*.out; do
		[ -e "$file" ] && sed "s|^|# ${file##*/} |" "$file"
	done
}

skip_all() {
	echo "TAP version 13"
	echo "1..0 # SKIP $*"
	exit
}

# start_checked NAME ARG...: in the background.
start_checked() {
	checked=$1
	shift
	echo 0 >"$scratch/$checked.rounds"
	"$here/checked" -s "$scratch/$checked.rounds" "$@" >"$scratch/$checked.out" 2>&1 &
	echo $! >"$scratch/$checked.pid"
}

# goes_on NAME [ROUNDS]: the guest has made that many more rounds (3) over its memory, within two minutes.
goes_on() {
	wanted=$(($(cat "$scratch/$1.rounds") + ${2:-3}))
	tries=0
	until [ "$(cat "$scratch/$1.rounds")" -ge $wanted ]; do
		tries=$((tries + 1))
		[ $tries -le 1200 ] && kill -0 "$(cat "$scratch/$1.pid")" || return
		sleep 0.1
	done
}

# end_checked NAME: whether all was well with the guest to its end.
end_checked() {
	kill -TERM "$(cat "$scratch/$1.pid")" && wait "$(cat "$scratch/$1.pid")"
}

# each_cpu: a guest runs on every CPU that is for guests, so virtualization was off there, or is ours.
each_cpu() {
	for cpu in $guest_cpus; do
		taskset -c "$cpu" "$here/checked" -c 1 -m 1 -t 1 || return
	done
}

all_cpus() {
	[ "$(cat $cpus/online)" = "$(cat $cpus/present)" ]
}

# remember LETTER, recall: a byte of the CMOS RAM, which outlives a kernel.
remember() {
	printf '\176' | dd of=/dev/port bs=1 seek=112 conv=notrunc 2>/dev/null
	printf '%s' "$1" | dd of=/dev/port bs=1 seek=113 conv=notrunc 2>/dev/null
}

recall() {
	printf '\176' | dd of=/dev/port bs=1 seek=112 conv=notrunc 2>/dev/null
	dd if=/dev/port bs=1 skip=113 count=1 2>/dev/null | tr -cd '[:upper:]'
}

# What was printed has left the host.
settle() {
	sleep 2
}

# load: our module, as hostrun was told to.
load() {
	# shellcheck disable=SC1091 # written by hostrun
	(. /host/settings && eval "insmod /host/$HOST_INSTANCE.ko $HOST_MODULE_ARGS")
}

# reload: out with our module and in again, once nobody uses it.
reload() {
	[ "$device" = /dev/kvm ] || { unused && rmmod "$module" && load; }
}

on_stock_kvm() {
	for needed in $(cat /host/kvm/order); do
		[ -e "/sys/module/$needed" ] || insmod "/host/kvm/$needed.ko" || return
	done
	OST_DEVICE=/dev/kvm each_cpu
}

# unused: nobody uses the module any more, within ten seconds.
unused() {
	tries=0
	until [ "$(cat "/sys/module/$module/refcnt")" = 0 ]; do
		tries=$((tries + 1))
		[ $tries -le 100 ] || return
		sleep 0.1
	done
}

# In QEMU's hosts CPU 0 is not for guests (scripts/harness/qemu.py).
guest_cpus=$(taskset -p $$ | awk '{ mask = $NF; n = length(mask); cpu = 0
	for (i = n; i > 0; i--) {
		digit = index("0123456789abcdef", substr(mask, i, 1)) - 1
		for (bit = 1; bit < 16; bit *= 2) {
			if (int(digit / bit) % 2)
				print cpu
			cpu++
		}
	} }')

# On a stock node, the module of the CPU's vendor.
module=$(basename "$device")
[ "$module" != kvm ] || module=$(cd /sys/module && echo kvm_[ai]*)
