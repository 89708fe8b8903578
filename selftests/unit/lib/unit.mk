# SPDX-License-Identifier: GPL-2.0-only
tests += lib/selftest
lib/selftest-srcs := lib/selftest.c
