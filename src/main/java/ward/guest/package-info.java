/**
 * What a migration needs of a guest, as interfaces: where its memory is, how it is resumed and
 * paused, what its vCPUs are.
 *
 * <p>Knows neither KVM nor the network. Start with {@link ward.guest.Guest}.
 */
package ward.guest;
