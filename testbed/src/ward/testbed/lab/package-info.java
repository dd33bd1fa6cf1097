/**
 * Whole emulated machines that behave like a data centre's: a real Linux kernel under QEMU's
 * software emulation, with nested paging, memory failure handling and its own KVM, in which Ward's
 * tests and scenarios run.
 */
package ward.testbed.lab;
