/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interrupts into the guest: lines of the in-kernel PIC and IOAPIC, and messages bound to eventfds.
 */
#ifndef VMM_IRQ_H
#define VMM_IRQ_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct kvm_irq_routing;
struct node;

struct irq_router {
	int vm_fd;
	pthread_mutex_t lock;
	struct kvm_irq_routing *table;
	unsigned int capacity;
	uint32_t next_gsi;
};

/* Wire the lines as layout.h and the MADT say. Returns 0 or a status, explained. */
int irq_init(struct irq_router *irq, int vm_fd, const struct node *node);
void irq_destroy(struct irq_router *irq);

/* Set line @gsi (0..23) to @level. Any thread. */
void irq_set_line(struct irq_router *irq, uint32_t gsi, bool level);

/*
 * Take a new interrupt number for a message. Returns 0, or a status, explained, when there is no
 * more.
 */
int irq_alloc_message(struct irq_router *irq, uint32_t *gsi);

/* Let @gsi stand for the message @data to @addr. Returns 0 or a negative errno. Any thread. */
int irq_route_message(struct irq_router *irq, uint32_t gsi, uint64_t addr, uint32_t data);

/*
 * Let each write to the eventfd @fd raise @gsi, or no longer. Returns 0 or a negative errno. Any
 * thread.
 */
int irq_bind_eventfd(struct irq_router *irq, uint32_t gsi, int fd, bool bind);

#endif
