package ward.testbed.lab;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.List;

/**
 * The part of the initramfs that is the same in every run: a shell, a C library and a Java runtime.
 */
final class Userland {

  /** Has JDK 17, the oldest that Ward runs on. */
  private static final String SUITE = "bookworm";

  private static final List<String> PACKAGES =
      List.of(
          "busybox-static",
          "libc6",
          "libgcc-s1",
          "libstdc++6",
          "openjdk-17-jre-headless",
          "zlib1g");

  /** Nothing reads these in the lab; without them the machine needs a fifth less memory. */
  private static final List<String> UNUSED =
      List.of(
          "usr/share/",
          "usr/lib/debug/",
          "/gconv/",
          "/legal/",
          "/man/",
          "/lib/ct.sym",
          "/lib/libawt",
          "/lib/libmlib_image.so",
          "/lib/libfontmanager",
          "/lib/libjavajpeg",
          "/lib/liblcms",
          "libmvec.so");

  private Userland() {}

  /** The archive, made anew only if the packages changed. */
  static Path archive(PackageCache cache, DebianMirror mirror, Architecture architecture)
      throws IOException {
    String label = "userland-" + architecture.debianName();
    Path tree =
        cache.unpacked(
            PackageSet.exactly(mirror, label, architecture.debianName(), SUITE, PACKAGES));
    Path archive = cache.file(tree.getFileName() + ".cpio");
    if (!Files.exists(archive)) {
      Path unfinished = cache.file(label + ".unfinished");
      write(tree, unfinished);
      Files.move(unfinished, archive, StandardCopyOption.ATOMIC_MOVE);
    }
    Files.setLastModifiedTime(archive, FileTime.from(Instant.now()));
    return archive;
  }

  private static void write(Path tree, Path archive) throws IOException {
    try (NewcArchive newc =
        new NewcArchive(new BufferedOutputStream(Files.newOutputStream(archive)))) {
      for (Path entry : DirectoryTree.entries(tree)) {
        String name = tree.relativize(entry).toString();
        if (isUsed(name)) {
          newc.copy(name, entry);
        }
      }
    }
  }

  static boolean isUsed(String name) {
    return UNUSED.stream().noneMatch((name + "/")::contains);
  }
}
