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

// With a client that openapi-fetch makes from the API's document.
export const typed = (call) => {
  const params = {};
  if (call.query.length) params.query = Object.fromEntries(call.query);
  if (call.headers["idempotency-key"]) params.header = { "Idempotency-Key": call.headers["idempotency-key"] };
  const options = { ...(Object.keys(params).length && { params }), ...(call.body && { body: call.body }) };
  const given = Object.keys(options).length ? `, ${literal(options)}` : "";
  return `const { data, error } = await api.${call.method}("${call.path}"${given});`;
};

// JSON with names as JavaScript writes them.
const literal = (value) => JSON.stringify(value, null, 2).replace(/^(\s*)"([A-Za-z_]\w*)":/gm, "$1$2:");
