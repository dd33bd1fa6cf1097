package ward.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;

/** Results as JSON: records, with their components' names. */
final class Json {

  private static final ObjectMapper MAPPER = new ObjectMapper();

  private Json() {}

  /** On several lines, for people and machines. */
  static String pretty(Object value) {
    return write(value, true);
  }

  /** On one line. */
  static String line(Object value) {
    return write(value, false);
  }

  private static String write(Object value, boolean indent) {
    try {
      return MAPPER.writer().with(SerializationFeature.FLUSH_AFTER_WRITE_VALUE)
          .with(indent ? new com.fasterxml.jackson.core.util.DefaultPrettyPrinter() : null)
          .writeValueAsString(value);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a record that Jackson cannot write: " + value, e);
    }
  }
}
