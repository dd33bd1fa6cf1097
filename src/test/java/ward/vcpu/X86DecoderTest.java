package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HexFormat;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import ward.vcpu.KvmSregs.Register;
import ward.vcpu.X86Instruction.Kind;

/**
 * Register N holds {@code (N + 1) * 0x10000}: RAX 0x10000, RCX 0x20000, RDX 0x30000, RBX 0x40000,
 * RSP 0x50000, RBP 0x60000, RSI 0x70000, RDI 0x80000, R8 0x90000 and so on. RIP is 0x400000, FS
 * begins at 0x7000000.
 *
 * <p>The encodings are GNU as's.
 */
class X86DecoderTest {

  private static final long RIP = 0x400000;
  private static final long FS = 0x7000000;

  private final X86Fixture guest = new X86Fixture();

  X86DecoderTest() {
    for (int number = 0; number < 16; number++) {
      guest.general.general(number, (number + 1) * 0x10000L);
    }
    guest.general.rip(RIP);
    guest.special.segment(Register.FS, new KvmSegment(FS, -1, 0, 3, 3));
  }

  private X86Instruction decode(String hex) {
    return X86Decoder.decode(HexFormat.of().parseHex(hex), guest.general, guest.special);
  }

  private static String text(X86Instruction instruction) {
    return instruction.operands().stream()
        .map(it -> "%x+%d".formatted(it.linearAddress(), it.sizeBytes()))
        .collect(Collectors.joining(" "));
  }

  @ParameterizedTest(name = "{1}")
  @CsvSource({
    // mov r13, [rbp]
    "4c8b6d00, 'mov r13, [rbp]', 60000+8",
    "8b1e, 'mov ebx, [rsi]', 70000+4",
    "8a4701, 'mov al, [rdi + 1]', 80001+1",
    "6689480c, 'mov [rax + 12], cx', 1000c+2",
    "488b8488f0ffffff, 'mov rax, [rax + rcx * 4 - 16]', 8fff0+8",
    "4f8b4c2510, 'mov r9, [r13 + r12 + 16]', 1b0010+8",
    "488b0c2500100000, 'mov rcx, [0x1000]', 1000+8",
    "488b0512345600, 'mov rax, [rip + 0x563412]', 963419+8",
    "c7054433221101000000, 'mov dword ptr [rip + 0x11223344], 1', 1162334e+4",
    "64488b042528000000, 'mov rax, fs:[0x28]', 7000028+8",
    "678b00, 'mov eax, [eax]', 10000+4",
    "48a10011000000000000, 'movabs rax, [0x1100]', 1100+8",
    "488d4500, 'lea rax, [rbp]', ''",
    "0fb64301, 'movzx eax, byte ptr [rbx + 1]', 40001+1",
    "0fb703, 'movzx eax, word ptr [rbx]', 40000+2",
    "486303, 'movsxd rax, dword ptr [rbx]', 40000+4",
    "f00fb10b, 'lock cmpxchg [rbx], ecx', 40000+4",
    "f0480fc70b, 'lock cmpxchg16b [rbx]', 40000+16",
    "8703, 'xchg [rbx], eax', 40000+4",
    "f60301, 'test byte ptr [rbx], 1', 40000+1",
    "f70301000000, 'test dword ptr [rbx], 1', 40000+4",
    "f71b, 'neg dword ptr [rbx]', 40000+4",
    "50, 'push rax', 4fff8+8",
    "58, 'pop rax', 50000+8",
    "ff33, 'push qword ptr [rbx]', '4fff8+8 40000+8'",
    "e800000000, 'call', 4fff8+8",
    "ff13, 'call [rbx]', '4fff8+8 40000+8'",
    "ff23, 'jmp [rbx]', 40000+8",
    "c3, 'ret', 50000+8",
    "c9, 'leave', 60000+8",
    "48cf, 'iretq', 50000+40",
    "a4, 'movsb', '70000+1 80000+1'",
    "f348a5, 'rep movsq', '70000+8 80000+8'",
    "f3aa, 'rep stosb', 80000+1",
    "48ad, 'lodsq', 70000+8",
    "a6, 'cmpsb', '70000+1 80000+1'",
    "64a4, 'movsb fs', '7070000+1 80000+1'",
    "d7, 'xlat', 40000+1",
    "0fab0b, 'bts [rbx], ecx', 44000+4",
    "0fba2b21, 'bts dword ptr [rbx], 33', 40000+4",
    "0f1003, 'movups xmm0, [rbx]', 40000+16",
    "f30f1003, 'movss xmm0, [rbx]', 40000+4",
    "f20f5803, 'addsd xmm0, [rbx]', 40000+8",
    "f30f6f03, 'movdqu xmm0, [rbx]', 40000+16",
    "660f3a0f0308, 'palignr xmm0, [rbx], 8', 40000+16",
    "c5fe6f03, 'vmovdqu ymm0, [rbx]', 40000+32",
    "c4c17e6f442410, 'vmovdqu ymm0, [r12 + 16]', d0010+32",
    "62f17c481003, 'vmovups zmm0, [rbx]', 40000+64",
    "62f1fe486f4301, 'vmovdqu64 zmm0, [rbx + 64]', 40040+64",
    "62e17f286f4402ff, 'vmovdqu8 ymm16, [rdx + rax - 32]', 3ffe0+32",
    "62b3fd0825440a0203, 'vpternlogq xmm0, xmm0, [rdx + r9 + 32], 3', d0020+16",
    "c4e2f8f203, 'andn rax, rax, [rbx]', 40000+8",
    "c5f877, 'vzeroupper', ''",
    "0fae03, 'fxsave [rbx]', 40000+512",
    "0fae1b, 'stmxcsr [rbx]', 40000+4",
    "0f010b, 'sidt [rbx]', 40000+10",
    "0f013b, 'invlpg [rbx]', ''",
    "0f1f440000, 'nop [rax + rax]', ''",
    "0f1803, 'prefetchnta [rbx]', ''",
    "dd03, 'fld qword ptr [rbx]', 40000+8",
    "dbe3, 'fninit', ''",
    "0f22d8, 'mov cr3, rax', ''",
    "0fa2, 'cpuid', ''",
    "ee, 'out dx, al', ''"
  })
  void findsWhatAnInstructionTouches(String hex, String name, String operands) {
    X86Instruction instruction = decode(hex);

    assertThat(instruction.kind()).isEqualTo(Kind.DECODED);
    assertThat(instruction.lengthBytes()).isEqualTo(hex.length() / 2);
    assertThat(text(instruction)).isEqualTo(operands);
  }

  @Test
  void aRepeatedInstructionThatIsDoneTouchesNothing() {
    guest.general.general(1, 0);

    assertThat(text(decode("f3a4"))).isEmpty();
    assertThat(text(decode("a4"))).isEqualTo("70000+1 80000+1");
  }

  @Test
  void aBitBeforeTheOperandIsFound() {
    guest.general.general(1, -1);

    assertThat(text(decode("480fa30b"))).isEqualTo("3fff8+8");
  }

  @ParameterizedTest(name = "{1}")
  @CsvSource({
    "0f00d8, 'ltr ax'",
    "8ed8, 'mov ds, eax'",
    "48cf, iretq",
    "cb, retf",
    "0fa9, 'pop gs'"
  })
  void aSegmentThatIsLoadedComesOutOfTheDescriptorTable(String hex, String name) {
    assertThat(decode(hex).readsDescriptors()).isTrue();
  }

  @ParameterizedTest(name = "{0}")
  @ValueSource(
      strings = {
        "62f17e485803", // vaddss under EVEX
        "62f1fd58ef4301", // vpxorq zmm0, zmm0, [rbx + 8]{1to8}: the unit is the element
        "c4e27d9204", // vgatherdps: addresses in a vector register
        "660ff7c1", // maskmovdqu
        "cd80", // int 0x80
        "c8100000", // enter
        "8f0424", // pop [rsp]
        "0f38f8", // movdir64b
        "06" // push es, not in 64-bit code
      })
  void whatCannotBeToldIsNotGuessed(String hex) {
    String padded = hex + "00".repeat(X86Instruction.BYTES_MAX - hex.length() / 2);

    assertThat(decode(padded).kind()).isEqualTo(Kind.UNKNOWN);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "48", "488b", "488b05", "488b05123456", "c5", "c4c1", "0f", "0f3a"})
  void anInstructionThatIsCutOffSaysSo(String hex) {
    assertThat(decode(hex)).isEqualTo(X86Instruction.CUT_OFF);
  }

  @Test
  void prefixesWithoutEndAreNoInstruction() {
    assertThat(decode("66".repeat(X86Instruction.BYTES_MAX))).isEqualTo(X86Instruction.UNKNOWN);
  }

  @ParameterizedTest(name = "{1}")
  @CsvSource({
    "8b0500100000, 'mov eax, [0x1000]', 1000+4",
    "40, 'inc eax', ''",
    "55, 'push ebp', 4fffc+4",
    "8b442404, 'mov eax, [esp + 4]', 50004+4",
    "c5fb1003, 'vmovsd xmm0, [ebx]', 40000+8"
  })
  void in32BitCodeTheSameBytesMayMeanSomethingElse(String hex, String name, String operands) {
    guest.in32BitCode();

    X86Instruction instruction = decode(hex);

    assertThat(instruction.lengthBytes()).isEqualTo(hex.length() / 2);
    assertThat(text(instruction)).isEqualTo(operands);
  }

  @Test
  void in32BitCodeEverySegmentHasABaseAndAddressesWrap() {
    guest.in32BitCode();
    guest.special.segment(Register.DS, new KvmSegment(0xffff_ffffL, -1, 0, 3, 3));

    assertThat(text(decode("8b03"))).isEqualTo("3ffff+4");
  }

  @Test
  void sixteenBitCodeIsNotKnown() {
    guest.special.segment(Register.CS, new KvmSegment(0, -1, 0, 11, 0));

    assertThat(decode("8b03").kind()).isEqualTo(Kind.UNKNOWN);
  }
}
