/*
 * A guest program that makes one memory access and says what came of it.
 *
 * Assembled flat; put where the walker would be, with stubs for the processor's exceptions every 16 bytes from 0x600 on. At the start
 * rdi is the address of its parameters:
 *   24  u64  the end of the stack; the page that it ends begins with 32 bytes for the access, all 0xee
 *   32  u64  which access, see the table
 *   40  u64  where
 *
 * It reports, in words of 32 bits, low halves first:
 *   tag  vector (0: none)  RIP after the access (2)  rax (2)  rcx (2)  rsi (2)  rdi (2)  rflags  MCG_STATUS  bank (status 2, addr 2, misc 1)
 *   the 32 bytes (8)
 * rcx, rsi and rdi are those of the access. Of the 32 bytes rsi or rdi is given as the offset from their first byte, of the place as the
 * offset from there.
 */
.intel_syntax noprefix
.text

.set REPORT_PORT, 0x500
.set OFF_PORT, 0x501
.set TAG_PROBE, 0x57440020
.set PAGE, 4096
.set MCG_STATUS, 0x17a
.set MC9_STATUS, 0x425
.set PATTERN, 0xeeeeeeeeeeeeeeee
.set BYTES, 32

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

.macro REPORT_MSR number
	mov	ecx, \number
	rdmsr
	mov	r8d, edx
	REPORT_EAX
	REPORT	r8d
.endm

/* One row of the table: the access, at a known place, with known flags. */
.macro ACCESS number, instruction:vararg
	cmp	r14d, \number
	jne	1f
	lea	r9, [rip + 2f]
	xor	r8d, r8d
2:
	\instruction
	jmp	done
1:
.endm

/* r13 parameters, rbx place, r12 the 32 bytes, r14 which access, r9 its RIP, rsi and rdi what its row says. */
start:
	mov	r13, rdi
	mov	r12, [r13 + 24]
	sub	r12, PAGE
	movabs	rax, PATTERN
	mov	[r12], rax
	mov	[r12 + 8], rax
	mov	[r12 + 16], rax
	mov	[r12 + 24], rax
	mov	rbx, [r13 + 40]
	mov	r14, [r13 + 32]
	movabs	rax, 0x1111111111111111
	mov	edx, 0x2222
	mov	ecx, BYTES
	mov	rsi, rbx
	mov	rdi, r12
	cld
	ACCESS	0, mov rax, [rbx]
	ACCESS	1, mov [rbx], rax
	ACCESS	2, add [rbx], rax
	ACCESS	3, lock add [rbx], rax
	ACCESS	4, xchg [rbx], rax
	ACCESS	5, push qword ptr [rbx]
	ACCESS	6, cmpxchg [rbx], rdx
	ACCESS	7, movsb
	ACCESS	8, movsq
	cmp	r14d, 9
	jne	not_fetch
	mov	r9, rbx
	xor	r8d, r8d
	jmp	rbx
not_fetch:
	lea	rsi, [rbx - BYTES / 2]
	ACCESS	10, rep movsb
	mov	rsi, r12
	lea	rdi, [rbx - BYTES / 2]
	ACCESS	11, rep movsb
	ACCESS	12, rep stosb
	ACCESS	13, lock cmpxchg [rbx], rdx
	ud2

/* Nothing happened: what an exception would have pushed. */
done:
	push	0
	push	0
	pushfq
	push	0
	push	0
	xor	r11d, r11d
	jmp	report
/* r11 vector, and the stack as the processor leaves it. */
report:
	push	rdi
	push	rsi
	push	rcx
	push	rax
	REPORT	TAG_PROBE
	REPORT	r11d
	mov	r10, [rsp + 32]
	sub	r10, r9
	REPORT64 r10
	REPORT64 [rsp]
	REPORT64 [rsp + 8]
	mov	r10, [rsp + 16]
	call	relative
	REPORT64 r10
	mov	r10, [rsp + 24]
	call	relative
	REPORT64 r10
	mov	eax, [rsp + 48]
	REPORT_EAX
	cmp	r11d, 18
	jne	no_machine_check
	mov	ecx, MCG_STATUS
	rdmsr
	REPORT_EAX
	REPORT_MSR MC9_STATUS
	REPORT_MSR MC9_STATUS+1
	mov	ecx, MC9_STATUS+2
	rdmsr
	REPORT_EAX
	jmp	bytes
no_machine_check:
	REPORT	0
	REPORT	0
	REPORT	0
	REPORT	0
	REPORT	0
	REPORT	0
bytes:
	REPORT64 [r12]
	REPORT64 [r12 + 8]
	REPORT64 [r12 + 16]
	REPORT64 [r12 + 24]
	mov	edx, OFF_PORT
	out	dx, eax
stay_off:
	jmp	stay_off

/* r10 from an address to its distance from the 32 bytes, or from the place. */
relative:
	mov	rax, r10
	sub	rax, r12
	cmp	rax, PAGE
	jb	1f
	mov	rax, r10
	sub	rax, rbx
1:
	mov	r10, rax
	ret

exception_with_code:
	pop	r10
exception:
	jmp	report

.macro STUBS target, vectors:vararg
	.irp	vector, \vectors
	.balign	16
	mov	r11d, \vector
	jmp	\target
	.endr
.endm

.org 0x600
	STUBS	exception, 0, 1, 2, 3, 4, 5, 6, 7
	STUBS	exception_with_code, 8
	STUBS	exception, 9
	STUBS	exception_with_code, 10, 11, 12, 13, 14
	STUBS	exception, 15, 16
	STUBS	exception_with_code, 17
	STUBS	exception, 18, 19, 20
	STUBS	exception_with_code, 21
	STUBS	exception, 22, 23, 24, 25, 26, 27, 28
	STUBS	exception_with_code, 29, 30
	STUBS	exception, 31
.balign 16
