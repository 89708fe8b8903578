# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# What crash and crash-early share: a panic under guests, seen from the crash kernel.
# shellcheck source=selftests/host/lib/lib.sh
. "$(dirname "$0")/lib.sh"

# load_crash_kernel WORD...: with more words for its command line. It says on the console when it starts, which ends
# what hostrun takes for the crash (scripts/harness/splat.py).
load_crash_kernel() {
	"$here/again" -p loglevel=6 ostler_crash "$@"
}

# crash_on CPU: ends this kernel.
crash_on() {
	remember C
	settle
	taskset -c "$1" sh -c 'echo c >/proc/sysrq-trigger'
	exit 1
}

# in_crash_kernel: whether this is the second kernel.
in_crash_kernel() {
	[ "$(recall)" = C ]
}

# after_crash: the checks of the second kernel.
after_crash() {
	check "it is the crash kernel" grep -q ostler_crash /proc/cmdline
	check "it has all the CPUs that it may start" all_cpus
	check "every one runs guests" each_cpu
	check "the module can be unloaded" reload
	check "the stock module's guests run on every CPU" on_stock_kvm
}
