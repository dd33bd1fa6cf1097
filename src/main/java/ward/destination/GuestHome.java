package ward.destination;

import ward.guest.Guest;
import ward.memory.PageSet;

/**
 * Memory that belongs to another process and outlives this one. One guest may arrive there, perhaps
 * with the help of several processes, one after the other.
 *
 * @param guest as it is there now
 * @param givenBack page indexes: what the guest has given back
 * @param hasRun whether it ever ran there
 * @param identity of the other process, different from that of every other process there was; at
 *     most 4096 characters
 */
public record GuestHome(Guest guest, PageSet givenBack, boolean hasRun, String identity) {}
