/**
 * The seam to Linux: the few system calls that the JDK lacks, descriptors, ioctl numbers, memory
 * outside the Java heap. The only package that loads native code.
 *
 * <p>Knows nothing of userfaultfd, KVM or migrations. Start with {@link ward.kernel.Kernel}.
 */
package ward.kernel;
