/*
 * The only program of a Linux guest, process 1: it shows what a loss of memory does to the guest and what it
 * spares. Each line on its console begins with a word that says what it is about:
 *
 *   READY  uptime
 *   VICTIM page 0xADDRESS pid N              the guest-physical page that process N will touch
 *   ALIVE  N uptime                          every second; N counts without gaps
 *   VICTIM read 0xBYTE at 0xADDRESS          only if the page could be read
 *   VICTIM pid N exit E signal S             how it ended; -1 and 0 stand for "not so"
 *   PAGE   0xADDRESS hwpoison 0|1            whether the kernel has taken the page out of use
 *   OTHER  ok N | damaged N                  another process compares its own memory again and again
 *   MEMINFO HardwareCorrupted N kB
 *   BYE    N uptime
 *
 * It does what is typed: "touch" lets the victim touch its page, "report" prints the last lines again, "off" ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define PAGE_BYTES 4096UL
#define VICTIM_PAGES 16UL
#define OTHER_BYTES (1UL << 20)
#define VICTIM_BYTE 0x5a
#define KPF_HWPOISON 19 /* <linux/kernel-page-flags.h> */
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_FRAME ((UINT64_C(1) << 55) - 1)

/* Shared with the children. */
static struct report {
	volatile uint64_t victim_page;
	volatile uint64_t comparisons;
	volatile uint64_t damaged;
} *report;

static pid_t victim;
static pid_t other;
static int to_victim;
static unsigned long alive;

static double uptime(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void fail(const char *what)
{
	printf("FAILED %s: %s\n", what, strerror(errno));
	_exit(70);
}

static uint64_t entry(const char *path, uint64_t index)
{
	uint64_t value = 0;
	int file = open(path, O_RDONLY);

	if (file < 0)
		fail(path);
	if (pread(file, &value, sizeof(value), (off_t)(index * sizeof(value))) != sizeof(value))
		fail(path);
	close(file);
	return value;
}

static uint64_t physical_address(const void *address)
{
	uint64_t page = entry("/proc/self/pagemap", (uintptr_t)address / PAGE_BYTES);

	if (!(page & PAGEMAP_PRESENT)) {
		errno = EFAULT;
		fail("pagemap");
	}
	return (page & PAGEMAP_FRAME) * PAGE_BYTES;
}

static unsigned char *map(size_t bytes, int flags)
{
	unsigned char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		fail("mmap");
	return memory;
}

/* Waits for a byte, then touches the page; if that page is lost, this process ends there. */
static void be_victim(int wake)
{
	unsigned char *memory = map(VICTIM_PAGES * PAGE_BYTES, MAP_PRIVATE);
	volatile unsigned char *target = memory + VICTIM_PAGES / 2 * PAGE_BYTES;
	char byte;

	madvise(memory, VICTIM_PAGES * PAGE_BYTES, MADV_NOHUGEPAGE);
	memset(memory, VICTIM_BYTE, VICTIM_PAGES * PAGE_BYTES);
	report->victim_page = physical_address((const void *)target);
	if (read(wake, &byte, 1) != 1)
		fail("read of the victim's pipe");
	printf("VICTIM read 0x%02x at 0x%llx\n", target[0x321], (unsigned long long)report->victim_page);
	_exit(0);
}

static void be_other(void)
{
	unsigned char *memory = map(OTHER_BYTES, MAP_PRIVATE);

	for (size_t i = 0; i < OTHER_BYTES; i++)
		memory[i] = (unsigned char)(i * 31 >> 3);
	for (;;) {
		for (size_t i = 0; i < OTHER_BYTES; i++)
			if (memory[i] != (unsigned char)(i * 31 >> 3))
				report->damaged++;
		report->comparisons++;
		usleep(300000);
	}
}

static void start_victim(void)
{
	int ends[2];

	if (pipe(ends) < 0)
		fail("pipe");
	victim = fork();
	if (victim == 0) {
		close(ends[1]);
		be_victim(ends[0]);
	}
	close(ends[0]);
	to_victim = ends[1];
	while (report->victim_page == 0)
		usleep(1000);
	printf("VICTIM page 0x%llx pid %d\n", (unsigned long long)report->victim_page, victim);
}

static void start_other(void)
{
	other = fork();
	if (other == 0)
		be_other();
	while (report->comparisons == 0)
		usleep(1000);
}

static void show_corrupted(void)
{
	char line[256];
	long kilobytes = -1;
	FILE *file = fopen("/proc/meminfo", "r");

	if (file == NULL)
		fail("/proc/meminfo");
	while (fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "HardwareCorrupted: %ld", &kilobytes) == 1)
			break;
	fclose(file);
	printf("MEMINFO HardwareCorrupted %ld kB\n", kilobytes);
}

static void show_report(void)
{
	uint64_t page = report->victim_page;
	uint64_t flags = entry("/proc/kpageflags", page / PAGE_BYTES);

	printf("PAGE 0x%llx hwpoison %d\n", (unsigned long long)page, (int)(flags >> KPF_HWPOISON & 1));
	if (kill(other, 0) < 0 || report->damaged > 0)
		printf("OTHER damaged %llu\n", (unsigned long long)report->damaged);
	else
		printf("OTHER ok %llu\n", (unsigned long long)report->comparisons);
	show_corrupted();
}

static void bury(pid_t child, int status)
{
	const char *name = child == victim ? "VICTIM" : "OTHER";

	printf("%s pid %d exit %d signal %d\n", name, child, WIFEXITED(status) ? WEXITSTATUS(status) : -1,
	       WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	if (child == victim)
		show_report();
}

static void switch_off(void)
{
	printf("BYE %lu %.1f\n", alive, uptime());
	tcdrain(STDOUT_FILENO);
	if (reboot(RB_POWER_OFF) < 0)
		fail("reboot");
}

static void obey(const char *line)
{
	if (strncmp(line, "touch", 5) == 0 && write(to_victim, "", 1) != 1)
		fail("write to the victim's pipe");
	if (strncmp(line, "report", 6) == 0)
		show_report();
	if (strncmp(line, "off", 3) == 0)
		switch_off();
}

static void prepare(void)
{
	struct termios line;

	setvbuf(stdout, NULL, _IOLBF, 0);
	mkdir("/proc", 0755);
	if (mount("proc", "/proc", "proc", 0, NULL) < 0)
		fail("mount /proc");
	if (tcgetattr(STDIN_FILENO, &line) == 0) {
		line.c_lflag &= (tcflag_t)~ECHO;
		tcsetattr(STDIN_FILENO, TCSANOW, &line);
	}
	report = (struct report *)map(PAGE_BYTES, MAP_SHARED);
}

/* Milliseconds until this uptime; not negative. */
static int until(double moment)
{
	double left = moment - uptime();

	return left > 0 ? (int)(left * 1000) : 0;
}

static void look_after(double moment)
{
	struct pollfd console = { .fd = STDIN_FILENO, .events = POLLIN };
	char line[64];
	int status;
	pid_t child;

	do {
		if (poll(&console, 1, until(moment)) > 0) {
			ssize_t length = read(STDIN_FILENO, line, sizeof(line) - 1);

			line[length > 0 ? length : 0] = '\0';
			obey(line);
		}
		while ((child = waitpid(-1, &status, WNOHANG)) > 0)
			bury(child, status);
	} while (until(moment) > 0);
}

int main(void)
{
	prepare();
	printf("READY %.1f\n", uptime());
	start_other();
	start_victim();
	for (;;) {
		printf("ALIVE %lu %.1f\n", ++alive, uptime());
		look_after(uptime() + 1.0);
	}
}
