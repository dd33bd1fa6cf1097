package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import ward.poison.Severity;

class MemoryErrorInjectorTest {

  /** A vCPU that notes what happens to it, and the books that note the same, in one list. */
  private static final class Scene implements Processor, MemoryErrors {

    final List<String> events = new ArrayList<>();
    boolean inProgress;
    boolean enabled = true;
    boolean diskFull;
    boolean interruptsAll;
    boolean unprepared;
    List<MemoryError> unseen = List.of();
    Optional<MemoryError> unread = Optional.empty();

    @Override
    public boolean prepare(MemoryError error) {
      assertThat(events)
          .as("on disk before anyone acts on it")
          .contains("consumed " + error.place());
      return !unprepared;
    }

    @Override
    public List<MemoryError> unseen() {
      return unseen;
    }

    @Override
    public void show() {
      unseen = List.of();
    }

    @Override
    public Map<String, byte[]> save() {
      throw new AssertionError("nothing is saved here");
    }

    @Override
    public void restore(VcpuState state) {
      throw new AssertionError("nothing is restored here");
    }

    @Override
    public void undoPendingAccess(GuestBytes memory) {
      throw new AssertionError("there is no access here");
    }

    @Override
    public Optional<String> obstacle(MemoryError error) {
      if (inProgress) {
        return Optional.of("another error was in progress");
      }
      return enabled ? Optional.empty() : Optional.of("errors were disabled");
    }

    /** As KVM does, which sets MCIP from the check's own MCG_STATUS. */
    @Override
    public Injection inject(MemoryError error) {
      assertThat(inProgress).as("KVM would shut the guest down").isFalse();
      assertThat(enabled).as("KVM would shut the guest down").isTrue();
      inProgress = true;
      events.add("deliver " + error.place());
      return MachineChecks.encode(CpuVendor.INTEL, error);
    }

    @Override
    public boolean isKnown(long guestPhysicalAddress) {
      return false;
    }

    @Override
    public void consumed(MemoryError error) throws IOException {
      if (diskFull) {
        throw new IOException("no space left for the ledger");
      }
      events.add("consumed " + error.place());
    }

    @Override
    public void injected(MemoryErrorEvent event) {
      events.add("injected " + event.error().place());
    }

    @Override
    public boolean interruptsAll() {
      return interruptsAll;
    }

    @Override
    public Optional<MemoryError> withdrawUnread() {
      Optional<MemoryError> withdrawn = unread;
      unread = Optional.empty();
      return withdrawn;
    }
  }

  private final Scene scene = new Scene();
  private final MemoryErrorInjector injector =
      new MemoryErrorInjector(
          scene, SmallMemory.of(), scene, () -> scene.events.add("interrupt the others"));

  private static MemoryError required(long gpa) {
    return error(Severity.ACTION_REQUIRED, OptionalLong.of(gpa));
  }

  private static MemoryError optional(long gpa) {
    return error(Severity.ACTION_OPTIONAL, OptionalLong.of(gpa));
  }

  private static MemoryError error(Severity severity, OptionalLong gpa) {
    return new MemoryError(gpa, severity, 12, MemoryError.Input.SIGBUS_ACTION_REQUIRED, 2);
  }

  @Test
  void aRequiredErrorIsRecordedThenDeliveredThenCounted() throws Exception {
    Optional<String> shutdown = injector.report(required(0x5000));

    assertThat(shutdown).isEmpty();
    assertThat(scene.events)
        .containsExactly("consumed GPA 0x5000", "deliver GPA 0x5000", "injected GPA 0x5000");
  }

  @Test
  void anUnknownAddressIsDeliveredToo() throws Exception {
    injector.report(error(Severity.ACTION_REQUIRED, OptionalLong.empty()));

    assertThat(scene.events)
        .containsExactly(
            "consumed an unknown GPA", "deliver an unknown GPA", "injected an unknown GPA");
  }

  @Test
  void aRequiredErrorDuringAMachineCheckEndsTheGuestAndIsNeverDelivered() throws Exception {
    scene.inProgress = true;

    Optional<String> shutdown = injector.report(required(0x5000));
    scene.inProgress = false;
    injector.deliverWaiting();

    assertThat(shutdown)
        .hasValue("vCPU 2 consumed poison at GPA 0x5000 while another error was in progress");
    assertThat(scene.events).containsExactly("consumed GPA 0x5000");
    assertThat(injector.hasWaiting()).isFalse();
  }

  @Test
  void aRequiredErrorWithMachineChecksDisabledEndsTheGuestAndIsNeverDelivered() throws Exception {
    scene.enabled = false;

    Optional<String> shutdown = injector.report(required(0x5000));
    scene.enabled = true;
    injector.deliverWaiting();

    assertThat(shutdown)
        .hasValue("vCPU 2 consumed poison at GPA 0x5000 while errors were disabled");
    assertThat(scene.events).containsExactly("consumed GPA 0x5000");
  }

  @Test
  void optionalErrorsWaitForEachOtherAndGoOutInOrder() throws Exception {
    scene.inProgress = true;
    injector.report(optional(0x1000));
    injector.report(optional(0x2000));
    injector.deliverWaiting();
    assertThat(scene.events).containsExactly("consumed GPA 0x1000", "consumed GPA 0x2000");
    assertThat(injector.hasWaiting()).isTrue();
    scene.events.clear();

    scene.inProgress = false;
    injector.deliverWaiting();
    injector.deliverWaiting();
    assertThat(scene.events).containsExactly("deliver GPA 0x1000", "injected GPA 0x1000");
    assertThat(injector.hasWaiting()).isTrue();
    scene.inProgress = false;
    injector.deliverWaiting();

    assertThat(scene.events)
        .containsExactly(
            "deliver GPA 0x1000",
            "injected GPA 0x1000",
            "deliver GPA 0x2000",
            "injected GPA 0x2000");
    assertThat(injector.hasWaiting()).isFalse();
  }

  @Test
  void anOptionalErrorWaitsUntilTheGuestEnablesMachineChecks() throws Exception {
    scene.enabled = false;
    injector.report(optional(0x1000));
    injector.deliverWaiting();
    assertThat(scene.events).containsExactly("consumed GPA 0x1000");

    scene.enabled = true;
    injector.deliverWaiting();

    assertThat(scene.events)
        .containsExactly("consumed GPA 0x1000", "deliver GPA 0x1000", "injected GPA 0x1000");
  }

  @Test
  void anOptionalErrorDoesNotStandInTheWayOfARequiredOneTakenRightAfterIt() throws Exception {
    injector.report(optional(0x1000));

    Optional<String> shutdown = injector.report(required(0x2000));
    injector.deliverWaiting();

    assertThat(shutdown).isEmpty();
    assertThat(scene.events)
        .containsExactly(
            "consumed GPA 0x1000",
            "consumed GPA 0x2000",
            "deliver GPA 0x2000",
            "injected GPA 0x2000");
    assertThat(injector.hasWaiting()).isTrue();
  }

  @Test
  void theOtherVcpusAreInterruptedAfterThisOneWasTold() throws Exception {
    scene.interruptsAll = true;

    injector.report(required(0x5000));

    assertThat(scene.events)
        .containsExactly(
            "consumed GPA 0x5000",
            "deliver GPA 0x5000",
            "injected GPA 0x5000",
            "interrupt the others");
  }

  @Test
  void anInterruptThatCameFromAnotherVcpuIsNotPassedOn() throws Exception {
    scene.interruptsAll = true;
    injector.await(
        new MemoryError(
            OptionalLong.empty(), Severity.ACTION_OPTIONAL, 12, MemoryError.Input.BROADCAST, 2));

    assertThat(injector.deliverWaiting()).isTrue();

    assertThat(scene.events).containsExactly("deliver an unknown GPA", "injected an unknown GPA");
  }

  @Test
  void anErrorThatTheGuestHasNotLookedAtIsToldAgainAfterTheOneThatWipesItOut() throws Exception {
    scene.unread = Optional.of(optional(0x1000));
    injector.await(optional(0x2000));
    injector.report(required(0x5000));
    scene.events.clear();
    scene.inProgress = false;

    injector.deliverWaiting();

    assertThat(scene.events).containsExactly("deliver GPA 0x1000", "injected GPA 0x1000");
    assertThat(injector.hasWaiting()).isTrue();
  }

  @Test
  void ofALossThatTheGuestHasMetItIsNotWarnedAnyMore() throws Exception {
    scene.unread = Optional.of(optional(0x5000));
    injector.await(optional(0x2000));
    injector.await(optional(0x5000));

    injector.report(required(0x5000));

    assertThat(injector.waiting()).containsExactly(optional(0x2000));
  }

  @Test
  void aLossOfUnknownPlaceMakesNoWarningNeedless() throws Exception {
    MemoryError nowhere = error(Severity.ACTION_OPTIONAL, OptionalLong.empty());
    injector.await(nowhere);

    injector.report(error(Severity.ACTION_REQUIRED, OptionalLong.empty()));

    assertThat(injector.waiting()).containsExactly(nowhere);
  }

  @Test
  void oneInterruptOfAnotherVcpuCanBeTakenBack() {
    MemoryError interrupt =
        new MemoryError(
            OptionalLong.empty(), Severity.ACTION_OPTIONAL, 12, MemoryError.Input.BROADCAST, 2);
    injector.await(optional(0x2000));
    injector.await(interrupt);
    injector.await(interrupt);

    assertThat(injector.dropInterrupt()).isTrue();

    assertThat(injector.waiting()).containsExactly(optional(0x2000), interrupt);
    assertThat(injector.dropInterrupt()).isTrue();
    assertThat(injector.dropInterrupt()).isFalse();
  }

  @Test
  void whatCannotBeRecordedIsNotDelivered() throws Exception {
    scene.diskFull = true;

    assertThatThrownBy(() -> injector.report(required(0x5000)))
        .isInstanceOf(IOException.class)
        .hasMessage("no space left for the ledger");
    assertThatThrownBy(() -> injector.report(optional(0x6000)))
        .isInstanceOf(IOException.class)
        .hasMessage("no space left for the ledger");
    injector.deliverWaiting();

    assertThat(scene.events).isEmpty();
    assertThat(injector.hasWaiting()).isFalse();
  }

  @Test
  void aRequiredErrorWhoseRecordWaitsIsToldWhenItIsMetAgain() throws Exception {
    scene.unprepared = true;
    assertThat(injector.report(required(0x5000))).isEmpty();
    injector.deliverWaiting();
    assertThat(scene.events).containsExactly("consumed GPA 0x5000");
    assertThat(injector.hasWaiting()).isFalse();

    scene.unprepared = false;
    injector.report(required(0x5000));

    assertThat(scene.events)
        .containsExactly(
            "consumed GPA 0x5000",
            "consumed GPA 0x5000",
            "deliver GPA 0x5000",
            "injected GPA 0x5000");
  }

  @Test
  void whatTheGuestCannotSeeYetWaitsAndIsShownFirst() throws Exception {
    scene.inProgress = true;
    injector.report(optional(0x2000));
    scene.unseen = List.of(optional(0x1000));

    assertThat(injector.waiting()).containsExactly(optional(0x1000), optional(0x2000));
    scene.inProgress = false;
    injector.deliverWaiting();

    assertThat(scene.unseen).isEmpty();
    assertThat(injector.hasWaiting()).isFalse();
  }

  @Test
  void anErrorThatTheGuestCannotSeeYetKeepsItsVcpuTrying() {
    scene.unseen = List.of(optional(0x1000));

    assertThat(injector.hasWaiting()).isTrue();
  }
}
