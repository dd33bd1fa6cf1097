package ward.wire;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.embedded.EmbeddedChannel;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class HeartbeatTest {

  private static final Duration HANDSHAKE = Duration.ofSeconds(10);
  private static final int EVERY_SECONDS = 5;

  private final List<Throwable> failures = new ArrayList<>();
  private final EmbeddedChannel channel = new EmbeddedChannel();

  @BeforeEach
  void freezeTime() {
    channel.freezeTime();
    channel.pipeline().addLast(new Heartbeat(HANDSHAKE), new Session());
  }

  @AfterEach
  void close() {
    channel.finishAndReleaseAll();
  }

  private final class Session extends ChannelInboundHandlerAdapter {
    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
      failures.add(cause);
    }
  }

  private void pass(int seconds) {
    for (int i = 0; i < seconds; i++) {
      channel.advanceTimeBy(1, TimeUnit.SECONDS);
      channel.runScheduledPendingTasks();
    }
  }

  @Test
  void answersAPingAndTellsTheSessionNothingOfIt() {
    channel.writeInbound(new Ping());

    assertThat(channel.<Object>readOutbound()).isEqualTo(new Pong());
    assertThat(channel.<Object>readInbound()).isNull();
  }

  @Test
  void asksNobodyWhoSpeaksByHimself() {
    for (int i = 0; i < 20; i++) {
      pass(EVERY_SECONDS - 1);
      channel.writeInbound(new StreamEnd());
    }

    assertThat(channel.<Object>readOutbound()).isNull();
    assertThat(channel.inboundMessages()).hasSize(20);
  }

  @Test
  void aPeerThatAnswersIsKeptHoweverLittleItSays() {
    for (int i = 0; i < 20; i++) {
      pass(EVERY_SECONDS);
      assertThat(channel.<Object>readOutbound()).isEqualTo(new Ping());
      channel.writeInbound(new Pong());
    }

    assertThat(failures).isEmpty();
    assertThat(channel.inboundMessages()).isEmpty();
  }

  @Test
  void aPeerThatAnswersNothingIsGivenUpAfterThreeHandshakesTime() {
    pass(Heartbeat.UNANSWERED_MAX * EVERY_SECONDS);
    assertThat(failures).isEmpty();

    pass(EVERY_SECONDS);

    assertThat(failures)
        .singleElement()
        .isInstanceOf(IOException.class)
        .satisfies(
            failure -> assertThat(failure.getMessage()).contains("has said nothing for 35 s"));
    assertThat(channel.outboundMessages()).hasSize(Heartbeat.UNANSWERED_MAX);
  }

  /** As after SIGSTOP and SIGCONT: the answer to a ping that was due long ago may be on its way. */
  @Test
  void whoeverStoodStillHimselfAsksAgainBeforeHeJudges() {
    channel.advanceTimeBy(10, TimeUnit.MINUTES);
    channel.runScheduledPendingTasks();

    assertThat(failures).isEmpty();
    assertThat(channel.<Object>readOutbound()).isEqualTo(new Ping());
  }
}
