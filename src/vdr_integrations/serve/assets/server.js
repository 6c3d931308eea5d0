// Asks the server. A key goes into a header and into the storage of this tab, never into an address.

const KEY = `vdr-server-key ${new URL(".", document.baseURI).pathname}`;

const BUSY_TRIES = 5;
const BUSY_MS = 1000;

/** What went wrong, in words for the person who searches. */
export class ServerError extends Error {
  constructor(title, told, { status = 0, canRepeat = true } = {}) {
    super(told);
    this.title = title;
    this.status = status;
    this.canRepeat = canRepeat;
  }

  get needsKey() {
    return this.status === 401;
  }
}

export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

async function answer(path, options) {
  const headers = new Headers(options.headers);
  if (key.get()) {
    headers.set("authorization", `Bearer ${key.get()}`);
  }
  let reply;
  try {
    reply = await fetch(path, { ...options, headers, credentials: "omit" });
  } catch (error) {
    if (error.name === "AbortError") {
      throw error;
    }
    throw new ServerError("The server does not answer", "Is vdr serve still running? Start it again, or check your network.");
  }
  if (!reply.ok) {
    throw await refusal(reply);
  }
  return reply;
}

async function refusal(reply) {
  const { status } = reply;
  let told = "";
  try {
    told = String((await reply.json()).error.message);
  } catch {
    told = `The server answered with HTTP status ${status}.`;
  }
  // Messages begin as they do after the word "error:"; names of files stay as they are.
  told = told.replace(/^(a|an|at|found|no|nothing|the|this)\b/, (word) => word[0].toUpperCase() + word.slice(1));
  const titles = { 400: "This cannot be searched", 403: "The server refused this page", 503: "The server is busy" };
  const title = titles[status] ?? "The server could not do this";
  return new ServerError(title, told, { status, canRepeat: status !== 400 });
}

/** Asks again a few times if the server has no room at the moment. */
async function patiently(ask, signal) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await ask();
    } catch (error) {
      if (error.status !== 503 || tries === BUSY_TRIES || signal.aborted) {
        throw error;
      }
      await new Promise((done) => setTimeout(done, BUSY_MS));
    }
  }
}

/** What the server searches. */
export async function facts(signal) {
  return (await answer("search", { signal })).json();
}

/** The hits of a question. */
export async function search({ question, k, hybrid }, signal) {
  const body = JSON.stringify({ question, k, hybrid });
  const headers = { "content-type": "application/json" };
  return (await answer("search", { method: "POST", body, headers, signal })).json();
}

/** A picture as an address inside this page, and how it is mixed with what is under it. */
export async function picture(path, signal) {
  const reply = await patiently(() => answer(path, { signal }), signal);
  const url = URL.createObjectURL(await reply.blob());
  return { url, blend: reply.headers.get("vdr-blend") ?? "multiply" };
}
