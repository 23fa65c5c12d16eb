import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { digestOf, isSameSecret } from '../../config/join-token.js';
import {
  workersRecordSchema,
  workerName,
  maxWorkers,
  type WorkerRecord,
  type JoinReply,
  type JoinRequest,
} from '../../cluster/workers/record.js';
import { KeyLock } from '../../key-lock.js';
import type { Layout } from '../../config/layout.js';
import {
  PLACEHOLDER_WORKERS_PARTITION,
  placeholderNameOf,
} from '../../cluster/slurm/placeholder-jobs.js';
import { idsOfJobUsers } from '../daemons/unix-users.js';
import { privateFile } from '../daemons/folders.js';
import { scontrol } from '../daemons/job-processes.js';
import type { SlurmConfigParts } from '../daemons/slurm-config.js';

/** A refused worker; the message is for the person who starts the worker. */
export class JoinRefusal extends Error {
  override readonly name = 'JoinRefusal';
}

/** munge refuses a credential older than 5 minutes (munge(7)). */
const maxSkewMs = 2 * 60_000;

/** The record of workers. It is root's, since only root can send the munge key. */
export class WorkerRegister {
  readonly #parts: Pick<SlurmConfigParts, 'config' | 'layout' | 'unixUsers' | 'app'> & {
    /** As `slurmd -V` prints it. */
    slurm: string;
    timeoutSeconds: number;
  };

  readonly #layout: Layout;
  /** Changes the record one at a time: each change reads it, asks Slurm, and writes it anew. */
  readonly #turns = new KeyLock<'record'>();

  constructor(
    parts: Pick<SlurmConfigParts, 'config' | 'layout' | 'unixUsers' | 'app'> & {
      /** As `slurmd -V` prints it. */
      slurm: string;
      timeoutSeconds: number;
    },
  ) {
    this.#parts = parts;

    this.#layout = parts.layout;
    mkdirSync(dirname(this.#layout.workersRecord), { recursive: true, mode: 0o755 });
    this.#write(existsSync(this.#layout.workersRecord) ? this.all() : []);
  }

  all(): WorkerRecord[] {
    const text = readFileSync(this.#layout.workersRecord, 'utf8');
    return workersRecordSchema.parse(JSON.parse(text)).workers;
  }

  /** Admits a worker. @throws JoinRefusal */
  admit(asked: JoinRequest): Promise<JoinReply> {
    return this.#turns.hold('record', () => this.#admit(asked));
  }

  /**
   * Removes a worker from Slurm and keeps its name for it.
   * @returns the name of the worker with that token
   */
  dismiss(token: string): Promise<string | undefined> {
    return this.#turns.hold('record', () => this.#dismiss(token));
  }

  async #dismiss(token: string): Promise<string | undefined> {
    const hash = digestOf(token).toString('hex');
    const worker = this.all().find(({ token_hash }) => isSameSecret(token_hash, hash));
    if (worker === undefined) return undefined;
    // Mark it first, so that no new placeholder is submitted for it.
    this.#write(this.all().map((one) => (one.name === worker.name ? { ...one, left: true } : one)));
    await this.#cancelPlaceholders(worker.name);
    await scontrol(this.#layout, 'delete', `NodeName=${worker.name}`);
    return worker.name;
  }

  async #admit(asked: JoinRequest): Promise<JoinReply> {
    this.#refuse(asked);
    const { config } = this.#parts;
    const workers = this.all();
    const nodes = (await scontrol(this.#layout, 'show', 'node', '--oneliner')) ?? '';
    const names = new Set([...nodes.matchAll(/^NodeName=(\S+)/gm)].map(([, name]) => name));
    const before = workers.find((worker) => worker.worker_id === asked.worker_id);
    const taken = new Set(workers.map((worker) => worker.name));
    const free = Array.from({ length: maxWorkers }, (_, i) => workerName(i + 1)).find(
      (name) => !taken.has(name) && !names.has(name),
    );
    const name = before?.name ?? free;
    if (name === undefined)
      throw new JoinRefusal(`there are already ${maxWorkers} workers, the maximum`);
    // Slurm keeps the node's old GPUs and memory, which may have changed.
    if (names.has(name)) await this.#forget(name);

    const workerToken = randomBytes(24).toString('base64url');
    const { worker_id, cpus, memory_mb, gpus } = asked;
    const record = {
      name,
      worker_id,
      token_hash: digestOf(workerToken).toString('hex'),
      cpus,
      memory_mb,
      gpus,
      joined_at: Date.now(),
      left: false,
    };
    this.#write([...workers.filter((worker) => worker.worker_id !== worker_id), record]);
    return {
      name,
      worker_token: workerToken,
      munge_key: asked.munge_key_sha256 === undefined ? this.#mungeKey().toString('base64') : null,
      gpu_type: config.node.gpuType,
      shards_per_gpu: config.gpus.shardsPerGpu,
      timeout_seconds: this.#parts.timeoutSeconds,
    };
  }

  /** Removes the node. Its jobs from before the worker's return are gone. */
  async #forget(name: string): Promise<void> {
    const node = `NodeName=${name}`;
    await scontrol(this.#layout, 'update', node, 'State=DOWN', 'Reason=the worker has joined anew');
    await this.#cancelPlaceholders(name);
    const said = await scontrol(this.#layout, 'delete', node);
    if (said === undefined)
      throw new JoinRefusal(`Slurm still has jobs on ${name}; try again in a moment`);
  }

  /**
   * Cancels the placeholders of paused GPUs: one that waits for a deleted node would wait for its
   * successor.
   */
  async #cancelPlaceholders(name: string): Promise<void> {
    await execa(
      'scancel',
      [
        '--quiet',
        `--partition=${PLACEHOLDER_WORKERS_PARTITION}`,
        `--name=${placeholderNameOf(name)}`,
      ],
      {
        timeout: 10_000,
        env: { PATH: '/usr/bin:/bin', SLURM_CONF: this.#layout.slurmConf },
        extendEnv: false,
      },
    );
  }

  #refuse(asked: JoinRequest): void {
    const { unixUsers, app, slurm } = this.#parts;
    const { root } = this.#layout;
    if (asked.root !== root)
      throw new JoinRefusal(
        `JR_ROOT: is ${asked.root} on the worker and ${root} on the controller; jobs name paths below it, so set the same on both`,
      );
    if (asked.app_root !== app.root)
      throw new JoinRefusal(
        `the program is in ${asked.app_root} on the worker and in ${app.root} on the controller; jobs name files below it, so use the same path on both, as the image does`,
      );
    if (asked.slurm !== slurm)
      throw new JoinRefusal(
        `Slurm is ${asked.slurm} on the worker and ${slurm} on the controller; run the same version on both`,
      );
    const { uid, gid } = unixUsers.slurm;
    if (asked.ids.slurm !== `${uid}:${gid}`)
      throw new JoinRefusal(
        `the user slurm is ${asked.ids.slurm} on the worker and ${uid}:${gid} on the controller; Slurm knows users by number, so make them the same, as the image does`,
      );
    if (asked.ids.jobs !== idsOfJobUsers(unixUsers))
      throw new JoinRefusal(
        'the users of jobs (runner, jr-job1 …) differ in number or uid between the worker and the controller (getent passwd); Slurm knows users by number, so make them the same, as the image does with the same JR_JOB_USERS',
      );
    const { munge_key_sha256: keyDigest } = asked;
    if (
      keyDigest !== undefined &&
      !isSameSecret(keyDigest, digestOf(this.#mungeKey()).toString('hex'))
    )
      throw new JoinRefusal(
        `JR_MUNGE_KEY_FILE: is not this cluster’s key; copy ${this.#mungeKeyPath} from the controller, or leave it unset`,
      );
    const skew = asked.now - Date.now();
    if (Math.abs(skew) > maxSkewMs)
      throw new JoinRefusal(
        `the worker’s clock is ${Math.round(Math.abs(skew) / 1000)} s ${skew < 0 ? 'behind' : 'ahead'}; correct it`,
      );
  }

  get #mungeKeyPath(): string {
    return join(this.#layout.mungeFolder, 'munge.key');
  }

  #mungeKey(): Buffer {
    return readFileSync(this.#mungeKeyPath);
  }

  #write(workers: WorkerRecord[]): void {
    const { jobrunner, 'jr-join': joinPort } = this.#parts.unixUsers;
    const text = `${JSON.stringify({ workers }, null, 2)}\n`;
    // The join port first: a worker calls it before the API.
    privateFile(this.#layout.joinWorkers, text, 0o640, { uid: 0, gid: joinPort.gid });
    privateFile(this.#layout.workersRecord, text, 0o640, { uid: 0, gid: jobrunner.gid });
  }
}
