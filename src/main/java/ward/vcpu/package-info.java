/**
 * Runs a guest's vCPUs on guest memory, and turns the host's memory errors into the guest's machine
 * checks. Two guests: one of KVM, and one of plain threads for hosts without it.
 *
 * <p>Knows nothing of userfaultfd, peers or migrations: a page that is missing is someone else's
 * work, and a page that is lost arrives here as a signal or an exit. Start with {@link
 * ward.vcpu.KvmGuestFactory}.
 */
package ward.vcpu;
