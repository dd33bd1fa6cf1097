package ward.cli;

import com.fasterxml.jackson.annotation.JsonSetter;
import com.fasterxml.jackson.annotation.Nulls;
import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationContext;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonDeserializer;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.annotation.JsonDeserialize;
import com.fasterxml.jackson.databind.exc.UnrecognizedPropertyException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;

/**
 * A guest's layout as a JSON file.
 *
 * <pre>{@code
 * {"guest": "web-7",
 *  "regions": [{"guestPhysicalAddress": "0x0", "lengthBytes": "0x10000000", "fileOffset": "0x0"}]}
 * }</pre>
 *
 * <p>Numbers may be strings, hexadecimal after {@code 0x} or decimal, or JSON numbers. Fields that
 * are not known are refused: a misspelt one would otherwise be a guess.
 */
public final class LayoutFile {

  /** Room for some ten thousand regions. */
  private static final long MAX_BYTES = 1 << 20;

  private static final ObjectReader READER =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .enable(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES)
          .enable(DeserializationFeature.FAIL_ON_NULL_CREATOR_PROPERTIES)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build()
          .readerFor(Document.class);

  private LayoutFile() {}

  record Document(String guest, @JsonSetter(contentNulls = Nulls.FAIL) List<Region> regions) {}

  record Region(
      @JsonDeserialize(using = Number.class) long guestPhysicalAddress,
      @JsonDeserialize(using = Number.class) long lengthBytes,
      @JsonDeserialize(using = Number.class) long fileOffset) {

    GuestRegion inMemory() {
      return new GuestRegion(guestPhysicalAddress, lengthBytes, fileOffset);
    }
  }

  record WrittenDocument(String guest, List<WrittenRegion> regions) {}

  record WrittenRegion(String guestPhysicalAddress, String lengthBytes, String fileOffset) {

    static WrittenRegion of(GuestRegion region) {
      return new WrittenRegion(
          hex(region.guestPhysicalAddress()), hex(region.lengthBytes()), hex(region.fileOffset()));
    }

    private static String hex(long value) {
      return "0x" + Long.toHexString(value);
    }
  }

  private static final class Number extends JsonDeserializer<Long> {
    @Override
    public Long deserialize(JsonParser parser, DeserializationContext context) throws IOException {
      JsonToken token = parser.currentToken();
      String text = parser.getText();
      if (token == JsonToken.VALUE_STRING || token == JsonToken.VALUE_NUMBER_INT) {
        try {
          return NumberText.parse(text);
        } catch (NumberFormatException e) {
          // told below, with what is allowed
        }
      }
      throw JsonMappingException.from(
          parser,
          "%s is not a number from 0 to 2^63 - 1; write \"0x1000\", \"4096\" or 4096"
              .formatted(token == JsonToken.VALUE_STRING ? '"' + text + '"' : text));
    }

    @Override
    public Long getNullValue(DeserializationContext context) throws JsonMappingException {
      throw JsonMappingException.from(
          context.getParser(), "null is not a number; write \"0x1000\", \"4096\" or 4096");
    }
  }

  /**
   * @throws CommandFailure INPUT_REFUSED naming the file, the place in it and what is wrong there
   */
  public static GuestLayout read(Path path) {
    try {
      Document document = READER.readValue(bytesOf(path));
      if (document == null) {
        throw refused(path, "null; an object with guest and regions is needed");
      }
      return new GuestLayout(
          document.guest(), document.regions().stream().map(Region::inMemory).toList());
    } catch (JsonProcessingException e) {
      throw refused(path, describe(e));
    } catch (IOException e) {
      throw refused(path, e.getClass().getSimpleName() + ": " + e.getMessage());
    } catch (IllegalArgumentException e) {
      throw refused(path, e.getMessage());
    }
  }

  private static byte[] bytesOf(Path path) throws IOException {
    if (Files.size(path) > MAX_BYTES) {
      throw refused(
          path, "%d bytes; a layout has at most %d".formatted(Files.size(path), MAX_BYTES));
    }
    return Files.readAllBytes(path);
  }

  private static CommandFailure refused(Path path, String reason) {
    return new CommandFailure(ExitCode.INPUT_REFUSED, "layout %s: %s".formatted(path, reason));
  }

  private static String describe(JsonProcessingException e) {
    JsonLocation at = e.getLocation();
    String place =
        at == null ? "" : "line %d, column %d: ".formatted(at.getLineNr(), at.getColumnNr());
    return place + field(e) + reason(e).lines().findFirst().orElse("not JSON");
  }

  private static String field(JsonProcessingException e) {
    if (!(e instanceof JsonMappingException mapping) || mapping.getPath().isEmpty()) {
      return "";
    }
    return mapping.getPath().stream()
            .map(
                step ->
                    step.getFieldName() == null ? "[" + step.getIndex() + "]" : step.getFieldName())
            .collect(Collectors.joining("."))
            .replace(".[", "[")
        + ": ";
  }

  // Jackson's own words for these two speak of Java to someone who wrote a JSON file.
  private static String reason(JsonProcessingException e) {
    if (e instanceof UnrecognizedPropertyException unknown) {
      return "no such field; known are " + unknown.getKnownPropertyIds();
    }
    String message = e.getOriginalMessage();
    return message.startsWith("Missing creator property") ? "the field is missing" : message;
  }

  /**
   * Writes a file that {@link #read} reads.
   *
   * @throws CommandFailure HOST_REFUSED if the file cannot be written
   */
  public static void write(Path path, GuestLayout layout) {
    List<WrittenRegion> regions = layout.regions().stream().map(WrittenRegion::of).toList();
    try {
      Files.writeString(path, Json.pretty(new WrittenDocument(layout.guest(), regions)) + "\n");
    } catch (IOException e) {
      throw new CommandFailure(
          ExitCode.HOST_REFUSED,
          "cannot write layout %s: %s: %s"
              .formatted(path, e.getClass().getSimpleName(), e.getMessage()));
    }
  }
}
