package ward.testbed.lab;

import com.fasterxml.jackson.databind.JsonNode;

/**
 * What a run gave: the JSON of {@code --json}.
 *
 * @param kernel as {@code uname -r} says it, empty if the machine did not come up
 * @param bootSeconds by the machine's clock, until it was ready for the first program
 * @param wallSeconds of the machine from start to end
 * @param tests of the last run of tests inside, null if none
 */
record LabResult(
    String architecture,
    String suite,
    String kernel,
    String cpu,
    double bootSeconds,
    double wallSeconds,
    Machine.End end,
    int exitCode,
    JsonNode tests) {}
