// SPDX-License-Identifier: GPL-2.0-only
/* String instructions from, to and between device memory, in both directions. */
#include "differ.h"

GUEST_NEEDS(.cpus = 1, .timeout_s = 40);

#define BOTH_WAYS(text, where, count)						\
	do {									\
		DIFFER(text, where, count, false, FLAGS_ALL);			\
		DIFFER(text, where, count, true, FLAGS_ALL);			\
	} while (0)

int main(void)
{
	BOTH_WAYS("movsb", INSIDE, 9);
	BOTH_WAYS("movsq", SOURCE, 9);
	BOTH_WAYS("rep movsb", INSIDE, 13);
	BOTH_WAYS("rep movsb", SOURCE, 13);
	BOTH_WAYS("rep movsb", BOTH, 13);
	BOTH_WAYS("rep movsw", INSIDE, 5);
	BOTH_WAYS("rep movsl", SOURCE, 7);
	BOTH_WAYS("rep movsl", INSIDE, 7);
	BOTH_WAYS("rep movsq", INSIDE, 6);
	BOTH_WAYS("rep movsl", BOTH, 4);
	BOTH_WAYS("rep movsb", INSIDE, 0);
	DIFFER("rep movsb", ACROSS, 20, false, FLAGS_ALL);
	DIFFER("rep movsl", ACROSS, 5, false, FLAGS_ALL);
	BOTH_WAYS("stosb", INSIDE, 1);
	BOTH_WAYS("rep stosb", INSIDE, 17);
	BOTH_WAYS("rep stosw", INSIDE, 6);
	BOTH_WAYS("rep stosl", INSIDE, 6);
	BOTH_WAYS("rep stosq", INSIDE, 6);
	DIFFER("rep stosl", ACROSS, 6, false, FLAGS_ALL);
	BOTH_WAYS("lodsb", SOURCE, 1);
	BOTH_WAYS("lodsl", SOURCE, 1);
	BOTH_WAYS("rep lodsw", SOURCE, 4);
	BOTH_WAYS("scasb", INSIDE, 1);
	BOTH_WAYS("repne scasb", INSIDE, 20);
	BOTH_WAYS("repe scasl", INSIDE, 8);
	BOTH_WAYS("cmpsb", INSIDE, 1);
	BOTH_WAYS("repe cmpsb", INSIDE, 16);
	BOTH_WAYS("repne cmpsl", BOTH, 8);
	/* 32-bit addresses: the upper halves of the registers are cleared. */
	DIFFER("addr32 rep movsl", INSIDE, 5, false, FLAGS_ALL);
	return 0;
}
