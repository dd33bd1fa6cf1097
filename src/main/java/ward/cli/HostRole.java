package ward.cli;

/** What a host can be in a migration. */
enum HostRole {
  SOURCE,
  DESTINATION,
  /** A destination that runs the guest in a virtual machine of Ward's own. */
  KVM
}
