// SPDX-License-Identifier: GPL-2.0-only
/* Ostler's own ioctl (uapi/ostler.h), and the example that uses it (examples/hello.c, built beside this). */
#include <libgen.h>
#include <limits.h>
#include "kselftest_harness.h"
#include "../../uapi/ostler.h"
#include "vm.h"

FIXTURE(ostler)
{
	int fd;
};

FIXTURE_SETUP(ostler)
{
	self->fd = dev_open();
	ASSERT_LE(0, self->fd);
	if (dev_is_reference())
		SKIP(return, "the stock module has none of it");
}

FIXTURE_TEARDOWN(ostler)
{
	close(self->fd);
}

TEST_F(ostler, info)
{
	struct ost_info info;

	memset(&info, 0xcc, sizeof(info));
	info.size = sizeof(info);
	ASSERT_EQ(0, ioctl(self->fd, OST_GET_INFO, &info));
	EXPECT_EQ(sizeof(info), info.size);
	EXPECT_EQ(OST_INTERFACE_VERSION, info.version);
	EXPECT_TRUE(info.vendor == OST_VENDOR_SVM || info.vendor == OST_VENDOR_VMX);
	EXPECT_EQ(0U, info.flags);
	EXPECT_EQ(0U, info.pad);
	EXPECT_LE(0x60100U, info.kernel);
	ASSERT_NE(NULL, memchr(info.name, 0, sizeof(info.name)));
	EXPECT_STREQ(strrchr(dev_path(), '/') + 1, info.name);
}

/* A program of an older interface gets as much as it knows; one of a newer keeps what it had in the rest. */
TEST_F(ostler, other_sizes)
{
	struct {
		struct ost_info info;
		uint8_t newer[64];
	} s;

	memset(&s, 0xcc, sizeof(s));
	s.info.size = 8;
	ASSERT_EQ(0, ioctl(self->fd, OST_GET_INFO, &s));
	EXPECT_EQ(sizeof(s.info), s.info.size);
	EXPECT_EQ(OST_INTERFACE_VERSION, s.info.version);
	EXPECT_EQ(0xccccccccU, s.info.vendor);
	s.info.size = sizeof(s);
	ASSERT_EQ(0, ioctl(self->fd, OST_GET_INFO, &s));
	EXPECT_EQ(sizeof(s.info), s.info.size);
	EXPECT_EQ(0xcc, s.newer[0]);
}

TEST_F(ostler, bad_arguments)
{
	struct ost_info info = { .size = 7 };

	EXPECT_EQ(-1, ioctl(self->fd, OST_GET_INFO, &info));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(self->fd, OST_GET_INFO, bad_pointer()));
	EXPECT_EQ(EFAULT, errno);
}

TEST_F(ostler, the_example_runs)
{
	char path[PATH_MAX] = "", command[PATH_MAX + 100], line[200] = "";
	bool knows = false, greets = false;
	FILE *out;

	ASSERT_LT(0, readlink("/proc/self/exe", path, sizeof(path) - 1));
	snprintf(command, sizeof(command), "%s/hello %s", dirname(path), dev_path());
	out = popen(command, "r");
	ASSERT_NE(NULL, out);
	while (fgets(line, sizeof(line), out)) {
		knows |= !!strstr(line, "is Ostler's");
		greets |= !strcmp(line, "Hello from a guest.\n");
	}
	EXPECT_EQ(0, pclose(out));
	EXPECT_TRUE(knows);
	EXPECT_TRUE(greets);
}

TEST_HARNESS_MAIN
