import { type ChildProcess, spawn } from "node:child_process";
import { chmod, mkdtemp, open, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
/** The functions may have to be built first. */
const READY_TIMEOUT_MS = 15 * 60_000;

/** The ready file of `cargo dev`, as far as the tests use it. */
interface Ready {
  base_url: string;
  telnyx_control_url: string;
  tokens: Record<"owner" | "admin" | "member" | "client_viewer" | "other_owner", string>;
  agents: Record<"demo" | "other", [string, string]>;
}

/** The functions, Postgres and the Telnyx simulator, with an empty database. */
export class Stack {
  static async start(): Promise<Stack> {
    const folder = await mkdtemp(join(tmpdir(), "client-"));
    // Postgres may run as another user in a folder below.
    await chmod(folder, 0o755);
    const file = join(folder, "ready.json");
    const log = await open(join(folder, "dev.log"), "w");
    const options = ["--port", "0", "--telnyx-port", "0", "--console-port", "0", "--fresh", "--data", join(folder, "data"), "--ready-file", file];
    const child = spawn("cargo", ["dev", ...options], { cwd: ROOT, stdio: ["ignore", log.fd, log.fd] });
    await log.close();
    const stop = () => child.kill("SIGINT");
    process.once("exit", stop);
    const end = Date.now() + READY_TIMEOUT_MS;
    for (;;) {
      // It is written at once, when everything answers.
      const text = await readFile(file, "utf8").catch(() => undefined);
      if (text !== undefined) {
        return new Stack(JSON.parse(text) as Ready, child, folder);
      }
      if (child.exitCode !== null || Date.now() > end) {
        throw new Error(await readFile(join(folder, "dev.log"), "utf8"));
      }
      await sleep(50);
    }
  }

  private constructor(
    readonly ready: Ready,
    private readonly child: ChildProcess,
    private readonly folder: string,
  ) {}

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGINT");
    await ended;
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Adds a fault of the Telnyx simulator. */
  async fault(fault: object): Promise<void> {
    await this.control("POST", "faults", fault);
  }

  /** Changes settings of the Telnyx simulator. */
  async settings(settings: object): Promise<void> {
    await this.control("PUT", "settings", settings);
  }

  /** The orders that Telnyx has. */
  async orders(): Promise<unknown[]> {
    const state = (await this.control("GET", "state")) as { orders: unknown[] };
    return state.orders;
  }

  private async control(method: string, path: string, body?: object): Promise<unknown> {
    const headers = { "content-type": "application/json" };
    const init = body === undefined ? { method } : { method, headers, body: JSON.stringify(body) };
    const response = await fetch(`${this.ready.telnyx_control_url}/${path}`, init);
    const text = await response.text();
    if (!response.ok) {
      throw new Error(text);
    }
    return text === "" ? undefined : JSON.parse(text);
  }
}
