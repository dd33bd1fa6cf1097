package ward.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import ward.guest.Guest;
import ward.wire.ControlMessage;

class SErrorsTest {

  private final List<String> raised = new ArrayList<>();

  /** Of which nothing is asked but this. */
  private Guest guest(IOException refusal) {
    return (Guest)
        Proxy.newProxyInstance(
            Guest.class.getClassLoader(),
            new Class<?>[] {Guest.class},
            (proxy, method, arguments) -> {
              assertThat(method.getName()).isEqualTo("raiseSError");
              raised.add("vCPU %d, 0x%x".formatted(arguments));
              if (refusal != null) {
                throw refusal;
              }
              return null;
            });
  }

  private static ControlMessage answer(Guest guest) {
    return SErrors.raise(guest, new ControlMessage.RaiseSError(2, 0xc11))
        .toCompletableFuture()
        .join();
  }

  @Test
  void theGuestIsToldAndTheOperatorHears() {
    ControlMessage answer = answer(guest(null));

    assertThat(raised).containsExactly("vCPU 2, 0xc11");
    assertThat(answer)
        .isEqualTo(new ControlMessage.Done("an SError with syndrome 0xc11 is pending on vCPU 2"));
  }

  @Test
  void aGuestThatKnowsNoneRefusesInItsOwnWords() {
    Guest guest = guest(new IOException("vCPU 2 is switched off"));

    assertThatThrownBy(() -> answer(guest))
        .isInstanceOf(CompletionException.class)
        .hasRootCauseMessage("vCPU 2 is switched off");
  }

  @Test
  void whereNoGuestRunsNobodyIsTold() {
    assertThatThrownBy(() -> answer(null))
        .hasRootCauseMessage("the guest does not run here: ask the daemon where it runs");
  }

  @ParameterizedTest
  @CsvSource({"-1, 0", "512, 0", "0, -1", "0, 0x2000000"})
  void numbersThatNoProcessorHasAreRefused(int vcpu, String syndrome) {
    assertThatThrownBy(() -> new ControlMessage.RaiseSError(vcpu, Integer.decode(syndrome)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("is allowed");
  }
}
