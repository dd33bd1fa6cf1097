package ward.testbed;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.util.List;
import ward.vcpu.TouchPlan.Touch;

/** The loopback's own limit: the same stream, received into memory that is there already. */
record ReceiveSide() implements BenchSide {

  @Override
  public String name() {
    return "receive";
  }

  @Override
  public boolean takesPart(BenchCase.Kind kind) {
    return kind == BenchCase.Kind.STREAM;
  }

  @Override
  public BenchRound run(BenchGround ground) throws IOException {
    Deadline deadline = ground.deadline();
    List<String> prefix = ground.of().prefix();
    try (YardstickProcess source =
        YardstickProcess.start(prefix, List.of("serve", ground.memory().toString(), "sleeping"))) {
      String port = source.answer(deadline).get("port").asText();
      String bytes = Long.toString(ground.of().bytes());
      try (YardstickProcess destination =
          YardstickProcess.start(prefix, List.of("receive", port, bytes))) {
        JsonNode told = destination.answer(deadline);
        ground.check(destination.pid(), told.get("hostAddress").asLong());
        double seconds = told.get("streamNanos").asLong() / 1e9;
        return new BenchRound(new Touch[0], ground.of().bytes() / 1048576.0 / seconds, 0);
      }
    }
  }
}
