package ward.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import ward.kernel.Kernel;
import ward.kernel.NativeKernel;
import ward.kernel.NativeMemory;
import ward.memory.Pages;

class SourceMemoryTest {

  @TempDir Path directory;

  @Test
  void aFileThatIsTooShortIsRefusedWithBothLengths() throws IOException {
    Path file = directory.resolve("short");
    Files.write(file, new byte[4096]);

    IOException refusal =
        assertThrows(
            IOException.class,
            () ->
                SourceMemory.map(
                    NativeKernel.load(), file, SmallGuest.LAYOUT, SourceMemory.Access.READ));

    assertThat(refusal)
        .hasMessageContaining(file.toString())
        .hasMessageContaining("4096 bytes")
        .hasMessageContaining(Long.toString(SmallGuest.LAYOUT.fileBytes()));
  }

  @Test
  void eachRegionIsMappedFromItsOffset() throws IOException {
    try (Bench bench = new Bench(directory)) {
      NativeMemory into = NativeMemory.allocate(2 * Pages.SIZE_BYTES);

      PageReader.Result result = bench.parts.reader().read(100, 2, into.address());

      assertEquals(new PageReader.Result(2, PageReader.Stop.NONE, ""), result);
      assertEquals(100, into.getBytes(0, 1)[0]);
      assertEquals(101, into.getBytes(Pages.SIZE_BYTES, 1)[0]);
    }
  }

  /** Law: what cannot be read is neither zeros nor poison. */
  @Test
  void aFileThatIsCutShortAfterwardsFailsAndIsNotCalledLost() throws IOException {
    try (Bench bench = new Bench(directory);
        RandomAccessFile file = new RandomAccessFile(bench.guest.file.toFile(), "rw")) {
      file.setLength(Pages.bytes(50));
      NativeMemory into = NativeMemory.allocate(64 * Pages.SIZE_BYTES);

      PageReader.Result result = bench.parts.reader().read(40, 20, into.address());

      assertEquals(10, result.readablePages());
      assertEquals(PageReader.Stop.FAILED, result.stop());
      assertThat(result.reason()).contains(Errno.EFAULT.name());
    }
  }

  /** The second would take away whatever has been mapped at these addresses since. */
  @Test
  void closingTwiceUnmapsOnce() throws IOException {
    try (Bench bench = new Bench(directory)) {
      List<Long> unmapped = new ArrayList<>();
      Kernel counting =
          (Kernel)
              Proxy.newProxyInstance(
                  Kernel.class.getClassLoader(),
                  new Class<?>[] {Kernel.class},
                  (proxy, method, arguments) -> {
                    if (method.getName().equals("unmap")) {
                      unmapped.add((Long) arguments[0]);
                    }
                    return method.invoke(NativeKernel.load(), arguments);
                  });
      SourceMemory memory =
          SourceMemory.map(counting, bench.guest.file, SmallGuest.LAYOUT, SourceMemory.Access.READ);

      memory.close();
      memory.close();

      assertEquals(SmallGuest.LAYOUT.regions().size(), unmapped.size());
    }
  }
}
