package ward.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;

class MemoryIdentityTest {

  private static final GuestLayout LAYOUT =
      new GuestLayout("web-7", List.of(new GuestRegion(0x10000, 0x4000, 0)));
  private static final PageSample FIRST = new PageSample(0x10, "a".repeat(64));
  private static final PageSample SECOND = new PageSample(0x12, "b".repeat(64));
  private static final PageSample SECOND_CHANGED = new PageSample(0x12, "c".repeat(64));

  private static final MemoryIdentity KEPT = of(FIRST, SECOND);

  private static MemoryIdentity of(PageSample... samples) {
    return new MemoryIdentity(LAYOUT, List.of(samples));
  }

  @Test
  void theSameContentInAnyOrderIsTheSameMemory() {
    assertThat(KEPT.contradiction(of(SECOND, FIRST))).isEmpty();
  }

  @Test
  void aPageThatWasLostInBetweenChangesNoIdentity() {
    assertThat(KEPT.contradiction(of(SECOND))).isEmpty();
  }

  @Test
  void onePageWithOtherContentIsAnotherMemory() {
    assertThat(KEPT.contradiction(of(FIRST, SECOND_CHANGED)))
        .contains(
            "1 of 2 sampled pages have other content, the first at guest-physical address 0x12000");
  }

  @Test
  void nothingThatCanBeComparedProvesNothing() {
    assertThat(KEPT.contradiction(of())).isPresent();
    assertThat(KEPT.contradiction(of(new PageSample(0x13, "a".repeat(64))))).isPresent();
  }

  @Test
  void aGuestWhoseEveryPageIsLostIsKnownByItsShape() {
    assertThat(of().contradiction(of())).isEmpty();
  }

  @Test
  void anotherGuestAndAnotherLayoutAreNamed() {
    GuestLayout otherGuest = new GuestLayout("db-1", LAYOUT.regions());
    GuestLayout otherShape =
        new GuestLayout("web-7", List.of(new GuestRegion(0x10000, 0x4000, 0x1000)));

    assertThat(KEPT.contradiction(new MemoryIdentity(otherGuest, KEPT.samples())))
        .contains("it is the memory of guest db-1, not of web-7");
    assertThat(KEPT.contradiction(new MemoryIdentity(otherShape, KEPT.samples())).orElseThrow())
        .startsWith("another layout: ");
  }

  @Test
  void refusesSamplesThatNoGuestHas() {
    assertThatThrownBy(() -> of(FIRST, FIRST)).hasMessageContaining("sampled twice");
    assertThatThrownBy(() -> of(new PageSample(0x14, "a".repeat(64))))
        .hasMessage("the sampled page at guest-physical address 0x14000 is not RAM of guest web-7");
    assertThatThrownBy(() -> new MemoryIdentity(LAYOUT, Collections.nCopies(257, FIRST)))
        .hasMessage("257 sampled pages; at most 256");
    assertThatThrownBy(() -> new PageSample(-1, "a".repeat(64)))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new PageSample(1, "A".repeat(64)))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
