package ward.testbed.lab;

import com.fasterxml.jackson.databind.JsonNode;

/**
 * What a run gave: the JSON of {@code --json}.
 *
 * @param kernel as {@code uname -r} says it, empty if the machine did not come up
 * @param bootSeconds by the machine's clock, until it was ready for the first program
 * @param wallSeconds of the machine from start to end
 * @param tests what became of the tests inside, null if none ran
 * @param run what the program inside left in the file that its environment's {@code WARD_RESULT}
 *     names; null if nothing
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
    JsonNode tests,
    JsonNode run) {}
