package ward.cli;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.slf4j.LoggerFactory;
import ward.guest.GuestMemory;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.poison.Severity;
import ward.vcpu.MemoryError;

class PoisonLogTest {

  private final Logger logger = (Logger) LoggerFactory.getLogger("ward.poison");
  private final ListAppender<ILoggingEvent> appender = new ListAppender<>();
  private final PoisonLog lines = new PoisonLog();

  @BeforeEach
  void listen() {
    logger.setLevel(Level.INFO);
    logger.setAdditive(false);
    appender.start();
    logger.addAppender(appender);
  }

  @AfterEach
  void stop() {
    logger.detachAppender(appender);
    logger.setAdditive(true);
    logger.setLevel(null);
  }

  private String only() {
    assertThat(appender.list).hasSize(1);
    return appender.list.get(0).getFormattedMessage();
  }

  private static Origin origin(String host) {
    return new Origin(host, Instant.parse("2026-01-31T10:02:11.123Z"), Origin.Discovery.UNREADABLE);
  }

  @Test
  void aLossOfTheLedgerHasEveryKey() {
    GuestLayout layout = new GuestLayout("web-7", List.of(new GuestRegion(0, 0x8000, 0)));
    GuestMemory memory = new GuestMemory(layout, new long[] {0x7000_0000});
    lines.locateBy(() -> memory);

    lines.entry(
        PoisonLog.Event.FOUND,
        new PoisonEntry(0x5000, 12, Severity.ACTION_REQUIRED, origin("mars")),
        "read",
        "in the ledger");

    assertThat(only())
        .isEqualTo(
            "event=found gpa=0x5000 hva=0x70005000 lsb=12 severity=action_required host=\"mars\" time=2026-01-31T10:02:11.123Z discovery=unreadable input=read vcpu=- done=\"in the ledger\"");
  }

  @Test
  void whatIsNotKnownIsADash() {
    lines.error(
        PoisonLog.Event.INJECTED,
        new MemoryError(
            OptionalLong.empty(),
            Severity.ACTION_OPTIONAL,
            12,
            MemoryError.Input.SIGBUS_ACTION_OPTIONAL,
            3),
        Optional.empty(),
        "machine check");

    assertThat(only())
        .isEqualTo(
            "event=injected gpa=- hva=- lsb=12 severity=action_optional host=- time=- discovery=- input=sigbus_action_optional vcpu=3 done=\"machine check\"");
  }

  @Test
  void aTextCannotEndItsLineNorItsQuotes() {
    lines.entry(
        PoisonLog.Event.LATE,
        new PoisonEntry(0x5000, 12, Severity.ACTION_REQUIRED, origin("ma\"rs\nevent=x")),
        "source",
        "a \"b\"");

    assertThat(only())
        .contains("host=\"ma'rs event=x\"")
        .endsWith("done=\"a 'b'\"")
        .hasLineCount(1);
  }
}
