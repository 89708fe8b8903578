// SPDX-License-Identifier: GPL-2.0-only
#include "fail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int fd = -1;

static int set(const char *name, const char *value)
{
	char path[128];
	int file, ret;

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s", name);
	file = open(path, O_WRONLY);
	if (file < 0)
		return -1;
	ret = write(file, value, strlen(value));
	close(file);
	return ret < 0 ? -1 : 0;
}

bool fail_setup(void)
{
	fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	return fd >= 0 && !set("failslab/ignore-gfp-wait", "N") && !set("failslab/verbose", "0") &&
	       !set("fail_page_alloc/ignore-gfp-wait", "N") &&
	       !set("fail_page_alloc/ignore-gfp-highmem", "N") &&
	       !set("fail_page_alloc/min-order", "0") && !set("fail_page_alloc/verbose", "0") &&
	       !set("fail_usercopy/verbose", "0");
}

static void arm(int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", n);

	/* Writing it is a copy from userspace, which may be what fails. */
	while (pwrite(fd, text, len, 0) != len)
		if (errno != EFAULT)
			abort();
}

void fail_nth(int n)
{
	arm(n);
}

bool fail_off(int *left)
{
	char text[16] = "";
	ssize_t len = pread(fd, text, sizeof(text) - 1, 0);

	arm(0);
	/* Reading it is a copy to userspace: if that failed, nothing had before. */
	*left = len <= 0 ? 1 : atoi(text);
	return !*left;
}
