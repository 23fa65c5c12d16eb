import { createHash, randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { chmod, mkdir, mkdtemp, open, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { execa } from 'execa';
import { Nginx } from './nginx.js';
import { RequirementError, searchPath } from './requirements.js';
import { Stack } from './stack.js';

const GiB = 1024 ** 3;
/**
 * The payload, its copies on both sides, a job's output and its copy, all extracted trees, and a
 * reserve.
 */
const neededBytes = 18 * GiB;

/**
 * Shared by all figures: the temporary folder, the stack, nginx and the payload. `close` removes it
 * all.
 */
export class Workspace {
  #abort = new globalThis.AbortController();
  /** @type {(() => Promise<unknown>)[]} */
  #releasers = [];
  /** @type {Promise<Stack> | undefined} */
  #stack;
  /** @type {Promise<Nginx> | undefined} */
  #nginx;
  /** @type {Promise<Payload> | undefined} */
  #payload;

  /**
   * @param {string} root
   * @param {boolean} quick
   */
  constructor(root, quick) {
    // Each command and request of a figure adds a listener.
    setMaxListeners(0, this.#abort.signal);
    this.root = root;
    this.quick = quick;
    this.payloadBytes = quick ? GiB / 4 : GiB;
  }

  /**
   * @param {boolean} quick
   * @throws RequirementError when the disk is too full.
   */
  static async open(quick) {
    const { bavail, bsize } = await statfs(tmpdir());
    if (bavail * bsize < neededBytes)
      throw new RequirementError(
        `${tmpdir()} has less than ${neededBytes / GiB} GiB free; set TMPDIR to a folder with more`,
      );
    const root = await mkdtemp(join(tmpdir(), 'jr-bench-'));
    const workspace = new Workspace(root, quick);
    workspace.defer(() => rm(root, { recursive: true, force: true, maxRetries: 5 }));
    // The daemons' users must be able to pass through.
    await chmod(root, 0o755);
    return workspace;
  }

  /** Fires on Ctrl-C; all long work listens to it. */
  get signal() {
    return this.#abort.signal;
  }

  abort() {
    if (!this.signal.aborted) this.say('Stopping; removing what was started …');
    this.#abort.abort();
  }

  /** @param {() => Promise<unknown>} release called by `close`, the last deferred first */
  defer(release) {
    this.#releasers.push(release);
  }

  async close() {
    for (const release of this.#releasers.reverse())
      await release().catch((/** @type {unknown} */ error) => this.say(`cleaning up: ${error}`));
    this.#releasers = [];
  }

  /** @param {string} line progress, on stderr */
  say(line) {
    process.stderr.write(`${line}\n`);
  }

  /**
   * Chooses how often a side is measured.
   * @param {number} whole in a whole run
   */
  runs(whole) {
    return this.quick ? Math.min(2, whole) : whole;
  }

  /**
   * @param {string} file
   * @param {string[]} args
   * @param {import('execa').Options} [options]
   */
  run(file, args, options = {}) {
    const { env, ...others } = options;
    return execa(file, args, {
      cancelSignal: this.signal,
      ...others,
      env: { PATH: searchPath, ...env },
    });
  }

  /** Writes out dirty pages, so that the next run need not wait for them. */
  async settle() {
    await this.run('sync', ['-f', this.root]);
  }

  /** @param {string} name */
  async folder(name) {
    const path = join(this.root, name);
    await mkdir(path);
    return path;
  }

  /** Returns the stack that the figures share; the first call starts it. */
  stack() {
    this.#stack ??= Stack.start(this, 'stack');
    return this.#stack;
  }

  nginx() {
    this.#nginx ??= Nginx.start(this);
    return this.#nginx;
  }

  /** Makes random bytes that do not look like an archive. */
  payload() {
    this.#payload ??= this.#makePayload();
    return this.#payload;
  }

  /** @typedef {{ path: string, sha256: string, bytes: number }} Payload */

  /** @returns {Promise<Payload>} */
  async #makePayload() {
    this.say(`  making ${this.payloadBytes / 1024 ** 2} MiB of random bytes`);
    const path = join(this.root, 'payload.bin');
    const hash = createHash('sha256');
    const file = await open(path, 'wx');
    try {
      for (let written = 0; written < this.payloadBytes;) {
        this.signal.throwIfAborted();
        const block = randomBytes(Math.min(16 * 1024 ** 2, this.payloadBytes - written));
        if (written === 0) block.write('JobRunner bench\n');
        hash.update(block);
        await file.writeFile(block);
        written += block.length;
      }
    } finally {
      await file.close();
    }
    return { path, sha256: hash.digest('hex'), bytes: this.payloadBytes };
  }
}
