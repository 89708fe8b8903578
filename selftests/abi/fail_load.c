// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module is loaded again and again, and an allocation fails each time: `make test-abi
 * T=abi/fail_load KERNEL=debug`. Each load says so and leaves nothing, a node least of all; then
 * one works. The allocations that are tried are the last ones of a load, which are the module's
 * own; those before them are the kernel's.
 * hostrun: --modules=
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "fail.h"
#include "kselftest_harness.h"
#include "vm.h"

#define SLOW_S		240
#define MANY		1000000
/* How many are tried at most: a load takes a while on a slow host. */
#define TRIED		120

static const char *name(void)
{
	return strrchr(dev_path(), '/') + 1;
}

/* 0, or errno. */
static int load(int fd)
{
	return syscall(SYS_finit_module, fd, "", 0) ? errno : 0;
}

static int unload(void)
{
	return syscall(SYS_delete_module, name(), O_NONBLOCK) ? errno : 0;
}

static bool anything_left(void)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/sys/module/%s", name());
	if (!stat(path, &st))
		return true;
	snprintf(path, sizeof(path), "/sys/kernel/debug/%s", name());
	return !stat(dev_path(), &st) || !stat(path, &st);
}

FIXTURE(fail_load)
{
};

FIXTURE_SETUP(fail_load)
{
}

FIXTURE_TEARDOWN(fail_load)
{
}

TEST_F_TIMEOUT(fail_load, every_load_fails_cleanly, SLOW_S)
{
	char path[64];
	int fd, left, nr, tried = 0, failed = 0;
	struct vm vm;

	if (dev_is_reference() || !fail_setup())
		SKIP(return, "the host's kernel can't inject failures");
	snprintf(path, sizeof(path), "/host/%s.ko", name());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		SKIP(return, "no %s", path);
	ASSERT_EQ(0, unload());
	/* How many calls that can fail has a load? */
	fail_nth(MANY);
	ASSERT_EQ(0, load(fd));
	EXPECT_FALSE(fail_off(&left));
	nr = MANY - left;
	ASSERT_EQ(0, unload());
	for (int n = nr > TRIED ? nr - TRIED : 1; n <= nr; n++) {
		int err;

		fail_nth(n);
		err = load(fd);
		fail_off(&left);
		tried++;
		failed += !!err;
		EXPECT_TRUE(!err || err == ENOMEM || err == EFAULT)
			TH_LOG("call %d of %d: %s", n, nr, strerror(err));
		if (err) {
			EXPECT_FALSE(anything_left())
				TH_LOG("call %d of %d", n, nr);
		} else {
			EXPECT_EQ(0, unload());
		}
	}
	TH_LOG("%d calls of %d made to fail, %d loads failed", tried, nr, failed);
	EXPECT_LT(0, failed);
	ASSERT_EQ(0, load(fd));
	ASSERT_EQ(0, vm_open(&vm, VM_MEMORY | VM_IRQCHIP | VM_VCPU));
	vm_close(&vm);
	close(fd);
}

TEST_HARNESS_MAIN
