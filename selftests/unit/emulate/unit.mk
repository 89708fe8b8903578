# SPDX-License-Identifier: GPL-2.0-only
emulate-srcs := $(wildcard $(kmod)/emulate/*.c)

tests += emulate/decode
emulate/decode-srcs := emulate/decode_test.c $(emulate-srcs)
emulate/decode-libs := -lZydis

tests += emulate/mov
emulate/mov-srcs := emulate/mov_test.c $(emulate-srcs)

tests += emulate/native
native-srcs := emulate/native_compare.c emulate/native.c $(emulate-srcs)
emulate/native-srcs := emulate/native_test.c $(native-srcs)

tests += emulate/memory
emulate/memory-srcs := emulate/memory_test.c emulate/machine.c $(emulate-srcs)

tests += emulate/system
emulate/system-srcs := emulate/system_test.c emulate/machine.c $(emulate-srcs)

fuzzers += emulate/fuzz
emulate/fuzz-srcs := emulate/fuzz_emulate.c emulate/machine.c $(emulate-srcs)

fuzzers += emulate/fuzz_task
emulate/fuzz_task-srcs := emulate/fuzz_task.c emulate/machine.c $(emulate-srcs)

fuzzers += emulate/fuzz_native
emulate/fuzz_native-srcs := emulate/fuzz_native.c $(native-srcs)
