/*
 * The arm64 guest program: reads every page of its share twice, then does what its command block says, and reports what it met.
 *
 * Assembled flat; Arm64WalkerImage puts it in memory. It runs at EL1 on identity-mapped memory, and writes to none but its counters:
 * a processor has enough registers for the handler too.
 *
 * At the start x0 is the address of this vCPU's parameters:
 *    0  u64  address of an array of u32 guest frame numbers, in the order in which to read them
 *    8  u64  how many
 *   16  u64  address of the commands: pairs of u64, what and where
 *   24  u64  how many
 *   32  u64  address of the translation table, level 1; 0: the MMU stays off
 *   40  u64  address of this vCPU's counters, 0 for none: then it walks until it has moved to another host, and twice more
 *   48  u64  how often it has to have moved
 *
 * Its counters, which let it notice what a move loses or repeats, and its only writes:
 *    0  u64  pages passed; the same number is in v0
 *    8  u64  aborts taken; the same number is in TPIDR_EL1
 *
 * Registers of the walk:
 *   x1 page being read   x2 next frame number   x3 frames left   x4 pass   x5 pages read   x6 pages lost   x7 sum   x8 multiplier
 *   x9 reports   x10 passes in all, once known   x11 next command   x12 commands left   x13 command   x14 its address   x15 its result
 * The reading of a page uses x16 to x19; the handler, x20 to x27. x28 is where to go on after an abort, x29 where one may come from
 * (0: anywhere).
 */
	.text

	.set	REPORTS, 0x0b000000
	.set	REPORT, 0
	.set	VCPU_OFF, 16
	.set	MOVES, 32
	.set	TAG_PASS_DONE, 0x57440001
	.set	TAG_UNEXPECTED, 0x57440003
	.set	TAG_COUNTERS, 0x57440006
	.set	TAG_ABORT, 0x57440012
	.set	TAG_COMMAND, 0x57440013
	.set	PASSES, 2
	.set	PAGE, 4096
	.set	PSCI_SYSTEM_OFF, 0x84000008
	/* Attribute 0: device memory; attribute 1: normal, write-back. */
	.set	MAIR, 0xff00
	/* 39 bits of address, 4 KiB, write-back inner shareable walks, no upper half, 40 bits out. */
	.set	TCR, 0x200803519
	/* MMU, data cache, instruction cache, and the bits that are always one. */
	.set	SCTLR, 0x30d01805
	.set	CLASS_INSTRUCTION_ABORT, 0x21
	.set	CLASS_DATA_ABORT, 0x25
	.set	CLASS_SERROR, 0x2f
	.set	EXTERNAL, 0x10
	/* On the walk of a translation table, level -1; levels 0 to 3 follow. */
	.set	EXTERNAL_WALK, 0x13
	/* From an address of the first GiB of RAM to the same one for EL0. */
	.set	MAPPED_AGAIN, 0x7f80000000

.macro CONSTANT register, value
	movz	\register, #((\value) & 0xffff)
	movk	\register, #(((\value) >> 16) & 0xffff), lsl #16
.endm

/* Reports a word; x20 is lost. */
.macro REPORT_TAG value
	CONSTANT x20, \value
	str	w20, [x9, #REPORT]
.endm

.macro REPORT32 number
	str	w\number, [x9, #REPORT]
.endm

/* Low half first. */
.macro REPORT64 number
	str	w\number, [x9, #REPORT]
	lsr	x20, x\number, #32
	str	w20, [x9, #REPORT]
.endm

start:
	CONSTANT x9, REPORTS
	adr	x16, vectors
	msr	vbar_el1, x16
	ldr	x16, [x0, #32]
	cbz	x16, mapped
	msr	ttbr0_el1, x16
	CONSTANT x16, MAIR
	msr	mair_el1, x16
	movz	x16, #(TCR & 0xffff)
	movk	x16, #((TCR >> 16) & 0xffff), lsl #16
	movk	x16, #(TCR >> 32), lsl #32
	msr	tcr_el1, x16
	isb
	tlbi	vmalle1
	dsb	nsh
	isb
	CONSTANT x16, SCTLR
	msr	sctlr_el1, x16
mapped:
	isb
	movz	x8, #0x7c15
	movk	x8, #0x7f4a, lsl #16
	movk	x8, #0x79b9, lsl #32
	movk	x8, #0x9e37, lsl #48
	mov	x4, #0
	mov	x10, #PASSES
	ldr	x16, [x0, #40]
	cbz	x16, next_pass
	mov	x10, #0
	mov	x17, #(3 << 20)
	msr	cpacr_el1, x17
	msr	tpidr_el1, xzr
	isb
	movi	v0.2d, #0
	mov	x17, #1
	fmov	d1, x17
next_pass:
	ldp	x2, x3, [x0]
	mov	x5, #0
	mov	x6, #0
	mov	x7, #0
	adr	x28, page_lost
	adr	x29, the_load
next_page:
	cbz	x3, pass_done
	ldr	w1, [x2]
	lsl	x1, x1, #12
	mov	x16, x1
	mov	x17, x1
	add	x18, x1, #PAGE
next_word:
the_load:
	ldr	x19, [x17]
	eor	x16, x16, x19
	mul	x16, x16, x8
	eor	x16, x16, x16, lsr #32
	add	x17, x17, #8
	cmp	x17, x18
	b.ne	next_word
	add	x7, x7, x16
	add	x5, x5, #1
page_end:
	ldr	x16, [x0, #40]
	cbz	x16, page_counted
	ldr	x17, [x16]
	add	x17, x17, #1
	str	x17, [x16]
	add	d0, d0, d1
page_counted:
	add	x2, x2, #4
	sub	x3, x3, #1
	b	next_page
page_lost:
	add	x6, x6, #1
	b	page_end

pass_done:
	ldr	x3, [x0, #8]
	cbz	x3, commands
	REPORT_TAG TAG_PASS_DONE
	REPORT32 4
	REPORT64 5
	REPORT32 6
	REPORT64 7
	ldr	x16, [x0, #40]
	cbz	x16, compare_passes
	REPORT_TAG TAG_COUNTERS
	REPORT32 4
	ldr	x17, [x16]
	REPORT64 17
	fmov	x17, d0
	REPORT64 17
	ldr	x17, [x16, #8]
	REPORT64 17
	isb
	mrs	x17, cntvct_el0
	REPORT64 17
	cbnz	x10, compare_passes
	ldrb	w17, [x9, #MOVES]
	ldr	x18, [x0, #48]
	cmp	x17, x18
	add	x17, x4, #3
	csel	x10, x17, x10, hs
compare_passes:
	add	x4, x4, #1
	cmp	x4, x10
	b.ne	next_pass

commands:
	ldp	x11, x12, [x0, #16]
	adr	x28, command_done
	mov	x29, #0
next_command:
	cbz	x12, switch_off
	ldp	x13, x14, [x11], #16
	sub	x12, x12, #1
	mov	x15, #0
	mov	x1, x14
	cmp	x13, #1
	b.lo	command_load
	b.eq	command_store
	cmp	x13, #3
	b.lo	command_execute
	b.eq	command_pair
	cmp	x13, #5
	b.lo	command_unmask
	b.eq	command_execute_below
	cmp	x13, #7
	b.lo	system_off
	adr	x16, load_below
	adr	x17, store_below
	csel	x16, x16, x17, eq
	movz	x17, #(MAPPED_AGAIN >> 32), lsl #32
	movk	x17, #((MAPPED_AGAIN >> 16) & 0xffff), lsl #16
	add	x16, x16, x17
	b	go_below
command_load:
	ldr	x15, [x14]
	b	command_done
command_store:
	str	x14, [x14]
	b	command_done
command_execute:
	blr	x14
	b	command_done
command_pair:
	ldp	x15, x16, [x14]
	b	command_done
command_unmask:
	msr	daifclr, #4
	isb
	nop
	msr	daifset, #4
	b	command_done
command_execute_below:
	mov	x16, x14
/* At EL0, until an abort comes from there. */
go_below:
	msr	elr_el1, x16
	msr	spsr_el1, xzr
	eret
load_below:
	ldr	x15, [x14]
	svc	#0
store_below:
	str	x14, [x14]
	svc	#0
command_done:
	REPORT_TAG TAG_COMMAND
	REPORT32 13
	REPORT64 14
	REPORT64 15
	b	next_command

switch_off:
	str	wzr, [x9, #VCPU_OFF]
stay_off:
	b	stay_off
system_off:
	CONSTANT x0, PSCI_SYSTEM_OFF
	hvc	#0
	b	stay_off

/* x21: the vector's offset. */
handler:
	mrs	x22, esr_el1
	mrs	x23, far_el1
	mrs	x24, elr_el1
	lsr	x25, x22, #26
	cmp	x25, #CLASS_SERROR
	b.eq	expected
	and	x26, x22, #0x3f
	cmp	x26, #EXTERNAL
	b.eq	external
	sub	x26, x26, #EXTERNAL_WALK
	cmp	x26, #4
	b.hi	unexpected
external:
	bic	x25, x25, #1
	bic	x25, x25, #4
	cmp	x25, #0x20
	b.ne	unexpected
	cbz	x29, expected
	cmp	x24, x29
	b.ne	unexpected
expected:
	REPORT_TAG TAG_ABORT
	REPORT64 1
	REPORT32 21
	REPORT32 22
	REPORT64 23
	REPORT64 24
	ldr	x25, [x0, #40]
	cbz	x25, not_counted
	mrs	x26, tpidr_el1
	add	x26, x26, #1
	msr	tpidr_el1, x26
	str	x26, [x25, #8]
not_counted:
	msr	elr_el1, x28
	mov	x25, #0x3c5
	msr	spsr_el1, x25
	eret
unexpected:
	REPORT_TAG TAG_UNEXPECTED
	REPORT32 21
	REPORT32 22
	REPORT64 24
	b	switch_off

.macro VECTORS offsets:vararg
	.irp	offset, \offsets
	.balign	0x80
	mov	x21, #\offset
	b	handler
	.endr
.endm
	.balign	0x800
vectors:
	VECTORS	0x000, 0x080, 0x100, 0x180, 0x200, 0x280, 0x300, 0x380
	VECTORS	0x400, 0x480, 0x500, 0x580, 0x600, 0x680, 0x700, 0x780
	.balign	0x80
