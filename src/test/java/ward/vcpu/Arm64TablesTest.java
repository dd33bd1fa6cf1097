package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** What a test guest's tables say of its machine, against the machine that it gets. */
class Arm64TablesTest {

  @Test
  void theTablesNameTheAddressesAndTheInterruptOfTheMachine() {
    ward.testbed.acpi.Arm64Machine told = ward.testbed.acpi.Arm64Machine.ofWard(1);

    assertThat(told.distributor()).isEqualTo(Arm64Machine.DISTRIBUTOR);
    assertThat(told.redistributors()).isEqualTo(Arm64Machine.REDISTRIBUTORS);
    assertThat(told.uart()).isEqualTo(Arm64.SERIAL_PORT);
    assertThat(told.uartInterrupt()).isEqualTo(Arm64.SERIAL_INTERRUPT);
  }
}
