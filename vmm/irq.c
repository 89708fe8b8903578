// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "irq.h"
#include "layout.h"
#include "node.h"
#include "status.h"

#define PIC_LINES	16
#define PIC_CASCADE	2

static void add_pin(struct irq_router *irq, uint32_t gsi, uint32_t chip, uint32_t pin)
{
	irq->table->entries[irq->table->nr++] = (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { .irqchip = chip, .pin = pin },
	};
}

static void add_lines(struct irq_router *irq)
{
	uint32_t gsi;

	for (gsi = 0; gsi < PIC_LINES; gsi++) {
		if (gsi == PIC_CASCADE)
			continue;
		if (gsi < 8)
			add_pin(irq, gsi, KVM_IRQCHIP_PIC_MASTER, gsi);
		else
			add_pin(irq, gsi, KVM_IRQCHIP_PIC_SLAVE, gsi - 8);
	}
	for (gsi = 0; gsi < LAYOUT_GSI_COUNT; gsi++) {
		if (gsi != PIC_CASCADE)
			add_pin(irq, gsi, KVM_IRQCHIP_IOAPIC, gsi ? gsi : LAYOUT_TIMER_PIN);
	}
}

static int apply(struct irq_router *irq)
{
	return ioctl(irq->vm_fd, KVM_SET_GSI_ROUTING, irq->table) < 0 ? -errno : 0;
}

int irq_init(struct irq_router *irq, int vm_fd, const struct node *node)
{
	int error;

	irq->vm_fd = vm_fd;
	irq->capacity = node->max_routes;
	irq->next_gsi = LAYOUT_GSI_COUNT;
	pthread_mutex_init(&irq->lock, NULL);
	irq->table = calloc(1, sizeof(*irq->table) +
				       irq->capacity * sizeof(irq->table->entries[0]));
	if (!irq->table)
		return vmm_fail(VMM_MEMORY, "not enough memory for the interrupt routes");
	if (irq->capacity < PIC_LINES + LAYOUT_GSI_COUNT)
		return vmm_fail(VMM_DEVICE, "%s routes only %u interrupts", node->path,
				irq->capacity);
	add_lines(irq);
	error = apply(irq);
	if (error)
		return vmm_fail(VMM_FAILED, "cannot route interrupts: %s", strerror(-error));
	return VMM_OK;
}

void irq_destroy(struct irq_router *irq)
{
	free(irq->table);
	pthread_mutex_destroy(&irq->lock);
}

void irq_set_line(struct irq_router *irq, uint32_t gsi, bool level)
{
	struct kvm_irq_level line = { .irq = gsi, .level = level };

	if (ioctl(irq->vm_fd, KVM_IRQ_LINE, &line) < 0)
		vmm_warn("cannot set interrupt line %u: %s", gsi, strerror(errno));
}

int irq_alloc_message(struct irq_router *irq, uint32_t *gsi)
{
	int status = VMM_OK;

	pthread_mutex_lock(&irq->lock);
	if (irq->table->nr == irq->capacity) {
		status = vmm_fail(VMM_DEVICE,
				  "the hypervisor routes only %u interrupts; use fewer disks",
				  irq->capacity);
	} else {
		*gsi = irq->next_gsi++;
		/* Reserves the entry. Until the guest fills it in nothing raises this number. */
		irq->table->entries[irq->table->nr++] = (struct kvm_irq_routing_entry){
			.gsi = *gsi,
			.type = KVM_IRQ_ROUTING_MSI,
		};
	}
	pthread_mutex_unlock(&irq->lock);
	return status;
}

int irq_route_message(struct irq_router *irq, uint32_t gsi, uint64_t addr, uint32_t data)
{
	struct kvm_irq_routing_entry *entry = NULL;
	int error = -ENOENT;
	unsigned int i;

	pthread_mutex_lock(&irq->lock);
	for (i = 0; i < irq->table->nr && !entry; i++)
		if (irq->table->entries[i].type == KVM_IRQ_ROUTING_MSI &&
		    irq->table->entries[i].gsi == gsi)
			entry = &irq->table->entries[i];
	if (entry) {
		entry->u.msi.address_lo = (uint32_t)addr;
		entry->u.msi.address_hi = (uint32_t)(addr >> 32);
		entry->u.msi.data = data;
		error = apply(irq);
	}
	pthread_mutex_unlock(&irq->lock);
	return error;
}

int irq_bind_eventfd(struct irq_router *irq, uint32_t gsi, int fd, bool bind)
{
	struct kvm_irqfd irqfd = {
		.fd = fd,
		.gsi = gsi,
		.flags = bind ? 0 : KVM_IRQFD_FLAG_DEASSIGN,
	};

	return ioctl(irq->vm_fd, KVM_IRQFD, &irqfd) < 0 ? -errno : 0;
}
