package ward.cli;

/** What touches a guest's memory at the destination. */
enum VcpuKind {
  /** A virtual machine. */
  KVM,
  /** Native threads: no guest runs. */
  THREAD,
  /** KVM where /dev/kvm opens, threads elsewhere. */
  AUTO
}
