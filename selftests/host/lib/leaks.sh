# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# What is in use on the host: slab objects by cache, pages, mappings, threads, files. The rest of the kernel makes noise,
# so a leak is what grows with every round, and the more rounds the smaller the leak that is seen.

# in_use FILE: writes it there, a name and a number a line, once everything is given back that can be.
in_use() {
	sleep 1
	for pass in 1 2; do
		echo 3 >/proc/sys/vm/drop_caches
		echo 1 >/proc/sys/vm/compact_memory
		for cache in /sys/kernel/slab/*/shrink; do
			[ -L "${cache%/*}" ] || echo 1 >"$cache"
		done
		sleep $pass
	done
	{
		# Areas of the kernel's address space that were given back stay until there are many of them: vmallocinfo
		# tells those apart, the slab does not.
		awk 'NR > 2 && $1 != "vmap_area" { print "slab:" $1, $2, $5 }' /proc/slabinfo
		awk '!/unpurged/ { n++ } END { print "areas", n }' /proc/vmallocinfo
		listed=$(awk '/ count:/ { n += $2 } END { print n }' /proc/zoneinfo)
		awk -v listed="$listed" '/^MemTotal:/ { total = $2 }
			/^MemFree:/ { print "pages", (total - $2) / 4 - listed }
			/^(VmallocUsed|KernelStack|PageTables|Percpu):/ { print "pages:" $1, $2 / 4 }' \
			/proc/meminfo
		awk '{ print "files", $1 }' /proc/sys/fs/file-nr
		cat /proc/[0-9]*/comm 2>/dev/null | awk '!/^kworker/ { n++ } END { print "threads", n }'
	} >"$1"
}

# no_leaks BEFORE AFTER ROUNDS: whether nothing has grown with the rounds. Says what has.
no_leaks() {
	awk -v rounds="$3" '
		NR == FNR { before[$1] = $2; next }
		{ grown = $2 - before[$1] }
		$1 ~ /^pages/ { limit = rounds / 2 + 128 }
		# Each CPU has a slab of its own, all of which counts as used.
		$1 ~ /^slab:/ { limit = rounds / 2 + 4 * $3 }
		$1 ~ /^(areas|files|threads)$/ { limit = rounds / 2 + 32 }
		grown > limit { print "# " $1 " has grown by " grown " in " rounds " rounds"; leaks++ }
		END { exit leaks > 0 }' "$1" "$2"
}
