package ward.testbed;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.poison.PoisonLedger;

/**
 * What can be seen of a guest that has arrived: its memory from outside, and its own words.
 *
 * @param memory the file that the source served
 * @param holder who owns the guest's memory; empty: the destination does
 * @param givenBack page indexes that the guest gave back on the way
 */
record ChaosEvidence(
    ChaosPlan plan,
    ChaosGuest guest,
    FileChannel memory,
    ChaosParties parties,
    Optional<HolderProcess> holder,
    PageSet givenBack) {

  /**
   * @param lost page indexes that are lost for the guest
   * @param late how many of them were reported on the way
   */
  record Seen(PageSet lost, int late, OutsideView.Comparison comparison, Witness witness) {}

  /**
   * @param destination its process
   * @param status its last
   * @param late page indexes that were lost on the way
   * @param ledger the source's, in the end
   */
  Seen look(long destination, JsonNode status, PageSet late, PoisonLedger ledger)
      throws IOException {
    PageSet lost = guest.lostFromTheStart();
    lost.removeAll(forgone(ledger));
    lost.addAll(late);
    long process = holder.map(HolderProcess::pid).orElse(destination);
    return new Seen(lost, (int) late.size(), comparison(process, status, lost), witness(lost));
  }

  /**
   * Pages that the guest gave back before anybody had found that the source could not read them:
   * whoever asked for no content has lost none. The ledgers tell which came first, and must agree.
   */
  private PageSet forgone(PoisonLedger ledger) {
    PageSet forgone = guest.found().copy();
    forgone.retainAll(givenBack);
    PageSet listed = new PageSet();
    forgone.forEach(
        page -> {
          if (ledger.frames().contains(guest.layout().addressOf(page) >>> Pages.SHIFT)) {
            listed.add(page);
          }
        });
    forgone.removeAll(listed);
    return forgone;
  }

  /** What is not as it should be, a line each. */
  List<String> failures(Seen seen, LoopbackVerdict.Observations observations) {
    return new LoopbackVerdict(settings(seen.late()), guest.walker(), seen.lost(), "a bad one")
        .result(observations)
        .failures();
  }

  private LoopbackSettings settings(int late) {
    return new LoopbackSettings(
        plan.memoryBytes(),
        plan.vcpus(),
        plan.declared(),
        plan.found(),
        late,
        plan.seed(),
        plan.guest().isVirtualMachine() ? "kvm" : "thread",
        plan.marker(),
        plan.guest() == ChaosPlan.Mover.MOVED,
        ChaosRun.TIME);
  }

  private OutsideView.Comparison comparison(long process, JsonNode status, PageSet lost)
      throws IOException {
    List<Long> addresses = new ArrayList<>();
    status
        .get("regions")
        .forEach(region -> addresses.add(Long.decode(region.get("hostAddress").asText())));
    try (OutsideView view = new OutsideView(process, guest.layout(), addresses)) {
      return view.compare(guest.walker(), memory, lost, changed(lost));
    }
  }

  /** What a guest that ran at the source writes there and here, and what one gave back. */
  private PageSet changed(PageSet lost) {
    PageSet changed = givenBack.copy();
    changed.removeAll(lost);
    if (plan.guest() == ChaosPlan.Mover.MOVED) {
      changed.addAll(guest.walker().stackPages());
      changed.addAll(guest.walker().counterPages());
    }
    return changed;
  }

  private Witness witness(PageSet lost) throws IOException {
    Path here = parties.destinationLog();
    return switch (plan.guest()) {
      case HELD -> Witness.ofThreads(touches(lost), guest.walker(), memory, lost);
      case THREADS -> Witness.ofThreads(here, guest.walker(), memory, lost);
      case ASLEEP -> Witness.ofGuest(here, guest.walker(), memory, lost);
      case MOVED ->
          new MovedWitness(guest.walker(), memory, lost, guest.lostFromTheStart())
              .judge(
                  Witness.reports(List.of(parties.sourceLog(), here)),
                  Witness.reports(List.of(parties.sourceLog())));
    };
  }

  /** What threads read, where zeros from a page that was given back are as good as its bytes. */
  private Path touches(PageSet lost) throws IOException {
    Path said = holder.orElseThrow().touches();
    PageSet changed = changed(lost);
    List<String> lines = new ArrayList<>();
    for (String line : Files.readAllLines(said)) {
      String[] words = line.split(" ");
      long page = Long.parseLong(words[1]);
      boolean zeros = changed.contains(page) && words[3].equals(zeroHash(page));
      lines.add(zeros ? String.join(" ", words[0], words[1], words[2], hash(page)) : line);
    }
    return Files.write(said.resolveSibling("touches-compared"), lines);
  }

  private String zeroHash(long page) {
    ByteBuffer zeros = ByteBuffer.allocate(Pages.SIZE_BYTES);
    return "%016x".formatted(WalkerHash.of(zeros, guest.layout().addressOf(page)));
  }

  private String hash(long page) throws IOException {
    return "%016x".formatted(guest.walker().expectedHash(memory, page));
  }
}
