/*
 * The guest program: reads every page of its share twice, and says what it saw.
 *
 * Assembled flat; WalkerGuestBuilder puts it at 0x6000 and points the interrupt table at its stubs. It runs in ring 3 (where its
 * TSS allows the ports) or ring 0, on identity-mapped memory. Its one writable place is the stack of the machine check handler,
 * which is wiped before it is read, so that the sums of all pages can be known beforehand.
 *
 * A machine check that the load did not cause (an error that was only found, or another vCPU's) comes at any instruction. The handler
 * reports it on a port of its own, because it may stand in the middle of a report, and lets the page being read start again.
 *
 * At the start rdi is the address of this vCPU's parameters:
 *    0  u64  address of an array of u32 guest frame numbers, in the order in which to read them
 *    8  u64  how many
 *   16  u64  flags; bit 0: leave MCG_STATUS.MCIP set; bit 1: look at bank 9 before each page (ring 0 only);
 *                   bit 2: ask the copying device for each lost page; bit 3: before one pass, wait until it has moved and has heard of
 *                   errors; bit 4: with CR4.MCE clear, bit 5: with MCG_STATUS.MCIP set, for a while after the move (ring 0 only)
 *   24  u64  the end of the stack
 *   32  u64  address of this vCPU's counters, 0 for none: then it walks until it has moved to another host, and twice more
 *   40  u64  how often it has to have moved
 *   48  u64  with bit 3: of how many errors it waits to hear without meeting them
 *   56  u64  with bit 3: before which pass
 *
 * Its counters, which let it notice what a move loses or repeats:
 *    0  u64  pages passed; the same number is in xmm0
 *    8  u64  machine checks taken; the same number is in the MSR KERNEL_GS_BASE
 *   16  u64  passes in all, once it has moved
 *
 * Registers of the walk:
 *   rbx page being read   rsi next frame number   rcx frames left   r8 pass   r9 pages read   r10 pages lost   r11 sum   r12 multiplier
 * Before a pass r10 counts the errors that were heard of.
 * Scratch: rax rdx rbp r13 r14, and r15 outside of the reading of a page.
 */
.intel_syntax noprefix
.text

.set REPORT_PORT, 0x500
.set OFF_PORT, 0x501
.set ASIDE_PORT, 0x504
.set MOVES_PORT, 0x503
.set DEVICE_ADDRESS, 0x520
.set DEVICE_COMMAND, 0x528
.set DEVICE_STATUS, 0x529
.set DEVICE_READ, 1
.set DEVICE_BUSY, 1
.set TAG_PASS_DONE, 0x57440001
.set TAG_MACHINE_CHECK, 0x57440002
.set TAG_UNEXPECTED, 0x57440003
.set TAG_ASIDE, 0x57440004
.set TAG_DEVICE, 0x57440005
.set TAG_COUNTERS, 0x57440006
.set TAG_SHUT, 0x57440007
.set FLAG_KEEP_IN_PROGRESS, 1
.set FLAG_LOOK_AT_BANK, 2
.set FLAG_USE_DEVICE, 4
.set FLAG_HEAR_FIRST, 8
.set FLAG_SHUT_BY_CR4, 16
.set FLAG_SHUT_BY_MCIP, 32
.set PASSES, 2
.set PAGE, 4096
.set MCG_CAP, 0x179
.set MCG_STATUS, 0x17a
.set MCG_EIPV, 2
.set MCG_MCIP, 4
.set CR4_MCE, 1 << 6
/* Cycles of the time-stamp counter: some tenths of a second. */
.set LINGER, 1 << 30
.set MC0_STATUS, 0x401
.set MC9_STATUS, 0x425
.set KERNEL_GS_BASE, 0xc0000102
/* As much as two handlers inside each other use. */
.set STACK_USED, 256
/* Where the handler's stack holds the interrupted RIP, above the registers it saves. */
.set SAVED_RIP, 56

/* Reports eax. */
.macro REPORT_EAX
	mov	edx, REPORT_PORT
	out	dx, eax
.endm

.macro REPORT value
	mov	eax, \value
	REPORT_EAX
.endm

/* Reports a 64-bit register, low half first. */
.macro REPORT64 register
	mov	rax, \register
	REPORT_EAX
	shr	rax, 32
	REPORT_EAX
.endm

/* Makes the handler's stack what it was in the beginning. */
.macro WIPE_STACK
	mov	r13, [rdi + 24]
	lea	rbp, [r13 - STACK_USED]
	xor	eax, eax
1:
	mov	[rbp], rax
	add	rbp, 8
	cmp	rbp, r13
	jne	1b
.endm

.macro ASIDE_EAX
	mov	edx, ASIDE_PORT
	out	dx, eax
.endm

/* Reports MSR ecx aside, low half first. */
.macro ASIDE_MSR
	rdmsr
	mov	r14d, edx
	ASIDE_EAX
	mov	eax, r14d
	ASIDE_EAX
.endm

/* Reports the bank whose status is MSR ebp, then clears it. */
.macro ASIDE_BANK
	mov	eax, TAG_ASIDE
	ASIDE_EAX
	mov	eax, ebp
	sub	eax, MC0_STATUS
	shr	eax, 2
	ASIDE_EAX
	mov	ecx, ebp
	ASIDE_MSR
	lea	ecx, [rbp + 1]
	ASIDE_MSR
	lea	ecx, [rbp + 2]
	rdmsr
	ASIDE_EAX
	mov	ecx, MCG_STATUS
	rdmsr
	ASIDE_EAX
	mov	ecx, ebp
	xor	eax, eax
	xor	edx, edx
	wrmsr
.endm

start:
	movabs	r12, 0x9e3779b97f4a7c15
	xor	r8d, r8d
	cmp	qword ptr [rdi + 32], 0
	je	next_pass
	mov	eax, 1
	movq	xmm1, rax
	pxor	xmm0, xmm0
next_pass:
	test	qword ptr [rdi + 16], FLAG_HEAR_FIRST
	jz	begin_pass
	cmp	r8, [rdi + 56]
	jne	begin_pass
	test	qword ptr [rdi + 16], FLAG_SHUT_BY_CR4
	jz	cr4_done
	mov	rax, cr4
	and	eax, ~CR4_MCE
	mov	cr4, rax
cr4_done:
	test	qword ptr [rdi + 16], FLAG_SHUT_BY_MCIP
	jz	until_moved
	mov	eax, MCG_MCIP
	xor	edx, edx
	mov	ecx, MCG_STATUS
	wrmsr
until_moved:
	mov	r9, r10
	mov	edx, MOVES_PORT
	in	al, dx
	movzx	eax, al
	cmp	rax, [rdi + 40]
	jb	until_moved
	test	qword ptr [rdi + 16], FLAG_SHUT_BY_CR4 | FLAG_SHUT_BY_MCIP
	jz	until_heard
	rdtsc
	mov	ecx, eax
linger:
	rdtsc
	sub	eax, ecx
	cmp	eax, LINGER
	jb	linger
	sub	r9, r10
	neg	r9
	REPORT	TAG_SHUT
	REPORT	r9d
	xor	eax, eax
	xor	edx, edx
	mov	ecx, MCG_STATUS
	wrmsr
	mov	rax, cr4
	or	eax, CR4_MCE
	mov	cr4, rax
until_heard:
	test	qword ptr [rdi + 16], FLAG_LOOK_AT_BANK
	jz	heard_enough
	mov	ecx, MC9_STATUS
	rdmsr
	test	edx, edx
	jns	heard_enough
	mov	ebp, ecx
	ASIDE_BANK
	inc	r10
heard_enough:
	cmp	r10, [rdi + 48]
	jb	until_heard
begin_pass:
	mov	rsi, [rdi]
	mov	rcx, [rdi + 8]
	xor	r9d, r9d
	xor	r10d, r10d
	xor	r11d, r11d
next_page:
	test	rcx, rcx
	jz	pass_done
	test	qword ptr [rdi + 16], FLAG_LOOK_AT_BANK
	jz	page_start
	mov	r15, rcx
	mov	ecx, MC9_STATUS
	rdmsr
	test	edx, edx
	jns	looked_at_bank
	mov	ebp, ecx
	ASIDE_BANK
looked_at_bank:
	mov	rcx, r15
page_start: /* from here to page_read nothing is changed that page_start does not set again */
	WIPE_STACK
	mov	ebx, [rsi]
	shl	rbx, 12
	mov	rax, rbx
	mov	rbp, rbx
	lea	r14, [rbx + PAGE]
next_word:
the_load:
	mov	r13, [rbp]
	xor	rax, r13
	imul	rax, r12
	mov	r13, rax
	shr	r13, 32
	xor	rax, r13
	add	rbp, 8
	cmp	rbp, r14
	jne	next_word
page_read:
	add	r11, rax
	inc	r9
page_end:
	mov	rax, [rdi + 32]
	test	rax, rax
	jz	page_counted
	inc	qword ptr [rax]
	paddq	xmm0, xmm1
page_counted:
	add	rsi, 4
	dec	rcx
	jmp	next_page

/* The machine check handler returns here. */
page_lost:
	inc	r10
	test	qword ptr [rdi + 16], FLAG_USE_DEVICE
	jz	page_end
	mov	rax, rbx
	mov	edx, DEVICE_ADDRESS
	out	dx, eax
	shr	rax, 32
	mov	edx, DEVICE_ADDRESS + 4
	out	dx, eax
	mov	eax, DEVICE_READ
	mov	edx, DEVICE_COMMAND
	out	dx, al
device_works:
	mov	edx, DEVICE_STATUS
	in	al, dx
	cmp	al, DEVICE_BUSY
	je	device_works
	movzx	r14d, al
	REPORT	TAG_DEVICE
	REPORT64 rbx
	REPORT	r14d
	jmp	page_end

pass_done:
	WIPE_STACK
	REPORT	TAG_PASS_DONE
	REPORT	r8d
	REPORT64 r9
	REPORT	r10d
	REPORT64 r11
	mov	r13, [rdi + 32]
	test	r13, r13
	jnz	report_counters
	xor	r10d, r10d
	inc	r8d
	cmp	r8d, PASSES
	jne	next_pass
switch_off:
	mov	edx, OFF_PORT
	out	dx, eax
stay_off:
	jmp	stay_off

report_counters:
	REPORT	TAG_COUNTERS
	REPORT	r8d
	mov	r14, [r13]
	REPORT64 r14
	movq	r14, xmm0
	REPORT64 r14
	mov	r14, [r13 + 8]
	REPORT64 r14
	rdtsc
	mov	r14d, edx
	REPORT_EAX
	REPORT	r14d
	inc	r8d
	cmp	qword ptr [r13 + 16], 0
	jne	compare_passes
	mov	edx, MOVES_PORT
	in	al, dx
	movzx	eax, al
	cmp	rax, [rdi + 40]
	jb	next_pass
	lea	eax, [r8 + 2]
	mov	[r13 + 16], rax
compare_passes:
	cmp	r8, [r13 + 16]
	jne	next_pass
	jmp	switch_off

machine_check:
	push	rax
	push	rcx
	push	rdx
	push	rbp
	push	r13
	push	r14
	push	r15
	mov	ecx, MCG_STATUS
	rdmsr
	mov	r15d, eax
	mov	ecx, MCG_CAP
	rdmsr
	movzx	r14d, al
	mov	ecx, MC0_STATUS
next_bank:
	test	r14d, r14d
	jz	unexpected_machine_check
	rdmsr
	test	edx, edx
	js	bank_found
	add	ecx, 4
	dec	r14d
	jmp	next_bank
bank_found:
	mov	ebp, ecx
	test	r15d, MCG_EIPV
	jz	not_consumed
	lea	r13, [rip + the_load]
	cmp	[rsp + SAVED_RIP], r13
	jne	unexpected_machine_check
	mov	r13d, eax
	shl	rdx, 32
	or	r13, rdx
	REPORT	TAG_MACHINE_CHECK
	REPORT64 rbx
	REPORT64 r13
	lea	ecx, [rbp + 1]
	rdmsr
	mov	r13d, edx
	REPORT_EAX
	REPORT	r13d
	REPORT	r15d
	lea	ecx, [rbp + 2]
	rdmsr
	REPORT_EAX
	mov	ecx, ebp
	xor	eax, eax
	xor	edx, edx
	wrmsr
	mov	r14, [rdi + 32]
	test	r14, r14
	jz	not_counted
	mov	ecx, KERNEL_GS_BASE
	rdmsr
	inc	eax
	wrmsr
	mov	[r14 + 8], rax
not_counted:
	lea	r13, [rip + page_lost]
	mov	[rsp + SAVED_RIP], r13
	test	qword ptr [rdi + 16], FLAG_KEEP_IN_PROGRESS
	jnz	return
finish:
	mov	ecx, MCG_STATUS
	xor	eax, eax
	xor	edx, edx
	wrmsr
return:
	pop	r15
	pop	r14
	pop	r13
	pop	rbp
	pop	rdx
	pop	rcx
	pop	rax
	iretq

not_consumed:
	ASIDE_BANK
	lea	r13, [rip + begin_pass]
	cmp	[rsp + SAVED_RIP], r13
	jae	in_a_pass
	inc	r10
	jmp	finish
in_a_pass:
	lea	r13, [rip + page_start]
	cmp	[rsp + SAVED_RIP], r13
	jb	finish
	lea	r14, [rip + page_read]
	cmp	[rsp + SAVED_RIP], r14
	jae	finish
	mov	[rsp + SAVED_RIP], r13
	jmp	finish

unexpected_machine_check:
	add	rsp, SAVED_RIP
	mov	r15d, 18
unexpected:
	xor	r14d, r14d
	mov	r13, [rsp]
	jmp	report_unexpected
unexpected_with_code:
	mov	r14, [rsp]
	mov	r13, [rsp + 8]
report_unexpected:
	REPORT	TAG_UNEXPECTED
	REPORT	r15d
	REPORT	r14d
	REPORT64 r13
	jmp	switch_off

/* One stub of 16 bytes for each of the processor's exceptions; the builder knows where they begin. */
.macro STUBS target, vectors:vararg
	.irp	vector, \vectors
	.balign	16
	mov	r15d, \vector
	jmp	\target
	.endr
.endm

.org 0x600
	STUBS	unexpected, 0, 1, 2, 3, 4, 5, 6, 7
	STUBS	unexpected_with_code, 8
	STUBS	unexpected, 9
	STUBS	unexpected_with_code, 10, 11, 12, 13, 14
	STUBS	unexpected, 15, 16
	STUBS	unexpected_with_code, 17
.balign 16
	jmp	machine_check
	STUBS	unexpected, 19, 20
	STUBS	unexpected_with_code, 21
	STUBS	unexpected, 22, 23, 24, 25, 26, 27, 28
	STUBS	unexpected_with_code, 29, 30
	STUBS	unexpected, 31
.balign 16
