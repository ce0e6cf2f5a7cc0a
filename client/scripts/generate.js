// Makes src/schema.ts from docs/openapi.json.
import { readFile, writeFile } from "node:fs/promises";
import openapiTS, { astToString } from "openapi-typescript";

const DOCUMENT = new URL("../../docs/openapi.json", import.meta.url);
const TYPES = new URL("../src/schema.ts", import.meta.url);
const HEADER = "// Made from docs/openapi.json by `npm run generate`. Do not edit.\n\n";

// What stands beside a `$ref` adds to it in OpenAPI 3.1, and openapi-typescript leaves it out. In `allOf` it does not.
function withMembersBesideReferences(value) {
  if (Array.isArray(value)) {
    return value.map(withMembersBesideReferences);
  }
  if (value === null || typeof value !== "object") {
    return value;
  }
  const entries = Object.entries(value).map(([name, member]) => [name, withMembersBesideReferences(member)]);
  const { $ref, ...rest } = Object.fromEntries(entries);
  if ($ref === undefined) {
    return rest;
  }
  return rest.properties === undefined ? { ...rest, $ref } : { description: rest.description, allOf: [{ $ref }, rest] };
}

const document = withMembersBesideReferences(JSON.parse(await readFile(DOCUMENT, "utf8")));
// A member with a default may be absent from a request.
const types = await openapiTS(document, { defaultNonNullable: false, silent: true });
await writeFile(TYPES, HEADER + astToString(types));
