package ward.testbed;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * The bare pair in C ({@code testbed/bench.d}), in one of its two ways to wait. It poisons what is
 * lost before anything runs, as Ward does, but nothing tells it so: it reads the ranges from a
 * file.
 */
record YardstickSide(String waiting) implements BenchSide {

  @Override
  public String name() {
    return waiting;
  }

  @Override
  public boolean takesPart(BenchCase.Kind kind) {
    return switch (kind) {
      case DEMAND -> true;
      case STREAM, POISON_MAP, COLLAPSE -> waiting.equals("sleeping");
      case PAGE_TABLE -> false;
    };
  }

  @Override
  public BenchRound run(BenchGround ground) throws IOException {
    Deadline deadline = ground.deadline();
    ground.layOutPlan();
    try (YardstickProcess source = start(ground, "serve", ground.memory().toString(), waiting)) {
      String port = source.answer(deadline).get("port").asText();
      try (YardstickProcess destination = start(ground, errand(ground, port))) {
        if (ground.of().kind() == BenchCase.Kind.STREAM) {
          YardstickProcess.warmMemory(ground.of().bytes());
          destination.goAhead();
        } else if (ground.of().streams()) {
          deadline.await("half of the plan", ground::isHalfDone);
          destination.goAhead();
        }
        JsonNode told = destination.answer(deadline);
        // Pages that nobody asked for and nothing streams are not there, and cannot be looked at.
        if (ground.of().kind() != BenchCase.Kind.POISON_MAP) {
          ground.check(destination.pid(), told.get("hostAddress").asLong());
        }
        return new BenchRound(
            ground.touches(destination.pid(), told.get("hostAddress").asLong()),
            rate(ground, told),
            told.get("poisonNanos").asLong(),
            0,
            0,
            collapsed(ground, destination, told));
      }
    }
  }

  private static BenchRound.Collapsed collapsed(
      BenchGround ground, YardstickProcess destination, JsonNode told) throws IOException {
    return ground.of().collapses()
        ? new BenchRound.Collapsed(
            told.get("collapseNanos").asLong(),
            Double.NaN,
            HugeMemory.bytes(destination.pid(), told.get("hostAddress").asLong()))
        : null;
  }

  private static double rate(BenchGround ground, JsonNode told) {
    long nanos = told.get("streamNanos").asLong();
    return nanos == 0 ? 0 : ground.of().bytes() / 1048576.0 / (nanos / 1e9);
  }

  private static YardstickProcess start(BenchGround ground, String... words) throws IOException {
    return YardstickProcess.start(ground.of().prefix(), List.of(words));
  }

  private String[] errand(BenchGround ground, String port) {
    BenchCase of = ground.of();
    List<String> words = new ArrayList<>(List.of("arrive", port, Long.toString(of.bytes())));
    words.add(Integer.toString(Math.max(1, of.threads())));
    words.add(waiting);
    if (of.toucher() == BenchCase.Toucher.VCPUS) {
      words.add("vcpus=" + ground.registers());
    } else if (of.threads() > 0) {
      words.add("plan=" + ground.plan());
    }
    words.add("memory=" + of.memory().word());
    if (of.collapses()) {
      words.add("collapse");
    }
    if (of.streams()) {
      words.add("stream-later");
    }
    if (!ground.guest().lost().isEmpty()) {
      words.add("lost=" + ground.ranges());
    }
    return words.toArray(String[]::new);
  }
}
