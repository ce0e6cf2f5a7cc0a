// Calls the functions, as the web app does: from another origin, with the user's token.

const calls = [];
const listeners = new Set();

let address = "";
let user = null;

export const useFunctionsAt = (baseUrl) => {
  address = baseUrl;
};

export const actAs = (someone) => {
  user = someone;
};

// The requests so far, newest first, and a call for each change of them.
export const callsSoFar = () => calls;
export const onCall = (listener) => listeners.add(listener);

// Sends a request. Returns `status`, `body`, and for a failure `problem`. A request without an answer has the status null.
// `quiet` requests are those that nobody clicked for.
export const send = async (name, { method = "GET", query = {}, body, key, quiet = false } = {}) => {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const search = new URLSearchParams(given).toString();
  const path = `/phone-numbers-${name}`;
  const headers = {};
  if (body) headers["content-type"] = "application/json";
  if (key) headers["idempotency-key"] = key;
  const call = { id: crypto.randomUUID(), at: new Date().toISOString(), user, method, address, path, query: given, search, headers, body, quiet };
  const started = performance.now();
  const { status, answer, replayed } = await exchange(call);
  Object.assign(call, { status, answer, replayed, ms: Math.round(performance.now() - started) });
  note(call);
  if (status === 401) document.dispatchEvent(new CustomEvent("session-expired", { detail: problemOf(call) }));
  return { status, body: answer, replayed, problem: status !== null && status < 300 && status !== 207 ? null : problemOf(call) };
};

const exchange = async ({ method, address, path, search, headers, body }) => {
  try {
    const response = await fetch(`${address}${path}${search && `?${search}`}`, {
      method,
      headers: { ...headers, authorization: `Bearer ${user.token}` },
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, answer: text ? JSON.parse(text) : null, replayed: response.headers.get("idempotent-replayed") === "true" };
  } catch {
    return { status: null, answer: null, replayed: false };
  }
};

// The problem document of an answer; for one of several numbers, that number's.
const problemOf = ({ status, answer }) => {
  if (status === null) {
    return {
      title: "No answer",
      detail: "The request may have had its effect. Repeating it is safe: it has the same idempotency key.",
      retryable: true,
    };
  }
  return answer?.failed?.[0]?.problem ?? answer?.problem ?? (answer?.code ? answer : { title: `HTTP ${status}`, detail: answer?.message ?? "", retryable: status >= 500 });
};

const note = (call) => {
  if (call.quiet && call.status === 200) return;
  calls.unshift(call);
  calls.length = Math.min(calls.length, 30);
  listeners.forEach((listener) => listener());
};
