package ward.source;

/**
 * What an operator chooses for one outgoing migration.
 *
 * @param host this host's name: the origin of poison that is found here
 * @param streamPaused whether the background stream waits for a control command
 */
public record SourceSettings(String host, boolean streamPaused) {}
