/*
 * The guest program: reads every page of its share twice, and says what it saw.
 *
 * Assembled flat; WalkerGuestBuilder puts it at 0x6000 and points the interrupt table at its stubs. It runs in ring 3 (where its
 * TSS allows the two ports) or ring 0, on identity-mapped memory. Its one writable place is the stack of the machine check handler,
 * which is left as zeros as it was found, so that the sums of all pages can be known beforehand.
 *
 * At the start rdi is the address of this vCPU's parameters:
 *    0  u64  address of an array of u32 guest frame numbers, in the order in which to read them
 *    8  u64  how many
 *   16  u64  flags; bit 0: leave MCG_STATUS.MCIP set
 *   24  u64  the end of the stack
 *
 * Registers of the walk:
 *   rbx page being read   rsi next frame number   rcx frames left   r8 pass   r9 pages read   r10 pages lost   r11 sum   r12 multiplier
 * The machine check handler owns rax, rdx, rbp, r13, r14, r15: the page being read is given up anyway.
 */
.intel_syntax noprefix
.text

.set REPORT_PORT, 0x500
.set OFF_PORT, 0x501
.set TAG_PASS_DONE, 0x57440001
.set TAG_MACHINE_CHECK, 0x57440002
.set TAG_UNEXPECTED, 0x57440003
.set PASSES, 2
.set PAGE, 4096
.set MCG_CAP, 0x179
.set MCG_STATUS, 0x17a
.set MC0_STATUS, 0x401

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

start:
	movabs	r12, 0x9e3779b97f4a7c15
	xor	r8d, r8d
next_pass:
	mov	rsi, [rdi]
	mov	rcx, [rdi + 8]
	xor	r9d, r9d
	xor	r10d, r10d
	xor	r11d, r11d
next_page:
	test	rcx, rcx
	jz	pass_done
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
	add	r11, rax
	inc	r9
page_end:
	add	rsi, 4
	dec	rcx
	jmp	next_page

/* The machine check handler returns here: the five words that the processor pushed are wiped. */
page_lost:
	inc	r10
	mov	r13, [rdi + 24]
	xor	eax, eax
	mov	[r13 - 8], rax
	mov	[r13 - 16], rax
	mov	[r13 - 24], rax
	mov	[r13 - 32], rax
	mov	[r13 - 40], rax
	jmp	page_end

pass_done:
	REPORT	TAG_PASS_DONE
	REPORT	r8d
	REPORT64 r9
	REPORT	r10d
	REPORT64 r11
	inc	r8d
	cmp	r8d, PASSES
	jne	next_pass
switch_off:
	mov	edx, OFF_PORT
	out	dx, eax
stay_off:
	jmp	stay_off

machine_check:
	lea	r13, [rip + the_load]
	cmp	[rsp], r13
	jne	unexpected_machine_check
	mov	r15, rcx
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
	mov	ecx, MCG_STATUS
	rdmsr
	REPORT_EAX
	mov	ecx, ebp
	xor	eax, eax
	xor	edx, edx
	wrmsr
	test	qword ptr [rdi + 16], 1
	jnz	skip_page
	mov	ecx, MCG_STATUS
	wrmsr
skip_page:
	lea	r13, [rip + page_lost]
	mov	[rsp], r13
	mov	rcx, r15
	iretq

unexpected_machine_check:
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

.org 0x400
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
