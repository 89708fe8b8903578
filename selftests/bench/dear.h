/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The instructions that cost tens to hundreds of cycles on silicon but count as one in an emulator, by
 * their bytes (SDM vol. 2D, appendix A; APM vol. 3, appendix A).
 */
#ifndef BENCH_DEAR_H
#define BENCH_DEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dear {
	DEAR_VMRUN, DEAR_VMLOAD, DEAR_VMSAVE, DEAR_STGI, DEAR_CLGI, DEAR_INVLPGA,
	DEAR_VMENTER, DEAR_VMREAD, DEAR_VMWRITE, DEAR_VMPTRLD, DEAR_VMCLEAR, DEAR_VMXONOFF,
	DEAR_INVEPT, DEAR_INVVPID, DEAR_INVPCID, DEAR_INVLPG,
	DEAR_RDMSR, DEAR_WRMSR, DEAR_XSAVE, DEAR_XRSTOR, DEAR_XSETBV,
	DEAR_MOV_CR, DEAR_MOV_DR, NR_DEAR
};

static const char *const dear_names[NR_DEAR] = {
	"vmrun", "vmload", "vmsave", "stgi", "clgi", "invlpga",
	"vmenter", "vmread", "vmwrite", "vmptrld", "vmclear", "vmxonoff",
	"invept", "invvpid", "invpcid", "invlpg",
	"rdmsr", "wrmsr", "xsave", "xrstor", "xsetbv",
	"mov_cr", "mov_dr",
};

static inline int dear_0f01(uint8_t modrm)
{
	switch (modrm) {
	case 0xc2: case 0xc3: return DEAR_VMENTER;
	case 0xc4: return DEAR_VMXONOFF;
	case 0xd1: return DEAR_XSETBV;
	case 0xd8: return DEAR_VMRUN;
	case 0xda: return DEAR_VMLOAD;
	case 0xdb: return DEAR_VMSAVE;
	case 0xdc: return DEAR_STGI;
	case 0xdd: return DEAR_CLGI;
	case 0xdf: return DEAR_INVLPGA;
	}
	return modrm < 0xc0 && (modrm >> 3 & 7) == 7 ? DEAR_INVLPG : -1;
}

/* 0F AE and 0F C7 with a memory operand. */
static inline int dear_group(uint8_t opcode, uint8_t modrm, bool has_66, bool has_f3)
{
	int reg = modrm >> 3 & 7;

	if (modrm >= 0xc0)
		return -1;
	if (opcode == 0xae) {
		switch (reg) {
		case 0: case 4: return DEAR_XSAVE;
		case 1: case 5: return DEAR_XRSTOR;
		case 6: return has_66 || has_f3 ? -1 : DEAR_XSAVE;
		}
		return -1;
	}
	switch (reg) {
	case 3: return DEAR_XRSTOR;
	case 4: case 5: return DEAR_XSAVE;
	case 6: return has_66 ? DEAR_VMCLEAR : has_f3 ? DEAR_VMXONOFF : DEAR_VMPTRLD;
	}
	return -1;
}

/* The kind of the instruction of 64-bit code that these bytes are, or -1 when it is a cheap one. */
static inline int dear_kind(const uint8_t *bytes, size_t len)
{
	bool has_66 = false, has_f3 = false;
	size_t i;

	for (i = 0; i < len; i++) {
		if (bytes[i] == 0x66)
			has_66 = true;
		else if (bytes[i] == 0xf3)
			has_f3 = true;
		else if (bytes[i] != 0xf2 && bytes[i] != 0x3e && bytes[i] != 0x2e &&
			 bytes[i] != 0x64 && bytes[i] != 0x65 && (bytes[i] & 0xf0) != 0x40)
			break;
	}
	if (len < i + 2 || bytes[i] != 0x0f)
		return -1;
	i++;
	switch (bytes[i]) {
	case 0x30: return DEAR_WRMSR;
	case 0x32: return DEAR_RDMSR;
	case 0x20: case 0x22: return DEAR_MOV_CR;
	case 0x21: case 0x23: return DEAR_MOV_DR;
	case 0x78: return DEAR_VMREAD;
	case 0x79: return DEAR_VMWRITE;
	}
	if (len < i + 2)
		return -1;
	switch (bytes[i]) {
	case 0x01: return dear_0f01(bytes[i + 1]);
	case 0xae: case 0xc7: return dear_group(bytes[i], bytes[i + 1], has_66, has_f3);
	case 0x38:
		if (!has_66 || bytes[i + 1] < 0x80 || bytes[i + 1] > 0x82)
			return -1;
		return bytes[i + 1] == 0x80 ? DEAR_INVEPT :
		       bytes[i + 1] == 0x81 ? DEAR_INVVPID : DEAR_INVPCID;
	}
	return -1;
}

#endif
