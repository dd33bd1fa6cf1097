package ward.cli;

import static ward.cli.HostFinding.missing;
import static ward.cli.HostFinding.ok;
import static ward.cli.HostFinding.warning;
import static ward.cli.HostRole.DESTINATION;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import ward.uffd.MarkerKind;
import ward.uffd.MarkerOffer;
import ward.uffd.PoisonMarkers;
import ward.uffd.UserfaultfdException;

/** In which ways this host can mark lost pages, and which of them a destination will take. */
record MarkerCheck(PoisonMarkers markers) implements HostCheck {

  static final String CHOSEN = "poison marker";

  @Override
  public List<HostFinding> run() {
    try {
      List<MarkerOffer> offers = markers.offers();
      List<HostFinding> findings = new ArrayList<>(offers.stream().map(MarkerCheck::of).toList());
      findings.add(chosen(offers));
      return findings;
    } catch (UserfaultfdException e) {
      return List.of(
          missing(CHOSEN, "none: userfaultfd does not open", "see userfaultfd", DESTINATION));
    }
  }

  private static HostFinding of(MarkerOffer offer) {
    String name = "marker " + optionOf(offer.kind());
    return offer.isAvailable()
        ? ok(name, offer.kind().description())
        : warning(name, offer.refusal(), "Ward works with another kind");
  }

  private static HostFinding chosen(List<MarkerOffer> offers) {
    Optional<MarkerKind> best =
        offers.stream().filter(MarkerOffer::isAvailable).map(MarkerOffer::kind).findFirst();
    return best.map(
            kind ->
                ok(CHOSEN, optionOf(kind) + ", unless `ward destination --marker` says otherwise"))
        .orElseGet(() -> missing(CHOSEN, "none of the kinds works here", "see above", DESTINATION));
  }

  static String optionOf(MarkerKind kind) {
    return kind.name().toLowerCase(Locale.ROOT);
  }
}
