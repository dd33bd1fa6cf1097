package ward.vcpu;

import java.util.Map;

/** The interrupt controllers of a PC. */
final class X86Machine implements Machine {

  X86Machine() {}

  @Override
  public Map<String, byte[]> save() {
    return Map.of();
  }

  @Override
  public void restore(Map<String, byte[]> sections) {}
}
