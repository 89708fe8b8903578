// SPDX-License-Identifier: GPL-2.0-only
#include "parse.h"
#include "tap.h"

static void sizes(void)
{
	static const struct {
		const char *text;
		uint64_t size;
	} good[] = {
		{ "0", 0 }, { "1", 1 }, { "512M", 512ULL << 20 }, { "2G", 2ULL << 30 },
		{ "2g", 2ULL << 30 }, { "1K", 1024 }, { "3T", 3ULL << 40 }, { "4GiB", 4ULL << 30 },
		{ "4GB", 4ULL << 30 }, { "100B", 100 }, { "18446744073709551615", UINT64_MAX },
		{ "16777215T", 16777215ULL << 40 },
	};
	static const char *const bad[] = {
		"", "M", "-1", "+1", " 1", "1 ", "1X", "1MM", "1Mi", "1iB", "0x10", "1.5G",
		"18446744073709551616", "16777216T", "99999999999999999999G",
	};
	uint64_t size;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CHECK_MSG(parse_size(good[i].text, &size), "%s is refused", good[i].text);
		CHECK_EQ(size, good[i].size);
	}
	size = 77;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_MSG(!parse_size(bad[i], &size), "%s is taken", bad[i]);
	CHECK_EQ(size, 77);
}

static void numbers(void)
{
	unsigned long n = 77;

	CHECK(parse_number("1", 1, 254, &n));
	CHECK_EQ(n, 1);
	CHECK(parse_number("254", 1, 254, &n));
	CHECK_EQ(n, 254);
	CHECK(!parse_number("0", 1, 254, &n));
	CHECK(!parse_number("255", 1, 254, &n));
	CHECK(!parse_number("", 0, 254, &n));
	CHECK(!parse_number("-1", 0, 254, &n));
	CHECK(!parse_number("1x", 1, 254, &n));
	CHECK_EQ(n, 254);
}

int main(int argc, char **argv)
{
	tap_init(argc, argv);
	tap_run("sizes", sizes);
	tap_run("numbers", numbers);
	return tap_done();
}
