package ward.testbed.acpi;

import ward.vcpu.GhesLayout;
import ward.vcpu.GhesSource;

/** The hardware error source table, ACPI 6.5, 18.3.2: a GHESv2 structure for each source. */
final class Hest {

  /** How often a guest looks at its polled sources: so long a record may wait. */
  static final int POLL_INTERVAL_MILLIS = 100;

  private static final int GHES_V2 = 10;
  private static final int NO_RELATED_SOURCE = 0xffff;
  private static final int NOTIFICATION_BYTES = 28;

  private Hest() {}

  static AcpiTable of(GhesLayout layout) {
    TableBytes body = new TableBytes().u32(layout.sources().size());
    for (int id = 0; id < layout.sources().size(); id++) {
      putSource(body, id, layout.sources().get(id));
    }
    return new AcpiTable("HEST", 1, body.toArray());
  }

  private static void putSource(TableBytes body, int id, GhesSource source) {
    body.u16(GHES_V2).u16(id).u16(NO_RELATED_SOURCE);
    // Flags, enabled, records to preallocate, sections in a record, bytes of raw data.
    body.u8(0).u8(1).u32(1).u32(source.errorsMax()).u32(source.statusBlockBytes());
    body.register(source.statusAddressRegister(), Long.SIZE);
    putNotification(body, source.notification());
    body.u32(source.statusBlockBytes());
    body.register(source.readAckRegister(), Long.SIZE);
    body.u64(~GhesSource.READ_ACK).u64(GhesSource.READ_ACK);
  }

  private static void putNotification(TableBytes body, GhesSource.Notification notification) {
    int pollMillis = notification == GhesSource.Notification.POLLED ? POLL_INTERVAL_MILLIS : 0;
    body.u8(notification.number()).u8(NOTIFICATION_BYTES).u16(0);
    body.u32(pollMillis).u32(0).u32(0).u32(0).u32(0).u32(0);
  }
}
