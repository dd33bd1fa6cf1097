package ward.vcpu;

/** What a guest was given so that it knows of a loss; in words, what its handler will read. */
public sealed interface Injection
    permits ExternalAbort, FailedRequest, MachineCheck, PolledRecord {}
