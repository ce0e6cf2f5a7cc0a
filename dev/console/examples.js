// A request as a developer would write it.

// The variable with the user's token, in a shell that has read the file `env` of `cargo dev`.
const variable = ({ user }) => `$${user.key.toUpperCase()}`;

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

export const curl = (call) => {
  const url = `${call.address}${call.path}${call.search && `?${call.search}`}`;
  const lines = [`curl ${call.method === "GET" || (call.method === "POST" && call.body) ? "" : `-X ${call.method} `}${quoted(url)}`, `-H "authorization: Bearer ${variable(call)}"`];
  lines.push(...Object.entries(call.headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`));
  if (call.body) lines.push(`-d ${quoted(JSON.stringify(call.body))}`);
  return lines.join(" \\\n  ");
};

// With the client in `client/`: `numbers` is a `PhoneNumbers` of it.
export const typed = (call) => {
  const query = Object.fromEntries(call.query);
  const { id, phone_number_id: unassigned, ...options } = query;
  const keyed = call.headers["idempotency-key"] && { idempotencyKey: call.headers["idempotency-key"] };
  const [method, ...given] = {
    "GET search": ["search", query],
    "GET list": ["list", query],
    "GET assign": ["show", id, options],
    "POST purchase": ["purchase", call.body, keyed],
    "POST assign": ["assign", call.body],
    "PATCH assign": ["change", call.body],
    "DELETE assign": ["unassign", unassigned],
    "POST release": ["release", call.body, keyed],
  }[`${call.method} ${call.path.split("-").pop()}`];
  return `await numbers.${method}(${given.filter(Boolean).map(literal).join(", ")});`;
};

// JSON with names as JavaScript writes them.
const literal = (value) => JSON.stringify(value, null, 2).replace(/^(\s*)"([A-Za-z_]\w*)":/gm, "$1$2:");
