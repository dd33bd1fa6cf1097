/*
 * A guest program that waits for machine checks and says what each of them was.
 *
 * Assembled flat; put where the walker would be, with the same parameters, and stubs for the processor's exceptions every 16 bytes
 * from 0x600 on. At the start rdi is the address of this vCPU's parameters:
 *   32  u64  machine checks after which it switches itself off, having run on for a while
 *   40  u64  while not 0, the handler stays where it has said what the machine check was, MCG_STATUS.MCIP set
 *
 * r9 counts machine checks, r8 what is done in between; both begin at 0, since the first machine check may come before the first
 * instruction.
 */
.intel_syntax noprefix
.text

.set REPORT_PORT, 0x500
.set OFF_PORT, 0x501
.set TAG_CHECK, 0x57440010
.set TAG_END, 0x57440011
.set TAG_UNEXPECTED, 0x57440003
.set MCG_STATUS, 0x17a
.set MC9_STATUS, 0x425
.set LINGER, 1 << 24

.macro REPORT_EAX
	mov	edx, REPORT_PORT
	out	dx, eax
.endm

.macro REPORT value
	mov	eax, \value
	REPORT_EAX
.endm

.macro REPORT64 register
	mov	rax, \register
	REPORT_EAX
	shr	rax, 32
	REPORT_EAX
.endm

/* Reports a model specific register, low half first. */
.macro REPORT_MSR index
	mov	ecx, \index
	rdmsr
	mov	r11, rdx
	REPORT_EAX
	mov	rax, r11
	REPORT_EAX
.endm

start:
wait_for_check:
	inc	r8
	cmp	r9, [rdi + 32]
	jb	wait_for_check
	mov	ecx, LINGER
linger:
	inc	r8
	dec	ecx
	jnz	linger
	REPORT	TAG_END
	REPORT64 r9
switch_off:
	mov	edx, OFF_PORT
	out	dx, eax
stay_off:
	jmp	stay_off

machine_check:
	push	rax
	push	rcx
	push	rdx
	push	r11
	inc	r9
	REPORT	TAG_CHECK
	REPORT_MSR MCG_STATUS
	REPORT_MSR MC9_STATUS
	REPORT_MSR MC9_STATUS + 1
	REPORT_MSR MC9_STATUS + 2
hold:
	cmp	qword ptr [rdi + 40], 0
	jne	hold
	xor	eax, eax
	xor	edx, edx
	mov	ecx, MC9_STATUS
	wrmsr
	mov	ecx, MCG_STATUS
	wrmsr
	pop	r11
	pop	rdx
	pop	rcx
	pop	rax
	iretq

unexpected:
	mov	r13, [rsp]
	REPORT	TAG_UNEXPECTED
	REPORT	r15d
	REPORT	0
	REPORT64 r13
	jmp	switch_off

.macro STUBS vectors:vararg
	.irp	vector, \vectors
	.balign	16
	mov	r15d, \vector
	jmp	unexpected
	.endr
.endm

.org 0x600
	STUBS	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17
.balign 16
	jmp	machine_check
	STUBS	19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
.balign 16
