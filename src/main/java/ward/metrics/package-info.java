/**
 * Listens to the two sides of a migration: counters, a histogram of fault latency, progress for
 * people.
 *
 * <p>Decides nothing. Start with {@link ward.metrics.DestinationMetrics}.
 */
package ward.metrics;
