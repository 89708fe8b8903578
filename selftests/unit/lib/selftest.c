// SPDX-License-Identifier: GPL-2.0-only
/*
 * The harness's own test: each shim does what the kernel's does, on the values where they could
 * differ.
 */
#include <linux/bitops.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <asm/msr-index.h>

#include "tap.h"

static void test_bits(void)
{
	DECLARE_BITMAP(map, 256) = {};

	__set_bit(255, map);
	set_bit(64, map);
	CHECK_EQ(find_first_bit(map, 256), 64);
	CHECK_EQ(find_next_bit(map, 256, 65), 255);
	CHECK(test_and_clear_bit(255, map));
	CHECK(!test_and_set_bit(255, map));
	CHECK_EQ(fls64(0), 0);
	CHECK_EQ(fls64(1ULL << 63), 64);
	CHECK_EQ(GENMASK_ULL(63, 62), 3ULL << 62);
	CHECK_EQ(GENMASK_ULL(0, 0), 1);
	CHECK_EQ(MSR_EFER, 0xc0000080);
}

static void test_failing_allocation(void)
{
	void *first, *second;

	ost_unit_fail_alloc = 2;
	first = kzalloc(1, GFP_KERNEL);
	second = kzalloc(1, GFP_KERNEL);
	kfree(first);
	CHECK(first && !second);
	CHECK(!kcalloc(~0UL, 16, GFP_KERNEL));
}

int main(int argc, char **argv)
{
	tap_init(argc, argv);
	tap_run("bits", test_bits);
	tap_run("failing allocation", test_failing_allocation);
	return tap_done();
}
