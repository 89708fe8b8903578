# SPDX-License-Identifier: GPL-2.0-only
vmx-check-srcs := $(addprefix $(kmod)/vmx/, check.c check_guest.c check_text.c) check/vmx_machine.c

tests += check/vmx
check/vmx-srcs := check/vmx_test.c $(vmx-check-srcs)

fuzzers += check/fuzz_vmx
check/fuzz_vmx-srcs := check/fuzz_vmx.c $(vmx-check-srcs)

tests += check/svm
check/svm-srcs := check/svm_test.c $(kmod)/svm/check.c
