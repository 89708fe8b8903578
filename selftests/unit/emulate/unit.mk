# SPDX-License-Identifier: GPL-2.0-only
emulate-srcs := $(wildcard $(kmod)/emulate/*.c)

tests += emulate/decode
emulate/decode-srcs := emulate/decode_test.c $(emulate-srcs)
emulate/decode-libs := -lZydis

tests += emulate/native
emulate/native-srcs := emulate/native_test.c emulate/native.c $(emulate-srcs)
