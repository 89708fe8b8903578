# SPDX-License-Identifier: GPL-2.0-only
# vmm's parts that need no hypervisor. They use the system's headers, not the module's stand-ins.
vmm := $(root)/vmm
vmm_cflags := -std=gnu11 -O1 -g -Wall -Wextra -Werror -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -pthread \
	-I$(here)lib -I$(vmm)

$(out)/asan/vmm/%.o: $(vmm)/%.c $(here)vmm/unit.mk
	@mkdir -p $(@D)
	@echo "  CC   vmm/$*.c"
	@$(CC) $(vmm_cflags) $(sanitize) -MMD -MP -c -o $@ $<

$(out)/asan/selftests/unit/vmm/%.o: $(here)vmm/%.c $(here)vmm/unit.mk
	@mkdir -p $(@D)
	@echo "  CC   selftests/unit/vmm/$*.c"
	@$(CC) $(vmm_cflags) $(sanitize) -MMD -MP -c -o $@ $<

# A machine with all its devices, but for the hypervisor.
vmm_machine := vmm/machine.c $(addprefix $(vmm)/,acpi.c aml.c boot.c boot_bzimage.c boot_elf.c bus.c \
	debug_exit.c device.c disk_io.c mem.c msix.c pci.c pm.c rtc.c serial.c thread.c \
	virtio_blk.c virtio_pci.c virtq.c)
vmm_libs := -luring -lpthread

tests += vmm/virtq
vmm/virtq-srcs := vmm/virtq_test.c $(vmm)/virtq.c $(vmm)/mem.c $(vmm)/status.c $(vmm)/term.c

tests += vmm/parse
vmm/parse-srcs := vmm/parse_test.c $(vmm)/parse.c

tests += vmm/devices
vmm/devices-srcs := vmm/devices_test.c $(vmm_machine)
vmm/devices-libs := $(vmm_libs)

tests += vmm/blk
vmm/blk-srcs := vmm/blk_test.c $(vmm_machine)
vmm/blk-libs := $(vmm_libs) -Wl,--wrap=io_uring_queue_init

tests += vmm/boot
vmm/boot-srcs := vmm/boot_test.c $(vmm_machine)
vmm/boot-libs := $(vmm_libs)
