package ward.testbed;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import ward.memory.PageSet;
import ward.poison.PoisonLedger;

/** Judges a loopback migration by what was seen of it. */
final class LoopbackVerdict {

  private static final int PASSES = 2;

  private final LoopbackSettings settings;
  private final WalkerGuest guest;
  private final PageSet lost;
  private final String transport;
  private final List<String> failures = new ArrayList<>();

  LoopbackVerdict(LoopbackSettings settings, WalkerGuest guest, PageSet lost, String transport) {
    this.settings = settings;
    this.guest = guest;
    this.lost = lost;
    this.transport = transport;
  }

  /** Everything that was seen, by the daemons and from outside. */
  record Observations(
      JsonNode status,
      OutsideView.Comparison comparison,
      Witness witness,
      PoisonLedger sourceLedger,
      PoisonLedger destinationLedger,
      int late,
      int lateHeld,
      int sourceCode,
      int destinationCode,
      long injectedAtSource) {

    /** Of a guest that did not run at the source. */
    Observations(
        JsonNode status,
        OutsideView.Comparison comparison,
        Witness witness,
        PoisonLedger sourceLedger,
        PoisonLedger destinationLedger,
        int late,
        int lateHeld,
        int sourceCode,
        int destinationCode) {
      this(
          status,
          comparison,
          witness,
          sourceLedger,
          destinationLedger,
          late,
          lateHeld,
          sourceCode,
          destinationCode,
          0);
    }
  }

  LoopbackResult result(Observations seen) {
    JsonNode pages = seen.status().get("pages");
    boolean kvm = seen.status().get("vcpu").asText().equals("kvm");
    long injected = seen.status().get("machineChecksInjected").asLong() + seen.injectedAtSource();
    LoopbackResult.Audit audit = audit(seen);
    judge(seen, pages, audit, kvm ? injected : PASSES * lost.size());
    JsonNode faults = seen.status().get("faults");
    return new LoopbackResult(
        transport,
        seen.status().get("vcpu").asText(),
        seen.status().get("marker").asText(),
        kvm,
        settings.awake(),
        settings.memoryBytes(),
        settings.seed(),
        pages.get("pagesTotal").asLong(),
        pages.get("pagesData").asLong(),
        pages.get("pagesZero").asLong(),
        pages.get("pagesPoisoned").asLong(),
        new LoopbackResult.PoisonExpected(
            settings.declared(), settings.found(), seen.late(), seen.lateHeld()),
        new LoopbackResult.MachineChecks(
            injected, seen.witness().seen(), seen.witness().wrongAddress()),
        seen.comparison().wrongPages(),
        seen.comparison().healedPages(),
        seen.comparison().sourceDigest(),
        seen.comparison().destinationDigest(),
        audit,
        new LoopbackResult.Faults(
            faults.get("count").asLong(),
            faults.get("p50Micros").asDouble(),
            faults.get("p99Micros").asDouble(),
            faults.get("maxMicros").asDouble()),
        new LoopbackResult.Stream(
            seen.status().get("streamedPages").asLong(),
            seen.status().get("streamMebibytesPerSecond").asDouble()),
        pages.get("pauseNanos").asLong() / 1e6,
        pages.get("totalNanos").asLong() / 1e6,
        List.copyOf(failures));
  }

  private LoopbackResult.Audit audit(Observations seen) {
    String source = seen.sourceLedger().digest().toString();
    String destination = seen.destinationLedger().digest().toString();
    PageSet frames = new PageSet();
    lost.forEach(page -> frames.add(guest.layout().addressOf(page) >>> 12));
    boolean equal =
        source.equals(destination)
            && seen.destinationLedger().frames().equals(frames)
            && seen.comparison().markers() == lost.size();
    return new LoopbackResult.Audit(source, destination, seen.comparison().markers(), equal);
  }

  private void judge(Observations seen, JsonNode pages, LoopbackResult.Audit audit, long injected) {
    expect("exit code of the source", seen.sourceCode(), 0);
    expect("exit code of the destination", seen.destinationCode(), 0);
    expect("pages in all", pages.get("pagesTotal").asLong(), guest.layout().pageCount());
    expect(
        "pages with data, zero, poisoned and given back",
        pages.get("pagesData").asLong()
            + pages.get("pagesZero").asLong()
            + pages.get("pagesPoisoned").asLong()
            + pages.get("pagesGivenBack").asLong(),
        guest.layout().pageCount());
    expect("poisoned pages", pages.get("pagesPoisoned").asLong(), lost.size());
    expect("pages lost late", seen.late(), settings.late());
    if (settings.awake()) {
      expect("machine checks injected", injected, seen.witness().seen());
    } else {
      expect("machine checks injected", injected, PASSES * lost.size());
      expect("losses met by the guest", seen.witness().seen(), PASSES * lost.size());
    }
    expect("machine checks at a wrong address", seen.witness().wrongAddress(), 0);
    expect("wrong pages", seen.comparison().wrongPages(), 0);
    expect("lost pages that can be read", seen.comparison().healedPages(), 0);
    if (!audit.equal()) {
      failures.add("ledgers and markers do not agree: " + audit);
    }
    failures.addAll(seen.witness().faults());
  }

  private void expect(String what, long actual, long expected) {
    if (actual != expected) {
      failures.add("%s: %d, not %d".formatted(what, actual, expected));
    }
  }
}
