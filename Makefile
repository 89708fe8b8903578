# SPDX-License-Identifier: GPL-2.0-only
# Ostler: `make help` says what there is. Everything that is made goes to build/, what is downloaded or
# slow to make to $XDG_CACHE_HOME/ostler.

KERNEL   ?= 6.1
INSTANCE ?= ostler
# A shell may have set HOST in the environment to this machine's name: only what is meant counts.
host     := $(if $(findstring command,$(origin HOST)),$(HOST),$(filter native amd intel,$(HOST)))
PREFIX   ?= /usr/local
DESTDIR  ?=
RUN      ?=
ARGS     ?=
T        ?=
MINUTES  ?= 60
KVM      ?=
COUNT    ?=
SERIES   ?= 7.3
VENDOR   ?=
JSON     ?=
SAVE     ?=
QUICK    ?=
FOREIGN  ?=
EMULATOR ?=
SEED     ?=
HOURS    ?= 1

build   := $(abspath build)
kernel-option := $(if $(filter file,$(origin KERNEL)),,--kernel '$(KERNEL)')
host-options = $(kernel-option) $(if $(VENDOR),--vendor '$(VENDOR)') $(if $(EMULATOR),--emulator '$(EMULATOR)')
run-options = $(host-options) $(if $(KVM),--kvm) $(if $(COUNT),--count '$(COUNT)') $(if $(MODULE_ARGS),--module-args '$(MODULE_ARGS)') $(if $(SEED),--seed '$(SEED)')
bench-options = $(kernel-option) $(if $(VENDOR),--vendor '$(VENDOR)') $(if $(T),--only '$(T)')
modules := /lib/modules/$(shell uname -r)
.DEFAULT_GOAL := help

## Use
run: deps-build deps-host	## A Linux guest's console. RUN='cmd' runs that in the guest. HOST=native|amd|intel, CPUS=, MEMORY=
	@HOST='$(host)' KERNEL='$(KERNEL)' scripts/run $(if $(RUN),-- "$$RUN")

install: deps-build		## Install vmm, the module for the running kernel, and their manual pages. PREFIX=, DESTDIR=
	@$(MAKE) --no-print-directory module KERNEL=native
	@$(MAKE) --no-print-directory -C vmm install O=$(build)/vmm PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)'
	install -D -m 644 docs/ostler.4 $(DESTDIR)$(PREFIX)/share/man/man4/ostler.4
	install -D -m 644 $(build)/native/$(INSTANCE).ko $(DESTDIR)$(modules)/updates/$(INSTANCE).ko
	$(if $(DESTDIR),,depmod)

## Build
all: module vmm			## Module and vmm

module: deps-build		## The module: build/KERNEL/ostler.ko. KERNEL=6.1|6.12|7.3|native INSTANCE=name ARGS='W=1 C=2'
	@scripts/build-module --instance '$(INSTANCE)' '$(KERNEL)' -- $(ARGS)

vmm: deps-build			## The VMM: build/vmm/vmm
	@$(MAKE) --no-print-directory -C vmm O=$(build)/vmm

clean:				## Remove build/
	rm -rf $(build)

clean-cache:			## Remove what was downloaded or slow to make
	rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/ostler"

## Test. T=name runs one test; VENDOR=amd|intel on one kind of host; KVM=1 on its stock KVM, as a reference; MODULE_ARGS='…'
test: deps-build deps-host deps-test deps-fuzz	## All tests, on both kinds of hosts; KERNEL=6.1|6.12|7.3|debug all on that one
	@selftests/run $(run-options) $(if $(T),--only '$(T)',--core $(if $(kernel-option),,--everywhere)) build unit fuzz abi guest linux host ioctls foreign

test-build test-unit test-abi test-guest test-linux test-host test-ioctls test-foreign: test-%: deps-build deps-host deps-test
	@selftests/run $(run-options) $(if $(T),--only '$(T)') $*

test-build:			## The module builds for every supported kernel, without a warning
test-unit:			## The pure parts, in userspace under sanitizers
test-abi:			## Each ioctl's contract, in an emulated host
test-guest:			## Bare-metal guests, in an emulated host
test-linux:			## Whole Debian guests, in an emulated host
test-host:			## What happens to the host under its guests: CPUs, suspend, reboot, kexec, panic, memory. COUNT=repeats
test-foreign:			## Debian's stock QEMU 10.0 and 7.2 on the device node, in an emulated host. COUNT=repeats
test-ioctls:			## Random ioctls from several threads, in an emulated host. SEED=

kvm-selftests: deps-build deps-host	## The kernel's own tests of the KVM ABI, on the node: SERIES=7.3|6.1 T='test...'
	@selftests/kvm-selftests --series '$(SERIES)' $(if $(VENDOR),--vendor '$(VENDOR)') $(if $(KVM),--kvm) $(T)

kvm-ioctls: deps-build deps-host	## The unit tests of the Rust crate kvm-ioctls, on the node: T='test_run_code...'
	@selftests/kvm-ioctls $(if $(VENDOR),--vendor '$(VENDOR)') $(if $(KVM),--kvm) $(T)

soak: deps-build deps-host	## The same by the hour: HOURS=, SEED=, VENDOR=, KERNEL= (debug finds most)
	@selftests/run $(run-options) --seconds $$(awk 'BEGIN { print int(3600 * $(HOURS)) }') ioctls

debug-kernel: deps-build deps-host deps-debug	## Build KERNEL=debug: Debian's 6.1 with KASAN, lockdep, kmemleak, fault injection
	@cd scripts && python3 -c 'from harness import debug_kernel; print(debug_kernel.folder())'

test-fuzz: deps-build deps-fuzz	## The fuzzers of the pure parts, a minute each (T=fuzz/mmu one or some of them)
	@selftests/run $(kernel-option) $(if $(T),--only '$(T)') fuzz

fuzz: deps-build deps-fuzz		## The same for MINUTES=60 each; what they find stays in build/unit/corpus
	@selftests/run $(kernel-option) $(if $(T),--only '$(T)') --fuzz-minutes '$(MINUTES)' fuzz

## Measure. T=name measures rows of that name; VENDOR=, KERNEL=
bench: deps-build deps-host	## Ostler and stock KVM, in instructions per operation. JSON=1; QUICK=1 without boots; FOREIGN=1 under QEMU; SAVE=1 into docs
	@selftests/bench/run $(if $(FOREIGN),--foreign) $(bench-options) $(if $(JSON),--json) $(if $(SAVE),--save) $(if $(QUICK),--no-boot)

bench-check: deps-build deps-host	## Does any operation cost more than docs/performance.md says?
	@selftests/bench/run --check $(bench-options)

## Check
check: deps-build deps-lint	## Build with W=1 and sparse for KERNEL, check scripts and uapi/abi.md
	@scripts/build-module --instance '$(INSTANCE)' '$(KERNEL)' -- W=1 C=2 CF=-D__CHECK_ENDIAN__
	@scripts/check-scripts
	@scripts/check-abi

## Try by hand
shell: deps-build deps-host	## A shell in an emulated host with the module loaded. VENDOR=, ARGS='--with-kvm …' for hostrun
	@selftests/hosts/hostrun $(host-options) --tty --timeout 0 $(ARGS) -- sh

debug: deps-build deps-host	## The same, to which gdb can attach: gdb -x build/gdb-KERNEL
	@selftests/hosts/hostrun --kernel '$(KERNEL)' --gdb --tty --timeout 0 $(ARGS) -- sh

help:				## This list
	@awk -F'##' '/^## / { print (NR > 1 ? "\n" : "") $$2 ":" } \
		/^[a-z][a-z-]*:.*## / { split($$1, t, ":"); printf "  make %-13s%s\n", t[1], $$2 }' $(MAKEFILE_LIST)

deps-%:
	@scripts/deps $*

.PHONY: run install all kvm-selftests kvm-ioctls module vmm clean clean-cache test test-build test-unit test-abi test-guest test-linux \
	test-host test-ioctls test-foreign test-fuzz soak debug-kernel bench bench-check check fuzz shell debug help
