/*
 * A migration of a guest with its poison, as a model for Spin: source and destination, three connections that
 * break at any message, memory that the source loses while it serves, a crash of the source's daemon, and an
 * operator who cancels. testbed/model/check explores it; README says what it proves.
 *
 * Every step is what one task of a session's thread, or one frame on an event loop, does at once; anything may
 * happen between two steps. A break drops what is on its way; each side notices it when it likes, after it has
 * handled what it had received. A side that closes a connection leaves what it had sent for its peer to read.
 *
 * A source that crashes comes back with what it has on disk: the memory, the ledger, and whether it has promised
 * the guest away. Or somebody else comes in its place first, with other memory, who says so.
 *
 * Left out: bytes and checksums (a content is whole or it is not), huge pages, pages given back by the guest, a
 * crash of the destination, and the audit of the page tables (a marker is where its page is POISONED). A source
 * that crashed after the hand-over answers once more here; the real one is not started again, and the destination,
 * which needs nothing from it, ends by itself. Return,
 * its parts and its end are one message, as are the poison map's: neither side acts before the end. Page
 * sets are bit masks, and stand for their digests.
 *
 * BREAKS, LOSSES, CRASHES and CANCELS bound what the world does; each MUTATE_ breaks one rule, which must be noticed.
 */

#ifndef PAGES
#define PAGES 2
#endif
#ifndef BREAKS
#define BREAKS 1
#endif
#ifndef LOSSES
#define LOSSES 1
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef CANCELS
#define CANCELS 0
#endif

#define BIT(n) (1 << (n))
#define ALL (BIT(PAGES) - 1)
#define HAS(set, n) (((set) & BIT(n)) != 0)

/* One option per page, for a choice that is Spin's to make. */
#if PAGES == 1
#define EACH_PAGE(option) option(0)
#elif PAGES == 2
#define EACH_PAGE(option) option(0) option(1)
#else
#define EACH_PAGE(option) option(0) option(1) option(2)
#endif

/* Connections. */
#define CONTROL 0
#define URGENT 1
#define STREAM 2
#define EACH_CONNECTION(option) option(CONTROL) option(URGENT) option(STREAM)

mtype = {
  /* source to destination, control */
  MAP, RELEASED, IDENTITY, LATE, CHECK, RETURN_ACCEPTED, HAND_OVER_ACCEPTED, REFUSAL, FAREWELL_TO_D,
  /* destination to source, control */
  APPLIED, RESUMED, OUTCOME, HAND_OVER, RETURN, CANCEL, FAREWELL_TO_S,
  /* source to destination, urgent and stream */
  CONTENT, JUNK, POISON, STREAM_END, NOT_NOW
};

/* A frame on control has two arguments: page sets, or flags. Nobody may wait for room: that is asserted. */
#define CONTROL_FRAMES_MAX (3 + 2 * LOSSES)
chan toDestination = [CONTROL_FRAMES_MAX] of { mtype, byte, byte };
chan toSource = [CONTROL_FRAMES_MAX] of { mtype, byte, byte };
chan answers = [PAGES] of { mtype, byte };
chan requests = [PAGES] of { byte };
chan pages = [2] of { mtype, byte };

/* --- the network ---------------------------------------------------------------------------------------- */

/* The attempt to which a side's end of a connection belongs; 0 if it has none. */
byte atSource[3];
byte atDestination[3];
/* Both ends are open, and nothing travels between them any more. */
bool broken[3];
/* Hellos on their way to the source, by attempt. */
byte hello[3];

byte breaks = BREAKS;
byte losses = LOSSES;
byte crashes = CRASHES;
byte cancels = CANCELS;
/* The world has done what it does: what stands still now stands still for ever. */
bool calm;

#define JOINED(c) (atSource[c] != 0 && atSource[c] == atDestination[c] && !broken[c])

/* Frames that a side has received, or will. */
#define LEFT_FOR_DESTINATION(c) ((c) == CONTROL -> len(toDestination) : ((c) == URGENT -> len(answers) : len(pages)))
#define LEFT_FOR_SOURCE(c) ((c) == CONTROL -> len(toSource) : ((c) == URGENT -> len(requests) : 0))

/* The end is of no use any more, and its side has read everything that came. */
#define DEAD_AT_SOURCE(c) \
  (atSource[c] != 0 && (broken[c] || atSource[c] != atDestination[c]) && LEFT_FOR_SOURCE(c) == 0)
#define DEAD_AT_DESTINATION(c) \
  (atDestination[c] != 0 && (broken[c] || atSource[c] != atDestination[c]) \
      && !HAS(hello[c], atDestination[c]) && LEFT_FOR_DESTINATION(c) == 0)

inline dropForDestination(c) {
  if
  :: c == CONTROL -> do :: toDestination?_, _, _ :: empty(toDestination) -> break od
  :: c == URGENT -> do :: answers?_, _ :: empty(answers) -> break od
  :: c == STREAM -> do :: pages?_, _ :: empty(pages) -> break od
  fi
}

inline dropForSource(c) {
  if
  :: c == CONTROL -> do :: toSource?_, _, _ :: empty(toSource) -> break od
  :: c == URGENT -> do :: requests?_ :: empty(requests) -> break od
  :: c == STREAM -> skip
  fi
}

inline closeAtSource(c) {
  atSource[c] = 0;
  broken[c] = false;
  dropForSource(c)
}

inline closeAtDestination(c) {
  atDestination[c] = 0;
  broken[c] = false;
#ifndef MUTATE_STALE_FRAMES
  dropForDestination(c)
#endif
}

inline breakNow(c) {
  printf("connection %d breaks\n", c);
  if
  :: HAS(hello[c], atDestination[c]) -> hello[c] = hello[c] & ~BIT(atDestination[c])
  :: else ->
     broken[c] = JOINED(c);
     dropForDestination(c);
     dropForSource(c)
  fi
}

/* --- the source ----------------------------------------------------------------------------------------- */

mtype:source = { LISTENING, SENDING_MAP, MAP_APPLIED, SERVING, HANDED_OVER, ENDED, KEPT };
mtype:source source = LISTENING;
#define SOURCE_GAVE (source == MAP_APPLIED || source == SERVING || source == HANDED_OVER)

/* How far a return is: none is under way; no control connection; one, but no Return yet; MapCheck sent. */
mtype:awaiting = { NOTHING, CONNECTION, RETURN_MESSAGE, CHECKED_MAP };
mtype:awaiting sourceAwaits = NOTHING;

byte sourceAttempt; /* the highest that was let in */
byte bad;           /* pages whose memory the hardware has lost */
byte lost;          /* in the ledger: on disk */
byte unconfirmed;   /* lost, and the destination has not said what became of it */
byte held;          /* lost, but the destination had copied it */
byte mapSent;       /* what PoisonMapApplied is to answer for */
byte sent;
byte cursor;        /* of the stream; PAGES + 1 after its end */
byte found;         /* seen to be lost by a reader, not yet on disk */
byte owedUrgent;    /* found, to be answered there */
byte owedStream;
byte claimedByHandOver;
bool handOverPending;
bool sourceCancels;
bool runsAtSource = true;
bool impostor;      /* who answers has other memory */

/* --- the destination ------------------------------------------------------------------------------------ */

mtype:destination = { CONNECTING, RECEIVING_MAP, MAP_IN_PLACE, RUNNING, HANDING_OVER, COMPLETE, DONE, ABORTED };
mtype:destination destination = CONNECTING;

/* How far a recovery is: none; dialling; Return sent. */
mtype:recovery = { NO_RECOVERY, DIALLING, RETURNED };
mtype:recovery recovery = NO_RECOVERY;

/* Between a claim and its end are PLACING and POISONING: the page has its writer, and the ioctl is to come. */
mtype:page = { MISSING, REQUESTED, PLACING, PRESENT, POISONING, POISONED };
mtype:page page[PAGES] = MISSING;

byte attempt;
byte toAsk;          /* REQUESTED, and not yet asked for in this attempt */
byte poisonedOwed;   /* of an outcome, after journal and marker */
byte heldOwed;
bool mapToApply;
bool released;
bool streamEnded;
bool destinationCancels;
bool runsAtDestination;
/* The bytes on their way to a PLACING page are not the guest's. */
byte junk;

#define RAN_AT_DESTINATION (destination == RUNNING || destination == HANDING_OVER || destination == COMPLETE)
#define IN_ATTEMPT (recovery == NO_RECOVERY)
#define RESOLVED(p) (page[p] == PRESENT || page[p] == POISONED)

/* --- properties ----------------------------------------------------------------------------------------- */

#define ENDED_WELL (source == ENDED && destination == DONE)
#define ENDED_AT_SOURCE \
  (destination == ABORTED && (source == KEPT || source == LISTENING && hello[CONTROL] == 0))
#define OVER (ENDED_WELL || ENDED_AT_SOURCE)

#ifdef IMPOSTORS
#define ATTEMPTS_MAX (1 + BREAKS + 2 * CRASHES + CANCELS) /* who comes first costs one more */
#else
#define ATTEMPTS_MAX (1 + BREAKS + CRASHES + CANCELS)
#endif

/*
 * The laws. Each is false, always: an assertion that carries one is told by its name. That the model comes to
 * its end, and that nobody waits for ever, are no assertions: a state in which nothing moves is told by Spin
 * as an invalid end state.
 */
hidden byte NEVER_HEALED;     /* poison is for ever, and no content follows its claim */
hidden byte PLACED_ONCE;      /* a page that has its writer has no other */
hidden byte RIGHT_BYTES;      /* content comes from a page that the source has not lost */
hidden byte ONE_GUEST;        /* it never runs on both sides, and in the end it runs on one */
hidden byte RELEASED_LATE;    /* the source lets go of nothing that the destination has not proved */
hidden byte NO_FALSE_ALARM;   /* where no host failed for good, nobody refuses anybody */
hidden byte NO_STALE_MESSAGE; /* what an old attempt said is not heard in a new one */
hidden byte BREAKS_PAY;       /* every attempt is paid for by a break, a crash or a cancel: none is torn down for nothing */

/* The one place where a page changes. */
inline movePage(p, next) {
  assert(NEVER_HEALED || page[p] != POISONED && (page[p] != POISONING || next == POISONED));
  assert(PLACED_ONCE || page[p] != PRESENT && (page[p] != PLACING || next == PRESENT));
  page[p] = next;
  printf("page %d becomes %e\n", p, page[p])
}

inline runAtSource() {
  assert(ONE_GUEST || !runsAtDestination);
  runsAtSource = true;
  printf("the guest runs at S\n")
}

inline runAtDestination() {
  assert(ONE_GUEST || !runsAtSource);
  runsAtDestination = true;
  printf("the guest runs at D\n")
}

/* MISSING pages are nobody's; the sets of the others, into masks. */
inline takeSnapshot(resolved, poisoned) {
  resolved = 0;
  poisoned = 0;
  p = 0;
  do
  :: p < PAGES ->
     if
     :: page[p] == PLACING || page[p] == PRESENT -> resolved = resolved | BIT(p)
     :: page[p] == POISONING || page[p] == POISONED -> poisoned = poisoned | BIT(p)
     :: else
     fi;
     p++
  :: else -> break
  od;
  p = 0
}

/* What is true at the moment the source lets its copy go, whatever the messages said. */
inline releaseCopy() {
  takeSnapshot(set, other);
  p = 0;
  do
  :: p < PAGES -> assert(RELEASED_LATE || RESOLVED(p)); p++
  :: else -> break
  od;
  p = 0;
  assert(RELEASED_LATE || other == (lost & ~held));
  set = 0;
  other = 0
}

/* --- what the source does ------------------------------------------------------------------------------- */

inline tellDestination(message, one, two) {
  if
  :: JOINED(CONTROL) -> assert(nfull(toDestination));
     toDestination!message, one, two;
     printf("S says %e %d\n", message, one)
  :: else
  fi
}

inline closeAllAtSource() {
  closeAtSource(CONTROL);
  closeAtSource(URGENT);
  closeAtSource(STREAM);
  owedUrgent = 0;
  owedStream = 0;
#ifndef MUTATE_KEEP_HAND_OVER
  handOverPending = false;
  claimedByHandOver = 0
#endif
}

/* The guest was never released: it stays. */
inline keepGuest() {
  source = KEPT;
  sourceAwaits = NOTHING;
  runAtSource();
  closeAllAtSource()
}

inline refuse(k) {
  printf("S refuses attempt %d\n", k);
  if
  :: atDestination[CONTROL] == k -> toDestination!REFUSAL, 0, 0
  :: else
  fi
}

/* A Hello on a control connection. */
inline greetControl(k) {
  printf("S hears Hello of attempt %d in %e\n", k, source);
  hello[CONTROL] = hello[CONTROL] & ~BIT(k);
  if
  :: source == LISTENING ->
     runsAtSource = false;
     atSource[CONTROL] = k;
     sourceAttempt = k;
     source = SENDING_MAP;
     mapSent = lost;
     unconfirmed = 0;
     tellDestination(MAP, mapSent, 0)
  :: source == SENDING_MAP && k > sourceAttempt ->
     keepGuest();
     refuse(k)
  :: source == KEPT || source == ENDED -> refuse(k)
#ifdef MUTATE_STALE_HELLO
  :: SOURCE_GAVE ->
#else
  :: SOURCE_GAVE && k > sourceAttempt ->
#endif
     impostor = impostor && atSource[CONTROL] == 0; /* one that was refused has ended */
#ifdef MUTATE_STALE_ATTEMPT
     handOverPending = false;
#else
     closeAllAtSource();
#endif
     atSource[CONTROL] = k;
     sourceAttempt = k;
     sourceAwaits = RETURN_MESSAGE;
     tellDestination(IDENTITY, impostor, 0)
  :: else
  fi
}

/* A Hello on another: it belongs to the attempt of the control connection, or nowhere. */
inline greetOther(c, k) {
  hello[c] = hello[c] & ~BIT(k);
  if
#ifdef MUTATE_STALE_HELLO
  :: atSource[CONTROL] != 0 && SOURCE_GAVE -> atSource[c] = k
#endif
  :: atSource[CONTROL] == k && (source == SENDING_MAP || SOURCE_GAVE) -> atSource[c] = k
#ifdef MUTATE_REFUSAL_IS_FINAL
  :: else -> assert(NO_FALSE_ALARM || atDestination[c] != k || source == KEPT || destination != MAP_IN_PLACE && destination != RUNNING)
#else
     /* It is closed, no more: the destination may not have noticed yet what the source has. */
  :: else
#endif
  fi
}

inline loseAtSource(c) {
  printf("S loses connection %d in %e\n", c, source);
  if
  :: source == SENDING_MAP -> keepGuest()
#ifdef MUTATE_TAKE_BACK
  :: source == MAP_APPLIED -> keepGuest()
#endif
#ifdef MUTATE_CLOSE_IS_FAREWELL
  :: source == HANDED_OVER && c == CONTROL -> closeAllAtSource(); sourceAwaits = NOTHING; source = ENDED
#endif
  :: source == HANDED_OVER && c != CONTROL -> closeAtSource(c)
  :: else -> closeAllAtSource(); sourceAwaits = CONNECTION; impostor = false
  fi
}

/* What is lost there cannot be undone; it is on disk before anybody hears of it. */
inline record(p) {
  printf("S records the loss of page %d\n", p);
  unconfirmed = unconfirmed | (BIT(p) & ~lost);
  lost = lost | BIT(p)
}

inline decideHandOver() {
  if
#ifdef MUTATE_EARLY_RELEASE
  :: handOverPending ->
#else
  :: handOverPending && unconfirmed == 0 ->
     /* No host failed here, so the two sides must agree. */
     assert(NO_FALSE_ALARM || claimedByHandOver == (lost & ~held));
#endif
     releaseCopy();
     handOverPending = false;
     claimedByHandOver = 0;
     lost = lost & ~held;
     held = 0;
     source = HANDED_OVER;
     printf("S lets go\n");
     tellDestination(HAND_OVER_ACCEPTED, 0, 0)
  :: else
  fi
}

#define RETURN_RELEASED 1
#define RETURN_RUNNING 2
#define RETURN_HANDING_OVER 4
#define RETURN_COMPLETE 8
#define RETURN_CANCELLED 16

inline onReturn(sets, flags) {
  set = sets & ALL;
  other = sets >> PAGES;
  assert(NO_FALSE_ALARM || (other & ~lost) == 0);
  if
  :: flags & RETURN_COMPLETE ->
     tellDestination(FAREWELL_TO_D, 0, 0);
     closeAllAtSource();
     sourceAwaits = NOTHING;
     source = ENDED
  :: else ->
     if
     :: (flags & RETURN_CANCELLED) || (sourceCancels && !(flags & RETURN_RELEASED)) ->
        tellDestination(FAREWELL_TO_D, 0, 0);
        keepGuest()
     :: else ->
        if
        :: source == HANDED_OVER ->
           assert(NO_STALE_MESSAGE || (flags & RETURN_HANDING_OVER));
           sourceAwaits = NOTHING;
           tellDestination(HAND_OVER_ACCEPTED, 0, 0)
        :: else -> checkMapAgain(flags)
        fi
     fi
  fi;
  set = 0;
  other = 0
}

inline checkMapAgain(flags) {
#ifdef MUTATE_FORGET_WAITERS
  sent = sent | set;
#else
  sent = set;
#endif
  cursor = 0;
#ifndef MUTATE_FORGET_RUNNING
  if
  :: flags & RETURN_RUNNING -> source = SERVING
  :: else
  fi;
#endif
  returnReleased = (flags & RETURN_RELEASED) != 0;
  unconfirmed = lost & ~other & ~held;
#ifdef MUTATE_FORGET_LATE
  unconfirmed = 0;
#else
  if
  :: unconfirmed != 0 -> tellDestination(LATE, unconfirmed, 0)
  :: else
  fi;
#endif
  mapSent = lost;
  sourceAwaits = CHECKED_MAP;
  tellDestination(CHECK, 0, 0)
}

bool returnReleased;

inline onApplied(applied) {
  if
  :: source == SENDING_MAP ->
     assert(NO_FALSE_ALARM || applied == mapSent);
     source = MAP_APPLIED;
     mapSent = 0;
     tellDestination(RELEASED, 0, 0)
  :: else ->
     assert(NO_STALE_MESSAGE || sourceAwaits == CHECKED_MAP);
#ifdef MUTATE_CHECK_NOW
     assert(NO_FALSE_ALARM || applied == (lost & ~held));
#else
     assert(NO_FALSE_ALARM || applied == (mapSent & ~held));
#endif
     sourceAwaits = NOTHING;
     mapSent = 0;
     tellDestination(RETURN_ACCEPTED, (returnReleased -> 0 : 1), 0);
     returnReleased = false
  fi
}

/* Nobody has asked for what the source reads here: in the order of the pages, what is neither sent nor lost. */
inline streamOn() {
  do
  :: cursor < PAGES && (HAS(lost, cursor) || HAS(sent, cursor)) -> cursor++
  :: else -> break
  od;
  if
  :: cursor < PAGES ->
     printf("S streams page %d\n", cursor);
     sent = sent | BIT(cursor);
     read(cursor, pages, owedStream);
     cursor++
  :: cursor == PAGES && owedStream == 0 ->
     pages!STREAM_END, 0;
     sent = ALL;
     cursor++
  :: else
  fi
}

#define STREAM_HAS_WORK \
  (source == SERVING && sourceAwaits == NOTHING && JOINED(STREAM) && nfull(pages) \
      && (cursor < PAGES || cursor == PAGES && owedStream == 0))

inline read(p, connection, owed) {
  if
#ifdef MUTATE_READ_LOST
  :: HAS(bad, p) -> connection!JUNK, p
#endif
  :: impostor -> connection!JUNK, p
  :: HAS(bad, p) ->
     found = found | BIT(p);
     owed = owed | BIT(p)
  :: else -> connection!CONTENT, p
  fi
}

inline onRequest(p) {
  printf("S is asked for page %d\n", p);
  if
#ifndef MUTATE_READ_LOST
  :: HAS(lost, p) -> answers!POISON, p
#endif
  :: else ->
     sent = sent | BIT(p);
     read(p, answers, owedUrgent)
  fi
}

/* Journal, then the answer where somebody still listens. */
inline recordFound(p) {
  record(p);
  found = found & ~BIT(p);
  if
  :: HAS(owedUrgent, p) && JOINED(URGENT) -> answers!POISON, p
  :: else
  fi;
  if
  :: HAS(owedStream, p) && JOINED(STREAM) -> pages!POISON, p
  :: else
  fi;
  owedUrgent = owedUrgent & ~BIT(p);
  owedStream = owedStream & ~BIT(p)
}

#ifdef MUTATE_TELL_FIRST
byte told; /* and not yet on disk */
#define RECORD_TOLD(p) :: d_step { HAS(told, p) -> lost = lost | BIT(p); told = told & ~BIT(p) }
#endif

/* Somebody on the host knows of a loss: a machine check, the operator. */
inline report(p) {
#ifdef MUTATE_TELL_FIRST
  if
  :: JOINED(CONTROL) && sourceAwaits == NOTHING && SOURCE_GAVE ->
     toDestination!LATE, BIT(p), 0;
     unconfirmed = unconfirmed | BIT(p);
     told = told | BIT(p)
  :: else -> record(p)
  fi
#else
  record(p);
  if
  :: sourceAwaits == NOTHING || sourceAwaits == CHECKED_MAP -> tellDestination(LATE, BIT(p), 0)
  :: else
  fi
#endif
}

#define SOURCE_TAKES_REPORTS (source == LISTENING || source == SENDING_MAP || source == MAP_APPLIED || source == SERVING)

#ifdef MUTATE_RECORD_LATER
#define ALL_RECORDED true
#else
#define ALL_RECORDED (found == 0)
#endif

#define RECORD_FOUND(p) :: d_step { HAS(found, p) && (!HAS(owedStream, p) || nfull(pages)) -> recordFound(p) }
#define LOSE_AT_SOURCE(c) :: d_step { DEAD_AT_SOURCE(c) && source != KEPT && source != ENDED -> loseAtSource(c) }
#define GREET(k) \
  :: d_step { HAS(hello[CONTROL], k) -> greetControl(k) } \
  :: d_step { HAS(hello[URGENT], k) -> greetOther(URGENT, k) } \
  :: d_step { HAS(hello[STREAM], k) -> greetOther(STREAM, k) }

active proctype Source() {
  byte p, set, other, one, two;

  do
  GREET(1) GREET(2) GREET(3) GREET(4) GREET(5)
  EACH_CONNECTION(LOSE_AT_SOURCE)
  EACH_PAGE(RECORD_FOUND)
#ifdef MUTATE_TELL_FIRST
  EACH_PAGE(RECORD_TOLD)
#endif

  :: d_step { atSource[CONTROL] != 0 && toSource?[APPLIED, _, _] -> toSource?APPLIED, one, _; onApplied(one); one = 0 }
  :: d_step {
       atSource[CONTROL] != 0 && toSource?[RESUMED, _, _] ->
       toSource?RESUMED, _, _;
       assert(NO_STALE_MESSAGE || source == MAP_APPLIED && sourceAwaits == NOTHING);
       source = SERVING
     }
  :: d_step {
       atSource[CONTROL] != 0 && toSource?[OUTCOME, _, _] ->
       toSource?OUTCOME, one, two;
       held = held | (two & unconfirmed);
       unconfirmed = unconfirmed & ~(one | two);
       one = 0;
       two = 0;
       decideHandOver()
     }
  :: d_step {
       atSource[CONTROL] != 0 && toSource?[HAND_OVER, _, _] ->
       toSource?HAND_OVER, claimedByHandOver, _;
       assert(NO_STALE_MESSAGE || source == SERVING && sourceAwaits == NOTHING);
       handOverPending = true;
       decideHandOver()
     }
     /* What the old attempt's readers found was queued before its connections were gone. */
  :: d_step {
       atSource[CONTROL] != 0 && toSource?[RETURN, _, _] && ALL_RECORDED ->
       toSource?RETURN, one, two;
       assert(NO_STALE_MESSAGE || sourceAwaits == RETURN_MESSAGE);
       onReturn(one, two);
       one = 0;
       two = 0
     }
  :: d_step {
       atSource[CONTROL] != 0 && toSource?[CANCEL, _, _] ->
       toSource?CANCEL, _, _;
       assert(NO_STALE_MESSAGE || source == MAP_APPLIED);
       tellDestination(FAREWELL_TO_D, 0, 0);
       keepGuest()
     }
  :: d_step {
       atSource[CONTROL] != 0 && toSource?[FAREWELL_TO_S, _, _] ->
       toSource?FAREWELL_TO_S, _, _;
       assert(NO_STALE_MESSAGE || source == HANDED_OVER);
       tellDestination(FAREWELL_TO_D, 0, 0);
       closeAllAtSource();
       source = ENDED
     }
  :: d_step {
       atSource[URGENT] != 0 && nempty(requests) && sourceAwaits == NOTHING && SOURCE_GAVE ->
       requests?one;
       if
       :: JOINED(URGENT) && source != HANDED_OVER -> onRequest(one)
       :: else
       fi;
       one = 0
     }
  :: d_step { STREAM_HAS_WORK -> streamOn() }
#ifdef OUTAGES
     /* It cannot tell just now, as often as it likes, until all is calm. */
  :: d_step { !calm && JOINED(URGENT) && requests?[one] -> requests?one; answers!NOT_NOW, one; one = 0 }
#endif
  :: OVER -> break
  od
}

/* --- what the destination does -------------------------------------------------------------------------- */

inline tellSource(message, one, two) {
  if
  :: JOINED(CONTROL) -> assert(nfull(toSource));
     toSource!message, one, two;
     printf("D says %e %d %d\n", message, one, two)
  :: else
  fi
}

inline dial(c) {
  atDestination[c] = attempt;
  hello[c] = hello[c] | BIT(attempt)
}

inline dialControl() {
  attempt++;
  printf("D dials, attempt %d\n", attempt);
  assert(BREAKS_PAY || attempt <= ATTEMPTS_MAX);
  dial(CONTROL)
}

inline closeAllAtDestination() {
  closeAtDestination(CONTROL);
  closeAtDestination(URGENT);
  closeAtDestination(STREAM)
}

inline abort() {
  assert(ONE_GUEST || !runsAtDestination);
  destination = ABORTED;
  recovery = NO_RECOVERY;
  closeAllAtDestination();
  poisonedOwed = 0;
  heldOwed = 0;
  mapToApply = false;
  toAsk = 0
}

inline loseAtDestination(c) {
  printf("D loses connection %d in %e\n", c, destination);
  if
  :: destination == CONNECTING || destination == RECEIVING_MAP -> abort()
  :: (destination == HANDING_OVER || destination == COMPLETE) && c != CONTROL -> closeAtDestination(c)
  :: else ->
     closeAllAtDestination();
     streamEnded = false;
     recovery = DIALLING
  fi
}

inline comeBack() {
  takeSnapshot(set, other);
  tellSource(RETURN, set | (other << PAGES),
      (released -> RETURN_RELEASED : 0) | (RAN_AT_DESTINATION -> RETURN_RUNNING : 0)
      | (destination == HANDING_OVER -> RETURN_HANDING_OVER : 0)
      | (destination == COMPLETE -> RETURN_COMPLETE : 0) | (destinationCancels -> RETURN_CANCELLED : 0));
  recovery = RETURNED;
  set = 0;
  other = 0
}

/* From here on the page's content may not come any more: who wins the claim is the page's writer. */
inline claimPoison(p) {
  if
  :: page[p] == MISSING || page[p] == REQUESTED ->
     movePage(p, POISONING);
     toAsk = toAsk & ~BIT(p);
     poisonedOwed = poisonedOwed | BIT(p)
  :: page[p] == POISONING || page[p] == POISONED -> poisonedOwed = poisonedOwed | BIT(p)
  :: else -> heldOwed = heldOwed | BIT(p)
  fi
}

inline claimPoisons(lateOnes) {
  p = 0;
  do
  :: p < PAGES ->
     if
     :: HAS(lateOnes, p) -> claimPoison(p)
     :: else
     fi;
     p++
  :: else -> break
  od;
  p = 0
}

#define POISON_TO_RECORD (poisonedOwed != 0 || heldOwed != 0)

/* Journal, marker, and only then the word to the source, if there is one to hear it. */
inline recordPoison() {
  p = 0;
  do
  :: p < PAGES ->
     if
     :: page[p] == POISONING -> movePage(p, POISONED)
     :: else
     fi;
     p++
  :: else -> break
  od;
  p = 0;
  if
  :: mapToApply ->
     mapToApply = false;
     destination = MAP_IN_PLACE;
     tellSource(APPLIED, poisonedOwed, 0);
     dial(URGENT);
     dial(STREAM)
  :: !mapToApply && recovery != DIALLING -> tellSource(OUTCOME, poisonedOwed, heldOwed)
  :: else
  fi;
  poisonedOwed = 0;
  heldOwed = 0
}

inline onContent(p, what) {
  if
#ifdef MUTATE_HEAL
  :: page[p] == MISSING || page[p] == REQUESTED || page[p] == POISONED ->
#else
  :: page[p] == MISSING || page[p] == REQUESTED ->
#endif
#ifdef MUTATE_NO_CLAIM
     junk = junk | BIT(PAGES + p);
#else
     movePage(p, PLACING);
#endif
     toAsk = toAsk & ~BIT(p);
     if
     :: what == JUNK -> junk = junk | BIT(p)
     :: else
     fi
  :: else
  fi
}

inline place(p) {
  assert(RIGHT_BYTES || !HAS(junk, p));
  movePage(p, PRESENT)
}

inline onReturnAccepted(release) {
  recovery = NO_RECOVERY;
  if
  :: release -> released = true
  :: else
  fi;
  if
  :: destination == HANDING_OVER -> sayHandOver()
  :: destinationCancels -> skip
  :: else ->
     dial(URGENT);
     dial(STREAM);
     askAgain()
  fi
}

inline askAgain() {
#ifdef MUTATE_FORGET_WAITERS
  skip
#else
  p = 0;
  do
  :: p < PAGES ->
     if
     :: page[p] == REQUESTED -> toAsk = toAsk | BIT(p)
     :: else
     fi;
     p++
  :: else -> break
  od;
  p = 0
#endif
}

inline touch(p) {
  movePage(p, REQUESTED);
  toAsk = toAsk | BIT(p)
}

inline requestTheRest() {
  p = 0;
  do
  :: p < PAGES ->
     if
     :: page[p] == MISSING -> touch(p)
     :: else
     fi;
     p++
  :: else -> break
  od;
  p = 0
}

inline sayHandOver() {
  takeSnapshot(set, other);
  tellSource(HAND_OVER, other, 0);
  set = 0;
  other = 0
}

#if PAGES == 1
#define ANY_PAGE(condition) condition(0)
#elif PAGES == 2
#define ANY_PAGE(condition) (condition(0) || condition(1))
#else
#define ANY_PAGE(condition) (condition(0) || condition(1) || condition(2))
#endif
#define IS_MISSING(p) (page[p] == MISSING)
#ifdef MUTATE_EARLY_HAND_OVER
#define IS_UNRESOLVED_FOR_HAND_OVER(p) (page[p] == MISSING || page[p] == REQUESTED)
#else
#define IS_UNRESOLVED_FOR_HAND_OVER(p) (!RESOLVED(p))
#endif

#define PLACE(p) :: d_step { IS_PLACING(p) -> place(p) }
#ifdef MUTATE_NO_CLAIM
#define IS_PLACING(p) HAS(junk, PAGES + p)
#else
#define IS_PLACING(p) page[p] == PLACING
#endif
#define ASK(p) :: d_step { HAS(toAsk, p) && JOINED(URGENT) && IN_ATTEMPT -> requests!p; toAsk = toAsk & ~BIT(p) }
#define LOSE_AT_DESTINATION(c) \
  :: d_step { DEAD_AT_DESTINATION(c) && destination != DONE && destination != ABORTED -> loseAtDestination(c) }

#ifdef MUTATE_ANSWER_TOO_SOON
#define MAY_ANSWER_CHECK true
#define NOT_IN_DIGEST poisonedOwed
#else
#define MAY_ANSWER_CHECK (!POISON_TO_RECORD)
#define NOT_IN_DIGEST 0
#endif

#define READS(c) (atDestination[c] != 0)

active proctype Destination() {
  byte p, set, other, one;
  mtype message;

  d_step { dialControl() }
  do
  EACH_CONNECTION(LOSE_AT_DESTINATION)
  EACH_PAGE(PLACE)
  EACH_PAGE(ASK)

  :: d_step { recovery == DIALLING && atDestination[CONTROL] == 0 -> dialControl() }
  :: d_step {
       READS(CONTROL) && toDestination?[IDENTITY, _, _] ->
       toDestination?IDENTITY, one, _;
       assert(NO_STALE_MESSAGE || recovery == DIALLING);
       if
#ifndef MUTATE_TRUST
       :: one -> printf("D refuses an impostor\n"); closeAllAtDestination()
#endif
       :: else -> comeBack()
       fi;
       one = 0
     }
#ifdef OUTAGES
     /* There is no way to the source, for as long as it likes, until all is calm: the attempt has not begun. */
  :: d_step {
       !calm && recovery == DIALLING && atDestination[CONTROL] != 0 && HAS(hello[CONTROL], attempt) ->
       hello[CONTROL] = hello[CONTROL] & ~BIT(attempt);
       atDestination[CONTROL] = 0;
       attempt--
     }
#endif
  :: d_step { POISON_TO_RECORD || mapToApply -> recordPoison() }

     /* control */
  :: d_step {
       READS(CONTROL) && toDestination?[MAP, _, _] ->
       toDestination?MAP, one, _;
       assert(NO_STALE_MESSAGE || destination == CONNECTING);
       destination = RECEIVING_MAP;
       claimPoisons(one);
       mapToApply = true;
       one = 0
     }
  :: d_step {
       READS(CONTROL) && toDestination?[RELEASED, _, _] ->
       toDestination?RELEASED, _, _;
       assert(NO_STALE_MESSAGE || destination == MAP_IN_PLACE && recovery == NO_RECOVERY);
       released = true
     }
  :: d_step {
       READS(CONTROL) && toDestination?[LATE, _, _] && !mapToApply ->
       toDestination?LATE, one, _;
       claimPoisons(one);
       one = 0
     }
     /* The answer stands in the same queue as the poison before it. */
  :: d_step {
       READS(CONTROL) && toDestination?[CHECK, _, _] && MAY_ANSWER_CHECK ->
       toDestination?CHECK, _, _;
       assert(NO_STALE_MESSAGE || recovery == RETURNED);
       takeSnapshot(set, other);
       other = other & ~NOT_IN_DIGEST;
       tellSource(APPLIED, other, 0);
       set = 0;
       other = 0
     }
  :: d_step {
       READS(CONTROL) && toDestination?[RETURN_ACCEPTED, _, _] ->
       toDestination?RETURN_ACCEPTED, one, _;
       assert(NO_STALE_MESSAGE || recovery == RETURNED);
       onReturnAccepted(one);
       one = 0
     }
  :: d_step {
       READS(CONTROL) && toDestination?[HAND_OVER_ACCEPTED, _, _] ->
       toDestination?HAND_OVER_ACCEPTED, _, _;
       assert(NO_STALE_MESSAGE || destination == HANDING_OVER && recovery != DIALLING);
       recovery = NO_RECOVERY;
       tellSource(FAREWELL_TO_S, 0, 0);
#ifdef MUTATE_LEAVE_AT_ONCE
       destination = DONE;
       closeAllAtDestination()
#else
       destination = COMPLETE
#endif
     }
  :: d_step {
       READS(CONTROL) && toDestination?[FAREWELL_TO_D, _, _] ->
       toDestination?FAREWELL_TO_D, _, _;
       if
       :: destination == COMPLETE -> recovery = NO_RECOVERY; destination = DONE; closeAllAtDestination()
       :: else -> abort()
       fi
     }
  :: d_step {
       READS(CONTROL) && toDestination?[REFUSAL, _, _] ->
       toDestination?REFUSAL, _, _;
       /* Nobody may have ended the session under a guest that runs here. */
       assert(NO_FALSE_ALARM || destination != RUNNING && destination != HANDING_OVER);
       if
       :: destination == COMPLETE -> recovery = NO_RECOVERY; destination = DONE; closeAllAtDestination()
       :: else -> abort()
       fi
     }

     /* pages */
  :: d_step {
       READS(URGENT) && nempty(answers) ->
       answers?message, one;
       if
       :: message == POISON -> claimPoison(one)
       :: message == NOT_NOW && page[one] == REQUESTED -> toAsk = toAsk | BIT(one)
       :: message == NOT_NOW && page[one] != REQUESTED -> skip
       :: else -> onContent(one, message)
       fi;
       one = 0;
       message = 0
     }
  :: d_step {
       READS(STREAM) && nempty(pages) ->
       pages?message, one;
       if
       :: message == STREAM_END -> streamEnded = true
       :: message == POISON -> claimPoison(one)
       :: else -> onContent(one, message)
       fi;
       one = 0;
       message = 0
     }

     /* phases */
  :: d_step {
       destination == MAP_IN_PLACE && released && !destinationCancels && IN_ATTEMPT && JOINED(URGENT) && JOINED(STREAM) ->
       destination = RUNNING;
       runAtDestination();
       tellSource(RESUMED, 0, 0)
     }
  :: d_step { destination == RUNNING && IN_ATTEMPT && streamEnded && ANY_PAGE(IS_MISSING) -> requestTheRest() }
  :: d_step {
       destination == RUNNING && IN_ATTEMPT && !POISON_TO_RECORD && !ANY_PAGE(IS_UNRESOLVED_FOR_HAND_OVER) ->
       destination = HANDING_OVER;
       sayHandOver()
     }
  :: OVER -> break
  od
}

/* --- the guest ------------------------------------------------------------------------------------------ */

/* A touch of a missing page waits until the page is resolved; also before the guest runs. */
#define TOUCH(p) \
  :: d_step { !calm && page[p] == MISSING && (destination == MAP_IN_PLACE || destination == RUNNING) -> touch(p) }

active proctype Guest() {
  do
  EACH_PAGE(TOUCH)
  :: calm -> break
  :: OVER -> break
  od
}

/* --- the world ------------------------------------------------------------------------------------------ */

/* What one side sent before it closed can be lost too. */
#define CAN_BREAK(c) \
  (JOINED(c) || atDestination[c] != 0 && (HAS(hello[c], atDestination[c]) || LEFT_FOR_DESTINATION(c) > 0) \
      || atSource[c] != 0 && LEFT_FOR_SOURCE(c) > 0)
#define BREAK(c) :: d_step { breaks > 0 && CAN_BREAK(c) -> breaks--; breakNow(c) }
/* A connection that takes too long is given up, but its Hello may still arrive. */
#define GIVE_UP(c) \
  :: d_step { breaks > 0 && atDestination[c] != 0 && HAS(hello[c], atDestination[c]) -> breaks--; loseAtDestination(c) }
#define LOSE(p) :: d_step { losses > 0 && !HAS(bad, p) && SOURCE_TAKES_REPORTS -> losses--; bad = bad | BIT(p) }
#ifdef MUTATE_TELL_FIRST
#define IS_NEWS(p) (HAS(bad, p) && !HAS(lost | told, p))
#else
#define IS_NEWS(p) (HAS(bad, p) && !HAS(lost, p))
#endif
#define REPORT(p) :: d_step { !calm && IS_NEWS(p) && SOURCE_TAKES_REPORTS && nfull(toDestination) -> report(p) }

inline crashSource(other) {
  printf("S crashes and starts again, impostor %d\n", other);
  impostor = other;
  closeAllAtSource();
  sourceAwaits = CONNECTION;
  source = MAP_APPLIED;
  sourceAttempt = 0;
  unconfirmed = 0;
  held = 0;
  sent = 0;
  cursor = 0;
  found = 0;
#ifdef MUTATE_TELL_FIRST
  told = 0;
#endif
  returnReleased = false;
  sourceCancels = false
}

active proctype World() {
  do
  EACH_CONNECTION(BREAK)
  EACH_CONNECTION(GIVE_UP)
  EACH_PAGE(LOSE)
  EACH_PAGE(REPORT)
#if CRASHES
     /* The new daemon has the memory, the ledger, and the word that the guest has left. */
#ifdef MUTATE_PROMISE_LATER
  :: d_step { crashes > 0 && source == MAP_APPLIED -> crashes--; keepGuest() }
#endif
  :: d_step { crashes > 0 && SOURCE_GAVE -> crashes--; crashSource(false) }
#ifdef IMPOSTORS
  :: d_step { crashes > 0 && SOURCE_GAVE -> crashes--; crashSource(true) }
     /* Somebody ends it before it is refused. */
  :: d_step { impostor && atSource[CONTROL] == 0 -> impostor = false }
#endif
     /* Nothing was promised yet: the guest is whole here, and the new daemon does not know the session. */
  :: d_step { crashes > 0 && source == SENDING_MAP -> crashes--; keepGuest() }
#endif
#if CANCELS
     /* At the source, while the guest is sure to be there, or when the destination says so. */
  :: d_step { cancels > 0 && source == SENDING_MAP -> cancels--; refuse(atSource[CONTROL]); keepGuest() }
  :: d_step { cancels > 0 && source == MAP_APPLIED -> cancels--; sourceCancels = true }
     /* At the destination, before the guest runs there. */
  :: d_step { cancels > 0 && attempt > 0 && (destination == CONNECTING || destination == RECEIVING_MAP) -> cancels--; abort() }
  :: d_step {
       cancels > 0 && destination == MAP_IN_PLACE ->
       cancels--;
       if
       :: recovery != DIALLING -> tellSource(CANCEL, 0, 0)
       :: else
       fi;
#ifdef MUTATE_SILENT_CANCEL
       abort()
#else
       destinationCancels = true
#endif
     }
#endif
  :: d_step { !calm -> calm = true; breaks = 0; losses = 0; crashes = 0; cancels = 0 }
  :: OVER -> break
  od;
  assert(ONE_GUEST || runsAtDestination == ENDED_WELL && runsAtSource == ENDED_AT_SOURCE)
}

#ifdef OUTAGES
/*
 * With outages that cost nothing, runs may be endless; where every side that can go on does so at last, and the
 * world calms down, none is.
 */
#define WAITS(p) (page[p] == REQUESTED || page[p] == PLACING || page[p] == POISONING)
ltl ends { <> OVER }
ltl served { [] (WAITS(0) -> <> (RESOLVED(0) || destination == ABORTED)) }
#endif
