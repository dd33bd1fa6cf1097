package ward.testbed.lab;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static ward.kernel.NativeKernel.constant;

import java.io.IOException;
import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable;
import ward.kernel.Fd;
import ward.kernel.Ioctl;
import ward.kernel.KernelCallException;
import ward.kernel.Linux;
import ward.kernel.NativeKernel;
import ward.kernel.NativeMemory;

/** In testbed/lab arm64 only: what this kernel's KVM makes of an abort that the lab rewrote. */
@EnabledIfEnvironmentVariable(named = "WARD_LAB", matches = "aarch64")
@Timeout(300)
class SeaForgerKvmTest {

  private static final int KVMIO = 0xAE;
  private static final Ioctl CREATE_VM = Ioctl.plain("KVM_CREATE_VM", KVMIO, 0x01);
  private static final Ioctl CHECK_EXTENSION = Ioctl.plain("KVM_CHECK_EXTENSION", KVMIO, 0x03);
  private static final Ioctl MMAP_SIZE = Ioctl.plain("KVM_GET_VCPU_MMAP_SIZE", KVMIO, 0x04);
  private static final Ioctl CREATE_VCPU = Ioctl.plain("KVM_CREATE_VCPU", KVMIO, 0x41);
  private static final Ioctl SET_REGION =
      Ioctl.write("KVM_SET_USER_MEMORY_REGION", KVMIO, 0x46, 32);
  private static final Ioctl RUN = Ioctl.plain("KVM_RUN", KVMIO, 0x80);
  private static final Ioctl ENABLE_CAP = Ioctl.write("KVM_ENABLE_CAP", KVMIO, 0xa3, 104);
  private static final Ioctl SET_ONE_REG = Ioctl.write("KVM_SET_ONE_REG", KVMIO, 0xac, 16);
  private static final Ioctl VCPU_INIT = Ioctl.write("KVM_ARM_VCPU_INIT", KVMIO, 0xae, 32);
  private static final Ioctl PREFERRED_TARGET =
      Ioctl.read("KVM_ARM_PREFERRED_TARGET", KVMIO, 0xaf, 32);

  /** Linux 6.19. */
  private static final int CAP_ARM_SEA_TO_USER = 245;

  private static final int CAP_ARM_INJECT_SERROR_ESR = 158;

  private static final long REGISTER_X0 = 0x6030_0000_0010_0000L;
  private static final long REGISTER_PC = 0x6030_0000_0010_0040L;

  private static final long RAM = 0x4000_0000L;
  private static final int RAM_BYTES = 1 << 20;
  private static final long TOUCHED = RAM + 0x1_1008;

  /** {@code ldr x1, [x0]}. */
  private static final int LOAD = 0xf940_0001;

  /** Of a data abort from the guest with a 32-bit instruction: class 0x24, IL. */
  private static final long DATA_ABORT = 0x9200_0000L;

  private final NativeKernel kernel = NativeKernel.load();
  private final List<Fd> open = new ArrayList<>();
  private long ram;
  private Fd vcpu;
  private NativeMemory run;

  @BeforeEach
  void makeAGuestThatLoads() throws KernelCallException {
    Fd kvm = opened(kernel.open("/dev/kvm", Linux.O_RDWR));
    assumeTrue(
        kernel.ioctl(kvm, CHECK_EXTENSION, CAP_ARM_SEA_TO_USER) == 1,
        "this kernel has no KVM_CAP_ARM_SEA_TO_USER (Linux 6.19)");
    assumeTrue(
        kernel.ioctl(kvm, CHECK_EXTENSION, CAP_ARM_INJECT_SERROR_ESR) == 1,
        "this processor has no RAS, without which KVM keeps every external abort to itself");
    Fd vm = opened(kernel.adopt(call(kvm, CREATE_VM, 0), "VM"));
    call(vm, ENABLE_CAP, words(104, CAP_ARM_SEA_TO_USER));
    ram = kernel.mapAnonymous(RAM_BYTES);
    call(vm, SET_REGION, words(32, 0, RAM, RAM_BYTES, ram));
    vcpu = opened(kernel.adopt(call(vm, CREATE_VCPU, 0), "vCPU"));
    NativeMemory target = NativeMemory.allocate(32);
    call(vm, PREFERRED_TARGET, target);
    call(vcpu, VCPU_INIT, target);
    int runBytes = call(kvm, MMAP_SIZE, 0);
    run =
        NativeMemory.at(
            kernel.mapShared(vcpu, 0, runBytes, Linux.PROT_READ | Linux.PROT_WRITE), runBytes);
    writeCode();
    setRegister(REGISTER_PC, RAM);
    setRegister(REGISTER_X0, TOUCHED);
  }

  @AfterEach
  void close() {
    open.forEach(Fd::close);
  }

  private Fd opened(Fd fd) {
    open.add(0, fd);
    return fd;
  }

  private int call(Fd fd, Ioctl request, NativeMemory argument) {
    try {
      return call(fd, request, argument.address());
    } finally {
      Reference.reachabilityFence(argument);
    }
  }

  private int call(Fd fd, Ioctl request, long argument) {
    int result = kernel.ioctl(fd, request, argument);
    assertThat(result).as("%s", request).isNotNegative();
    return result;
  }

  private static NativeMemory words(int sizeBytes, long... values) {
    NativeMemory words = NativeMemory.allocate(sizeBytes);
    for (int i = 0; i < values.length; i++) {
      words.putLong(i * Long.BYTES, values[i]);
    }
    return words;
  }

  private void writeCode() {
    NativeMemory code = NativeMemory.allocate(Integer.BYTES);
    code.putInt(0, LOAD);
    assertThat(kernel.copy(ram, code.address(), Integer.BYTES)).isEqualTo(Integer.BYTES);
    Reference.reachabilityFence(code);
  }

  private void setRegister(long register, long value) {
    NativeMemory content = words(Long.BYTES, value);
    call(vcpu, SET_ONE_REG, words(16, register, content.address()));
    Reference.reachabilityFence(content);
  }

  private long exit(String field) {
    return run.getLong((int) constant("kvm_run.arm_sea." + field));
  }

  private void runUntilTheAbort() {
    call(vcpu, RUN, 0);
    assertThat(run.getInt((int) constant("kvm_run.exit_reason")))
        .isEqualTo((int) constant("KVM_EXIT_ARM_SEA"));
  }

  @Test
  void kvmTellsOfTheAbortWithBothAddresses() throws IOException {
    SeaRequest.arm(TOUCHED, SeaRequest.EXTERNAL_ABORT, 0);
    runUntilTheAbort();

    assertThat(exit("esr")).isEqualTo(DATA_ABORT | SeaRequest.EXTERNAL_ABORT);
    assertThat(exit("flags")).isEqualTo(constant("KVM_EXIT_ARM_SEA_FLAG_GPA_VALID"));
    assertThat(exit("gva")).isEqualTo(TOUCHED);
    assertThat(exit("gpa")).isEqualTo(TOUCHED & -0x1000L);
  }

  @Test
  void withNoAddressKnownNoneIsTold() throws IOException {
    new SeaRequest(TOUCHED, SeaRequest.EXTERNAL_ABORT, SeaRequest.FAR_NOT_VALID, false).arm();
    runUntilTheAbort();

    assertThat(exit("esr"))
        .isEqualTo(DATA_ABORT | SeaRequest.EXTERNAL_ABORT | SeaRequest.FAR_NOT_VALID);
    assertThat(exit("flags")).isZero();
    assertThat(exit("gva")).isZero();
    assertThat(exit("gpa")).isZero();
  }

  @Test
  void aTableWalkThatFailedKeepsItsCode() throws IOException {
    SeaRequest.arm(TOUCHED, SeaRequest.EXTERNAL_ABORT_ON_WALK, 0);
    runUntilTheAbort();

    assertThat(exit("esr")).isEqualTo(DATA_ABORT | SeaRequest.EXTERNAL_ABORT_ON_WALK);
  }
}
