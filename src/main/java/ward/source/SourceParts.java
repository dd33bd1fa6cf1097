package ward.source;

import ward.memory.GuestLayout;

/** What the demand path and the streams of one migration share. */
record SourceParts(
    GuestLayout layout,
    ServedPages served,
    PageReader reader,
    LostPages lost,
    SourceListener listener) {}
