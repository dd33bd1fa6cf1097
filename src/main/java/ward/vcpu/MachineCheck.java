package ward.vcpu;

/**
 * A machine check as the guest reads it from its registers, Intel SDM volume 3 chapter 16 and AMD
 * APM volume 2 chapter 9.
 *
 * @param bank which MCi_* registers
 * @param status MCi_STATUS
 * @param addr MCi_ADDR: a guest-physical address, 0 where unknown
 * @param misc MCi_MISC: how much of the address counts
 * @param mcgStatus IA32_MCG_STATUS
 */
public record MachineCheck(int bank, long status, long addr, long misc, long mcgStatus)
    implements Injection {

  @Override
  public String toString() {
    return "machine check bank %d status 0x%x addr 0x%x misc 0x%x mcg_status 0x%x"
        .formatted(bank, status, addr, misc, mcgStatus);
  }
}
