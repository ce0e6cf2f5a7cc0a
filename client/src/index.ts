export * from "./client.js";
export { type Problem, type ProblemCode, ProblemError, RequestError } from "./errors.js";
export type { RetryPolicy, Send } from "./retry.js";
export type { components, operations, paths } from "./schema.js";
