package ward.kernel;

/**
 * What a signal carried, {@code struct ward_signal}: the parts of {@code siginfo_t} that matter for
 * memory errors.
 *
 * <pre>{@code
 * struct ward_signal {
 *     int32_t number;
 *     int32_t code;         // si_code: BUS_MCEERR_AR and its relatives
 *     uint64_t address;     // si_addr: host-virtual; of the page from KVM, of the byte from a load
 *     int32_t address_lsb;  // si_addr_lsb: log2 of the lost extent in bytes; 0 where unknown
 *     int32_t reserved;
 * };
 * }</pre>
 */
public final class SignalInfo {

  static final int SIZE_BYTES = 24;
  static final int CODE = 4;
  static final int ADDRESS = 8;
  static final int ADDRESS_LSB = 16;

  private final NativeMemory memory = NativeMemory.allocate(SIZE_BYTES);

  long structAddress() {
    return memory.address();
  }

  /** {@code si_code}. */
  public int code() {
    return memory.getInt(CODE);
  }

  /** {@code si_addr}, host-virtual. */
  public long address() {
    return memory.getLong(ADDRESS);
  }

  /** {@code si_addr_lsb}, log2 bytes. */
  public int addressLsb() {
    return memory.getInt(ADDRESS_LSB);
  }
}
