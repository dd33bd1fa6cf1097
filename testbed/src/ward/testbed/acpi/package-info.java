/**
 * What a test guest's firmware tells its operating system about the machine: ACPI tables, for arm64
 * and x86-64, with the error sources that Ward writes to.
 *
 * <p>Start with {@link ward.testbed.acpi.AcpiTables}.
 */
package ward.testbed.acpi;
