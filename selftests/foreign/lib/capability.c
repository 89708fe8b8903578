// SPDX-License-Identifier: GPL-2.0-only
/* capability DEVICE NUMBER...: the first of these capabilities that the device has not, if there is one; then status 1. */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

int main(int argc, char **argv)
{
	int fd, i;

	if (argc < 2)
		return 2;
	fd = open(argv[1], O_RDWR);
	if (fd < 0) {
		perror(argv[1]);
		return 2;
	}
	for (i = 2; i < argc; i++)
		if (ioctl(fd, KVM_CHECK_EXTENSION, strtoul(argv[i], NULL, 10)) <= 0) {
			puts(argv[i]);
			return 1;
		}
	return 0;
}
