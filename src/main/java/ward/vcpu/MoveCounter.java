package ward.vcpu;

/** Tells a guest how often it has moved, modulo 256, so that it can notice. */
final class MoveCounter implements ByteRegisters {

  static final int PORT = 0x503;

  private final int moves;

  MoveCounter(int moves) {
    this.moves = moves;
  }

  @Override
  public int count() {
    return 1;
  }

  @Override
  public int read(int register) {
    return moves & 0xff;
  }

  @Override
  public void write(int register, int value) {}
}
