// When a drawing that changes is sent. Pure; times in milliseconds.

// A stroke under way is sent this long after its first unsent point, so that
// points which come close together go together.
const GATHER_MS = 40;
// A call that has shown nothing yet is not replaced before this: somebody who
// draws without pause would otherwise see nothing.
const GRACE_MS = 400;

// How long to wait before the drawing is sent; 0 is now, null: there is nothing
// to send. Sending ends the call under way, which is stale then.
//   unsentSince  when the first change came that has not been sent; null: none
//   penDown      whether a stroke is under way
//   sentAt       when the call under way was sent; null: none is
//   hasShown     whether it has brought a picture
function waitBeforeSending({unsentSince, penDown, sentAt, hasShown}, now) {
  if (unsentSince === null) return null;
  // The last stroke is what somebody waits for.
  if (!penDown) return 0;
  let at = unsentSince + GATHER_MS;
  if (sentAt !== null && !hasShown) at = Math.max(at, sentAt + GRACE_MS);
  return Math.max(0, at - now);
}
