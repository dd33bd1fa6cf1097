package ward.testbed;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import ward.memory.PageSet;
import ward.testbed.WalkerReports.Counted;
import ward.testbed.WalkerReports.LossSeen;
import ward.testbed.WalkerReports.PassDone;

/**
 * Judges what a guest says that began at the source and went on at the destination: whether one
 * unbroken walk can have been the cause of it. A page that is lost once stays so in every later
 * pass; what was lost from the beginning is lost in every pass.
 */
final class MovedWitness {

  private final WalkerGuest guest;
  private final FileChannel sourceFile;
  private final PageSet lost;
  private final PageSet lostFromTheStart;
  private final List<String> faults = new ArrayList<>();
  private long wrong;

  /**
   * @param lostFromTheStart before the guest ran its first instruction; a part of {@code lost}
   */
  MovedWitness(WalkerGuest guest, FileChannel sourceFile, PageSet lost, PageSet lostFromTheStart) {
    this.guest = guest;
    this.sourceFile = sourceFile;
    this.lost = lost;
    this.lostFromTheStart = lostFromTheStart;
  }

  /**
   * @param reports of both hosts, the source's first
   * @param atSource of the source alone
   */
  Witness judge(WalkerReports reports, WalkerReports atSource) throws IOException {
    reports.unexpected().forEach(unexpected -> faults.add(unexpected.toString()));
    for (int vcpu = 0; vcpu < guest.orders().size(); vcpu++) {
      long before = passes(atSource, vcpu);
      long all = passes(reports, vcpu);
      if (before == 0 || all < before + 2) {
        faults.add(
            "vCPU %d ended %d walks at the source and %d at the destination; 1 and 2 are the least"
                .formatted(vcpu, before, all - before));
      }
      new Walk(vcpu).follow(reports.story(vcpu));
    }
    return new Witness(reports.losses().size(), wrong, List.copyOf(faults));
  }

  private static long passes(WalkerReports reports, int vcpu) {
    return reports.passes().stream().filter(pass -> pass.vcpu() == vcpu).count();
  }

  /** One vCPU's. */
  private final class Walk {

    private final int vcpu;
    private final Set<Long> share = new HashSet<>();
    private final long wholeSum;
    private Set<Long> metBefore = Set.of();
    private Set<Long> met = new HashSet<>();
    private int pass;
    private long machineChecks;
    private long lastTsc;

    Walk(int vcpu) throws IOException {
      this.vcpu = vcpu;
      for (long page : guest.orders().get(vcpu)) {
        share.add(page);
      }
      wholeSum = guest.expectedSum(sourceFile, vcpu, new PageSet());
    }

    void follow(List<Object> story) throws IOException {
      for (Object event : story) {
        if (event instanceof LossSeen seen) {
          onLoss(seen);
        } else if (event instanceof PassDone done) {
          onPass(done);
        } else if (event instanceof Counted counted) {
          onCounted(counted);
        }
      }
      lost.forEach(
          page -> {
            if (share.contains(page) && !metBefore.contains(page)) {
              fault("lost page at %s was not met in the last walk", address(page));
            }
          });
    }

    private void onLoss(LossSeen seen) {
      machineChecks++;
      wrong += Witness.isRight(seen) ? 0 : 1;
      long page = guest.layout().pageAt(seen.pageGpa()).orElse(-1);
      if (!share.contains(page) || !lost.contains(page)) {
        fault("healthy page at 0x%x was met as lost", seen.pageGpa());
      } else if (!met.add(page)) {
        fault("lost page at %s was met twice in walk %d", address(page), pass);
      }
    }

    private void onPass(PassDone done) throws IOException {
      expect("number of the walk", done.pass(), pass);
      expect("pages read", done.pagesRead(), share.size() - met.size());
      expect("pages lost", done.pagesLost(), met.size());
      long sum = wholeSum;
      for (long page : met) {
        sum -= guest.expectedHash(sourceFile, page);
      }
      if (done.sum() != sum) {
        fault("walk %d: checksum %016x, the source's bytes give %016x", pass, done.sum(), sum);
      }
      requireMetAgain();
      metBefore = met;
      met = new HashSet<>();
    }

    private void requireMetAgain() {
      for (long page : share) {
        boolean due = lostFromTheStart.contains(page) || metBefore.contains(page);
        if (due && !met.contains(page)) {
          fault("lost page at %s was not met in walk %d", address(page), pass);
        }
      }
    }

    private void onCounted(Counted counted) {
      expect("number of the count", counted.pass(), pass);
      long pages = share.size() * (pass + 1L);
      expect("pages counted in memory", counted.pages(), pages);
      expect("pages counted in xmm0", counted.pagesInVectorRegister(), pages);
      expect("machine checks counted in KERNEL_GS_BASE", counted.machineChecks(), machineChecks);
      if (counted.tsc() <= lastTsc) {
        fault("walk %d: the TSC went from %d to %d", pass, lastTsc, counted.tsc());
      }
      lastTsc = counted.tsc();
      pass++;
    }

    private String address(long page) {
      return "0x%x".formatted(guest.layout().addressOf(page));
    }

    private void expect(String what, long actual, long expected) {
      if (actual != expected) {
        fault("walk %d: %s: %d, not %d", pass, what, actual, expected);
      }
    }

    private void fault(String text, Object... values) {
      faults.add("vCPU %d: ".formatted(vcpu) + text.formatted(values));
    }
  }
}
