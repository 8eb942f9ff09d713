// How the page and the program that serves it talk: text/event-stream, with a
// JSON object in each event.

// Takes the events out of what has come so far. What is not a whole event yet
// is `rest`.
function parseEvents(text) {
  const blocks = text.split("\n\n");
  const rest = blocks.pop();
  const events = [];
  for (const block of blocks) {
    let name = "";
    let data = "";
    for (const line of block.split("\n")) {
      if (line.startsWith("event: ")) name = line.slice(7);
      if (line.startsWith("data: ")) data += line.slice(6);
    }
    if (name) events.push({name, data: JSON.parse(data)});
  }
  return {events, rest};
}

// Asks for images and calls handler(name, data) for each event, the last of
// which is "done" or "failed", whatever happens. After signal's abort nothing is
// called, and the server stops the work.
async function orderImages(order, signal, handler) {
  let ended = false;
  const deliver = (name, data) => {
    if (ended || signal.aborted) return;
    ended = name === "done" || name === "failed";
    handler(name, data);
  };
  try {
    const reply = await fetch("images", {
      method: "POST",
      headers: {"Content-Type": "application/json"},
      body: JSON.stringify(order),
      signal,
    });
    if (!reply.ok) {
      deliver("failed", {code: "", message: (await reply.text()).trim()});
      return;
    }
    const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const {value, done} = await reader.read();
      if (done) break;
      const parsed = parseEvents(rest + value);
      rest = parsed.rest;
      for (const {name, data} of parsed.events) deliver(name, data);
    }
    deliver("failed", {code: "", message: "The connection ended before the images were done."});
  } catch (error) {
    deliver("failed", {code: "GONE", message: "The playground program does not answer."});
  }
}

// Calls onState with what is known of the server, now and whenever it changes.
// contact "gone": the program that serves this page does not answer.
function watchServer(onState) {
  let source = null;
  let retry = 0;
  const open = () => {
    source = new EventSource("server");
    source.addEventListener("server", (event) => onState(JSON.parse(event.data)));
    source.addEventListener("error", () => {
      onState({contact: "gone", failure: "", models: null, address: ""});
      // A browser gives up for good after an answer that is no stream.
      if (source.readyState !== EventSource.CLOSED) return;
      clearTimeout(retry);
      retry = setTimeout(open, 3000);
    });
  };
  // A browser has six connections for one place, all its tabs together: those
  // that nobody sees leave theirs to the others.
  document.addEventListener("visibilitychange", () => {
    clearTimeout(retry);
    source.close();
    if (document.visibilityState === "visible") open();
  });
  open();
}
