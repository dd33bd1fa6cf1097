package ward;

import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static java.util.stream.Collectors.toCollection;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The map of packages: who may know whom, and who may touch memory. */
class LawsTest {

  private static final JavaClasses WARD =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages("ward")
          .that(not(resideInAnyPackage("ward.testbed..", "ward.testing..")));

  /** A package, and the packages of Ward that it may import. */
  static Stream<Arguments> map() {
    return Stream.of(
        arguments("memory", List.of()),
        arguments("kernel", List.of()),
        arguments("thread", List.of()),
        arguments("poison", List.of("memory")),
        arguments("guest", List.of("memory")),
        arguments("uffd", List.of("kernel", "memory")),
        arguments("wire", List.of("memory", "poison", "wire.proto")),
        arguments("channel", List.of("kernel", "thread", "wire")),
        arguments("vcpu", List.of("kernel", "memory", "poison", "guest", "vcpu.proto")),
        arguments("owner", List.of("kernel", "memory", "guest", "owner.proto")),
        arguments(
            "source", List.of("kernel", "thread", "memory", "poison", "guest", "wire", "channel")),
        arguments(
            "destination",
            List.of("thread", "memory", "poison", "guest", "uffd", "wire", "channel")),
        arguments("metrics", List.of("source", "destination", "memory", "poison")),
        arguments(
            "cli",
            List.of(
                "memory",
                "kernel",
                "poison",
                "guest",
                "uffd",
                "wire",
                "vcpu",
                "owner",
                "source",
                "destination",
                "metrics")));
  }

  @ParameterizedTest(name = "{0} knows only {1}")
  @MethodSource("map")
  void aPackageKnowsOnlyWhatTheMapAllows(String name, List<String> allowed) {
    List<String> known = new ArrayList<>(List.of("ward." + name));
    allowed.forEach(other -> known.add("ward." + other));

    noClasses()
        .that()
        .resideInAPackage("ward." + name)
        .should()
        .dependOnClassesThat(
            resideInAPackage("ward..").and(not(resideInAnyPackage(known.toArray(String[]::new)))))
        .check(WARD);
  }

  @Test
  void everyPackageIsOnTheMap() {
    Set<String> expected =
        map().map(row -> "ward." + row.get()[0]).collect(toCollection(TreeSet::new));
    expected.addAll(List.of("ward.wire.proto", "ward.vcpu.proto", "ward.owner.proto"));

    Set<String> actual =
        WARD.stream().map(JavaClass::getPackageName).collect(toCollection(TreeSet::new));

    assertEquals(expected, actual);
  }

  @Test
  void onlyTheKernelPackageReachesNativeCode() {
    noClasses()
        .that()
        .resideOutsideOfPackage("ward.kernel")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("jnr.ffi..", "com.kenai.jffi..")
        .check(WARD);
    noClasses()
        .that()
        .resideOutsideOfPackage("ward.kernel")
        .should()
        .callMethod(System.class, "load", String.class)
        .orShould()
        .callMethod(System.class, "loadLibrary", String.class)
        .check(WARD);
  }

  /**
   * A Java thread that faults on a missing page cannot reach a safepoint, and the thread that would
   * fetch the page may be waiting for that safepoint.
   */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "sun.misc.Unsafe",
        "jdk.internal.misc.Unsafe",
        "java.nio.MappedByteBuffer",
        "jnr.ffi.Pointer",
        "com.kenai.jffi.MemoryIO"
      })
  void noJavaCodeOutsideTheKernelPackageTouchesRawMemory(String type) {
    noClasses()
        .that()
        .resideOutsideOfPackages(
            "ward.kernel", "ward.wire.proto", "ward.vcpu.proto", "ward.owner.proto")
        .should()
        .dependOnClassesThat()
        .haveFullyQualifiedName(type)
        .check(WARD);
  }

  @ParameterizedTest
  @ValueSource(strings = {"destination", "guest", "source", "metrics", "wire", "channel"})
  void whoeverHandlesGuestPagesHasNoNativeMemory(String name) {
    noClasses()
        .that()
        .resideInAPackage("ward." + name)
        .should()
        .dependOnClassesThat()
        .haveFullyQualifiedName("ward.kernel.NativeMemory")
        .check(WARD);
  }
}
