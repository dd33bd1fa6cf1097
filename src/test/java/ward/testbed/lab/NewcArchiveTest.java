package ward.testbed.lab;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NewcArchiveTest {

  private static final int HEADER_BYTES = 110;

  private final ByteArrayOutputStream output = new ByteArrayOutputStream();

  /** What a reader of the format finds. */
  private record Entry(String name, int mode, String content) {}

  private List<Entry> entries() {
    byte[] archive = output.toByteArray();
    List<Entry> entries = new ArrayList<>();
    int at = 0;
    while (at < archive.length) {
      String header = text(archive, at, HEADER_BYTES);
      assertThat(header).startsWith("070701");
      int contentBytes = field(header, 6);
      int nameBytes = field(header, 11);
      String name = text(archive, at + HEADER_BYTES, nameBytes - 1);
      int content = aligned(at + HEADER_BYTES + nameBytes);
      entries.add(new Entry(name, field(header, 1), text(archive, content, contentBytes)));
      at = aligned(content + contentBytes);
    }
    return entries;
  }

  /** The fields after the magic have eight digits each. */
  private static int field(String header, int index) {
    return Integer.parseInt(header.substring(6 + 8 * index, 14 + 8 * index), 16);
  }

  private static String text(byte[] bytes, int start, int length) {
    return new String(bytes, start, length, StandardCharsets.UTF_8);
  }

  private static int aligned(int offset) {
    return offset + 3 & ~3;
  }

  @Test
  void everyKindOfFileIsThereWithItsModeAndTheTrailerLast() throws IOException {
    try (NewcArchive archive = new NewcArchive(output)) {
      archive.directory("ward");
      archive.program("init", "#!".getBytes(StandardCharsets.UTF_8));
      archive.file("ward/run", "abcde".getBytes(StandardCharsets.UTF_8));
      archive.link("lib64", "usr/lib");
    }

    assertThat(entries())
        .containsExactly(
            new Entry("ward", 0040755, ""),
            new Entry("init", 0100755, "#!"),
            new Entry("ward/run", 0100644, "abcde"),
            new Entry("lib64", 0120777, "usr/lib"),
            new Entry("TRAILER!!!", 0, ""));
  }

  @Test
  void copiesFilesAsTheyAreOnDisk(@TempDir Path directory) throws IOException {
    Path script = Files.writeString(directory.resolve("script"), "x");
    boolean executable = script.toFile().setExecutable(true);
    Path link = Files.createSymbolicLink(directory.resolve("link"), Path.of("/etc/target"));

    try (NewcArchive archive = new NewcArchive(output)) {
      archive.copy("bin/script", script);
      archive.copy("bin/link", link);
    }

    assertThat(executable).isTrue();
    assertThat(entries())
        .startsWith(
            new Entry("bin/script", 0100755, "x"), new Entry("bin/link", 0120777, "/etc/target"));
  }

  @Test
  void anArchiveEndsAlignedSoThatAnotherMayFollow() throws IOException {
    try (NewcArchive archive = new NewcArchive(output)) {
      archive.file("a", new byte[] {1});
    }

    assertThat(output.size() % 4).isZero();
  }
}
