package ward.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectWriter;

/** Results as JSON: records, with their components' names. */
final class Json {

  private static final ObjectMapper MAPPER = new ObjectMapper();

  private Json() {}

  /** On several lines, for people and machines. */
  static String pretty(Object value) {
    return write(value, MAPPER.writerWithDefaultPrettyPrinter());
  }

  /** On one line. */
  static String line(Object value) {
    return write(value, MAPPER.writer());
  }

  private static String write(Object value, ObjectWriter writer) {
    try {
      return writer.writeValueAsString(value);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a record that Jackson cannot write: " + value, e);
    }
  }
}
