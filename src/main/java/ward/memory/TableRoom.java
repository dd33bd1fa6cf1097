package ward.memory;

import java.util.Optional;
import java.util.function.Supplier;

/**
 * Whether the states of all pages of a guest fit into what the JVM may take outside its heap. Asked
 * before anything is made for the guest, or promised to the peer: {@link PageStates} takes its
 * memory as pages arrive, and the lack of it in the middle would cost the guest.
 *
 * @param tables how many {@link PageStates} every page is in
 * @param memory asked for guests of more than 16 GiB only
 */
public record TableRoom(int tables, Supplier<DirectMemory> memory) {

  /** Of a guest of 16 GiB: a JVM that lacks so little has no room for connections either. */
  private static final long ALWAYS_THERE_BYTES = 1 << 20;

  /** For connections: buffers of theirs, and a slice of 2 MiB for a stream. */
  static final long CONNECTIONS_BYTES = 4 << 20;

  private static final int MIB_SHIFT = 20;

  /** In this JVM. */
  public static TableRoom inThisProcess(int tables) {
    return new TableRoom(tables, DirectMemory::now);
  }

  /**
   * Why a guest is not taken; empty if there is room.
   *
   * @param pageCount of the guest
   */
  public Optional<String> objection(long pageCount) {
    long tableBytes = tables * PageStates.bytesFor(pageCount);
    if (tableBytes <= tables * ALWAYS_THERE_BYTES) {
      return Optional.empty();
    }
    DirectMemory present = memory.get();
    long neededBytes = present.usedBytes() + tableBytes + CONNECTIONS_BYTES;
    return neededBytes <= present.limitBytes()
        ? Optional.empty()
        : Optional.of(text(pageCount, tableBytes, neededBytes, present));
  }

  private static String text(
      long pageCount, long tableBytes, long neededBytes, DirectMemory present) {
    return "the states of the %d pages of a guest of %d MiB take %d MiB outside the Java heap, connections %d MiB; this JVM may take %d MiB, and has taken %d MiB: start it with -XX:MaxDirectMemorySize=%dm or more, in WARD_JAVA_OPTIONS for instance"
        .formatted(
            pageCount,
            mib(Pages.bytes(pageCount)),
            mib(tableBytes),
            mib(CONNECTIONS_BYTES),
            present.limitBytes() >> MIB_SHIFT,
            mib(present.usedBytes()),
            mib(neededBytes));
  }

  /** Rounded up. */
  private static long mib(long bytes) {
    return (bytes + (1L << MIB_SHIFT) - 1) >> MIB_SHIFT;
  }
}
