package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

class OpenRequestsTest {

  private final OpenRequests requests = new OpenRequests();

  @Test
  void anOpenRequestKnowsItsPageItsTimeAndItsDamage() {
    long number = requests.open(77, 1_000, 2);

    requests.cameDamaged(number);

    assertThat(requests.page(number)).isEqualTo(77);
    assertThat(requests.startNanos(number)).isEqualTo(1_000);
    assertThat(requests.timesDamaged(number)).isEqualTo(3);
  }

  @Test
  void aClosedRequestIsUnknown() {
    long number = requests.open(77, 1_000, 0);

    assertThat(requests.close(number)).isTrue();

    assertThat(requests.close(number)).isFalse();
    assertThat(requests.page(number)).isEqualTo(OpenRequests.NONE);
    assertThat(requests.startNanos(number)).isEqualTo(OpenRequests.NONE);
    assertThat(requests.claimSending(number, 9)).isFalse();
    assertThat(requests.count()).isZero();
  }

  @Test
  void numbersThatNobodyGaveOutAreUnknown() {
    requests.open(77, 1_000, 0);

    assertThat(requests.page(0)).isEqualTo(OpenRequests.NONE);
    assertThat(requests.page(-5)).isEqualTo(OpenRequests.NONE);
    assertThat(requests.page(Long.MAX_VALUE)).isEqualTo(OpenRequests.NONE);
  }

  @Test
  void theAnswerToAnEarlierRequestOfTheSameSlotAnswersNothing() {
    long earlier = requests.open(1, 0, 0);
    requests.close(earlier);

    long later = requests.open(2, 0, 0);

    assertThat(later).isNotEqualTo(earlier);
    assertThat(requests.page(earlier)).isEqualTo(OpenRequests.NONE);
    assertThat(requests.page(later)).isEqualTo(2);
  }

  @Test
  void oneOfAllWhoTryMaySendItInAnAttempt() {
    long number = requests.open(1, 0, 0);

    assertThat(requests.claimSending(number, 1)).isTrue();
    assertThat(requests.claimSending(number, 1)).isFalse();
    assertThat(requests.claimSending(number, 2)).isTrue();
    assertThat(requests.claimSending(number, 1)).isFalse();
  }

  @Test
  void thereIsRoomForAsManyAsWait() {
    Set<Long> numbers = new HashSet<>();
    for (int page = 0; page < 1_000; page++) {
      numbers.add(requests.open(page, 0, 0));
    }

    assertThat(numbers).hasSize(1_000).doesNotContain(0L);
    assertThat(requests.count()).isEqualTo(1_000);
    assertThat(requests.all()).hasSize(1_000);
    for (long number : requests.all()) {
      assertThat(numbers).contains(number);
    }
  }
}
