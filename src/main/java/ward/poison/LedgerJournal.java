package ward.poison;

import java.io.ByteArrayOutputStream;
import java.io.FileInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.memory.PageSet;
import ward.poison.JournalRecord.GivenUp;
import ward.poison.JournalRecord.Guest;
import ward.poison.JournalRecord.Held;
import ward.poison.JournalRecord.Left;
import ward.poison.JournalRecord.Poison;
import ward.poison.LedgerException.Kind;

/**
 * A guest's ledger on disk: the file {@code journal} in a directory, which is only appended to.
 *
 * <p>What {@link #ledger()} knows is on disk. A loss that someone acted on and a crash then forgot
 * would come back to the guest as zeros or stale bytes.
 *
 * <p>After a failed fsync(2) nothing is taken for written: the kernel may hold the pages for clean
 * although they never reached the disk, and a second fsync that succeeds proves nothing. So the
 * whole journal is written anew, in its place, before the next record; and when it is opened, since
 * whoever had it before may have ended just then.
 *
 * <p>{@link JournalFormat} draws the bytes. Safe for use by several threads.
 */
public final class LedgerJournal implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(LedgerJournal.class);

  private final Path path;
  private final JournalFile file;
  private final AutoCloseable lock;
  private final PoisonLedger ledger;
  private final List<Departure> departures;
  private final List<String> warnings;
  private Optional<String> guest;
  private final int version;
  private final ByteArrayOutputStream content = new ByteArrayOutputStream();
  private long records;
  private State state = State.DOUBTFUL;

  private enum State {
    /** The file holds the content, on disk. */
    USABLE,
    /** What of the content is on disk, and what is behind it in the file, is unknown. */
    DOUBTFUL,
    CLOSED
  }

  private LedgerJournal(Path path, JournalFile file, AutoCloseable lock, JournalReplay replay)
      throws IOException {
    this.path = path;
    this.file = file;
    this.lock = lock;
    this.ledger = replay.ledger();
    this.departures = new ArrayList<>(replay.departures());
    this.guest = replay.guest();
    this.version = replay.version();
    this.records = replay.records();
    this.content.writeBytes(replay.intact());
    this.warnings = warnings(path, replay, "cut off");
    writeAnew();
    warnings.forEach(log::warn);
  }

  /**
   * Opens a guest's ledger for writing, and makes it if there is none. A ledger that has no guest
   * yet becomes this guest's.
   *
   * @param guest its identity, 1 to 128 characters
   * @throws LedgerException OTHER_GUEST naming both; IN_USE; DAMAGED; IO
   */
  public static LedgerJournal open(Path directory, String guest) throws LedgerException {
    requireName(guest);
    LedgerJournal journal = openUnbound(directory);
    try {
      journal.bind(guest);
      return journal;
    } catch (LedgerException e) {
      journal.closeAfter(e);
      throw e;
    }
  }

  /**
   * Opens a ledger for writing, whosever it is, and makes it if there is none.
   *
   * @throws LedgerException IN_USE, DAMAGED, IO
   */
  public static LedgerJournal openUnbound(Path directory) throws LedgerException {
    LedgerDirectory place = LedgerDirectory.create(directory);
    LedgerLock lock = LedgerLock.take(place);
    try {
      return over(place.openJournal(), lock, place.journal());
    } catch (LedgerException e) {
      closeAfter(e, lock);
      throw e;
    }
  }

  /** Reads and mends the file; closes it, but not the lock, if that fails. */
  static LedgerJournal over(JournalFile file, AutoCloseable lock, Path path)
      throws LedgerException {
    try {
      return new LedgerJournal(path, file, lock, JournalReplay.of(path, file.read()));
    } catch (IOException e) {
      closeAfter(e, file);
      throw e instanceof LedgerException known ? known : LedgerException.io("open", path, e);
    }
  }

  /**
   * Reads a ledger and changes nothing, also while another process writes it; a record that is just
   * being written then looks torn.
   *
   * @throws LedgerException DAMAGED; IO, also if there is no ledger
   */
  public static LedgerSnapshot read(Path directory) throws LedgerException {
    Path path = directory.resolve("journal");
    if (!Files.exists(path)) {
      throw new LedgerException(
          Kind.IO, "no ledger in %s: it has no file named journal".formatted(directory));
    }
    JournalReplay replay = JournalReplay.of(path, bytesOf(path));
    return new LedgerSnapshot(
        replay.guest(), replay.ledger(), replay.departures(), warnings(path, replay, "ignored"));
  }

  private static byte[] bytesOf(Path path) throws LedgerException {
    try (FileInputStream file = new FileInputStream(path.toFile())) {
      return file.readNBytes(DiskFile.bounded(Files.size(path)));
    } catch (IOException e) {
      throw LedgerException.io("read", path, e);
    }
  }

  private static List<String> warnings(Path path, JournalReplay replay, String treatment) {
    return replay.tornBytes() == 0
        ? List.of()
        : List.of(
            "%s: %d bytes of a torn record %s at offset %d; everything before is intact"
                .formatted(path, replay.tornBytes(), treatment, replay.intactBytes()));
  }

  private static void requireName(String guest) {
    if (guest.isBlank() || guest.length() > 128) {
      throw new IllegalArgumentException(
          "guest \"%s\"; a name of 1 to 128 characters is needed".formatted(guest));
    }
  }

  private synchronized void bind(String wanted) throws LedgerException {
    if (guest.isEmpty()) {
      write(List.of(new Guest(wanted)));
      guest = Optional.of(wanted);
    } else if (!guest.get().equals(wanted)) {
      throw new LedgerException(
          Kind.OTHER_GUEST,
          "%s is the ledger of guest \"%s\", not of \"%s\"; name the directory of this guest's ledger"
              .formatted(path.getParent(), guest.get(), wanted));
    }
  }

  /**
   * Records losses: on disk when this returns, and not visible in {@link #ledger()} before.
   *
   * @return those that were news, in the order given; only they were written
   * @throws LedgerException IO: none of them was recorded
   */
  public synchronized List<PoisonEntry> append(List<PoisonEntry> entries) throws LedgerException {
    requireOpen();
    List<PoisonEntry> news = ledger.newsAmong(entries);
    write(news.stream().map(Poison::new).toList());
    news.forEach(ledger::record);
    return news;
  }

  /**
   * Records many losses with one fsync(2): on disk when this returns, and not visible in {@link
   * #ledger()} before.
   *
   * @return those that were news; only they were written
   * @throws LedgerException IO: none of them was recorded
   */
  public synchronized PoisonMap append(PoisonMap losses) throws LedgerException {
    requireOpen();
    PoisonMap news = ledger.newsAmong(losses);
    write(JournalFormat.records(news));
    ledger.record(news);
    return news;
  }

  /**
   * Records that the guest's copy of these frames is intact, see {@link PoisonLedger#markHeld}.
   *
   * @param frames guest frame numbers; those that are not lost are ignored
   * @throws LedgerException IO: none of them was recorded
   */
  public synchronized void appendHeld(PageSet frames) throws LedgerException {
    requireOpen();
    PageSet lost = ledger.lostAmong(frames);
    List<Held> held = new ArrayList<>();
    lost.forEachRun(run -> held.add(new Held(run)));
    write(held);
    ledger.markHeld(lost);
  }

  /**
   * Records that the guest gave these frames back and has fresh memory there, see {@link
   * PoisonLedger#giveUp}.
   *
   * @param frames guest frame numbers
   * @throws LedgerException IO: none of them was recorded
   */
  public synchronized void appendGivenUp(PageSet frames) throws LedgerException {
    requireOpen();
    PageSet news = frames.copy();
    news.removeAll(ledger.givenUpFrames());
    List<GivenUp> givenUp = new ArrayList<>();
    news.forEachRun(run -> givenUp.add(new GivenUp(run)));
    write(givenUp);
    ledger.giveUp(news);
  }

  /**
   * Records how the guest came here; what is known already is not written again.
   *
   * @throws LedgerException IO: none of them was recorded
   */
  public synchronized void appendDepartures(List<Departure> path) throws LedgerException {
    requireOpen();
    List<Departure> news = path.stream().filter(hop -> !departures.contains(hop)).toList();
    write(news.stream().map(Left::new).toList());
    departures.addAll(news);
  }

  /** The hosts that the guest was on before it came here, the first one first; a copy. */
  public synchronized List<Departure> departures() {
    return List.copyOf(departures);
  }

  /**
   * What is known of a migration of this guest, beside the ledger.
   *
   * @throws IllegalStateException if no guest is bound to the ledger
   */
  public synchronized MigrationFile migrationFile() {
    String whose =
        guest.orElseThrow(() -> new IllegalStateException(path + " is nobody's ledger yet"));
    return new MigrationFile(new LedgerDirectory(path.getParent()), whose, this::requireOpen);
  }

  private synchronized void requireOpen() {
    if (state == State.CLOSED) {
      throw new IllegalStateException(path + " is closed");
    }
  }

  private void write(List<? extends JournalRecord> news) throws LedgerException {
    if (news.isEmpty()) {
      return;
    }
    byte[] bytes = JournalFormat.encode(version, records, news);
    try {
      if (state == State.DOUBTFUL) {
        writeAnew();
      }
      append(bytes);
    } catch (IOException e) {
      throw LedgerException.io("append to", path, e);
    }
    content.writeBytes(bytes);
    records += news.size();
  }

  private void append(byte[] bytes) throws IOException {
    state = State.DOUBTFUL;
    try {
      file.write(content.size(), bytes);
      file.force();
      state = State.USABLE;
    } catch (IOException e) {
      undo(e);
      throw e;
    }
  }

  /** Nothing was promised: whoever reads the file now need not see it. */
  private void undo(IOException failure) {
    try {
      file.truncate(content.size());
    } catch (IOException e) {
      failure.addSuppressed(e);
    }
  }

  /**
   * The same bytes in the same place: also a power failure in the middle leaves them as they are.
   */
  private void writeAnew() throws IOException {
    file.write(0, content.toByteArray());
    file.truncate(content.size());
    file.force();
    state = State.USABLE;
  }

  /** What is lost. To be read only: what is recorded in it directly is not on disk. */
  public PoisonLedger ledger() {
    return ledger;
  }

  /** Whose ledger it is; empty while no guest has been bound to it. */
  public synchronized Optional<String> guest() {
    return guest;
  }

  /** What was found and mended when the ledger was opened; a line each. */
  public List<String> warnings() {
    return warnings;
  }

  private void closeAfter(Exception failure) {
    closeAfter(failure, this);
  }

  private static void closeAfter(Exception failure, AutoCloseable resource) {
    try {
      resource.close();
    } catch (Exception e) {
      failure.addSuppressed(e);
    }
  }

  /** Lets others open the ledger. Nothing is pending: every append was on disk when it returned. */
  @Override
  public synchronized void close() throws LedgerException {
    if (state == State.CLOSED) {
      return;
    }
    state = State.CLOSED;
    try (lock;
        file) {
      log.debug("{} closed with {}", path, ledger);
    } catch (Exception e) {
      throw LedgerException.io(
          "close", path, e instanceof IOException io ? io : new IOException(e));
    }
  }
}
