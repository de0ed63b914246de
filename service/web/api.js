// The HTTP API as the page needs it.

const KEY = "dragoman.key"; // kept as long as this tab is open

/** What the service answered instead of what was asked for. */
export class Failure extends Error {
  constructor({ code, message, field = null, request_id: requestId = null }, status = 0) {
    super(message);
    this.code = code;
    this.field = field;
    this.requestId = requestId;
    this.wantsKey = status === 401;
  }
}

/** Send this key from now on. */
export function useKey(key) {
  sessionStorage.setItem(KEY, key);
}

/** Tell whether a key goes with what is asked. */
export function hasKey() {
  return sessionStorage.getItem(KEY) !== null;
}

/** List which source can be translated into which targets. */
export async function listLanguages() {
  return (await call("v1/languages")).languages;
}

/** List the models that serve. */
export async function listModels() {
  return (await call("v1/models")).models;
}

/** List the versions of a model, whether they serve or not. */
export async function listVersions(name) {
  return (await call(`v1/models/${name}/versions`)).versions;
}

/** Return the card of a model, as HTML that holds no scripts. */
export async function readCard({ name, version }) {
  return (await send(`v1/models/${name}/${version}/card`)).text();
}

/** Return the engine's figures, in the text format of Prometheus. */
export async function readMetrics() {
  return (await send("metrics")).text();
}

/** Translate one text; resolves to the translation and the milliseconds it took. */
export async function translate(request, signal) {
  const started = performance.now();
  const { translations } = await post("v1/translate", request, signal);
  return { ...translations[0], milliseconds: performance.now() - started };
}

/** Begin to translate a document; resolves to the job. */
export async function submitDocument(file, source, target) {
  const form = new FormData();
  form.set("file", file);
  form.set("source", source);
  form.set("target", target);
  return call("v1/documents", { method: "POST", body: form });
}

/** Return how far a document is. */
export async function readDocument(id) {
  return call(`v1/documents/${id}`);
}

/** Return a translated document and the name that the service gave it. */
export async function readResult(id) {
  const response = await send(`v1/documents/${id}/result`);
  const name = /filename\*=UTF-8''([^;]+)|filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "");
  return { blob: await response.blob(), name: name && decodeURIComponent(name[1] ?? name[2]) };
}

/** Give up a document, or forget it. */
export async function deleteDocument(id) {
  await send(`v1/documents/${id}`, { method: "DELETE" });
}

/** List the test sets that the service has. */
export async function listTestSets() {
  return (await call("v1/test-sets")).test_sets;
}

/** Begin an evaluation; resolves to the job. */
export async function submitEvaluation(form) {
  return call("v1/evaluations", { method: "POST", body: form });
}

/** List the caller's evaluations, the newest first. */
export async function listEvaluations() {
  return (await call("v1/evaluations")).evaluations;
}

/** Return an evaluation and how far it is. */
export async function readEvaluation(id) {
  return call(`v1/evaluations/${id}`);
}

/** Give an evaluation up; what is known of it stays. */
export async function cancelEvaluation(id) {
  await send(`v1/evaluations/${id}/cancel`, { method: "POST" });
}

/** Forget an evaluation. */
export async function deleteEvaluation(id) {
  await send(`v1/evaluations/${id}`, { method: "DELETE" });
}

/** Return the report of an evaluation, as a page in one file. */
export async function readReport(id) {
  return (await send(`v1/evaluations/${id}/report.html`)).blob();
}

function post(path, body, signal) {
  return call(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
}

async function call(path, options) {
  return (await send(path, options)).json();
}

async function send(path, options = {}) {
  const headers = new Headers(options.headers);
  const key = sessionStorage.getItem(KEY);
  if (key) headers.set("Authorization", `Bearer ${key}`);
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure({ code: "unreachable", message: "The service cannot be reached." });
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => null);
  const error = body?.error ?? { code: response.status, message: response.statusText };
  throw new Failure(error, response.status);
}
