// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device's side of a virtqueue against drivers of all kinds. Guest memory is a heap block of
 * exactly its size, so that the sanitizer sees any step beside it.
 */
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "tap.h"
#include "virtq.h"

#define MEMORY		0x8000
#define SIZE		8
#define DESC		0x1000
#define AVAIL		0x2000
#define USED		0x3000
#define TABLE		0x4000
#define DATA		0x5000

static uint8_t *memory;
static struct guest_mem mem;
static struct virtq queue;
static struct virtq_chain chain;

static struct vring_desc *desc_at(uint64_t gpa, unsigned int index)
{
	return (struct vring_desc *)(memory + gpa) + index;
}

static struct vring_avail *avail(void)
{
	return (struct vring_avail *)(memory + AVAIL);
}

static struct vring_used *used(void)
{
	return (struct vring_used *)(memory + USED);
}

static void set_desc(uint64_t table, unsigned int index, uint64_t addr, uint32_t len,
		     uint16_t flags, uint16_t next)
{
	*desc_at(table, index) = (struct vring_desc){
		.addr = addr, .len = len, .flags = flags, .next = next,
	};
}

static void offer(uint16_t head)
{
	avail()->ring[avail()->idx % SIZE] = head;
	avail()->idx++;
}

static void begin(void)
{
	memset(memory, 0, MEMORY);
	queue = (struct virtq){
		.mem = &mem, .size = SIZE, .desc_gpa = DESC, .avail_gpa = AVAIL, .used_gpa = USED,
	};
}

static void takes_chains(void)
{
	begin();
	CHECK_EQ(virtq_start(&queue), 0);
	CHECK_EQ(virtq_take(&queue, &chain), 0);
	set_desc(DESC, 3, DATA, 16, VRING_DESC_F_NEXT, 5);
	set_desc(DESC, 5, DATA + 16, 512, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 0);
	set_desc(DESC, 0, DATA + 528, 1, VRING_DESC_F_WRITE, 7);
	offer(3);
	CHECK_EQ(virtq_take(&queue, &chain), 1);
	CHECK_EQ(chain.head, 3);
	CHECK_EQ(chain.nr_out, 1);
	CHECK_EQ(chain.nr_in, 2);
	CHECK_EQ(chain.out_len, 16);
	CHECK_EQ(chain.in_len, 513);
	CHECK(chain.iov[0].iov_base == memory + DATA);
	CHECK(chain.iov[2].iov_base == memory + DATA + 528);
	CHECK_EQ(virtq_take(&queue, &chain), 0);
	virtq_give(&queue, 3, 513);
	CHECK_EQ(used()->idx, 1);
	CHECK_EQ(used()->ring[0].id, 3);
	CHECK_EQ(used()->ring[0].len, 513);
}

static void takes_indirect_chains(void)
{
	begin();
	CHECK_EQ(virtq_start(&queue), 0);
	set_desc(DESC, 1, TABLE, 3 * sizeof(struct vring_desc), VRING_DESC_F_INDIRECT, 0);
	set_desc(TABLE, 0, DATA, 16, VRING_DESC_F_NEXT, 2);
	set_desc(TABLE, 2, DATA + 16, 1, VRING_DESC_F_WRITE, 0);
	offer(1);
	CHECK_EQ(virtq_take(&queue, &chain), 1);
	CHECK_EQ(chain.nr_out, 1);
	CHECK_EQ(chain.nr_in, 1);
	/* A direct descriptor may come before the indirect one (2.7.5.3.2). */
	set_desc(DESC, 2, DATA, 8, VRING_DESC_F_NEXT, 1);
	offer(2);
	CHECK_EQ(virtq_take(&queue, &chain), 1);
	CHECK_EQ(chain.out_len, 24);
}

/* One ring that makes no sense each: descriptor 0 begins it. */
static void loop(void)
{
	set_desc(DESC, 0, DATA, 1, VRING_DESC_F_NEXT, 1);
	set_desc(DESC, 1, DATA, 1, VRING_DESC_F_NEXT, 0);
}

static void next_beyond(void)
{
	set_desc(DESC, 0, DATA, 1, VRING_DESC_F_NEXT, SIZE);
}

static void address_beyond(void)
{
	set_desc(DESC, 0, MEMORY, 1, 0, 0);
}

static void end_beyond(void)
{
	set_desc(DESC, 0, MEMORY - 1, 2, 0, 0);
}

static void address_wraps(void)
{
	set_desc(DESC, 0, ~0ULL, 2, 0, 0);
}

static void length_huge(void)
{
	set_desc(DESC, 0, DATA, ~0u, 0, 0);
}

static void out_after_in(void)
{
	set_desc(DESC, 0, DATA, 1, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1);
	set_desc(DESC, 1, DATA, 1, 0, 0);
}

static void indirect(uint64_t addr, uint32_t len, uint16_t flags)
{
	set_desc(DESC, 0, addr, len, VRING_DESC_F_INDIRECT | flags, 0);
}

static void indirect_with_next(void)
{
	indirect(TABLE, 16, VRING_DESC_F_NEXT);
}

static void indirect_unaligned_length(void)
{
	indirect(TABLE, 17, 0);
}

static void indirect_empty(void)
{
	indirect(TABLE, 0, 0);
}

static void indirect_beyond(void)
{
	indirect(MEMORY - 16, 32, 0);
}

static void indirect_too_long(void)
{
	indirect(0, 16 * (VIRTQ_MAX_BUFFERS + 1), 0);
}

static void indirect_in_indirect(void)
{
	indirect(TABLE, 16, 0);
	set_desc(TABLE, 0, TABLE, 16, VRING_DESC_F_INDIRECT, 0);
}

static void indirect_loop(void)
{
	indirect(TABLE, 32, 0);
	set_desc(TABLE, 0, DATA, 1, VRING_DESC_F_NEXT, 0);
}

static void indirect_next_beyond(void)
{
	indirect(TABLE, 32, 0);
	set_desc(TABLE, 0, DATA, 1, VRING_DESC_F_NEXT, 2);
}

/* Each table is short enough, but not both together. */
static void too_many_buffers(void)
{
	set_desc(DESC, 0, DATA, 1, VRING_DESC_F_NEXT, 1);
	set_desc(DESC, 1, TABLE, 16 * VIRTQ_MAX_BUFFERS, VRING_DESC_F_INDIRECT, 0);
	for (unsigned int i = 0; i < VIRTQ_MAX_BUFFERS; i++)
		set_desc(TABLE, i, DATA, 1, VRING_DESC_F_NEXT * (i < VIRTQ_MAX_BUFFERS - 1), i + 1);
}

/* Empty buffers fill nothing up. */
static void empty_loop(void)
{
	set_desc(DESC, 0, DATA, 0, VRING_DESC_F_NEXT, 0);
}

static void refuses_nonsense(void)
{
	static const struct {
		const char *name;
		void (*make)(void);
	} rings[] = {
		{ "loop", loop },
		{ "next beyond", next_beyond },
		{ "address beyond", address_beyond },
		{ "end beyond", end_beyond },
		{ "address wraps", address_wraps },
		{ "length huge", length_huge },
		{ "out after in", out_after_in },
		{ "indirect with next", indirect_with_next },
		{ "indirect unaligned length", indirect_unaligned_length },
		{ "indirect empty", indirect_empty },
		{ "indirect beyond", indirect_beyond },
		{ "indirect too long", indirect_too_long },
		{ "indirect in indirect", indirect_in_indirect },
		{ "indirect loop", indirect_loop },
		{ "indirect next beyond", indirect_next_beyond },
		{ "too many buffers", too_many_buffers },
		{ "empty loop", empty_loop },
	};

	for (size_t i = 0; i < sizeof(rings) / sizeof(rings[0]); i++) {
		begin();
		CHECK_EQ(virtq_start(&queue), 0);
		rings[i].make();
		offer(0);
		CHECK_MSG(virtq_take(&queue, &chain) < 0, "%s is taken", rings[i].name);
	}
	begin();
	CHECK_EQ(virtq_start(&queue), 0);
	offer(SIZE);
	CHECK(virtq_take(&queue, &chain) < 0);
	begin();
	CHECK_EQ(virtq_start(&queue), 0);
	avail()->idx = SIZE + 1;
	CHECK(virtq_take(&queue, &chain) < 0);
}

static void refuses_addresses(void)
{
	static const struct {
		uint16_t size;
		uint64_t desc, avail, used;
	} bad[] = {
		{ 0, DESC, AVAIL, USED },
		{ 3, DESC, AVAIL, USED },
		{ 2 * VIRTQ_MAX_SIZE, DESC, AVAIL, USED },
		{ SIZE, DESC + 8, AVAIL, USED },
		{ SIZE, DESC, AVAIL + 1, USED },
		{ SIZE, DESC, AVAIL, USED + 2 },
		{ SIZE, MEMORY - 16, AVAIL, USED },
		{ SIZE, DESC, MEMORY - 4, USED },
		{ SIZE, DESC, AVAIL, MEMORY - 4 },
		{ SIZE, -16ULL, AVAIL, USED },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin();
		queue.size = bad[i].size;
		queue.desc_gpa = bad[i].desc;
		queue.avail_gpa = bad[i].avail;
		queue.used_gpa = bad[i].used;
		CHECK_MSG(virtq_start(&queue) < 0, "case %zu is taken", i);
	}
}

/* Each chain given back, with the driver asking for an interrupt at @event, over the wrap of 16 bits. */
static void interrupts_by_event_index(void)
{
	begin();
	queue.event_idx = true;
	CHECK_EQ(virtq_start(&queue), 0);
	CHECK(!virtq_wants_interrupt(&queue));
	for (unsigned int i = 0; i < 0x20000; i++) {
		uint16_t index = i;
		bool wanted = i % 3 == 0;

		avail()->ring[SIZE] = wanted ? index : (uint16_t)(index + 5);
		virtq_give(&queue, 0, 0);
		CHECK_EQ(virtq_wants_interrupt(&queue), wanted);
		CHECK(!virtq_wants_interrupt(&queue));
	}
}

static void interrupts_by_flag(void)
{
	begin();
	CHECK_EQ(virtq_start(&queue), 0);
	virtq_give(&queue, 0, 0);
	CHECK(virtq_wants_interrupt(&queue));
	avail()->flags = VRING_AVAIL_F_NO_INTERRUPT;
	virtq_give(&queue, 0, 0);
	CHECK(!virtq_wants_interrupt(&queue));
}

static void asks_for_notification(void)
{
	begin();
	queue.event_idx = true;
	CHECK_EQ(virtq_start(&queue), 0);
	CHECK(!virtq_want_notification(&queue));
	set_desc(DESC, 0, DATA, 1, 0, 0);
	offer(0);
	CHECK(virtq_want_notification(&queue));
	CHECK_EQ(virtq_take(&queue, &chain), 1);
	CHECK(!virtq_want_notification(&queue));
	CHECK_EQ(*(uint16_t *)&used()->ring[SIZE], 1);
}

static bool in_memory(const struct iovec *iov)
{
	uintptr_t offset = (uintptr_t)iov->iov_base - (uintptr_t)memory;

	return offset < MEMORY && iov->iov_len <= MEMORY - offset;
}

static void check_chain(void)
{
	uint64_t out_len = 0, in_len = 0;

	CHECK(chain.nr_out + chain.nr_in <= VIRTQ_MAX_BUFFERS);
	for (unsigned int i = 0; i < chain.nr_out + chain.nr_in; i++) {
		CHECK(in_memory(&chain.iov[i]));
		if (i < chain.nr_out)
			out_len += chain.iov[i].iov_len;
		else
			in_len += chain.iov[i].iov_len;
	}
	CHECK_EQ(chain.out_len, out_len);
	CHECK_EQ(chain.in_len, in_len);
}

/* Mostly plausible noise: what is taken lies in memory, and taking ends. */
static void survives_noise(void)
{
	unsigned int taken = 0, refused = 0;

	srandom(1);
	begin();
	for (unsigned int round = 0; round < 200000 && !tap_failed(); round++) {
		unsigned int n = random() % SIZE;
		uint64_t addr = random() % 16 ? (uint64_t)random() % MEMORY : (uint64_t)random() << 33;
		uint32_t len = random() % 8 ? random() % 0x400 : random();

		queue.event_idx = random() & 1;
		CHECK_EQ(virtq_start(&queue), 0);
		avail()->idx = 0;
		set_desc(random() & 1 ? DESC : TABLE, n, random() % 8 ? addr : TABLE,
			 random() % 8 ? len : 16 * (random() % 9), random() % 8,
			 random() % (SIZE + 1));
		offer(random() % (SIZE + (round % 64 == 0)));
		if (virtq_take(&queue, &chain) > 0) {
			taken++;
			check_chain();
			virtq_give(&queue, chain.head, 0);
		} else {
			refused++;
		}
	}
	CHECK(taken > 1000);
	CHECK(refused > 1000);
}

int main(int argc, char **argv)
{
	memory = malloc(MEMORY);
	mem.nr_regions = 1;
	mem.region[0] = (struct guest_region){ .gpa = 0, .size = MEMORY, .hva = memory };
	tap_init(argc, argv);
	tap_run("takes chains", takes_chains);
	tap_run("takes indirect chains", takes_indirect_chains);
	tap_run("refuses nonsense", refuses_nonsense);
	tap_run("refuses addresses", refuses_addresses);
	tap_run("interrupts by event index", interrupts_by_event_index);
	tap_run("interrupts by flag", interrupts_by_flag);
	tap_run("asks for notification", asks_for_notification);
	tap_run("survives noise", survives_noise);
	free(memory);
	return tap_done();
}
