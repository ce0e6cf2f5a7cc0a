// Asks the console's own listener, which is this page's origin.

const ask = async (method, path, body) => {
  const headers = method === "GET" ? {} : { "content-type": "application/json" };
  const response = await fetch(path, { method, headers, body: body && JSON.stringify(body) }).catch(() => null);
  return response?.ok ? response.json() : null;
};

export const consoleApi = (method, name, body) => ask(method, `/api/${name}`, body);

// A request to the simulator's controls.
export const forward = (method, control, body) => ask(method, `/api/telnyx/${control}`, body);
