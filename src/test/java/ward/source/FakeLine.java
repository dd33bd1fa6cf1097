package ward.source;

import io.netty.buffer.ByteBuf;
import java.util.ArrayList;
import java.util.List;
import ward.memory.Pages;
import ward.wire.Frame;
import ward.wire.PageAnswer;

/** A stream's connection that takes everything at once, until it is cut. */
final class FakeLine implements BackgroundStream.Line {

  private final List<Frame> said = new ArrayList<>();
  private final List<Frame> sent = new ArrayList<>();
  boolean cut;

  @Override
  public boolean pages(long guestPhysicalAddress, int pageCount, ByteBuf bytes, int index) {
    ByteBuf body = bytes.copy(index, (int) Pages.bytes(pageCount));
    said.add(new PageAnswer.Data(0, guestPhysicalAddress, pageCount, body));
    flush();
    return !cut;
  }

  @Override
  public void say(Frame frame) {
    said.add(frame);
  }

  @Override
  public void flush() {
    if (!cut) {
      sent.addAll(said);
    }
    said.clear();
  }

  /** What was flushed since the last call. */
  List<Frame> takeSent() {
    List<Frame> taken = new ArrayList<>(sent);
    sent.clear();
    return taken;
  }
}
