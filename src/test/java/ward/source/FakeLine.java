package ward.source;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import java.util.ArrayList;
import java.util.List;
import ward.memory.Pages;
import ward.wire.Frame;
import ward.wire.PageAnswer;

/** A stream's connection that takes everything at once, until it is cut. */
final class FakeLine implements BackgroundStream.Line {

  /** Of which the body is in {@link ward.wire.MixedPages}' words. */
  record Mixed(long guestPhysicalAddress, int pageCount, byte[] body) {}

  private final List<Frame> said = new ArrayList<>();
  private final List<Frame> sent = new ArrayList<>();
  final List<Mixed> mixed = new ArrayList<>();
  boolean takesMixed;
  boolean cut;

  @Override
  public boolean pages(long guestPhysicalAddress, int pageCount, ByteBuf bytes, int index) {
    ByteBuf body = bytes.copy(index, (int) Pages.bytes(pageCount));
    said.add(new PageAnswer.Data(0, guestPhysicalAddress, pageCount, body));
    flush();
    return !cut;
  }

  @Override
  public boolean takesMixed() {
    return takesMixed;
  }

  @Override
  public boolean mixed(
      long guestPhysicalAddress, int pageCount, ByteBuf bytes, int index, int bodyBytes) {
    mixed.add(
        new Mixed(guestPhysicalAddress, pageCount, ByteBufUtil.getBytes(bytes, index, bodyBytes)));
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
