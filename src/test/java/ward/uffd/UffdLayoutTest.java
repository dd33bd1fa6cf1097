package ward.uffd;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import ward.kernel.Ioctl;
import ward.kernel.NativeKernel;
import ward.uffd.EventBatch.Event;

/** Holds the Java copy of {@code <linux/userfaultfd.h>} to what the C compiler says it is. */
class UffdLayoutTest {

  @ParameterizedTest
  @MethodSource("requests")
  void requestNumbersAgreeWithTheCompiler(Ioctl request) {
    assertThat(request.number()).isEqualTo((int) NativeKernel.constant(request.name()));
  }

  static Stream<Ioctl> requests() {
    return Stream.concat(
        Stream.of(
            Descriptor.NEW,
            Handshake.REQUEST,
            Registration.REGISTER,
            Registration.UNREGISTER,
            Registration.WAKE,
            PagemapScan.SCAN),
        Stream.of(FillRequest.values()).map(FillRequest::ioctl));
  }

  @ParameterizedTest
  @MethodSource("numbers")
  void numbersAgreeWithTheCompiler(String name, long value) {
    assertThat(value).isEqualTo(NativeKernel.constant(name));
  }

  static Stream<Arguments> numbers() {
    return Stream.of(
        Arguments.of("UFFD_API", Handshake.API),
        Arguments.of("sizeof uffdio_api", Handshake.SIZE_BYTES),
        Arguments.of("uffdio_api.api", Handshake.API_OFFSET),
        Arguments.of("uffdio_api.features", Handshake.FEATURES),
        Arguments.of("sizeof uffdio_register", Registration.SIZE_BYTES),
        Arguments.of("uffdio_register.range.start", Registration.START),
        Arguments.of("uffdio_register.range.len", Registration.LENGTH),
        Arguments.of("uffdio_register.mode", Registration.MODE),
        Arguments.of("uffdio_register.ioctls", Registration.IOCTLS),
        Arguments.of("sizeof uffdio_range", Registration.RANGE_BYTES),
        Arguments.of("uffdio_range.start", Registration.START),
        Arguments.of("uffdio_range.len", Registration.LENGTH),
        Arguments.of("UFFDIO_REGISTER_MODE_MISSING", Registration.MISSING),
        Arguments.of("UFFDIO_REGISTER_MODE_MINOR", Registration.MINOR),
        Arguments.of("sizeof pm_scan_arg", PagemapScan.SIZE_BYTES),
        Arguments.of("pm_scan_arg.start", PagemapScan.START),
        Arguments.of("pm_scan_arg.end", PagemapScan.END),
        Arguments.of("pm_scan_arg.vec", PagemapScan.VECTOR),
        Arguments.of("pm_scan_arg.vec_len", PagemapScan.VECTOR_LENGTH),
        Arguments.of("pm_scan_arg.category_mask", PagemapScan.CATEGORY_MASK),
        Arguments.of("pm_scan_arg.return_mask", PagemapScan.RETURN_MASK),
        Arguments.of("PAGE_IS_SWAPPED", PagemapScan.SWAPPED),
        Arguments.of("PAGE_IS_PFNZERO", PagemapScan.ZERO),
        Arguments.of("sizeof page_region", PagemapScan.REGION_BYTES),
        Arguments.of("sizeof uffd_msg", EventBatch.MESSAGE_BYTES),
        Arguments.of("uffd_msg.event", EventBatch.TYPE),
        Arguments.of("uffd_msg.arg.pagefault.flags", EventBatch.FAULT_FLAGS),
        Arguments.of("uffd_msg.arg.pagefault.address", EventBatch.FAULT_ADDRESS),
        Arguments.of("uffd_msg.arg.pagefault.feat.ptid", EventBatch.FAULT_THREAD),
        Arguments.of("uffd_msg.arg.remove.start", EventBatch.RANGE_START),
        Arguments.of("uffd_msg.arg.remove.end", EventBatch.RANGE_END),
        Arguments.of("uffd_msg.arg.remap.from", EventBatch.RANGE_START),
        Arguments.of("UFFD_PAGEFAULT_FLAG_WRITE", EventBatch.FLAG_WRITE));
  }

  @ParameterizedTest
  @CsvSource({"COPY, uffdio_copy, copy", "MOVE, uffdio_move, move"})
  void theStructOfAFillFromSomewhereAgreesWithTheCompiler(
      FillRequest request, String struct, String done) {
    assertThat(FillRequest.START).isEqualTo(offset(struct + ".dst"));
    assertThat(FillRequest.SOURCE).isEqualTo(offset(struct + ".src"));
    assertThat(request.lengthOffset()).isEqualTo(offset(struct + ".len"));
    assertThat(request.modeOffset()).isEqualTo(offset(struct + ".mode"));
    assertThat(request.doneOffset()).isEqualTo(offset(struct + "." + done));
    assertThat(request.sizeBytes()).isEqualTo(offset("sizeof " + struct));
    assertThat(FillRequest.MAX_BYTES).isEqualTo(request.sizeBytes());
  }

  @ParameterizedTest
  @MethodSource("fills")
  void theStructOfEveryOtherFillAgreesWithTheCompiler(
      FillRequest request, String struct, String done) {
    assertThat(FillRequest.START).isEqualTo(offset(struct + ".range.start"));
    assertThat(request.lengthOffset()).isEqualTo(offset(struct + ".range.len"));
    assertThat(request.modeOffset()).isEqualTo(offset(struct + ".mode"));
    assertThat(request.doneOffset()).isEqualTo(offset(struct + "." + done));
    assertThat(request.sizeBytes()).isEqualTo(offset("sizeof " + struct));
  }

  static Stream<Arguments> fills() {
    return Stream.of(
        Arguments.of(FillRequest.ZEROPAGE, "uffdio_zeropage", "zeropage"),
        Arguments.of(FillRequest.CONTINUE, "uffdio_continue", "mapped"),
        Arguments.of(FillRequest.POISON, "uffdio_poison", "updated"));
  }

  @ParameterizedTest
  @EnumSource
  void featureBitsAgreeWithTheCompiler(Feature feature) {
    assertThat(feature.bit()).isEqualTo(NativeKernel.constant("UFFD_FEATURE_" + feature));
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "UNKNOWN")
  void eventNumbersAgreeWithTheCompiler(Event event) {
    assertThat(event.number()).isEqualTo(offset("UFFD_EVENT_" + event));
  }

  private static int offset(String name) {
    return (int) NativeKernel.constant(name);
  }
}
