// SPDX-License-Identifier: GPL-2.0-only
/* KVM_GET_STATS_FD: counters as a file that says what is in it. */
#include <fcntl.h>
#include "kselftest_harness.h"
#include "vm.h"

#define MAX_DESCS 512

/* What a program keeps of such a file. */
struct stats {
	int fd;
	struct kvm_stats_header header;
	char id[128];
	size_t desc_size;
	uint8_t *descs;
};

FIXTURE(stats_fd)
{
	struct vm vm;
	struct vcpu *vcpu;
};

GUEST_CODE(exits, 16, "1: outb %al, $0x30\n jmp 1b\n");

FIXTURE_SETUP(stats_fd)
{
	ASSERT_EQ(0, vm_open(&self->vm, VM_MEMORY | VM_VCPU))
		TH_LOG("%s: %s", dev_path(), strerror(errno));
	self->vcpu = &self->vm.vcpu[0];
	vm_load(&self->vm, VM_CODE_GPA, exits);
	ASSERT_EQ(0, vcpu_real_mode(self->vcpu, VM_CODE_GPA));
	ASSERT_EQ(1, has_cap(&self->vm, KVM_CAP_BINARY_STATS_FD));
}

FIXTURE_TEARDOWN(stats_fd)
{
	vm_close(&self->vm);
}

static const struct kvm_stats_desc *desc_of(const struct stats *s, uint32_t i)
{
	return (const void *)(s->descs + i * s->desc_size);
}

/* Reads all that does not change. NULL, or what is wrong. */
static const char *stats_open(struct stats *s, int fd)
{
	struct kvm_stats_header *h = &s->header;
	size_t size;

	s->fd = fd;
	if (fd < 0)
		return "no descriptor";
	if (pread(fd, h, sizeof(*h), 0) != sizeof(*h))
		return "no header";
	if (h->flags || !h->name_size || h->name_size > sizeof(s->id) || !h->num_desc ||
	    h->num_desc > MAX_DESCS || h->id_offset % 8 || h->desc_offset % 8 || h->data_offset % 8)
		return "a bad header";
	if (pread(fd, s->id, h->name_size, h->id_offset) != h->name_size || !s->id[0] ||
	    strnlen(s->id, h->name_size) == h->name_size)
		return "a bad id";
	s->desc_size = sizeof(struct kvm_stats_desc) + h->name_size;
	size = s->desc_size * h->num_desc;
	s->descs = calloc(1, size);
	if (!s->descs || pread(fd, s->descs, size, h->desc_offset) != (ssize_t)size)
		return "no descriptors";
	return NULL;
}

static void stats_close(struct stats *s)
{
	free(s->descs);
	close(s->fd);
}

/* The value of a counter of one value, UINT64_MAX without. */
static uint64_t stats_value(const struct stats *s, const char *name)
{
	for (uint32_t i = 0; i < s->header.num_desc; i++) {
		const struct kvm_stats_desc *d = desc_of(s, i);
		uint64_t value;

		if (strcmp(d->name, name))
			continue;
		if (pread(s->fd, &value, 8, s->header.data_offset + d->offset) != 8)
			return UINT64_MAX;
		return value;
	}
	return UINT64_MAX;
}

/* NULL, or what is wrong with the descriptors. */
static const char *stats_check(const struct stats *s)
{
	size_t values = 0;

	for (uint32_t i = 0; i < s->header.num_desc; i++) {
		const struct kvm_stats_desc *d = desc_of(s, i);

		if ((d->flags & KVM_STATS_TYPE_MASK) > KVM_STATS_TYPE_MAX ||
		    (d->flags & KVM_STATS_UNIT_MASK) > (4 << KVM_STATS_UNIT_SHIFT) ||
		    (d->flags & KVM_STATS_BASE_MASK) > KVM_STATS_BASE_MAX)
			return "bad flags";
		if (!d->name[0] || strnlen(d->name, s->header.name_size) == s->header.name_size)
			return "a bad name";
		if (!d->size || d->offset % 8)
			return "a bad place";
		for (uint32_t j = 0; j < i; j++)
			if (!strcmp(d->name, desc_of(s, j)->name))
				return "a name twice";
		values += d->size;
	}
	for (uint32_t i = 0; i < s->header.num_desc; i++)
		if (desc_of(s, i)->offset + desc_of(s, i)->size * 8 > values * 8)
			return "a value beyond the data";
	return NULL;
}

TEST_F(stats_fd, both_kinds_describe_themselves)
{
	struct stats vm, vcpu;

	ASSERT_EQ(NULL, stats_open(&vm, ioctl(self->vm.fd, KVM_GET_STATS_FD, 0)));
	ASSERT_EQ(NULL, stats_open(&vcpu, ioctl(self->vcpu->fd, KVM_GET_STATS_FD, 0)));
	ASSERT_EQ(NULL, stats_check(&vm))
		TH_LOG("%s", stats_check(&vm));
	ASSERT_EQ(NULL, stats_check(&vcpu))
		TH_LOG("%s", stats_check(&vcpu));
	EXPECT_NE(0, strcmp(vm.id, vcpu.id));
	/* Tools for the ABI look for that. */
	EXPECT_EQ(0, strncmp(vm.id, "kvm-", 4));
	EXPECT_EQ(0, strncmp(vcpu.id, "kvm-", 4));
	stats_close(&vm);
	stats_close(&vcpu);
}

TEST_F(stats_fd, counters_count)
{
	struct stats s;
	uint64_t before;

	ASSERT_EQ(NULL, stats_open(&s, ioctl(self->vcpu->fd, KVM_GET_STATS_FD, 0)));
	before = stats_value(&s, "exits");
	ASSERT_NE(UINT64_MAX, before);
	for (int i = 0; i < 10; i++)
		ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	EXPECT_LE(before + 10, stats_value(&s, "exits"));
	EXPECT_EQ(UINT64_MAX, stats_value(&s, "no such counter"));
	stats_close(&s);
}

TEST_F(stats_fd, what_a_vm_has)
{
	struct stats s;

	if (dev_is_reference())
		SKIP(return, "our own counters");
	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	ASSERT_EQ(NULL, stats_open(&s, ioctl(self->vm.fd, KVM_GET_STATS_FD, 0)));
	EXPECT_EQ(1ULL, stats_value(&s, "vcpus"));
	EXPECT_LT(0ULL, stats_value(&s, "tables"));
	ASSERT_NE(NULL, vm_add_vcpu(&self->vm));
	EXPECT_EQ(2ULL, stats_value(&s, "vcpus"));
	stats_close(&s);
}

/* At any offset, in any size, and what comes out is the same file. */
TEST_F(stats_fd, reads_of_all_sizes)
{
	struct stats s;
	uint8_t *whole, *part;
	size_t size, n;

	ASSERT_EQ(NULL, stats_open(&s, ioctl(self->vcpu->fd, KVM_GET_STATS_FD, 0)));
	whole = calloc(1, 1 << 20);
	part = calloc(1, 1 << 20);
	size = pread(s.fd, whole, 1 << 20, 0);
	ASSERT_LT(s.header.data_offset, size);
	for (size_t step = 1; step < 400; step += 37) {
		memset(part, 0, size);
		for (size_t at = 0; at < size; at += n) {
			n = pread(s.fd, part + at, step, at);
			ASSERT_EQ(size - at < step ? size - at : step, n);
		}
		EXPECT_EQ(0, memcmp(whole, part, size));
	}
	EXPECT_EQ(0, pread(s.fd, part, 8, size));
	EXPECT_EQ(0, pread(s.fd, part, 8, 1ULL << 40));
	EXPECT_EQ(0, pread(s.fd, part, 0, 0));
	EXPECT_EQ(-1, pread(s.fd, part, 8, -1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, pread(s.fd, bad_pointer(), 8, 0));
	EXPECT_EQ(EFAULT, errno);
	/* read() goes on where the last one ended. */
	EXPECT_EQ(10, read(s.fd, part, 10));
	EXPECT_EQ((ssize_t)size - 10, read(s.fd, part + 10, size));
	EXPECT_EQ(0, memcmp(whole, part, size));
	EXPECT_EQ(-1, write(s.fd, part, 8));
	free(whole);
	free(part);
	stats_close(&s);
}

TEST_F(stats_fd, it_outlives_the_others)
{
	struct stats s;

	ASSERT_EQ(KVM_EXIT_IO, vcpu_run(self->vcpu));
	ASSERT_EQ(NULL, stats_open(&s, ioctl(self->vcpu->fd, KVM_GET_STATS_FD, 0)));
	EXPECT_EQ(FD_CLOEXEC, fcntl(s.fd, F_GETFD));
	vm_close(&self->vm);
	EXPECT_LE(1ULL, stats_value(&s, "exits"));
	stats_close(&s);
}

TEST_HARNESS_MAIN
