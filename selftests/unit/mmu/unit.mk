# SPDX-License-Identifier: GPL-2.0-only
tests += mmu/slots
mmu/slots-srcs := mmu/slots_test.c $(kmod)/mmu/slots.c

tests += mmu/table
mmu/table-srcs := mmu/table_test.c mmu/table_model.c $(kmod)/mmu/table.c
mmu/table-libs := -lpthread

fuzzers += mmu/fuzz_table
mmu/fuzz_table-srcs := mmu/fuzz_table.c mmu/table_model.c $(kmod)/mmu/table.c

tests += mmu/walk
mmu/walk-srcs := mmu/walk_test.c mmu/walk_oracle.c $(kmod)/mmu/walk.c

fuzzers += mmu/fuzz_walk
mmu/fuzz_walk-srcs := mmu/fuzz_walk.c mmu/walk_oracle.c $(kmod)/mmu/walk.c
