package ward.channel;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/** Channels that end together; one that comes later ends at once. From any thread. */
public final class PageChannels {

  private final List<PageChannel> channels = new ArrayList<>();
  private boolean ended;

  public synchronized void add(PageChannel channel) {
    channels.add(channel);
    if (ended) {
      channel.close();
    }
  }

  /**
   * Ends all of them.
   *
   * @return completes when nothing is received, sent or reacted to any more on any of them
   */
  public synchronized CompletionStage<Void> end() {
    ended = true;
    return CompletableFuture.allOf(
        channels.stream()
            .map(channel -> channel.end().toCompletableFuture())
            .toArray(CompletableFuture[]::new));
  }
}
