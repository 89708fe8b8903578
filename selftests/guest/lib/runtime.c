// SPDX-License-Identifier: GPL-2.0-only
/* Output, verdict, and the way from an interrupt vector to its handler. */
#include "guest.h"
#include "internal.h"

struct gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_middle;
	uint32_t offset_high, reserved;
};

extern char vector_stubs[], user_return[];
extern uint64_t gdt[];
long user_call(long (*fn)(void), void *stack);

struct fault fault;

static struct gate idt[256] __attribute__((aligned(16)));
static handler_fn handlers[256];
static struct tss tss[MAX_CPUS] __attribute__((aligned(128)));
static uint8_t ist_stacks[MAX_CPUS][7][4096] __attribute__((aligned(16)));
static uint8_t ring0_stacks[MAX_CPUS][4096] __attribute__((aligned(16)));
static uint8_t user_stack[8192] __attribute__((aligned(16)));
static unsigned int nr_checks, nr_failed;
static bool in_user;

void *memcpy(void *to, const void *from, size_t size)
{
	asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
	return to;
}

void *memset(void *to, int value, size_t size)
{
	void *start = to;

	asm volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(value) : "memory");
	return start;
}

int memcmp(const void *a, const void *b, size_t size)
{
	const uint8_t *x = a, *y = b;

	for (; size; size--, x++, y++) {
		if (*x != *y)
			return *x - *y;
	}
	return 0;
}

static void put(char c)
{
	outb(PORT_CONSOLE, c);
}

static void put_number(uint64_t value, unsigned int base)
{
	char digits[24];
	int i = 0;

	do {
		digits[i++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	while (i)
		put(digits[--i]);
}

static void vprint(const char *format, va_list args)
{
	for (; *format; format++) {
		bool is_long = false;
		int64_t value;

		if (*format != '%') {
			put(*format);
			continue;
		}
		format++;
		if (*format == 'l') {
			is_long = true;
			format++;
		}
		switch (*format) {
		case 'c':
			put(va_arg(args, int));
			break;
		case 's':
			for (const char *s = va_arg(args, const char *); *s; s++)
				put(*s);
			break;
		case 'd':
			value = is_long ? va_arg(args, int64_t) : va_arg(args, int);
			if (value < 0) {
				put('-');
				value = -value;
			}
			put_number(value, 10);
			break;
		case 'u':
		case 'x':
			put_number(is_long ? va_arg(args, uint64_t) : va_arg(args, uint32_t),
				   *format == 'u' ? 10 : 16);
			break;
		default:
			put(*format);
		}
	}
}

void print(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprint(format, args);
	va_end(args);
}

static void leave(enum guest_exit status) __attribute__((noreturn));
static void leave(enum guest_exit status)
{
	outl(PORT_EXIT, status);
	for (;;)
		asm volatile("cli\nhlt");
}

bool check(bool ok, const char *format, ...)
{
	va_list args;

	__atomic_add_fetch(&nr_checks, 1, __ATOMIC_SEQ_CST);
	if (ok)
		return true;
	/* A loop that goes wrong should not fill the log. */
	if (__atomic_add_fetch(&nr_failed, 1, __ATOMIC_SEQ_CST) > 20)
		return false;
	print("wrong: ");
	va_start(args, format);
	vprint(format, args);
	va_end(args);
	print("\n");
	return false;
}

void skip(const char *why)
{
	print("SKIP %s\n", why);
	leave(GUEST_SKIP);
}

void verdict(void)
{
	print("%u checks, %u failed\n", nr_checks, nr_failed);
	leave(nr_checks && !nr_failed ? GUEST_PASS : GUEST_FAIL);
}

int host_call(enum host_op op, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4)
{
	struct host_call call = { .op = op, .arg = { a0, a1, a2, a3, a4 } };

	asm volatile("outl %0, %1" : : "a"((uint32_t)(uintptr_t)&call), "Nd"((uint16_t)PORT_CALL)
		     : "memory");
	return ((volatile struct host_call *)&call)->ret;
}

void set_handler(uint8_t vector, handler_fn handler)
{
	handlers[vector] = handler;
}

void set_gate_ist(uint8_t vector, uint8_t ist)
{
	idt[vector].ist = ist;
}

void set_gate_user(uint8_t vector)
{
	idt[vector].type |= 3 << 5;
}

static void record(const struct frame *frame)
{
	fault.vector = frame->vector;
	fault.error = frame->error;
	fault.rip = frame->rip;
	fault.rflags = frame->rflags;
	fault.cr2 = read_cr2();
}

static void back_from_user(struct frame *frame, uint64_t value)
{
	in_user = false;
	frame->rax = value;
	frame->rip = (uintptr_t)user_return;
	frame->cs = SEL_CODE64;
	frame->ss = SEL_DATA;
	frame->rflags = 2;
}

void vector_dispatch(struct frame *frame);
void vector_dispatch(struct frame *frame)
{
	if (handlers[frame->vector]) {
		handlers[frame->vector](frame);
		return;
	}
	if (frame->vector == 0x80 && in_user) {
		back_from_user(frame, frame->rax);
		return;
	}
	if (frame->vector < 32 && (frame->cs & 3) && in_user) {
		record(frame);
		back_from_user(frame, -(int64_t)frame->vector - 1);
		return;
	}
	if (frame->vector < 32 && fault.resume) {
		record(frame);
		frame->rip = fault.resume;
		frame->rflags &= ~RFLAGS_TF;
		fault.resume = 0;
		return;
	}
	print("unexpected vector %lu, error %lx, at %lx, cr2 %lx, cpu %u\n", frame->vector,
	      frame->error, frame->rip, read_cr2(), cpu_id());
	leave(GUEST_FAIL);
}

long run_user(long (*fn)(void))
{
	fault.vector = NONE;
	in_user = true;
	return user_call(fn, user_stack + sizeof(user_stack));
}

static void idt_fill(void)
{
	for (int i = 0; i < 256; i++) {
		uintptr_t stub = (uintptr_t)vector_stubs + STUB_SIZE * i;

		idt[i] = (struct gate){
			.offset_low = stub, .offset_middle = stub >> 16, .offset_high = stub >> 32,
			.selector = SEL_CODE64, .type = 0x8e,
		};
	}
	set_gate_user(0x80);
}

struct tss *cpu_tss(unsigned int cpu)
{
	return &tss[cpu];
}

void cpu_load_tables(unsigned int cpu)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) pointer = { sizeof(idt) - 1, (uintptr_t)idt };
	uintptr_t base = (uintptr_t)&tss[cpu];
	uint64_t *descriptor = &gdt[SEL_TSS / 8 + 2 * cpu];

	tss[cpu].rsp[0] = (uintptr_t)ring0_stacks[cpu] + sizeof(ring0_stacks[cpu]);
	for (int i = 0; i < 7; i++)
		tss[cpu].ist[i] = (uintptr_t)ist_stacks[cpu][i] + sizeof(ist_stacks[cpu][i]);
	tss[cpu].io_map = sizeof(tss[cpu]);
	descriptor[0] = (sizeof(struct tss) - 1) | (base & 0xffffff) << 16 | 0x89ULL << 40 |
			(base >> 24 & 0xff) << 56;
	descriptor[1] = base >> 32;
	asm volatile("lidt %0" : : "m"(pointer));
	asm volatile("ltr %w0" : : "r"(SEL_TSS + 16 * cpu));
}

void runtime_enter(unsigned int cpu);
void runtime_enter(unsigned int cpu)
{
	if (!cpu)
		idt_fill();
	cpu_load_tables(cpu);
	lapic_enable();
	if (cpu)
		smp_enter(cpu);
	main();
	verdict();
}
