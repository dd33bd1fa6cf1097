package ward.destination;

import java.io.IOException;
import java.util.Optional;
import ward.channel.PageChannel;
import ward.channel.PageChannels;
import ward.channel.Takeover;
import ward.channel.Watched;
import ward.wire.ConnectionKind;
import ward.wire.Frame;
import ward.wire.FrameScanner;
import ward.wire.HelloCompleted;

/**
 * Translates what happens on one connection of kind URGENT or STREAM, on the thread that waits in
 * it; knows no memory, no policy, no state.
 */
final class PageConnection implements Takeover.Listener, PageChannel.Reactions {

  private final ConnectionKind kind;
  private final SourceLink.Events events;
  private final PageChannels all;

  /**
   * @param all where the connection ends with the others of its attempt
   */
  PageConnection(ConnectionKind kind, SourceLink.Events events, PageChannels all) {
    this.kind = kind;
    this.events = events;
    this.all = all;
  }

  @Override
  public void taken(HelloCompleted hello, PageChannel channel) {
    all.add(channel);
    events.met(hello.peer());
    if (kind == ConnectionKind.URGENT) {
      events.ready(new Requests(channel, this));
    } else {
      channel.startStaged("ward-stream", this);
      events.ready();
    }
  }

  @Override
  public void lost(Throwable cause) {
    events.lost(cause);
  }

  @Override
  public void arrived(FrameScanner frames) throws IOException {
    while (frames.next()) {
      if (frames.isPages()) {
        events.pages(
            frames.requestId(),
            frames.guestPhysicalAddress(),
            frames.pageCount(),
            frames.bodyAddress());
      } else if (frames.isMixed()) {
        events.mixed(frames.mixed());
      } else {
        Optional<Frame> frame = frames.frame();
        if (frame.isPresent()) {
          events.frame(frame.get());
        }
      }
    }
  }

  @Override
  public void ended(Throwable cause) {
    events.lost(cause);
  }

  private record Requests(PageChannel channel, PageChannel.Reactions reactions)
      implements SourceLink.Requests {

    @Override
    public Watched answers() {
      return channel.watched(reactions);
    }

    @Override
    public void write(long request, long guestPhysicalAddress, int pageCount) {
      channel.request(request, guestPhysicalAddress, pageCount);
    }

    @Override
    public void flush() {
      channel.flush();
    }

    @Override
    public void close() {
      channel.close();
    }
  }
}
