package ward.vcpu;

import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Whether a host can go on showing a guest the processor that the guest has seen so far: a program
 * that found an instruction once never asks again.
 */
final class CpuidCheck {

  /** A register of CPUID whose every bit stands for something that the processor can do. */
  private record Features(int function, int index, int register) {}

  private static final int XSTATE_LEAF = 0xd;
  private static final int VENDOR_LEAF = 0;
  private static final int ADDRESS_SIZES_LEAF = 0x80000008;

  /** Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E; Linux asm/kvm_para.h. */
  private static final List<Features> FEATURES =
      List.of(
          new Features(1, 0, KvmCpuid.ECX),
          new Features(1, 0, KvmCpuid.EDX),
          new Features(6, 0, KvmCpuid.EAX),
          new Features(7, 0, KvmCpuid.EBX),
          new Features(7, 0, KvmCpuid.ECX),
          new Features(7, 0, KvmCpuid.EDX),
          new Features(7, 1, KvmCpuid.EAX),
          new Features(7, 1, KvmCpuid.EBX),
          new Features(7, 1, KvmCpuid.ECX),
          new Features(7, 1, KvmCpuid.EDX),
          new Features(7, 2, KvmCpuid.EDX),
          new Features(XSTATE_LEAF, 0, KvmCpuid.EAX),
          new Features(XSTATE_LEAF, 0, KvmCpuid.EDX),
          new Features(XSTATE_LEAF, 1, KvmCpuid.EAX),
          new Features(XSTATE_LEAF, 1, KvmCpuid.ECX),
          new Features(XSTATE_LEAF, 1, KvmCpuid.EDX),
          new Features(0x40000001, 0, KvmCpuid.EAX),
          new Features(0x80000001, 0, KvmCpuid.ECX),
          new Features(0x80000001, 0, KvmCpuid.EDX),
          new Features(0x80000007, 0, KvmCpuid.EBX),
          new Features(0x80000007, 0, KvmCpuid.EDX),
          new Features(ADDRESS_SIZES_LEAF, 0, KvmCpuid.EBX),
          new Features(0x8000000a, 0, KvmCpuid.EDX),
          new Features(0x80000021, 0, KvmCpuid.EAX));

  private CpuidCheck() {}

  /**
   * Compares what a guest has seen with what this host can offer.
   *
   * @return what is missing here, for people; empty if the guest can run
   */
  static Optional<String> objection(KvmCpuid guest, KvmCpuid host) {
    return Stream.of(
            vendor(guest, host),
            features(guest, host),
            stateLayout(guest, host),
            addressSize(guest, host))
        .flatMap(Optional::stream)
        .findFirst()
        .map(
            missing ->
                missing
                    + "; the guest cannot run here without noticing: use a host with a processor and"
                    + " a kernel like the source's");
  }

  private static Optional<String> vendor(KvmCpuid guest, KvmCpuid host) {
    return guest.vendor().equals(host.vendor())
        ? Optional.empty()
        : Optional.of(
            "the guest has seen a processor by \"%s\" (CPUID leaf %d), this host's is by \"%s\""
                .formatted(guest.vendor(), VENDOR_LEAF, host.vendor()));
  }

  private static Optional<String> features(KvmCpuid guest, KvmCpuid host) {
    return FEATURES.stream()
        .map(features -> features(features, guest, host))
        .flatMap(Optional::stream)
        .findFirst();
  }

  private static Optional<String> features(Features in, KvmCpuid guest, KvmCpuid host) {
    int seen = guest.register(in.function(), in.index(), in.register());
    int offered = host.register(in.function(), in.index(), in.register());
    int missing = seen & ~offered;
    return missing == 0
        ? Optional.empty()
        : Optional.of(
            "the guest has seen CPUID leaf 0x%x subleaf %d %s bit %d, which this host's KVM does not offer (seen 0x%x, offered 0x%x)"
                .formatted(
                    in.function(),
                    in.index(),
                    nameOf(in.register()),
                    Integer.numberOfTrailingZeros(missing),
                    seen,
                    offered));
  }

  private static String nameOf(int register) {
    return switch (register) {
      case KvmCpuid.EAX -> "EAX";
      case KvmCpuid.EBX -> "EBX";
      case KvmCpuid.ECX -> "ECX";
      default -> "EDX";
    };
  }

  /** Vendors put the components of the extended state at places of their own. */
  private static Optional<String> stateLayout(KvmCpuid guest, KvmCpuid host) {
    int components = guest.register(XSTATE_LEAF, 0, KvmCpuid.EAX);
    for (int i = 2; i < Integer.SIZE; i++) {
      boolean used = (components & 1 << i) != 0;
      if (used && !sameComponent(i, guest, host)) {
        return Optional.of(
            "component %d of the extended state (CPUID leaf 0xd) has %d bytes at %d for the guest, %d bytes at %d here"
                .formatted(
                    i,
                    guest.register(XSTATE_LEAF, i, KvmCpuid.EAX),
                    guest.register(XSTATE_LEAF, i, KvmCpuid.EBX),
                    host.register(XSTATE_LEAF, i, KvmCpuid.EAX),
                    host.register(XSTATE_LEAF, i, KvmCpuid.EBX)));
      }
    }
    return Optional.empty();
  }

  private static boolean sameComponent(int i, KvmCpuid guest, KvmCpuid host) {
    return guest.register(XSTATE_LEAF, i, KvmCpuid.EAX)
            == host.register(XSTATE_LEAF, i, KvmCpuid.EAX)
        && guest.register(XSTATE_LEAF, i, KvmCpuid.EBX)
            == host.register(XSTATE_LEAF, i, KvmCpuid.EBX);
  }

  private static Optional<String> addressSize(KvmCpuid guest, KvmCpuid host) {
    int seen = guest.register(ADDRESS_SIZES_LEAF, 0, KvmCpuid.EAX) & 0xff;
    int offered = host.register(ADDRESS_SIZES_LEAF, 0, KvmCpuid.EAX) & 0xff;
    return seen <= offered
        ? Optional.empty()
        : Optional.of(
            "the guest has seen physical addresses of %d bits (CPUID leaf 0x80000008 EAX), this host has %d"
                .formatted(seen, offered));
  }
}
