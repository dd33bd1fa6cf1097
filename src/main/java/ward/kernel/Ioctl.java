package ward.kernel;

/**
 * An ioctl request: its name in the kernel's headers and its number.
 *
 * <p>The number is assembled from direction, size, type and sequence as {@code asm-generic/ioctl.h}
 * does, so a struct of the wrong size becomes a request that the kernel refuses ({@code ENOTTY})
 * rather than an overrun.
 */
public record Ioctl(String name, int number) {

  private static final int WRITE = 1;
  private static final int READ = 2;

  /** {@code _IO}. */
  public static Ioctl plain(String name, int type, int sequence) {
    return of(name, 0, type, sequence, 0);
  }

  /** {@code _IOW}: the kernel reads the struct. */
  public static Ioctl write(String name, int type, int sequence, int sizeBytes) {
    return of(name, WRITE, type, sequence, sizeBytes);
  }

  /** {@code _IOR}: the kernel writes the struct, by its name at least. */
  public static Ioctl read(String name, int type, int sequence, int sizeBytes) {
    return of(name, READ, type, sequence, sizeBytes);
  }

  /** {@code _IOWR}. */
  public static Ioctl readWrite(String name, int type, int sequence, int sizeBytes) {
    return of(name, READ | WRITE, type, sequence, sizeBytes);
  }

  private static Ioctl of(String name, int direction, int type, int sequence, int sizeBytes) {
    return new Ioctl(name, direction << 30 | sizeBytes << 16 | type << 8 | sequence);
  }

  @Override
  public String toString() {
    return name;
  }
}
