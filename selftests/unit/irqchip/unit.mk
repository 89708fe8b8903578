# SPDX-License-Identifier: GPL-2.0-only
lapic-srcs := $(addprefix $(kmod)/irqchip/, lapic.c lapic_regs.c lapic_timer.c) \
	irqchip/lapic_fixture.c

tests += irqchip/lapic
irqchip/lapic-srcs := irqchip/lapic_test.c $(lapic-srcs)
irqchip/lapic-libs := -lpthread

tests += irqchip/lapic_timer
irqchip/lapic_timer-srcs := irqchip/lapic_timer_test.c $(lapic-srcs)

tests += irqchip/dest
irqchip/dest-srcs := irqchip/dest_test.c $(kmod)/irqchip/dest.c

tests += irqchip/ioapic
irqchip/ioapic-srcs := irqchip/ioapic_test.c $(kmod)/irqchip/ioapic.c

tests += irqchip/pic
irqchip/pic-srcs := irqchip/pic_test.c $(kmod)/irqchip/pic.c

tests += irqchip/pit
irqchip/pit-srcs := irqchip/pit_test.c irqchip/pit_oracle.c $(kmod)/irqchip/pit.c

fuzzers += irqchip/fuzz_lapic
irqchip/fuzz_lapic-srcs := irqchip/fuzz_lapic.c $(lapic-srcs)

fuzzers += irqchip/fuzz_ioapic
irqchip/fuzz_ioapic-srcs := irqchip/fuzz_ioapic.c $(kmod)/irqchip/ioapic.c

fuzzers += irqchip/fuzz_pic
irqchip/fuzz_pic-srcs := irqchip/fuzz_pic.c $(kmod)/irqchip/pic.c

fuzzers += irqchip/fuzz_pit
irqchip/fuzz_pit-srcs := irqchip/fuzz_pit.c irqchip/pit_oracle.c $(kmod)/irqchip/pit.c
