package ward.wire;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import ward.memory.GuestLayout;
import ward.memory.MemoryIdentity;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.poison.Departure;
import ward.poison.LedgerDigest;
import ward.poison.PoisonEntry;
import ward.poison.PoisonMap;

/**
 * What two sides of a migration, or a command and a daemon on one host, say to each other in order.
 *
 * <p>Each travels as a {@link ControlFrame}. Constructors throw IllegalArgumentException for what
 * the protocol does not allow; the same from a peer is a {@link ProtocolException}. Page counts are
 * of 4 KiB pages; page sets hold guest frame numbers: guest-physical address / 4096.
 */
public sealed interface ControlMessage {

  /** The most entries in one message; more go into several. */
  int ENTRIES_MAX = 4096;

  /** The most bytes of vCPU state in an offer. */
  int VCPU_STATE_BYTES_MAX = 3 << 20;

  /** The most regions in an offer. */
  int REGIONS_MAX = 4096;

  /** The most hosts that a guest's path names. */
  int HOPS_MAX = 1024;

  /** The most runs in all page sets of one message. */
  int RUNS_MAX = 65_536;

  /** The most pages in all page sets of one message: what one full part of entries can lose. */
  long SET_PAGES_MAX = (long) ENTRIES_MAX << (PoisonEntry.MAX_PAGE_SHIFT - 12);

  /**
   * The first message of each side on each connection.
   *
   * @param session the same on all connections of one migration
   * @param attempt from 1; grows when the session's connections are made anew after a break
   * @param host the sender's name, 1 to 255 characters
   */
  record Hello(
      Role role,
      ConnectionKind kind,
      UUID session,
      int attempt,
      ProtocolVersion version,
      String host)
      implements ControlMessage {

    private static final int HOST_CHARACTERS_MAX = 255;

    public Hello {
      if (attempt < 1) {
        throw new IllegalArgumentException(
            "attempt %s; 1 to 2^31 - 1 are allowed".formatted(Integer.toUnsignedString(attempt)));
      }
      if (host.isBlank() || host.length() > HOST_CHARACTERS_MAX) {
        throw new IllegalArgumentException(
            "host name of %d characters; 1 to %d are allowed, not all blank"
                .formatted(host.length(), HOST_CHARACTERS_MAX));
      }
      if (host.chars().anyMatch(Character::isISOControl)) {
        throw new IllegalArgumentException("host name with control characters; none are allowed");
      }
    }
  }

  /**
   * Why the sender closes the connection.
   *
   * @param reason for people; cut to 1024 bytes of UTF-8
   */
  record Refusal(Code code, String reason) implements ControlMessage {

    /** What the other side can act on without reading the reason. */
    public enum Code {
      /** A newer peer's code that this build does not know, or none. */
      UNSPECIFIED,
      /** The major versions of the protocol differ. */
      VERSION,
      /** Another migration is under way. */
      BUSY,
      /** The guest is not the one that is expected here. */
      OTHER_GUEST,
      /** What came before is not allowed by the protocol. */
      PROTOCOL,
      /** The poison map is not what its end said it is. */
      POISON_MAP,
      /** Counts, digest or markers do not agree at the hand-over. */
      HAND_OVER,
      /** The host lacks what the guest needs. */
      HOST,
      /** The session that is to be recovered is not known here. */
      NO_SESSION
    }

    public Refusal {
      reason = Reason.shortened(reason);
    }
  }

  /**
   * Source to destination: the guest's shape, and what tells its memory from every other.
   *
   * @param vcpuStates opaque here; at most 3 MiB. Not copied: the caller gives the array away
   */
  record GuestOffer(MemoryIdentity memory, byte[] vcpuStates) implements ControlMessage {

    /** Of memory that can be told by its shape only. */
    public GuestOffer(GuestLayout layout, byte[] vcpuStates) {
      this(new MemoryIdentity(layout, List.of()), vcpuStates);
    }

    public GuestOffer {
      if (vcpuStates.length > VCPU_STATE_BYTES_MAX) {
        throw new IllegalArgumentException(
            "vCPU states of %d bytes; at most %d"
                .formatted(vcpuStates.length, VCPU_STATE_BYTES_MAX));
      }
      requireRegions(memory);
    }

    /** Which guest-physical addresses are RAM. */
    public GuestLayout layout() {
      return memory.layout();
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof GuestOffer that
          && memory.equals(that.memory)
          && Arrays.equals(vcpuStates, that.vcpuStates);
    }

    @Override
    public int hashCode() {
      return 31 * memory.hashCode() + Arrays.hashCode(vcpuStates);
    }

    @Override
    public String toString() {
      return "GuestOffer[%s, %d sampled pages, vCPU states of %d bytes]"
          .formatted(layout(), memory.samples().size(), vcpuStates.length);
    }
  }

  /**
   * Source to destination, its first word after a break: what it serves. It may be another process
   * than the one that made the offer; nothing else that it says counts before this was judged.
   */
  record SourceIdentity(MemoryIdentity memory) implements ControlMessage {
    public SourceIdentity {
      requireRegions(memory);
    }
  }

  /**
   * Source to destination: some of the guest's poison.
   *
   * @param losses at least one. Not copied: the caller gives the map away
   */
  record PoisonMapPart(PoisonMap losses) implements ControlMessage {

    public PoisonMapPart {
      if (losses.isEmpty()) {
        throw new IllegalArgumentException("a part of the poison map without a loss");
      }
    }

    /** As many as it takes; none for no losses. */
    public static List<PoisonMapPart> inParts(PoisonMap losses) {
      return new PoisonMapCut().cut(losses);
    }
  }

  /**
   * Source to destination: all parts of the map are sent.
   *
   * @param pages lost pages in the whole map
   */
  record PoisonMapEnd(long pages, LedgerDigest digest) implements ControlMessage {
    public PoisonMapEnd {
      requireCount("pages", pages);
    }

    /** Whether the destination holds what was sent. */
    public boolean isAnsweredBy(PoisonMapApplied applied) {
      return pages == applied.pages() && digest.equals(applied.digest());
    }
  }

  /**
   * Destination to source: the map is on disk and in the page tables.
   *
   * @param pages lost pages that the destination holds
   * @param digest of the destination's ledger
   */
  record PoisonMapApplied(long pages, LedgerDigest digest) implements ControlMessage {
    public PoisonMapApplied {
      requireCount("pages", pages);
    }
  }

  /**
   * Source to destination: the guest will not run at the source again, so it may run at the
   * destination. Without this word a connection that breaks while {@link PoisonMapApplied} is under
   * way would leave two hosts that each believe that the guest is theirs.
   *
   * @param path the hosts that the guest was on, the first one first, the source last
   */
  record GuestReleased(List<Departure> path) implements ControlMessage {

    public GuestReleased {
      if (path.size() > HOPS_MAX) {
        throw new IllegalArgumentException("%d hops; at most %d".formatted(path.size(), HOPS_MAX));
      }
      path = List.copyOf(path);
    }
  }

  /** Destination to source: the guest runs here now; the stream may start. */
  record GuestResumed() implements ControlMessage {}

  /**
   * Source to destination: poison that was found after the map was sent.
   *
   * @param entries at most 4096
   */
  record LatePoison(List<PoisonEntry> entries) implements ControlMessage {
    public LatePoison {
      entries = requireEntries(entries);
    }
  }

  /**
   * Destination to source: what became of poison that it learnt after the map.
   *
   * @param poisoned pages that are lost there too
   * @param held pages whose content had arrived before the loss, and stays
   */
  record PoisonOutcome(PageSet poisoned, PageSet held) implements ControlMessage {}

  /**
   * Pages that were lost and are fresh memory now, because the guest gave them back. Destination to
   * source: all so far, ahead of {@link HandOver}, {@link RecoveryEnd}, and {@link
   * PoisonMapApplied} after a break. Source to destination: ahead of {@link PoisonMapEnd}, what the
   * destination may know as lost from an earlier stay of the guest.
   *
   * @param frames guest frame numbers
   */
  record PoisonGivenUp(PageSet frames) implements ControlMessage {

    /** As many as it takes; none for no frames. */
    public static List<PoisonGivenUp> inParts(PageSet frames) {
      List<PoisonGivenUp> parts = new ArrayList<>();
      List<PageRun> runs = new ArrayList<>();
      frames.forEachRun(runs::add);
      for (List<PageRun> some : cut(runs, RUNS_MAX)) {
        PageSet part = new PageSet();
        some.forEach(part::add);
        parts.add(new PoisonGivenUp(part));
      }
      return parts;
    }
  }

  /**
   * Destination to source: everything is here; the source may give up its copy if it agrees.
   *
   * @param markers poison markers that an audit saw in the destination's page tables, in pages
   * @param digest of the destination's ledger
   */
  record HandOver(
      long dataPages, long zeroPages, long poisonedPages, long markers, LedgerDigest digest)
      implements ControlMessage {
    public HandOver {
      requireCount("dataPages", dataPages);
      requireCount("zeroPages", zeroPages);
      requireCount("poisonedPages", poisonedPages);
      requireCount("markers", markers);
    }
  }

  /** Source to destination: the counts agree; the guest is the destination's alone. */
  record HandOverAccepted() implements ControlMessage {}

  /**
   * Destination to source: it has heard that the source lets go. Without this word a source could
   * not know whether its last one arrived.
   */
  record HandOverConfirmed() implements ControlMessage {}

  /**
   * Destination to source, after a break: some of the pages that are resolved. No page is in two
   * parts.
   *
   * @param poisoned lost there, with the entry on disk
   */
  record RecoveryPart(PageSet present, PageSet poisoned) implements ControlMessage {}

  /**
   * Destination to source: all parts are sent.
   *
   * @param guestReleased whether it has heard {@link GuestReleased}
   * @param guestResumed whether the guest has run there
   */
  record RecoveryEnd(
      long presentPages, long poisonedPages, boolean guestReleased, boolean guestResumed)
      implements ControlMessage {
    public RecoveryEnd {
      requireCount("presentPages", presentPages);
      requireCount("poisonedPages", poisonedPages);
    }
  }

  /**
   * Source to destination: it has been told of every loss that it did not name. It answers with
   * {@link PoisonMapApplied}.
   */
  record PoisonMapCheck() implements ControlMessage {}

  /** Source to destination: both know the same of every page; the other connections may come. */
  record RecoveryAccepted() implements ControlMessage {}

  /**
   * An orderly end before the hand-over.
   *
   * @param reason for people; cut to 1024 bytes of UTF-8
   * @param guestNeverRan a destination's word that the guest has not run there, and will not
   */
  record Farewell(String reason, boolean guestNeverRan) implements ControlMessage {
    public Farewell {
      reason = Reason.shortened(reason);
    }
  }

  /**
   * Source to destination, once it may not run the guest by itself any more: an operator wants the
   * guest to stay at the source. The answer is a {@link Farewell} of a guest that never ran, or
   * {@link CancelRefused}.
   *
   * @param reason for people; cut to 1024 bytes of UTF-8
   */
  record CancelRequest(String reason) implements ControlMessage {
    public CancelRequest {
      reason = Reason.shortened(reason);
    }
  }

  /**
   * Destination to source: the guest has run there, so the migration goes on.
   *
   * @param reason for people; cut to 1024 bytes of UTF-8
   */
  record CancelRefused(String reason) implements ControlMessage {
    public CancelRefused {
      reason = Reason.shortened(reason);
    }
  }

  /**
   * Command to source: the host has lost these.
   *
   * @param entries at most 4096
   */
  record ReportPoison(List<PoisonEntry> entries) implements ControlMessage {
    public ReportPoison {
      entries = requireEntries(entries);
    }
  }

  /**
   * Source to command: what became of the report.
   *
   * @param poisoned pages that are now lost to the guest
   * @param held pages that the destination had already received whole
   * @param alreadyKnown pages that were in the ledger before
   */
  record ReportPoisonResult(PageSet poisoned, PageSet held, PageSet alreadyKnown)
      implements ControlMessage {}

  /** Command to source: stop or go on sending pages that nobody asked for. */
  record StreamControl(boolean paused) implements ControlMessage {}

  /**
   * Command to source: how fast the background stream may be.
   *
   * @param bytesPerSecond not negative; 0 for no limit
   */
  record StreamLimit(long bytesPerSecond) implements ControlMessage {
    public StreamLimit {
      requireCount("bytes a second", bytesPerSecond);
    }
  }

  /** Command to daemon: how far is the migration? */
  record StatusQuery() implements ControlMessage {}

  /**
   * Daemon to command.
   *
   * @param json as text; the whole message is at most 4 MiB
   */
  record Status(String json) implements ControlMessage {}

  /**
   * Daemon to command: it is done.
   *
   * @param text for people, perhaps empty; cut to 1024 bytes of UTF-8
   */
  record Done(String text) implements ControlMessage {
    public Done {
      text = Reason.shortened(text);
    }

    public Done() {
      this("");
    }
  }

  /**
   * Command to daemon: give the migration up, if the guest has not run at the destination.
   *
   * @param reason for people; cut to 1024 bytes of UTF-8
   * @param guestNeverRan to a source that waits for a destination: the operator's word that the
   *     guest has not run there, and will not
   */
  record Cancel(String reason, boolean guestNeverRan) implements ControlMessage {
    public Cancel {
      reason = Reason.shortened(reason);
    }
  }

  /**
   * Command to destination: dial the source now.
   *
   * @param host a name or an address, at most 255 characters; empty for where it was reached before
   * @param port 1 to 65535; 0 for where it was reached before
   */
  record Recover(String host, int port) implements ControlMessage {

    private static final int HOST_CHARACTERS_MAX = 255;
    private static final int PORT_MAX = 65_535;

    public Recover {
      if (host.length() > HOST_CHARACTERS_MAX) {
        throw new IllegalArgumentException(
            "host of %d characters; at most %d".formatted(host.length(), HOST_CHARACTERS_MAX));
      }
      if (port < 0 || port > PORT_MAX || host.isEmpty() != (port == 0)) {
        throw new IllegalArgumentException(
            "host \"%s\" with port %s; a host needs a port of 1 to %d, no host has port 0"
                .formatted(host, Integer.toUnsignedString(port), PORT_MAX));
      }
    }
  }

  /**
   * Command to the daemon in which an arm64 guest runs: tell it by an SError.
   *
   * @param vcpu 0 to 511, as KVM counts at most
   * @param syndrome of ESR_EL1, bits 24:0
   */
  record RaiseSError(int vcpu, int syndrome) implements ControlMessage {

    private static final int VCPU_MAX = 511;
    private static final int SYNDROME_MAX = 0x1ff_ffff;

    public RaiseSError {
      if (vcpu < 0 || vcpu > VCPU_MAX) {
        throw new IllegalArgumentException(
            "vCPU %s; 0 to %d is allowed".formatted(Integer.toUnsignedString(vcpu), VCPU_MAX));
      }
      if (syndrome < 0 || syndrome > SYNDROME_MAX) {
        throw new IllegalArgumentException(
            "syndrome 0x%x; 0 to 0x%x is allowed".formatted(syndrome, SYNDROME_MAX));
      }
    }
  }

  /**
   * A message that a newer minor version has added. {@link FrameDecoder} skips it: sessions never
   * see one, and it cannot be sent.
   *
   * @param number the message's field number in the envelope
   */
  record UnknownMessage(int number) implements ControlMessage {}

  /** What does not fit into one message, as what fits into several; none for an empty list. */
  static <T> List<List<T>> cut(List<T> all, int most) {
    List<List<T>> parts = new ArrayList<>();
    for (int from = 0; from < all.size(); from += most) {
      parts.add(all.subList(from, Math.min(all.size(), from + most)));
    }
    return parts;
  }

  private static List<PoisonEntry> requireEntries(List<PoisonEntry> entries) {
    if (entries.size() > ENTRIES_MAX) {
      throw new IllegalArgumentException(
          "%d poison entries; at most %d in a message".formatted(entries.size(), ENTRIES_MAX));
    }
    return List.copyOf(entries);
  }

  private static void requireRegions(MemoryIdentity memory) {
    int regions = memory.layout().regions().size();
    if (regions > REGIONS_MAX) {
      throw new IllegalArgumentException("%d regions; at most %d".formatted(regions, REGIONS_MAX));
    }
  }

  private static void requireCount(String name, long count) {
    if (count < 0) {
      throw new IllegalArgumentException(
          "%s %s; at most 2^63 - 1".formatted(name, Long.toUnsignedString(count)));
    }
  }
}
