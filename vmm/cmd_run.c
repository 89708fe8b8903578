// SPDX-License-Identifier: GPL-2.0-only
/* vmm run: make a machine, run it until it ends, say how it ended. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/fs.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "config.h"
#include "layout.h"
#include "node.h"
#include "parse.h"
#include "status.h"
#include "term.h"
#include "thread.h"
#include "vcpu.h"
#include "vm.h"

#define DEFAULT_CMDLINE		"console=ttyS0"
#define DEFAULT_MEMORY		(512 * MIB)
#define DEFAULT_CPUS		2
#define MIN_MEMORY		(16 * MIB)

static void print_help(void)
{
	printf("Usage: vmm run --kernel FILE [OPTION]...\n"
	       "\n"
	       "Boots a Linux kernel in a virtual machine, its serial console on this terminal.\n"
	       "\n"
	       "  --kernel FILE        the kernel: a bzImage (vmlinuz) or an ELF vmlinux with PVH\n"
	       "  --initrd FILE        an initial RAM disk\n"
	       "  --cmdline STRING     added to the kernel's command line, which begins with\n"
	       "                       \"" DEFAULT_CMDLINE
	       "\"; a STRING with a console= of its own\n"
	       "                       is the whole command line\n"
	       "  --cpus N             number of CPUs (default %d)\n"
	       "  --memory SIZE        RAM: bytes, or with K, M, G, T (default 512M)\n"
	       "  --disk FILE[,ro]     a disk: an image file or block device, ',ro' for read-only; may be\n"
	       "                       repeated: the guest sees /dev/vda, /dev/vdb, ...\n"
	       "  --device NODE        the hypervisor's node (default /dev/ostler, else /dev/kvm)\n"
	       "  --no-reboot          end when the guest reboots\n"
	       "  --debug-exit         a byte the guest writes to port 0x501 becomes vmm's exit status\n"
	       "  --help               this text\n"
	       "\n"
	       "Keys: Ctrl-a x quits, Ctrl-a Ctrl-a sends a Ctrl-a to the guest.\n"
	       "\n"
	       "Exit status:\n"
	       "  0  the guest powered itself off\n"
	       "  1  a system call failed\n"
	       "  2  bad usage: an unknown option, a value that won't do\n"
	       "  3  a kernel, initrd or disk file can't be used\n"
	       "  4  no usable device node\n"
	       "  5  not enough memory, in the host or for the kernel\n"
	       "  6  the guest crashed: triple fault\n"
	       "  7  the guest crashed: the hypervisor could not go on with it\n"
	       "  8  the guest crashed: the CPU refused to enter it\n"
	       "  9  the guest rebooted, under --no-reboot\n"
	       "  10 quit by Ctrl-a x\n"
	       "  128+N ended by signal N\n"
	       "With --debug-exit the guest's byte comes on top of these.\n"
	       "\n"
	       "Examples:\n"
	       "  vmm run --kernel vmlinuz --initrd initrd.gz\n"
	       "  vmm run --kernel vmlinuz --initrd initrd.gz --disk a.img --cmdline 'root=/dev/vda rw'\n"
	       "  vmm run --kernel vmlinux --cpus 4 --memory 2G --device /dev/kvm\n",
	       DEFAULT_CPUS);
}

/* Why a file that is there can't be used as what it is meant for; 0 when it can. */
static int check_type(struct config_file *file, const char *what, bool block_allowed)
{
	struct stat st;

	if (fstat(file->fd, &st) < 0)
		return vmm_fail(VMM_FILE, "cannot look at %s %s: %s", what, file->path,
				strerror(errno));
	file->size = st.st_size;
	if (S_ISREG(st.st_mode))
		return VMM_OK;
	if (S_ISBLK(st.st_mode) && block_allowed) {
		if (ioctl(file->fd, BLKGETSIZE64, &file->size) == 0)
			return VMM_OK;
		return vmm_fail(VMM_FILE, "cannot find out the size of %s: %s", file->path,
				strerror(errno));
	}
	return vmm_fail(VMM_FILE, "%s %s is not a file%s", what, file->path,
			block_allowed ? " or block device" : "");
}

static int open_file(struct config_file *file, const char *what, const char *path, int flags,
		     bool block_allowed)
{
	if (file->fd >= 0)
		return vmm_fail(VMM_USAGE, "there can be only one %s", what);
	file->path = path;
	file->fd = open(path, flags | O_CLOEXEC);
	if (file->fd < 0)
		return vmm_fail(VMM_FILE, "cannot open %s %s: %s", what, path, strerror(errno));
	return check_type(file, what, block_allowed);
}

/*
 * Two guests that write to one disk, or one that writes while another reads, destroy what is on it.
 * A file system that knows no locks can't help.
 */
static int lock_disk(const struct config_disk *disk)
{
	struct flock lock = {
		.l_type = disk->readonly ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
	};

	if (fcntl(disk->file.fd, F_OFD_SETLK, &lock) == 0 || (errno != EAGAIN && errno != EACCES))
		return VMM_OK;
	return vmm_fail(VMM_FILE,
			"disk %s is in use; only guests that all have it as FILE,ro can share it",
			disk->file.path);
}

static int add_disk(struct config *config, char *arg)
{
	struct config_disk *disk = &config->disk[config->nr_disks];
	char *comma = strrchr(arg, ',');
	int status;

	if (config->nr_disks == CONFIG_MAX_DISKS)
		return vmm_fail(VMM_USAGE, "there can be at most %d disks", CONFIG_MAX_DISKS);
	disk->file.fd = -1;
	disk->readonly = comma && !strcmp(comma, ",ro");
	if (disk->readonly)
		*comma = '\0';
	config->nr_disks++;
	status = open_file(&disk->file, "disk", arg, disk->readonly ? O_RDONLY : O_RDWR, true);
	if (status)
		return status;
	if (disk->file.size < 512)
		return vmm_fail(VMM_FILE,
				"disk %s is empty; give it a size with 'truncate -s SIZE %s'", arg,
				arg);
	return lock_disk(disk);
}

static int set_memory(struct config *config, const char *arg)
{
	if (!parse_size(arg, &config->memory))
		return vmm_fail(VMM_USAGE,
				"--memory %s is not a size; write for example 512M or 2G", arg);
	if (config->memory < MIN_MEMORY)
		return vmm_fail(
			VMM_USAGE,
			"--memory %s is less than the %llu MiB that a guest needs at least%s", arg,
			MIN_MEMORY / MIB,
			config->memory < MIB ? "; write M or G behind the number" : "");
	if (config->memory > 1ULL << 52)
		return vmm_fail(VMM_USAGE, "--memory %s is more than x86 can address", arg);
	config->memory &= ~4095ULL;
	return VMM_OK;
}

static int set_cpus(struct config *config, const char *arg)
{
	unsigned long n;

	if (!parse_number(arg, 1, CONFIG_MAX_VCPUS, &n))
		return vmm_fail(VMM_USAGE, "--cpus %s is not a number from 1 to %d", arg,
				CONFIG_MAX_VCPUS);
	config->nr_vcpus = n;
	return VMM_OK;
}

enum {
	OPT_KERNEL = 256,
	OPT_INITRD,
	OPT_CMDLINE,
	OPT_CPUS,
	OPT_MEMORY,
	OPT_DISK,
	OPT_DEVICE,
	OPT_NO_REBOOT,
	OPT_DEBUG_EXIT,
	OPT_HELP,
};

static const struct option options[] = {
	{ "kernel", required_argument, NULL, OPT_KERNEL },
	{ "initrd", required_argument, NULL, OPT_INITRD },
	{ "cmdline", required_argument, NULL, OPT_CMDLINE },
	{ "cpus", required_argument, NULL, OPT_CPUS },
	{ "memory", required_argument, NULL, OPT_MEMORY },
	{ "disk", required_argument, NULL, OPT_DISK },
	{ "device", required_argument, NULL, OPT_DEVICE },
	{ "no-reboot", no_argument, NULL, OPT_NO_REBOOT },
	{ "debug-exit", no_argument, NULL, OPT_DEBUG_EXIT },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static int apply_option(struct config *config, int option, const char **cmdline)
{
	switch (option) {
	case OPT_KERNEL:
		return open_file(&config->kernel, "kernel", optarg, O_RDONLY, false);
	case OPT_INITRD:
		return open_file(&config->initrd, "initrd", optarg, O_RDONLY, false);
	case OPT_CMDLINE:
		*cmdline = optarg;
		return VMM_OK;
	case OPT_CPUS:
		return set_cpus(config, optarg);
	case OPT_MEMORY:
		return set_memory(config, optarg);
	case OPT_DISK:
		return add_disk(config, optarg);
	case OPT_DEVICE:
		config->node_path = optarg;
		return VMM_OK;
	case OPT_NO_REBOOT:
		config->no_reboot = true;
		return VMM_OK;
	case OPT_DEBUG_EXIT:
		config->debug_exit = true;
		return VMM_OK;
	default:
		return VMM_USAGE;
	}
}

/* A console= at the beginning of a word means that the person wants to say it all. */
static bool names_console(const char *cmdline)
{
	const char *at = cmdline;

	while ((at = strstr(at, "console="))) {
		if (at == cmdline || at[-1] == ' ')
			return true;
		at++;
	}
	return false;
}

static int make_cmdline(struct config *config, const char *extra, char **buf)
{
	*buf = NULL;
	if (!extra || !*extra) {
		config->cmdline = DEFAULT_CMDLINE;
	} else if (names_console(extra)) {
		config->cmdline = extra;
	} else {
		if (asprintf(buf, "%s %s", DEFAULT_CMDLINE, extra) < 0) {
			*buf = NULL;
			return vmm_fail(VMM_MEMORY, "not enough memory for the command line");
		}
		config->cmdline = *buf;
	}
	return VMM_OK;
}

/* Returns a status, explained; *@help when the person asked for help, which has been given. */
static int parse_options(struct config *config, int argc, char **argv, char **cmdline_buf,
			 bool *help)
{
	const char *cmdline = NULL;
	int option, status;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (option == OPT_HELP || option == 'h') {
			print_help();
			*help = true;
			return VMM_OK;
		}
		if (option == ':')
			return vmm_fail(VMM_USAGE, "%s wants a value; see vmm run --help",
					argv[optind - 1]);
		if (option == '?')
			return vmm_fail(VMM_USAGE, "there is no option %s; see vmm run --help",
					argv[optind - 1]);
		status = apply_option(config, option, &cmdline);
		if (status)
			return status;
	}
	if (optind < argc)
		return vmm_fail(VMM_USAGE, "'%s' is no option; see vmm run --help", argv[optind]);
	if (config->kernel.fd < 0)
		return vmm_fail(VMM_USAGE, "which kernel? Say --kernel FILE; see vmm run --help");
	return make_cmdline(config, cmdline, cmdline_buf);
}

/*
 * Signals that end or stop vmm come in through a file descriptor, one at a time, on the main
 * thread.
 */
static int open_signals(int *signal_fd)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	*signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (*signal_fd < 0)
		return vmm_fail(VMM_FAILED, "cannot receive signals: %s", strerror(errno));
	/* A pipe that nobody reads any more, a limit on file sizes: errors, not deadly. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	thread_init();
	return VMM_OK;
}

/* Say how the machine ended, and make it vmm's exit status. The terminal is back in order. */
static int explain_end(const struct vm *vm)
{
	const struct vm_end *end = &vm->end;
	unsigned int cpu = end->vcpu ? end->vcpu->id : 0;
	int status;

	switch (end->kind) {
	case VM_POWER_OFF:
		return VMM_OK;
	case VM_RESET:
		return VMM_REBOOT;
	case VM_DEBUG_EXIT:
		return end->value;
	case VM_QUIT:
		return VMM_QUIT;
	case VM_SIGNALLED:
		return VMM_SIGNAL + end->value;
	case VM_CRASH_SHUTDOWN:
		status = vmm_fail(VMM_SHUTDOWN, "the guest crashed: CPU %u triple-faulted", cpu);
		break;
	case VM_CRASH_EVENT:
		return vmm_fail(VMM_INTERNAL, "the guest crashed and said so (system event %d)",
				end->value);
	case VM_CRASH_INTERNAL:
		status = vmm_fail(VMM_INTERNAL,
				  "the guest crashed: the hypervisor could not go on with CPU %u",
				  cpu);
		break;
	case VM_CRASH_ENTRY:
		status = vmm_fail(VMM_ENTRY,
				  "the guest crashed: the host's CPU refused to enter CPU %u", cpu);
		break;
	case VM_CRASH_EXIT:
		status = vmm_fail(VMM_INTERNAL,
				  "the guest crashed: CPU %u left it for a reason (%d) that vmm "
				  "does not know",
				  cpu, end->value);
		break;
	default:
		status = vmm_fail(VMM_INTERNAL, "the guest cannot be run on: %s",
				  strerror(end->value));
		break;
	}
	if (end->vcpu)
		vcpu_dump(end->vcpu);
	return status;
}

/* One power-on to the next reset or the end. *@again when the guest is to boot again. */
static int run_once(const struct node *node, const struct config *config, int signal_fd,
		    bool *again)
{
	struct vm *vm;
	int status = vm_create(&vm, node, config);

	*again = false;
	if (status)
		return status;
	if (!term_is_raw() && term_raw())
		fprintf(stderr, "vmm: Ctrl-a x quits\r\n");
	status = vm_run(vm, signal_fd);
	if (!status && vm->end.kind == VM_RESET && !config->no_reboot) {
		*again = true;
	} else {
		term_restore();
		if (!status)
			status = explain_end(vm);
	}
	vm_destroy(vm);
	return status;
}

static int run_guest(const struct config *config)
{
	struct node node;
	int signal_fd;
	bool again;
	int status = open_signals(&signal_fd);

	if (status)
		return status;
	status = node_open(&node, config->node_path);
	if (status)
		goto close_signals;
	if (config->nr_vcpus > (unsigned int)node.max_vcpus) {
		status = vmm_fail(VMM_USAGE, "--cpus %u is more than the %d that %s allows",
				  config->nr_vcpus, node.max_vcpus, node.path);
		goto close_node;
	}
	do {
		status = run_once(&node, config, signal_fd, &again);
	} while (again);
	term_restore();
close_node:
	node_close(&node);
close_signals:
	close(signal_fd);
	return status;
}

static void close_files(struct config *config)
{
	if (config->kernel.fd >= 0)
		close(config->kernel.fd);
	if (config->initrd.fd >= 0)
		close(config->initrd.fd);
	for (unsigned int i = 0; i < config->nr_disks; i++)
		if (config->disk[i].file.fd >= 0)
			close(config->disk[i].file.fd);
}

static int run(int argc, char **argv)
{
	struct config config = {
		.kernel.fd = -1,
		.initrd.fd = -1,
		.nr_vcpus = DEFAULT_CPUS,
		.memory = DEFAULT_MEMORY,
	};
	char *cmdline = NULL;
	bool help = false;
	int status;

	/* One heap for all threads: each of its own would cost more than all that vmm allocates. */
	mallopt(M_ARENA_MAX, 1);
	status = parse_options(&config, argc, argv, &cmdline, &help);
	if (!status && !help)
		status = run_guest(&config);
	free(cmdline);
	close_files(&config);
	return status;
}

const struct command cmd_run = {
	.name = "run",
	.summary = "boot a Linux kernel in a virtual machine, console on this terminal",
	.run = run,
};
