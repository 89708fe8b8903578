# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# A boot with some number of vCPUs, each of which then has to do work and take timer interrupts.
# COUNT=1: how many, one after the other; the results say which.
# shellcheck source=selftests/linux/lib.sh
. "$(dirname "$0")/lib.sh"

# What a boot may take, in seconds of the host's; ten seconds are usual.
patience=$((300 * ${OST_SLOWER:-1}))

boot_with_cpus() {
	plan $((6 * ${COUNT:-1}))
	boots=1
	while [ $boots -le "${COUNT:-1}" ]; do
		boot=
		[ "${COUNT:-1}" = 1 ] || boot="boot $boots: "
		boot_once "$1"
		boots=$((boots + 1))
	done
}

# The guest's script: one word a line, as the checks below look for them.
boot_once() {
	pack "$scratch/initrd" <<'END'
echo "release $(uname -r)"
echo "cpus $(nproc)"
echo "clock $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
cpu=0
while [ -d /sys/devices/system/cpu/cpu$cpu ]; do
	taskset -p $((1 << cpu)) $$ >/dev/null
	i=0
	while [ $i -lt 2000 ]; do i=$((i + 1)); done
	sleep 0.1
	echo "worked $cpu $(cut -d ' ' -f 39 /proc/self/stat)"
	cpu=$((cpu + 1))
done
awk '/^ *LOC:/ { for (i = 2; $i ~ /^[0-9]+$/; i++) if ($i + 0 > 0) ticking++ } END { print "ticking", ticking }' \
	/proc/interrupts
dmesg | grep -E 'BUG|WARNING: CPU|Oops|stall|lockup|unchecked MSR|not responding' | sed 's/^/trouble /'
END
	start --cpus "$1" --memory 512M
	finish_within $patience
	check "${boot}it boots, runs a command, and ends" [ "$status" = 0 ]
	check "${boot}it is Debian's 6.1 kernel" grep -q '^release 6\.1\.' "$scratch/out"
	check "${boot}it has $1 CPUs" grep -qx "cpus $1" "$scratch/out"
	check "${boot}every CPU runs what is bound to it" ran_on_each "$1"
	check "${boot}every CPU takes timer interrupts" grep -qx "ticking $1" "$scratch/out"
	check "${boot}its kernel reports no trouble" [ "$status" = 0 -a -z "$(grep ^trouble "$scratch/out")" ]
}

ran_on_each() {
	cpu=0
	while [ $cpu -lt "$1" ]; do
		grep -qx "worked $cpu $cpu" "$scratch/out" || return
		cpu=$((cpu + 1))
	done
}
