package ward.kernel;

/** Lets a test in another package be the kernel that writes a signal. */
public final class SignalScript {

  private SignalScript() {}

  public static void write(SignalInfo info, int code, long address, int addressLsb) {
    NativeMemory struct = NativeMemory.at(info.structAddress(), SignalInfo.SIZE_BYTES);
    struct.putInt(SignalInfo.CODE, code);
    struct.putLong(SignalInfo.ADDRESS, address);
    struct.putInt(SignalInfo.ADDRESS_LSB, addressLsb);
  }
}
