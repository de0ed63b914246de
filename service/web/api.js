// The HTTP API as the page needs it.

/** What the service answered instead of a translation. */
export class Failure extends Error {
  constructor({ code, message, field = null, request_id: requestId = null }) {
    super(message);
    this.code = code;
    this.field = field;
    this.requestId = requestId;
  }
}

/** List which source can be translated into which targets. */
export async function listLanguages() {
  return (await call("v1/languages")).languages;
}

/** Translate one text; resolves to the translation and the milliseconds it took. */
export async function translate(request, signal) {
  const started = performance.now();
  const { translations } = await call("v1/translate", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(request),
    signal,
  });
  return { ...translations[0], milliseconds: performance.now() - started };
}

async function call(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure({ code: "unreachable", message: "The service cannot be reached." });
  }
  const body = await response.json().catch(() => null);
  if (response.ok && body) return body;
  throw new Failure(body?.error ?? { code: response.status, message: response.statusText });
}
