package ward.testbed.linux;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A flattened device tree, Devicetree Specification 0.4, chapter 5, version 17. Big-endian whatever
 * the machine is.
 *
 * <pre>
 *  0  header, 40 bytes
 * 40  reserved ranges of memory: none, so one pair of zeros
 * 56  structure: nodes and properties
 *     strings: the properties' names
 * </pre>
 */
public final class DeviceTree {

  private static final int MAGIC = 0xd00dfeed;
  private static final int VERSION = 17;
  private static final int LAST_COMPATIBLE_VERSION = 16;
  private static final int RESERVATIONS = 40;
  private static final int STRUCTURE = RESERVATIONS + 2 * Long.BYTES;
  private static final int BEGIN_NODE = 1;
  private static final int END_NODE = 2;
  private static final int PROPERTY = 3;
  private static final int END = 9;

  private final Node root = new Node("");

  /** The node without a name that holds all others. */
  public Node root() {
    return root;
  }

  /** The tree in one piece, for memory that is aligned to 8. */
  public byte[] toBytes() {
    Names names = new Names();
    byte[] structure = structure(names);
    byte[] strings = names.toBytes();
    int stringsOffset = STRUCTURE + structure.length;
    ByteBuffer bytes = ByteBuffer.allocate(stringsOffset + strings.length);
    bytes.putInt(MAGIC).putInt(bytes.capacity());
    bytes.putInt(STRUCTURE).putInt(stringsOffset).putInt(RESERVATIONS);
    bytes.putInt(VERSION).putInt(LAST_COMPATIBLE_VERSION).putInt(0);
    bytes.putInt(strings.length).putInt(structure.length);
    bytes.position(STRUCTURE);
    return bytes.put(structure).put(strings).array();
  }

  private byte[] structure(Names names) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (DataOutputStream out = new DataOutputStream(bytes)) {
      root.writeTo(out, names);
      out.writeInt(END);
    } catch (IOException e) {
      throw new UncheckedIOException("memory does not fail", e);
    }
    return bytes.toByteArray();
  }

  private static void writePadded(DataOutputStream out, byte[] content) throws IOException {
    out.write(content);
    while (out.size() % Integer.BYTES != 0) {
      out.write(0);
    }
  }

  private static byte[] terminated(String text) {
    return (text + '\0').getBytes(StandardCharsets.US_ASCII);
  }

  /** A node: properties first, then its children, each in the order in which they were added. */
  public static final class Node {

    private final String name;
    private final Map<String, byte[]> properties = new LinkedHashMap<>();
    private final List<Node> children = new ArrayList<>();

    private Node(String name) {
      this.name = name;
    }

    /**
     * Adds a child.
     *
     * @param childName with its unit address, if it has one: {@code memory@40000000}
     */
    public Node child(String childName) {
      Node child = new Node(childName);
      children.add(child);
      return child;
    }

    /** Sets a property without a value, which is true by being there. */
    public Node flag(String property) {
      return bytes(property, new byte[0]);
    }

    /** Sets a list of texts. */
    public Node text(String property, String... values) {
      ByteArrayOutputStream all = new ByteArrayOutputStream();
      for (String value : values) {
        all.writeBytes(terminated(value));
      }
      return bytes(property, all.toByteArray());
    }

    /** Sets a list of 32-bit cells. */
    public Node cells(String property, int... values) {
      ByteBuffer all = ByteBuffer.allocate(values.length * Integer.BYTES);
      all.asIntBuffer().put(values);
      return bytes(property, all.array());
    }

    /** Sets a list of numbers of two cells each, as addresses and sizes are. */
    public Node pairs(String property, long... values) {
      ByteBuffer all = ByteBuffer.allocate(values.length * Long.BYTES);
      all.asLongBuffer().put(values);
      return bytes(property, all.array());
    }

    /**
     * @throws IllegalArgumentException if the property is set already
     */
    private Node bytes(String property, byte[] value) {
      if (properties.putIfAbsent(property, value) != null) {
        throw new IllegalArgumentException(
            "node \"%s\" has a property %s already".formatted(name, property));
      }
      return this;
    }

    private void writeTo(DataOutputStream out, Names names) throws IOException {
      out.writeInt(BEGIN_NODE);
      writePadded(out, terminated(name));
      for (Map.Entry<String, byte[]> property : properties.entrySet()) {
        out.writeInt(PROPERTY);
        out.writeInt(property.getValue().length);
        out.writeInt(names.offsetOf(property.getKey()));
        writePadded(out, property.getValue());
      }
      for (Node child : children) {
        child.writeTo(out, names);
      }
      out.writeInt(END_NODE);
    }
  }

  /** The properties' names, each once. */
  private static final class Names {

    private final Map<String, Integer> offsets = new LinkedHashMap<>();
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

    int offsetOf(String name) {
      return offsets.computeIfAbsent(
          name,
          added -> {
            int offset = bytes.size();
            bytes.writeBytes(terminated(added));
            return offset;
          });
    }

    byte[] toBytes() {
      return bytes.toByteArray();
    }
  }
}
