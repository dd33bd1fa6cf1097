package ward.cli;

import com.fasterxml.jackson.databind.*;
import java.io.IOException;
import java.nio.file.*;
import java.util.*;
import ward.memory.*;

public final class LayoutFile {
  private LayoutFile() {}

  public static GuestLayout read(Path p) {
    try {
      JsonNode n = new ObjectMapper().readTree(p.toFile());
      List<GuestRegion> r = new ArrayList<>();
      for (JsonNode x : n.get("regions"))
        r.add(
            new GuestRegion(
                Long.decode(x.get("guestPhysicalAddress").asText()),
                Long.decode(x.get("lengthBytes").asText()),
                Long.decode(x.get("fileOffset").asText())));
      return new GuestLayout(n.get("guest").asText(), r);
    } catch (IOException e) {
      throw new CommandFailure(ExitCode.INPUT_REFUSED, e.toString());
    }
  }

  public static void write(Path p, GuestLayout l) {
    StringBuilder s = new StringBuilder("{\"guest\":\"" + l.guest() + "\",\"regions\":[");
    String c = "";
    for (GuestRegion r : l.regions()) {
      s.append(
          c
              + "{\"guestPhysicalAddress\":\"0x%x\",\"lengthBytes\":\"0x%x\",\"fileOffset\":\"0x%x\"}"
                  .formatted(r.guestPhysicalAddress(), r.lengthBytes(), r.fileOffset()));
      c = ",";
    }
    try {
      Files.writeString(p, s + "]}");
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }
}
