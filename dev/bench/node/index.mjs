// What phone-numbers-list asks Postgres, in Node with `pg`: no secrets, no tokens, no framework.
import { readFileSync } from "node:fs";
import http from "node:http";
import pg from "pg";

const { AWS_LAMBDA_RUNTIME_API, BENCH_STATEMENTS, DATABASE_CA_FILE, DATABASE_URL } = process.env;
const statements = JSON.parse(readFileSync(BENCH_STATEMENTS, "utf8")).map(({ sql, parameters }, index) => ({
  name: `s${index}`,
  text: sql,
  // `pg` sends buffers in the binary format, in which they were recorded.
  values: parameters.map((bytes) => bytes && Buffer.from(bytes)),
}));

const url = new URL(DATABASE_URL);
url.search = "";
const client = new pg.Client({ connectionString: url.href, ssl: { ca: readFileSync(DATABASE_CA_FILE, "utf8") } });
await client.connect();

const agent = new http.Agent({ keepAlive: true });
const runtime = `http://${AWS_LAMBDA_RUNTIME_API.replace(/^http:\/\//, "")}/2018-06-01/runtime/invocation`;

function request(method, address, body) {
  return new Promise((resolve, reject) => {
    const sent = http.request(address, { method, agent }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk) => (text += chunk));
      response.on("end", () => resolve({ headers: response.headers, text }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

for (;;) {
  const event = await request("GET", `${runtime}/next`);
  JSON.parse(event.text);
  const results = await Promise.all(statements.map((statement) => client.query(statement)));
  const body = JSON.stringify(results.map((result) => result.rows));
  const answer = { statusCode: 200, headers: { "content-type": "application/json" }, body, isBase64Encoded: false };
  await request("POST", `${runtime}/${event.headers["lambda-runtime-aws-request-id"]}/response`, JSON.stringify(answer));
}
