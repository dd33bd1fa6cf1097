package ward.channel;

import ward.wire.FrameScanner;

/**
 * A channel whose incoming side is looked after by somebody's thread, together with other things.
 */
final class WatchedChannel implements Watched {

  private final PageChannel channel;
  private final int descriptor;
  private final PageChannel.Reactions reactions;
  private final Inbox inbox = new ReadAhead();
  private final FrameScanner frames;
  private Throwable cause;
  private boolean over;

  WatchedChannel(PageChannel channel, int descriptor, PageChannel.Reactions reactions) {
    this.channel = channel;
    this.descriptor = descriptor;
    this.reactions = reactions;
    frames = channel.framesIn(inbox);
  }

  @Override
  public int descriptor() {
    return descriptor;
  }

  @Override
  public boolean isOver() {
    return over;
  }

  @Override
  public boolean look() {
    try {
      return !over && receive();
    } catch (Throwable e) { // whatever it is, somebody has to hear that nothing comes any more
      cause = e;
      over = true;
      return true;
    }
  }

  private boolean receive() throws Exception {
    long received = channel.receive(inbox, frames, false);
    if (received > 0) {
      reactions.arrived(frames);
    } else if (received == 0) {
      over = true;
      frames.requireFinished();
    }
    return received != PageChannel.NOTHING_YET;
  }

  @Override
  public void left() {
    inbox.close();
    channel.leave(reactions, cause);
  }
}
