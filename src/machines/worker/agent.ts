import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { buffer } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { pino, type Logger } from 'pino';
import { z } from 'zod';
import { workerJobSchema } from '../../cluster/workers/record.js';
import type { JobId } from '../../jobs/job.js';
import { JobFolders } from '../../jobs/job-folders.js';
import type { Layout } from '../../config/layout.js';
import { isJobUser, readJobUsers } from '../../config/unix-users.js';
import { ControllerLink } from './controller-link.js';
import { Delivery } from './delivery.js';
import { DatasetFetcher } from './fetch-dataset.js';
import { problemsFolder } from './files.js';
import { Outbox } from './outbox.js';
import { retryUntilReachable } from './retry-until-reachable.js';
import { readIdentity } from './identity.js';

/**
 * The longest wait for a job's last log lines before its node is free again; later ones still
 * follow.
 */
const lastWordsMs = 10_000;
/** The longest wait of a job for an unreachable controller, although its Slurm was reachable. */
const beginMs = 5 * 60_000;

const messageSchema = z.strictObject({
  moment: z.enum(['begin', 'end']),
  job_id: z.number().int().min(1),
  slurm_job_id: z.number().int().min(1),
  /** The Unix user that the job runs as. */
  unix_user: z.string().refine(isJobUser),
});
type Message = z.infer<typeof messageSchema>;

export interface AgentSettings {
  /** The most bytes that copies of datasets may take; 0 for the free disk. */
  cacheBytes: number;
  /** The longest time that the connection to the controller may be silent. */
  silenceMs: number;
}

/**
 * Runs until SIGTERM: fetches the files that this worker's jobs need, and sends their results to
 * the controller.
 */
export async function runAgent(layout: Layout, settings: AgentSettings): Promise<void> {
  process.umask(0o027);
  const agent = new WorkerAgent(layout, settings, pino({ level: 'info' }));
  await agent.start();
  await new Promise<void>((resolve) => {
    process.once('SIGTERM', () => resolve());
    process.once('SIGINT', () => resolve());
  });
  await agent.close();
}

class WorkerAgent {
  readonly #layout: Layout;
  readonly #log: Logger;

  readonly #link: ControllerLink;
  readonly #outbox: Outbox;
  readonly #folders: JobFolders;
  readonly #datasets: DatasetFetcher;
  readonly #closing = new AbortController();
  readonly #deliveries = new Map<number, Delivery>();
  /** The datasets of jobs that are about to run, by job. */
  readonly #preparing = new Map<number, string>();
  readonly #server = createServer({ allowHalfOpen: true }, (socket) => this.#hear(socket));

  constructor(layout: Layout, { cacheBytes, silenceMs }: AgentSettings, log: Logger) {
    this.#layout = layout;
    this.#log = log;

    const { controller, fingerprint, token } = readIdentity(layout.workerIdentity);
    const target = {
      ...controller,
      silenceMs,
      fingerprint: Buffer.from(fingerprint, 'base64url'),
    };
    this.#link = new ControllerLink(target, token);
    this.#outbox = new Outbox(layout.workerOutbox);
    this.#folders = new JobFolders(layout);
    this.#datasets = new DatasetFetcher({
      root: layout.datasets,
      link: this.#link,
      maxBytes: cacheBytes,
      isInUse: (sha256) =>
        [...this.#preparing.values()].includes(sha256) ||
        [...this.#deliveries.values()].some((delivery) => delivery.needs(sha256)),
      log,
    });
  }

  async start(): Promise<void> {
    await this.#folders.sweep(this.#log);
    // Deliver first, so that the datasets in use are known.
    for (const entry of this.#outbox.all()) this.#deliver(entry);
    await this.#datasets.start();
    rmSync(this.#layout.workerSocket, { force: true });
    this.#server.listen(this.#layout.workerSocket);
    await once(this.#server, 'listening');
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#server.close();
    await Promise.allSettled([...this.#deliveries.values()].map((delivery) => delivery.done));
    this.#link.close();
  }

  #hear(socket: Socket): void {
    const answer = async () => {
      const line = await createInterface(socket)[Symbol.asyncIterator]().next();
      // The health check has connected.
      if (line.done === true) {
        socket.end();
        return;
      }
      const message = messageSchema.parse(JSON.parse(String(line.value)));
      if (message.moment === 'begin') await this.#begin(message);
      else await this.#end(message);
      socket.end('done\n');
    };
    socket.on('error', (error) =>
      this.#log.warn({ err: error }, 'Slurm’s prolog or epilog closed the connection'),
    );
    answer().catch((error: unknown) => {
      if (!this.#closing.signal.aborted)
        this.#log.error({ err: error }, 'a message was not handled');
      socket.destroy();
    });
  }

  /** Prepares a job. Never fails: the job's script reports an error. */
  async #begin({ job_id: id, slurm_job_id, unix_user: user }: Message): Promise<void> {
    const { signal } = this.#closing;
    const gid = readJobUsers().get(user)?.gid;
    // An earlier start of the same job may have results left, which the controller no longer wants.
    await this.#deliveries.get(id)?.giveUp();
    this.#folders.make(id as JobId, undefined, 'job-user', gid);
    const problemFile = join(problemsFolder(this.#layout), String(slurm_job_id));
    rmSync(problemFile, { force: true });
    try {
      await retryUntilReachable(
        () => this.#fetch(id, slurm_job_id, gid),
        this.#log,
        signal,
        beginMs,
      );
    } catch (error) {
      this.#preparing.delete(id);
      if (signal.aborted) throw error;
      this.#log.error({ err: error, job_id: id }, 'a job could not be prepared');
      const why = error instanceof Error ? error.message : String(error);
      const message = `this worker could not fetch the job’s files: ${why}`;
      writeFileSync(problemFile, message, { mode: 0o640 });
      const body = JSON.stringify({ message: message.slice(0, 2000) });
      await this.#link
        .call('POST', `/workers/jobs/${id}/problem`, { body })
        .catch((err: unknown) => this.#log.warn({ err }, 'the report to the controller failed'));
    }
    const dataset = this.#preparing.get(id) ?? null;
    this.#deliver({ job_id: id, slurm_job_id, ended: false, archive: null, dataset });
    this.#preparing.delete(id);
  }

  async #fetch(id: number, slurmJobId: number, gid: number | undefined): Promise<void> {
    const { signal } = this.#closing;
    const body = JSON.stringify({ slurm_job_id: slurmJobId });
    const job = workerJobSchema.parse(
      await this.#link.call('POST', `/workers/jobs/${id}/begin`, { body, signal }),
    );
    if (job.script_name !== null) {
      const reply = await this.#link.open('GET', `/workers/jobs/${id}/script`, { signal });
      const script = { name: job.script_name, content: await buffer(reply) };
      this.#folders.make(id as JobId, script, 'job-user', gid);
    }
    if (job.dataset === null) return;
    this.#preparing.set(id, job.dataset.sha256);
    await this.#datasets.fetch(job.dataset, signal);
  }

  /** Ends a job. Returns once the controller has the whole log, or after a while. */
  async #end({ job_id: id }: Message): Promise<void> {
    const delivery = this.#deliveries.get(id);
    if (delivery === undefined) return;
    delivery.end();
    await Promise.race([
      delivery.logSent,
      delay(lastWordsMs, undefined, { signal: this.#closing.signal }),
    ]);
  }

  #deliver(entry: Parameters<Outbox['write']>[0]): void {
    this.#outbox.write(entry);
    const delivery = new Delivery(entry, {
      link: this.#link,
      outbox: this.#outbox,
      folders: this.#folders,
      log: this.#log,
      closing: this.#closing.signal,
    });
    this.#deliveries.set(entry.job_id, delivery);
    void delivery.done.then(() => {
      if (this.#deliveries.get(entry.job_id) === delivery) this.#deliveries.delete(entry.job_id);
      if (!this.#closing.signal.aborted)
        rmSync(join(problemsFolder(this.#layout), String(entry.slurm_job_id)), { force: true });
    });
  }
}
