package ward.testbed.linux;

/**
 * Bytes that belong at a guest-physical address.
 *
 * @param address a multiple of 4 KiB
 */
public record Piece(long address, byte[] bytes) {}
