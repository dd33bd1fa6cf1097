package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.EnumSet;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class ChaosPlanTest {

  /** As many as one wants to wait for until each kind of fault has come. */
  private static final int SEEDS = 200;

  private static final Set<ChaosFaultKind> ALL = EnumSet.allOf(ChaosFaultKind.class);

  private static final Set<ChaosPlan.Mover> GUESTS = EnumSet.allOf(ChaosPlan.Mover.class);

  private static Stream<ChaosPlan> plans(Set<ChaosFaultKind> kinds) {
    return LongStream.range(0, SEEDS)
        .mapToObj(index -> ChaosPlan.draw(Chaos.seedOf(1, index), kinds, GUESTS));
  }

  private static Map<String, Long> effects(Set<ChaosFaultKind> kinds) {
    return plans(kinds)
        .flatMap(plan -> plan.faults().stream())
        .collect(Collectors.groupingBy(fault -> fault.effect().name(), Collectors.counting()));
  }

  @Test
  void theSameSeedDrawsTheSamePlan() {
    assertEquals(plans(ALL).toList(), plans(ALL).toList());
  }

  @Test
  void neighbouringRunsOfNeighbouringSeedsAreDifferent() {
    long distinct =
        LongStream.range(0, SEEDS)
            .flatMap(seed -> LongStream.range(0, SEEDS).map(index -> Chaos.seedOf(seed, index)))
            .distinct()
            .count();

    assertEquals((long) SEEDS * SEEDS, distinct);
  }

  @ParameterizedTest
  @EnumSource
  void everyKindOfFaultIsDrawnSoonIfNothingElseIsAllowed(ChaosFaultKind kind) {
    assertThat(effects(EnumSet.of(kind))).hasSize(1);
  }

  @Test
  void everyKindOfFaultIsDrawnSoonAmongTheOthers() {
    Set<String> wanted =
        ALL.stream()
            .flatMap(kind -> effects(EnumSet.of(kind)).keySet().stream())
            .collect(Collectors.toSet());

    Map<String, Long> drawn = effects(ALL);

    assertEquals(wanted, drawn.keySet());
    assertThat(drawn.values()).allMatch(count -> count >= 5);
  }

  @Test
  void everyKindOfFaultHappensInDifferentPlaces() {
    Map<String, Long> places =
        plans(ALL)
            .flatMap(plan -> plan.faults().stream())
            .collect(
                Collectors.groupingBy(
                    fault -> fault.effect().name(),
                    Collectors.mapping(
                        fault -> fault.kind() + " " + fault.direction() + " " + fault.trigger(),
                        Collectors.collectingAndThen(
                            Collectors.toSet(), set -> (long) set.size()))));

    assertThat(places.values()).allMatch(count -> count >= 3);
  }

  @Test
  void everyShapeOfGuestAndOfMigrationIsDrawn() {
    assertThat(values(ChaosPlan::guest)).containsExactlyInAnyOrder(ChaosPlan.Mover.values());
    assertThat(values(ChaosPlan::marker)).containsExactlyInAnyOrder("uffd", "sigbus");
    assertThat(values(ChaosPlan::streams)).containsExactlyInAnyOrder(1, 2, 3, 4);
    assertThat(values(ChaosPlan::vcpus)).containsExactlyInAnyOrder(1, 2, 3);
    assertThat(values(ChaosPlan::regions)).containsExactlyInAnyOrder(1, 2, 3, 4);
    assertThat(values(plan -> plan.streamHeldMillis() > 0)).hasSize(2);
    assertThat(values(plan -> plan.declared() > 0)).hasSize(2);
    assertThat(values(plan -> plan.found() > 0)).hasSize(2);
  }

  private static <T> Set<T> values(Function<ChaosPlan, T> part) {
    return plans(ALL).map(part).collect(Collectors.toSet());
  }

  @Test
  void memoryIsSmallAndOfASizeThatTheGuestCanHave() {
    plans(ALL)
        .forEach(
            plan -> {
              boolean threads = !plan.guest().isVirtualMachine();
              long mebibytes = plan.memoryBytes() >> 20;
              assertThat(mebibytes).isBetween(threads ? 4L : 16L, 64L);
              assertThat(mebibytes % (threads ? 1 : 8)).isZero();
            });
  }

  @ParameterizedTest
  @EnumSource
  void onlyGuestsThatMayBeAreDrawn(ChaosPlan.Mover guest) {
    assertThat(
            LongStream.range(0, SEEDS).mapToObj(seed -> ChaosPlan.draw(seed, ALL, Set.of(guest))))
        .allMatch(plan -> plan.guest() == guest);
  }

  @Test
  void onlyMarkersThatAnotherProcessCanHaveAreDrawnWhereItOwnsTheMemory() {
    assertThat(
            LongStream.range(0, SEEDS)
                .mapToObj(seed -> ChaosPlan.draw(seed, ALL, Set.of(ChaosPlan.Mover.HELD))))
        .allMatch(plan -> plan.marker().equals("uffd"));
  }

  /** A file's last block has room for some entries even on a full disk. */
  @Test
  void whereADiskIsFullMorePagesAreFoundLostThanABlockHolds() {
    assertThat(plans(EnumSet.of(ChaosFaultKind.DISK_SOURCE, ChaosFaultKind.DISK_DESTINATION)))
        .allMatch(plan -> plan.found() >= 100);
  }

  @Test
  void noFaultAtAllIsDrawnFromNoKinds() {
    assertThat(effects(EnumSet.noneOf(ChaosFaultKind.class))).isEmpty();
  }

  @Test
  void reorderedConnectionsNeverGoThroughAsTheyCome() {
    plans(EnumSet.of(ChaosFaultKind.REORDER))
        .flatMap(plan -> plan.faults().stream())
        .map(fault -> ((ChaosAct.Reorder) fault.effect()).order())
        .forEach(
            order -> {
              assertThat(order).isNotEqualTo(order.stream().sorted().toList());
              assertThat(order.stream().distinct().count()).isEqualTo(order.size());
            });
  }
}
