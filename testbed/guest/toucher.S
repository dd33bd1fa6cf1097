/*
 * A guest program that measures how long its own loads wait: for testbed/bench, the same bytes under Ward's KVM and the yardstick's.
 *
 * Put where the walker would be. At the start rdi is the address of its parameters:
 *    0  u64  address of the order: u32 page frames        8  u64  how many
 *   32  u64  address of the samples: for each page when the load began, how long it took (ticks of the TSC), and the word that it saw
 *
 * The samples' pages are touched first, so that no store waits between two loads. Ends with a word to the report port, and switches itself off.
 */
.intel_syntax noprefix
.text

.set REPORT_PORT, 0x500
.set OFF_PORT, 0x501
.set PAGE, 4096

/* rsi order, rcx pages left, rbx the next sample */
start:
	mov	rsi, [rdi]
	mov	rcx, [rdi + 8]
	mov	rbx, [rdi + 32]
	lea	r9, [rcx + rcx * 2]
	lea	r9, [rbx + r9 * 8]
	mov	r8, rbx
touch_samples:
	mov	qword ptr [r8], 0
	add	r8, PAGE
	cmp	r8, r9
	jb	touch_samples
next_page:
	mov	r10d, [rsi]
	shl	r10, 12
	rdtsc
	shl	rdx, 32
	or	rax, rdx
	mov	r11, rax
	lfence
	mov	r12, [r10]
	lfence
	rdtsc
	shl	rdx, 32
	or	rax, rdx
	sub	rax, r11
	mov	[rbx], r11
	mov	[rbx + 8], rax
	mov	[rbx + 16], r12
	add	rbx, 24
	add	rsi, 4
	dec	rcx
	jnz	next_page
	mov	edx, REPORT_PORT
	mov	eax, 1
	out	dx, eax
	mov	edx, OFF_PORT
	out	dx, eax
stay_off:
	jmp	stay_off
