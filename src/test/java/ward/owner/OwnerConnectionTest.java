package ward.owner;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import ward.guest.Guest;
import ward.guest.GuestExit;
import ward.guest.UnfitGuestException;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.owner.proto.Exited;
import ward.owner.proto.FromDaemon;
import ward.owner.proto.FromOwner;
import ward.owner.proto.Memory;
import ward.owner.proto.Range;
import ward.owner.proto.Refusal;
import ward.owner.proto.Region;

/** The daemon's end against an owner in the test's hands, over a real socket. */
@Timeout(60)
class OwnerConnectionTest {

  private static final GuestLayout LAYOUT =
      new GuestLayout(
          "vm-1",
          List.of(new GuestRegion(0, 0x4000, 0), new GuestRegion(0x10_0000, 0x2000, 0x8000)));

  @TempDir Path directory;

  private Path socket() {
    return directory.resolve("owner.sock");
  }

  private static Memory.Builder memory() {
    return Memory.newBuilder()
        .setVersion(1)
        .setGuest("vm-1")
        .setFeatures(0x4008)
        .addRegions(region(0x10_0000, 0x2000, 0x7f00_0001_0000L))
        .addRegions(region(0, 0x4000, 0x7f00_0000_0000L));
  }

  private static Region region(long address, long length, long host) {
    return Region.newBuilder()
        .setGuestPhysicalAddress(address)
        .setLengthBytes(length)
        .setHostAddress(host)
        .build();
  }

  private static Range range(long address, long length) {
    return Range.newBuilder().setGuestPhysicalAddress(address).setLengthBytes(length).build();
  }

  private static FromOwner word(Memory.Builder memory) {
    return FromOwner.newBuilder().setMemory(memory).build();
  }

  private static FromOwner refusal(String reason) {
    return FromOwner.newBuilder().setRefusal(Refusal.newBuilder().setReason(reason)).build();
  }

  private OwnerConnection attach() throws OwnerException {
    return OwnerConnection.attach(socket(), "host-b");
  }

  private String refusalOf(FromOwner first, boolean withDescriptor) throws IOException {
    try (FakeOwner owner = new FakeOwner(socket(), first, withDescriptor)) {
      return assertThrows(OwnerException.class, this::attach).getMessage();
    }
  }

  @Test
  void takesWhatTheOwnerHandsOver() throws IOException {
    Memory.Builder told = memory().addGivenBack(range(0x10_1000, 0x1000)).setHasRun(true);

    try (FakeOwner owner = new FakeOwner(socket(), word(told), true);
        OwnerConnection connection = attach()) {
      OwnedMemory memory = connection.memory();

      assertEquals(ProcessHandle.current().pid(), memory.process());
      assertEquals(0x7f00_0001_0000L, memory.memory().hostAddressOf(4));
      assertEquals(0x4008, memory.features());
      assertThat(memory.hasRun()).isTrue();
      PageSet givenBack = new PageSet();
      givenBack.add(new PageRun(5, 1));
      assertEquals(givenBack, memory.givenBack());
      assertThat(connection.userfaultfd().number()).isNotNegative();
      assertEquals("host-b", owner.heard().get(0).getAttach().getHost());
      connection.userfaultfd().close();
    }
  }

  @Test
  void anOwnerThatCannotBeUsedIsRefusedByWhatIsWrong() throws IOException {
    assertThat(refusalOf(refusal("another daemon is attached"), false))
        .contains(socket().toString(), "it refused Attach: another daemon is attached");
    java.nio.file.Files.delete(socket());
    assertThat(refusalOf(word(memory()), false)).contains("sent no userfaultfd");
    java.nio.file.Files.delete(socket());
    assertThat(refusalOf(word(memory().setVersion(2)), true))
        .contains("speaks version 2", "version 1 is spoken here");
    java.nio.file.Files.delete(socket());
    assertThat(refusalOf(word(memory().addGivenBack(range(0x4000, 0x1000))), true))
        .contains("4096 bytes given back at guest-physical address 0x4000");
    java.nio.file.Files.delete(socket());
    assertThat(refusalOf(word(memory().addRegions(region(0x20_0000, 0x1000, 1))), true))
        .contains("host-virtual address 0x1; a positive multiple of 4096");
  }

  @Test
  void withoutAnOwnerItSaysWhereItLooked() {
    var e = assertThrows(OwnerException.class, this::attach);

    assertThat(e).hasMessageContaining(socket().toString()).hasMessageContaining("ENOENT");
  }

  @Test
  void aGuestOfTheSameShapeIsTakenAndRunAndStopped() throws IOException {
    try (FakeOwner owner = new FakeOwner(socket(), word(memory()), true);
        OwnerConnection connection = attach()) {

      Guest guest = new OwnedGuestFactory(connection).create(LAYOUT, new byte[] {7});
      guest.resume();
      guest.pause();

      List<FromDaemon> heard = owner.heard();
      assertEquals(7, heard.get(1).getArrive().getVcpuStates().byteAt(0));
      assertThat(heard.get(2).hasResume()).isTrue();
      assertThat(heard.get(3).hasPause()).isTrue();
      assertThat(guest.memory().layout().pageCount()).isEqualTo(6);
      connection.userfaultfd().close();
    }
  }

  @Test
  void aGuestOfAnotherShapeIsRefusedAndTheOwnerIsTold() throws IOException {
    GuestLayout other = new GuestLayout("vm-1", List.of(new GuestRegion(0, 0x4000, 0)));

    try (FakeOwner owner = new FakeOwner(socket(), word(memory()), true);
        OwnerConnection connection = attach()) {
      OwnedGuestFactory guests = new OwnedGuestFactory(connection);

      var shape = assertThrows(UnfitGuestException.class, () -> guests.create(other, new byte[0]));
      var name =
          assertThrows(
              UnfitGuestException.class,
              () -> guests.create(new GuestLayout("vm-2", LAYOUT.regions()), new byte[0]));

      assertThat(shape)
          .hasMessageContaining("RAM at [0x0..0x4000] at the source")
          .hasMessageContaining("[0x0..0x4000, 0x100000..0x102000] in the memory owner");
      assertThat(name).hasMessageContaining("offers guest vm-2").hasMessageContaining("guest vm-1");
      connection.farewell(false, "the end");
      connection.userfaultfd().close();
    }
  }

  @Test
  void anOwnerThatRefusesToRunTheGuestIsHeard() throws IOException {
    try (FakeOwner owner = new FakeOwner(socket(), word(memory()), true);
        OwnerConnection connection = attach()) {
      owner.answer(refusal("no vCPU left"));
      Guest guest = new OwnedGuestFactory(connection).present();

      var e = assertThrows(UncheckedIOException.class, guest::resume);

      assertThat(e).hasMessageContaining("it refused Resume: no vCPU left");
      connection.userfaultfd().close();
    }
  }

  @Test
  void theEndOfTheGuestIsHeard() throws Exception {
    try (FakeOwner owner = new FakeOwner(socket(), word(memory()), true);
        OwnerConnection connection = attach()) {
      owner.say(
          FromOwner.newBuilder()
              .setExited(
                  Exited.newBuilder().setKind(Exited.Kind.SHUT_DOWN).setReason("a triple fault"))
              .build());

      GuestExit exit = connection.exited().toCompletableFuture().get(30, TimeUnit.SECONDS);

      assertEquals(new GuestExit(GuestExit.Kind.SHUTDOWN, "a triple fault"), exit);
      assertThat(connection.gone().toCompletableFuture()).isNotDone();
      connection.userfaultfd().close();
    }
  }

  @Test
  void anOwnerThatLeavesTakesTheGuestWithIt() throws Exception {
    try (FakeOwner owner = new FakeOwner(socket(), word(memory()), true);
        OwnerConnection connection = attach()) {
      owner.leave();

      String text = connection.gone().toCompletableFuture().get(30, TimeUnit.SECONDS);
      GuestExit exit = connection.exited().toCompletableFuture().get(30, TimeUnit.SECONDS);

      assertThat(text).contains("process %d, is gone".formatted(ProcessHandle.current().pid()));
      assertEquals(new GuestExit(GuestExit.Kind.FAILED, text), exit);
      Guest guest = new OwnedGuestFactory(connection).present();
      assertThat(assertThrows(UncheckedIOException.class, guest::pause))
          .hasMessageContaining("is gone");
      connection.userfaultfd().close();
    }
  }

  @Test
  void leavingIsNoLossOfTheOwner() throws IOException {
    try (FakeOwner owner = new FakeOwner(socket(), word(memory()), true)) {
      OwnerConnection connection = attach();

      connection.close();

      assertThat(connection.gone().toCompletableFuture()).isNotDone();
      assertThat(connection.exited().toCompletableFuture()).isNotDone();
      connection.userfaultfd().close();
    }
  }
}
