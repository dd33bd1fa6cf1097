/*
 * The only program of a small arm64 Linux guest: two processes that lose memory, and what became of them.
 *
 * It tells the guest-physical addresses of their pages on the console. One process finds its pages gone after the kernel
 * was warned; the other one takes a real synchronous external abort at an address where there is nothing, once it is told
 * to: the kernel then asks the firmware's error sources what was lost.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096
#define HOLE 0x0f000000 /* of QEMU's machine "virt": whoever loads from here takes an external abort */
#define WARNED_PAGES 40
#define PATIENCE 3000   /* hundredths of a second */

static void die(const char *what)
{
	printf("VICTIMS-FAILED %s: %s\n", what, strerror(errno));
	exit(1);
}

static volatile uint64_t *new_page(void)
{
	uint64_t *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		die("mmap");
	memset(page, 0x5a, PAGE);
	return page;
}

static void tell(const char *name, volatile uint64_t *page)
{
	uint64_t entry = 0;
	int pagemap = open("/proc/self/pagemap", O_RDONLY);

	if (pread(pagemap, &entry, sizeof(entry), (off_t)((uintptr_t)page / PAGE * sizeof(entry))) != sizeof(entry))
		die("pagemap");
	close(pagemap);
	printf("PAGE %s 0x%llx\n", name, (unsigned long long)((entry & ((1ULL << 55) - 1)) * PAGE));
}

static void report(int number, siginfo_t *info, void *context)
{
	(void)context;
	printf("SIGNAL %d code %d lsb %d\n", number, info->si_code, info->si_addr_lsb);
	_exit(42);
}

static void catch_bus_errors(void)
{
	struct sigaction action = { .sa_sigaction = report, .sa_flags = SA_SIGINFO };

	sigaction(SIGBUS, &action, NULL);
}

static long corrupted_kilobytes(void)
{
	char line[128];
	long found = -1;
	FILE *info = fopen("/proc/meminfo", "r");

	while (info != NULL && fgets(line, sizeof(line), info) != NULL)
		sscanf(line, "HardwareCorrupted: %ld", &found);
	if (info != NULL)
		fclose(info);
	return found;
}

static void touch_when_warned(void)
{
	volatile uint64_t *pages[WARNED_PAGES];
	int waited = 0;

	catch_bus_errors();
	for (int i = 0; i < WARNED_PAGES; i++) {
		pages[i] = new_page();
		tell("warned", pages[i]);
	}
	while (corrupted_kilobytes() < WARNED_PAGES * PAGE / 1024 && waited++ < PATIENCE)
		usleep(10000);
	printf("WARNED of %ld kB after %d0 ms\n", corrupted_kilobytes(), waited);
	printf("READ 0x%llx\n", (unsigned long long)pages[WARNED_PAGES - 1][0]);
}

static void abort_when_told(void)
{
	volatile uint64_t *page = new_page(), *signal_page = new_page();
	int waited = 0, memory = open("/dev/mem", O_RDONLY);
	volatile uint32_t *hole = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, memory, HOLE);

	if (hole == MAP_FAILED)
		die("/dev/mem");
	catch_bus_errors();
	signal_page[0] = 0;
	tell("mailbox", signal_page);
	tell("consumed", page);
	while (signal_page[0] == 0 && waited++ < PATIENCE)
		usleep(10000);
	printf("READ 0x%x\n", hole[0]);
}

static void run(const char *name, void (*victim)(void))
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		victim();
		_exit(0);
	}
	waitpid(child, &status, 0);
	printf("VICTIM %s exit %d signal %d\n", name, WIFEXITED(status) ? WEXITSTATUS(status) : -1,
	       WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	mkdir("/proc", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	run("warned", touch_when_warned);
	run("consumed", abort_when_told);
	printf("CORRUPTED %ld kB\n", corrupted_kilobytes());
	printf("ALIVE\n");
	reboot(RB_POWER_OFF);
	return 0;
}
