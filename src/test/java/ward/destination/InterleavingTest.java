package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.destination.PageTable.State;
import ward.memory.PageRun;
import ward.memory.Pages;
import ward.uffd.FillResult;
import ward.uffd.FillResult.Outcome;
import ward.uffd.PageFiller;
import ward.wire.PageRequest;

/**
 * Random schedules of everything that can happen to a guest's pages, against a model of the kernel
 * that is as unhelpful as the real one: it heals poison when told to, answers EAGAIN while an event
 * is unread, and drops pages given back only some time after their event was read. Half of the
 * guests may have fresh memory in place of lost pages that they give back.
 *
 * <p>Other steps run between a claim and its ioctl, as other threads would.
 */
@Timeout(60)
class InterleavingTest {

  private static final int SCHEDULES = 4_000;
  private static final int STEPS = 60;
  private static final int PAGES = 8;

  @Test
  void noScheduleHealsPoisonOrPlacesWrongBytesOrLeavesAWaiterBehind() {
    long first = System.nanoTime();
    for (long seed = first; seed < first + SCHEDULES; seed++) {
      try {
        new World(seed).run();
      } catch (Exception | AssertionError e) {
        throw new AssertionError("seed %dL: %s".formatted(seed, e.getMessage()), e);
      }
    }
  }

  private static final class World implements PageFiller {
    private static final long SOURCE = 0x1000_0000;
    private static final int WAITERS_MAX = 6;

    private final Random random;
    private final Fixture.SmallLedger ledger = new Fixture.SmallLedger();
    private final List<Runnable> giveUps = new ArrayList<>(); // on their way to the disk
    private final OnRemove policy;
    private final Fixture parts;
    private final Long[] contents = new Long[PAGES];
    private final boolean[] zeroAtSource = new boolean[PAGES];
    private final boolean[] lostAtSource = new boolean[PAGES];
    private final boolean[] onDisk = new boolean[PAGES];
    private final boolean[] givenBack = new boolean[PAGES];
    private final List<Integer> runnable = new ArrayList<>(); // touches about to happen
    private final List<Integer> waiting = new ArrayList<>();
    private final Set<Integer> faults = new HashSet<>();
    private final List<PageRun> unread = new ArrayList<>(); // REMOVE events
    private final List<PageRun> zaps = new ArrayList<>(); // read, but the pages are still there
    private final List<List<Integer>> disk = new ArrayList<>();
    private int depth;
    private boolean settling;

    World(long seed) {
      random = new Random(seed);
      policy = OnRemove.values()[random.nextInt(OnRemove.values().length)];
      parts =
          new Fixture(
              this,
              Fixture.layout(PAGES),
              new long[] {FakeFiller.BASE},
              new GivenUp(policy, Fixture.layout(PAGES), ledger, giveUps::add));
      if (parts.givenUp.isAllowed()) {
        parts.resolver.spareGivenBack();
      }
      for (int page = 0; page < PAGES; page++) {
        zeroAtSource[page] = random.nextInt(4) == 0;
      }
      parts.resolver.onPendingEvents(this::drain);
    }

    void run() throws ResolveException {
      for (int i = 0; i < STEPS; i++) {
        step();
      }
      settling = true;
      settle();
      push(0, PAGES);
      settle();
      for (int page = 0; page < PAGES; page++) {
        runnable.add(page);
      }
      settle();
      assertThat(waiting).as("waiters left behind").isEmpty();
      for (int page = 0; page < PAGES; page++) {
        assertThat(contents[page] == FakeFiller.POISON && givenBack[page])
            .as("page %d was given back and is lost", page)
            .isEqualTo(
                policy == OnRemove.KEEP
                    && givenBack[page]
                    && parts.table.get(page) == State.POISONED);
      }
      assertThat(parts.failures).isEmpty();
      assertThat(parts.resolver.unresolved()).isZero();
      assertThat(parts.resolver.counts().resolved()).isEqualTo(PAGES);
      assertThat(parts.allResolved).hasValue(1);
    }

    private void step() throws ResolveException {
      int page = random.nextInt(PAGES);
      int count = 1 + random.nextInt(PAGES - page);
      switch (random.nextInt(10)) {
        case 0 -> newTouch(page);
        case 1 -> touchNext();
        case 2, 3 -> answer();
        case 4 -> push(page, count);
        case 5 -> latePoison(page);
        case 6 -> flushDisk();
        case 7 -> zap();
        case 8 -> drainUnlessNested();
        default -> removeUnlessNested(page, count);
      }
    }

    private void settle() throws ResolveException {
      while (!runnable.isEmpty()
          || !faults.isEmpty()
          || !unread.isEmpty()
          || !zaps.isEmpty()
          || !disk.isEmpty()
          || !giveUps.isEmpty()
          || !parts.requests.isEmpty()) {
        touchNext();
        drain();
        zap();
        flushDisk();
        answer();
      }
    }

    // --- the guest

    private void newTouch(int page) {
      if (runnable.size() + waiting.size() < WAITERS_MAX) {
        runnable.add(page);
      }
    }

    private void touchNext() {
      if (runnable.isEmpty()) {
        return;
      }
      int page = runnable.remove(random.nextInt(runnable.size()));
      if (contents[page] == null) {
        waiting.add(page);
        faults.add(page);
      } else {
        requireRight(page, contents[page]);
      }
    }

    private void requireRight(int page, long content) {
      boolean right =
          content == FakeFiller.POISON
              ? lostAtSource[page]
              : content == FakeFiller.ZERO
                  ? zeroAtSource[page] || givenBack[page]
                  : content == SOURCE + Pages.bytes(page) && !zeroAtSource[page];
      assertThat(right).as("page %d reads as %d", page, content).isTrue();
    }

    private void removeUnlessNested(int page, int count) {
      if (depth == 0 && unread.isEmpty()) {
        unread.add(new PageRun(page, count));
      }
    }

    private void zap() {
      if (!zaps.isEmpty()) {
        PageRun run = zaps.remove(random.nextInt(zaps.size()));
        for (long page = run.firstPage(); page < run.endPage(); page++) {
          contents[(int) page] = null;
        }
      }
    }

    // --- the fault loop

    private void drainUnlessNested() {
      if (depth == 0) {
        drain();
      }
    }

    private void drain() {
      parts.givenBack.notingEvents().lock();
      List<Integer> read;
      try {
        for (PageRun run : unread) {
          parts.givenBack.add(run);
          for (long page = run.firstPage(); page < run.endPage(); page++) {
            givenBack[(int) page] = true;
          }
          parts.resolver.giveBackUnresolved(run);
          zaps.add(run);
        }
        unread.clear();
        read = List.copyOf(faults);
        faults.clear();
      } finally {
        parts.givenBack.notingEvents().unlock();
      }
      read.forEach(parts::fault);
    }

    // --- the source

    private void answer() throws ResolveException {
      if (parts.requests.isEmpty()) {
        return;
      }
      PageRequest request = parts.requests.remove(random.nextInt(parts.requests.size()));
      int page = (int) ((request.guestPhysicalAddress() - Fixture.GPA) >>> Pages.SHIFT);
      if (!settling && random.nextInt(4) == 0) {
        parts.faults.askAgain(request.requestId()); // NOT_YET
        return;
      }
      push(page, 1);
      parts.faults.answered(request.requestId(), 1);
    }

    private void push(int first, int count) throws ResolveException {
      for (int page = first; page < first + count; ) {
        int end = page + 1;
        while (end < first + count
            && zeroAtSource[end] == zeroAtSource[page]
            && lostAtSource[end] == lostAtSource[page]) {
          end++;
        }
        pushAlike(new PageRun(page, end - page));
        page = end;
      }
    }

    private void pushAlike(PageRun run) throws ResolveException {
      int first = (int) run.firstPage();
      boolean stale = random.nextInt(3) == 0; // sent before the loss, arrives after it
      if (lostAtSource[first] && !stale) {
        for (int page = first; page < run.endPage(); page++) {
          latePoison(page);
        }
      } else if (zeroAtSource[first]) {
        parts.resolver.zero(run);
      } else {
        parts.resolver.data(run, SOURCE + Pages.bytes(first));
      }
    }

    private void latePoison(int page) {
      lostAtSource[page] = true;
      if (parts.table.poison(page)) {
        disk.add(List.of(page));
      }
    }

    private void flushDisk() throws ResolveException {
      if (!giveUps.isEmpty()) {
        giveUps.remove(0).run();
      }
      if (!disk.isEmpty()) {
        for (int page : disk.remove(0)) {
          onDisk[page] = true;
          ledger.lose(page);
          parts.resolver.poison(new PageRun(page, 1));
        }
      }
    }

    // --- the kernel

    private void otherThreads() {
      if (depth >= 2 || settling) {
        return;
      }
      boolean outermost = depth == 0;
      depth++;
      try {
        for (int i = random.nextInt(3); i > 0 && unread.isEmpty(); i--) {
          step();
        }
      } catch (ResolveException e) {
        throw new AssertionError(e);
      } finally {
        depth--;
      }
      if (outermost && unread.isEmpty() && random.nextInt(8) == 0) {
        int page = random.nextInt(PAGES);
        unread.add(new PageRun(page, 1 + random.nextInt(PAGES - page)));
      }
    }

    private FillResult fill(long hostAddress, long content, long lengthBytes) {
      otherThreads();
      int first = (int) FakeFiller.pageAt(hostAddress);
      int count = (int) (lengthBytes >>> Pages.SHIFT);
      if (!unread.isEmpty()) {
        return FakeFiller.answer(Outcome.INTERRUPTED, 0, Errno.EAGAIN);
      }
      int limit = random.nextInt(4) == 0 ? 1 + random.nextInt(count) : count;
      for (int i = 0; i < limit; i++) {
        int page = first + i;
        if (isThere(page, content)) {
          return i == 0
              ? FakeFiller.answer(Outcome.ALREADY_RESOLVED, 0, Errno.EEXIST)
              : FakeFiller.answer(Outcome.INTERRUPTED, i, Errno.EAGAIN);
        }
        place(page, content > 0 ? content + Pages.bytes(i) : content);
      }
      return limit == count
          ? new FillResult(Outcome.COMPLETED, lengthBytes, 0)
          : FakeFiller.answer(Outcome.INTERRUPTED, limit, Errno.EAGAIN);
    }

    private boolean isThere(int page, long content) {
      boolean again = contents[page] != null;
      // Only what was given back is placed again: by a second fault, or by the marker's return.
      assertThat(again && !givenBack[page]).as("page %d is placed twice", page).isFalse();
      return again && (contents[page] != FakeFiller.POISON || content <= 0); // only COPY heals
    }

    private void place(int page, long content) {
      boolean poison = content == FakeFiller.POISON;
      assertThat(parts.table.get(page) == State.POISONED)
          .as("page %d is %s and is given %d", page, parts.table.get(page), content)
          .isEqualTo(poison || content == FakeFiller.ZERO && parts.givenUp.contains(page));
      assertThat(parts.givenUp.contains(page) && !ledger.isGivenUp(page))
          .as("page %d is fresh, and the disk does not say so", page)
          .isFalse();
      assertThat(poison && parts.givenUp.contains(page))
          .as("page %d is given up and is marked again", page)
          .isFalse();
      assertThat(poison && !onDisk[page]).as("page %d is marked, not on disk", page).isFalse();
      assertThat(content > 0 && givenBack[page]).as("old bytes in page %d", page).isFalse();
      contents[page] = content;
      wakePage(page);
    }

    private void wakePage(int page) {
      while (waiting.remove((Integer) page)) {
        runnable.add(page);
      }
      faults.remove(page); // whoever no longer waits is no longer listed
    }

    @Override
    public FillResult take(long hostAddress, long sourceAddress, long lengthBytes) {
      return copy(hostAddress, sourceAddress, lengthBytes);
    }

    @Override
    public FillResult copy(long hostAddress, long sourceAddress, long lengthBytes) {
      return fill(hostAddress, sourceAddress, lengthBytes);
    }

    @Override
    public FillResult zero(long hostAddress, long lengthBytes) {
      return fill(hostAddress, FakeFiller.ZERO, lengthBytes);
    }

    @Override
    public FillResult poison(long hostAddress, long lengthBytes) {
      return fill(hostAddress, FakeFiller.POISON, lengthBytes);
    }

    @Override
    public void wake(long hostAddress, long lengthBytes) {
      int first = (int) FakeFiller.pageAt(hostAddress);
      for (int i = 0; i < lengthBytes >>> Pages.SHIFT; i++) {
        wakePage(first + i);
      }
    }
  }
}
