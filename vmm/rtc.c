// SPDX-License-Identifier: GPL-2.0-only
/*
 * The real time clock and CMOS memory of a PC (Motorola MC146818). The clock is the host's in UTC,
 * plus what the guest set it off by, in whole seconds. Its interrupts come by timers that run only
 * while the guest has enabled them.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "aml.h"
#include "device.h"
#include "layout.h"
#include "rtc.h"
#include "status.h"
#include "vm.h"

enum {
	RTC_SECONDS = 0x00,
	RTC_SECONDS_ALARM = 0x01,
	RTC_MINUTES = 0x02,
	RTC_MINUTES_ALARM = 0x03,
	RTC_HOURS = 0x04,
	RTC_HOURS_ALARM = 0x05,
	RTC_WEEKDAY = 0x06,
	RTC_DAY = 0x07,
	RTC_MONTH = 0x08,
	RTC_YEAR = 0x09,
	RTC_A = 0x0a,
	RTC_B = 0x0b,
	RTC_C = 0x0c,
	RTC_D = 0x0d,
	/* Memory sizes, by the convention of PC firmware; each low byte first. */
	CMOS_BASE_KIB = 0x15,
	CMOS_EXTENDED_KIB = 0x17,
	CMOS_EXTENDED_KIB_2 = 0x30,
	CMOS_ABOVE_16M_64KIB = 0x34,
	CMOS_ABOVE_4G_64KIB = 0x5b,
	CMOS_SIZE = 0x80,
};

#define A_UPDATE_IN_PROGRESS	0x80
#define A_DIVIDER_RATE		0x26	/* 32768 Hz crystal, 1024 Hz rate: what firmware sets */
#define A_RATE			0x0f
#define B_SET			0x80
/* Interrupt enables in B, and the flags they go with in C, are the same bits. */
#define PERIODIC		0x40
#define ALARM			0x20
#define UPDATE			0x10
#define C_IRQ			0x80
#define ALARM_ANY		0xc0	/* in an alarm register: matches every value */
#define B_BINARY		0x04
#define B_24_HOURS		0x02
#define D_VALID			0x80
#define HOURS_PM		0x80

/* UIP rises this long before the registers change (data sheet: 244 us). */
#define UPDATE_NS		244000

struct rtc {
	struct device device;
	struct io_region region;
	pthread_mutex_t lock;
	uint8_t index;
	uint8_t cmos[CMOS_SIZE]; /* of the clock's registers, only A and B, and all while B_SET */
	int64_t offset_s;		/* guest's clock less host's */
	time_t last_update; /* host's second in which the update flag was last looked at */
	struct vm_watch update_timer;	/* each second */
	struct vm_watch periodic_timer;
};

/* The line follows the flags that are enabled. Lock held. */
static void set_flags(struct rtc *rtc, uint8_t flags)
{
	rtc->cmos[RTC_C] |= flags;
	if (rtc->cmos[RTC_C] & rtc->cmos[RTC_B] & (PERIODIC | ALARM | UPDATE) &&
	    !(rtc->cmos[RTC_C] & C_IRQ)) {
		rtc->cmos[RTC_C] |= C_IRQ;
		irq_set_line(&rtc->device.vm->irq, LAYOUT_GSI_RTC, true);
	}
}

static uint8_t encode(const struct rtc *rtc, unsigned int value)
{
	return rtc->cmos[RTC_B] & B_BINARY ? value : value / 10 << 4 | value % 10;
}

static unsigned int decode(const struct rtc *rtc, uint8_t value)
{
	return rtc->cmos[RTC_B] & B_BINARY ? value : (value >> 4) * 10u + (value & 0xf);
}

static uint8_t encode_hours(const struct rtc *rtc, unsigned int hours)
{
	if (rtc->cmos[RTC_B] & B_24_HOURS)
		return encode(rtc, hours);
	return encode(rtc, hours % 12 ? hours % 12 : 12) | (hours >= 12 ? HOURS_PM : 0);
}

static unsigned int decode_hours(const struct rtc *rtc, uint8_t value)
{
	if (rtc->cmos[RTC_B] & B_24_HOURS)
		return decode(rtc, value);
	return decode(rtc, value & ~HOURS_PM) % 12 + (value & HOURS_PM ? 12 : 0);
}

/* Put the time of now into the registers. */
static void latch_time(struct rtc *rtc)
{
	time_t now = time(NULL) + rtc->offset_s;
	struct tm tm;

	if (!gmtime_r(&now, &tm))
		return;
	rtc->cmos[RTC_SECONDS] = encode(rtc, tm.tm_sec);
	rtc->cmos[RTC_MINUTES] = encode(rtc, tm.tm_min);
	rtc->cmos[RTC_HOURS] = encode_hours(rtc, tm.tm_hour);
	rtc->cmos[RTC_WEEKDAY] = encode(rtc, tm.tm_wday + 1);
	rtc->cmos[RTC_DAY] = encode(rtc, tm.tm_mday);
	rtc->cmos[RTC_MONTH] = encode(rtc, tm.tm_mon + 1);
	rtc->cmos[RTC_YEAR] = encode(rtc, (tm.tm_year + 1900) % 100);
	rtc->cmos[RTC_CENTURY] = encode(rtc, (tm.tm_year + 1900) / 100 % 100);
}

/* Take what the guest put into the registers for the time of now. */
static void set_time(struct rtc *rtc)
{
	struct tm tm = {
		.tm_sec = decode(rtc, rtc->cmos[RTC_SECONDS]),
		.tm_min = decode(rtc, rtc->cmos[RTC_MINUTES]),
		.tm_hour = decode_hours(rtc, rtc->cmos[RTC_HOURS]),
		.tm_mday = decode(rtc, rtc->cmos[RTC_DAY]),
		.tm_mon = (int)decode(rtc, rtc->cmos[RTC_MONTH]) - 1,
		.tm_year = decode(rtc, rtc->cmos[RTC_YEAR]) +
			   100 * decode(rtc, rtc->cmos[RTC_CENTURY]) - 1900,
	};

	rtc->offset_s = timegm(&tm) - time(NULL);
}

/* Begin each of the host's seconds with a look at the update and alarm flags, or not. Lock held. */
static void set_update_timer(struct rtc *rtc)
{
	bool wanted = rtc->cmos[RTC_B] & (ALARM | UPDATE) && !(rtc->cmos[RTC_B] & B_SET);
	struct itimerspec spec = { 0 };

	if (wanted) {
		spec.it_value.tv_sec = time(NULL) + 1;
		spec.it_interval.tv_sec = 1;
	}
	timerfd_settime(rtc->update_timer.fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

/*
 * Rates 3 to 15 divide 32768 Hz by 2^(rate - 1); 1 and 2 are another 8 and 9 (data sheet, table 5).
 */
static void set_periodic_timer(struct rtc *rtc)
{
	unsigned int rate = rtc->cmos[RTC_A] & A_RATE;
	struct itimerspec spec = { 0 };

	if (rtc->cmos[RTC_B] & PERIODIC && rate) {
		uint64_t ns = (1000000000ULL << ((rate < 3 ? rate + 7 : rate) - 1)) / 32768;

		spec.it_value.tv_sec = ns / 1000000000;
		spec.it_value.tv_nsec = ns % 1000000000;
		spec.it_interval = spec.it_value;
	}
	timerfd_settime(rtc->periodic_timer.fd, 0, &spec, NULL);
}

static bool alarm_matches(const struct rtc *rtc)
{
	static const struct {
		uint8_t alarm, time;
	} pairs[] = {
		{ RTC_SECONDS_ALARM, RTC_SECONDS },
		{ RTC_MINUTES_ALARM, RTC_MINUTES },
		{ RTC_HOURS_ALARM, RTC_HOURS },
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		uint8_t alarm = rtc->cmos[pairs[i].alarm];

		if ((alarm & ALARM_ANY) != ALARM_ANY && alarm != rtc->cmos[pairs[i].time])
			return false;
	}
	return true;
}

static void update_expired(void *dev)
{
	struct rtc *rtc = dev;
	uint64_t count;
	uint8_t flags = UPDATE;

	if (read(rtc->update_timer.fd, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&rtc->lock);
	latch_time(rtc);
	if (alarm_matches(rtc))
		flags |= ALARM;
	rtc->last_update = time(NULL);
	set_flags(rtc, flags);
	pthread_mutex_unlock(&rtc->lock);
}

static void periodic_expired(void *dev)
{
	struct rtc *rtc = dev;
	uint64_t count;

	if (read(rtc->periodic_timer.fd, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&rtc->lock);
	set_flags(rtc, PERIODIC);
	pthread_mutex_unlock(&rtc->lock);
}

/*
 * Reading clears the flags and lowers the line. Who polls sees an update in each second, too. Lock
 * held.
 */
static uint8_t read_c(struct rtc *rtc)
{
	time_t now = time(NULL);
	uint8_t value;

	if (now != rtc->last_update && !(rtc->cmos[RTC_B] & B_SET))
		rtc->cmos[RTC_C] |= UPDATE;
	rtc->last_update = now;
	value = rtc->cmos[RTC_C];
	rtc->cmos[RTC_C] = 0;
	if (value & C_IRQ)
		irq_set_line(&rtc->device.vm->irq, LAYOUT_GSI_RTC, false);
	return value;
}

static bool is_clock(uint8_t index)
{
	switch (index) {
	case RTC_SECONDS:
	case RTC_MINUTES:
	case RTC_HOURS:
	case RTC_WEEKDAY:
	case RTC_DAY:
	case RTC_MONTH:
	case RTC_YEAR:
	case RTC_CENTURY:
		return true;
	default:
		return false;
	}
}

static uint8_t read_a(const struct rtc *rtc)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (!(rtc->cmos[RTC_B] & B_SET) && now.tv_nsec >= 1000000000 - UPDATE_NS)
		return rtc->cmos[RTC_A] | A_UPDATE_IN_PROGRESS;
	return rtc->cmos[RTC_A];
}

static uint64_t rtc_read(void *dev, uint64_t offset, unsigned int size)
{
	struct rtc *rtc = dev;
	uint8_t value;

	(void)size;
	/* The index port is write-only. */
	if (offset == 0)
		return 0xff;
	pthread_mutex_lock(&rtc->lock);
	if (is_clock(rtc->index) && !(rtc->cmos[RTC_B] & B_SET))
		latch_time(rtc);
	if (rtc->index == RTC_A)
		value = read_a(rtc);
	else if (rtc->index == RTC_C)
		value = read_c(rtc);
	else
		value = rtc->cmos[rtc->index];
	pthread_mutex_unlock(&rtc->lock);
	return value;
}

static void write_b(struct rtc *rtc, uint8_t value)
{
	uint8_t old = rtc->cmos[RTC_B];

	if (value & ~old & B_SET) {
		latch_time(rtc);
		value &= ~UPDATE;	/* SET clears UIE (data sheet, register B) */
	}
	rtc->cmos[RTC_B] = value;
	if (old & ~value & B_SET)
		set_time(rtc);
	if ((old ^ value) & (ALARM | UPDATE | B_SET))
		set_update_timer(rtc);
	if ((old ^ value) & PERIODIC)
		set_periodic_timer(rtc);
	set_flags(rtc, 0);
}

static void write_cmos(struct rtc *rtc, uint8_t index, uint8_t value)
{
	uint8_t old = rtc->cmos[index];

	switch (index) {
	case RTC_A:
		rtc->cmos[RTC_A] = value & ~A_UPDATE_IN_PROGRESS;
		if ((value ^ old) & A_RATE)
			set_periodic_timer(rtc);
		break;
	case RTC_B:
		write_b(rtc, value);
		break;
	case RTC_C:
	case RTC_D:
		break;
	default:
		if (is_clock(index) && !(rtc->cmos[RTC_B] & B_SET)) {
			/* One register set on the running clock. */
			latch_time(rtc);
			rtc->cmos[index] = value;
			set_time(rtc);
		} else {
			rtc->cmos[index] = value;
		}
		break;
	}
}

static void rtc_write(void *dev, uint64_t offset, unsigned int size, uint64_t value)
{
	struct rtc *rtc = dev;

	(void)size;
	pthread_mutex_lock(&rtc->lock);
	/* Bit 7 of the index port is the NMI mask, which nothing here needs. */
	if (offset == 0)
		rtc->index = value % CMOS_SIZE;
	else
		write_cmos(rtc, rtc->index, value);
	pthread_mutex_unlock(&rtc->lock);
}

static void put_size(struct rtc *rtc, unsigned int index, uint64_t value, uint64_t max,
		     unsigned int bytes)
{
	if (value > max)
		value = max;
	for (unsigned int i = 0; i < bytes; i++, value >>= 8)
		rtc->cmos[index + i] = value;
}

static void fill_cmos(struct rtc *rtc, const struct guest_mem *mem)
{
	uint64_t low = guest_mem_low_end(mem);
	uint64_t extended = (low - MIB) / KIB;
	uint64_t above_4g = mem->nr_regions > 1 ? mem->region[1].size : 0;

	rtc->cmos[RTC_A] = A_DIVIDER_RATE;
	rtc->cmos[RTC_B] = B_24_HOURS;
	rtc->cmos[RTC_D] = D_VALID;
	put_size(rtc, CMOS_BASE_KIB, 640, 0xffff, 2);
	put_size(rtc, CMOS_EXTENDED_KIB, extended, 0xfc00, 2);
	put_size(rtc, CMOS_EXTENDED_KIB_2, extended, 0xfc00, 2);
	if (low > 16 * MIB)
		put_size(rtc, CMOS_ABOVE_16M_64KIB, (low - 16 * MIB) / (64 * KIB), 0xffff, 2);
	put_size(rtc, CMOS_ABOVE_4G_64KIB, above_4g / (64 * KIB), 0xffffff, 3);
}

static void rtc_describe(const struct device *dev, struct aml *aml)
{
	size_t device = aml_device(aml, "RTC0"), resources;

	(void)dev;
	aml_name_eisa_id(aml, "_HID", "PNP0B00");
	resources = aml_resources(aml, "_CRS");
	aml_resource_io(aml, LAYOUT_PORT_RTC, 2);
	aml_resource_isa_irq(aml, LAYOUT_GSI_RTC);
	aml_resources_end(aml, resources);
	aml_close(aml, device);
}

static void rtc_destroy(struct device *dev)
{
	struct rtc *rtc = (struct rtc *)dev;

	bus_remove(&dev->vm->pio, &rtc->region);
	if (rtc->update_timer.fd >= 0)
		close(rtc->update_timer.fd);
	if (rtc->periodic_timer.fd >= 0)
		close(rtc->periodic_timer.fd);
	pthread_mutex_destroy(&rtc->lock);
	free(rtc);
}

static const struct device_ops rtc_ops = {
	.destroy = rtc_destroy,
	.describe = rtc_describe,
};

static int create_timers(struct rtc *rtc)
{
	rtc->update_timer = (struct vm_watch){
		.fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK),
		.dev = rtc, .readable = update_expired,
	};
	rtc->periodic_timer = (struct vm_watch){
		.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
		.dev = rtc, .readable = periodic_expired,
	};
	if (rtc->update_timer.fd < 0 || rtc->periodic_timer.fd < 0)
		return vmm_fail(VMM_FAILED, "cannot create a timer: %s", strerror(errno));
	vm_add_watch(rtc->device.vm, &rtc->update_timer);
	vm_add_watch(rtc->device.vm, &rtc->periodic_timer);
	return VMM_OK;
}

static int rtc_create(struct vm *vm)
{
	struct rtc *rtc = calloc(1, sizeof(*rtc));

	if (!rtc)
		return vmm_fail(VMM_MEMORY, "not enough memory for the real time clock");
	pthread_mutex_init(&rtc->lock, NULL);
	fill_cmos(rtc, &vm->mem);
	rtc->region = (struct io_region){
		.base = LAYOUT_PORT_RTC, .len = 2, .dev = rtc, .read = rtc_read, .write = rtc_write,
	};
	device_add(vm, &rtc->device, &rtc_ops);
	bus_add(&vm->pio, &rtc->region);
	return create_timers(rtc);
}

static const struct device_type rtc_type = {
	.name = "real time clock",
	.stage = DEVICE_ON_BOARD,
	.create = rtc_create,
};
VMM_DEVICE(rtc_type);
