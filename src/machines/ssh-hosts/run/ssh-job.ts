import { setTimeout as sleep } from 'node:timers/promises';
import type { SshProcessConfig } from '../../../config/ssh.js';
import type { SshJobSpec } from '../../../jobs/ssh-job-spec.js';
import { SshError } from '../ssh/errors.js';
import type { HostSession } from '../ssh/session.js';
import { sendDataset } from './dataset.js';
import { HOST_FAILED, type Ending } from './ending.js';
import { packJob, placesOf, scriptForHost, type HostPaths } from './job-files.js';
import type { JobLog } from './log.js';
import { fetchOutputs } from './outputs.js';
import { onceThereIsRoom } from './room.js';
import { readState, type HostJobProgress, type HostJobState } from './state.js';

/** Slurm sends SIGKILL ten seconds after SIGTERM (KillWait in slurm.conf): all must be done by then. */
const windUpMs = 9000;
/** What the job is given to end by itself. */
const graceMs = 5000;

export interface SshJobParts {
  spec: SshJobSpec;
  slurm: NonNullable<SshProcessConfig['slurm']>;
  session: HostSession;
  log: JobLog;
  shardsPerGpu: number;
  /** A folder of ours for locks, and one for what lives as long as this process. */
  state: string;
  scratch: string;
  installation: string;
}

/** A job on an SSH host, from here. */
export class SshJob {
  readonly #parts: SshJobParts;
  #places: HostPaths | undefined;

  constructor(parts: SshJobParts) {
    this.#parts = parts;
  }

  /**
   * @param cancelled aborts when the job is to end
   * @throws SshError, HostProtocolError
   */
  async run(cancelled: AbortSignal): Promise<Ending> {
    try {
      await this.#begin(cancelled);
      return await this.#toItsEnd(cancelled);
    } catch (error) {
      if (!cancelled.aborted) {
        await this.#clearUp(cancelled);
        throw error;
      }
      return await this.#windUp();
    }
  }

  /** Sends what the job needs, and starts it. */
  async #begin(signal: AbortSignal): Promise<void> {
    const { spec, slurm, session, log, shardsPerGpu, state, scratch, installation } = this.#parts;
    const facts = await session.use((link) => Promise.resolve(link.facts), signal);
    const places = placesOf(spec, facts, installation, slurm.restart);
    this.#places = places;
    if (spec.dataset)
      await sendDataset(spec.dataset, { session, log, state, installation, places, signal });
    const script = scriptForHost(spec, session.host, facts, places, shardsPerGpu);
    log.keepScript(script);
    const files = await packJob(spec, script, scratch);
    const logs = spec.request.split_log ? 'split' : 'one';
    const begin = ['begin', places.job, slurm.gpus, slurm.shards, slurm.jobId, logs];
    try {
      await session.use((link) => link.call(begin, { input: files.tar(), signal }), signal);
    } finally {
      await files.remove();
    }
    // From here on it runs there, whether it can be reached or not.
    session.patience = Infinity;
  }

  /** What there is of the job is on the host alone: a full disk here is waited for, as a broken link is. */
  async #toItsEnd(signal: AbortSignal): Promise<Ending> {
    const { spec, log } = this.#parts;
    const work = async () => this.#finish(await this.#follow(signal), signal);
    return onceThereIsRoom(spec.output_dir, work, log.say, signal);
  }

  /** Copies the job's log until it has ended and all of it is here. */
  async #follow(signal: AbortSignal): Promise<HostJobState> {
    const { session, log } = this.#parts;
    const { job } = this.#given;
    for (let idle = 0; ;) {
      const before = log.stdoutBytes + log.stderrBytes;
      await session.use(
        (link) =>
          link.call(['follow', job, String(log.stdoutBytes), String(log.stderrBytes)], {
            onOutput: (chunk) => log.output(chunk),
            onError: (chunk) => log.error(chunk),
            signal,
          }),
        signal,
      );
      const { state, stdout, stderr } = await this.#progress(signal);
      idle = before === log.stdoutBytes + log.stderrBytes ? idle + 1 : 0;
      if (state.kind === 'running') {
        // One that ends each call at once is not to keep our processors busy.
        if (idle > 0) await sleep(1000, undefined, { signal });
        continue;
      }
      const isComplete = log.stdoutBytes >= stdout && log.stderrBytes >= stderr;
      // A job may have cut its own log short, or there is none left.
      if (isComplete || idle > 2) return state;
    }
  }

  async #progress(signal: AbortSignal): Promise<HostJobProgress> {
    const { session } = this.#parts;
    return readState(
      await session.use((link) => link.call(['job_state', this.#given.job], { signal }), signal),
    );
  }

  /** Fetches the outputs and removes the job's folder. */
  async #finish(state: HostJobState, signal: AbortSignal): Promise<Ending> {
    const { session, spec, log } = this.#parts;
    const { job } = this.#given;
    const { name } = session.host;
    if (state.kind !== 'none') {
      const { leftOut } = await fetchOutputs(session, job, spec.output_dir, signal);
      for (const sentence of leftOut) log.say(`not fetched from ${name}: ${sentence}`);
    }
    await session.use((link) => link.call(['remove', job], { signal }), signal);
    switch (state.kind) {
      case 'exit':
        return { code: state.code };
      case 'signal':
        return { signal: state.number };
      case 'lost':
        log.hostFailed(
          state.why === 'rebooted'
            ? `SSH host ${name}: was started anew while the job ran; the job is not started a second time`
            : `SSH host ${name}: somebody there ended the job's processes without leaving how`,
        );
        return { code: HOST_FAILED };
      case 'none':
        log.hostFailed(
          `SSH host ${name}: the job's folder is gone; was ${session.host.workdir} emptied, or the host started anew?`,
        );
        return { code: HOST_FAILED };
      case 'running':
        throw new Error('a job that runs was taken for one that has ended');
    }
  }

  /** Slurm ends the job: it is told, then killed, and what it has written is fetched as far as there is time. */
  async #windUp(): Promise<Ending> {
    const { session, log } = this.#parts;
    const ending = { code: 128 + 15 };
    const places = this.#places;
    if (places === undefined) return ending;
    session.patience = windUpMs;
    const deadline = new AbortController();
    const timer = setTimeout(() => {
      deadline.abort(new Error('there is no time left'));
    }, windUpMs);
    const { signal } = deadline;
    const stop = (name: string) =>
      session.use((link) => link.call(['stop', places.job, name], { signal }), signal);
    const kill = setTimeout(() => {
      // Whether it worked is seen by the job's end.
      stop('KILL').catch(() => undefined);
    }, graceMs);
    try {
      await stop('TERM');
      await this.#finish(await this.#follow(signal), signal);
    } catch (error) {
      log.say(
        `SSH host ${session.host.name}: not all was cleared up in time, which is done later (${(error as Error).message})`,
      );
    } finally {
      clearTimeout(timer);
      clearTimeout(kill);
    }
    return ending;
  }

  /** After a failure of ours or the host's. What is left now, the watch finds. */
  async #clearUp(signal: AbortSignal): Promise<void> {
    const { session } = this.#parts;
    const places = this.#places;
    if (places === undefined) return;
    session.patience = 0;
    try {
      await session.use((link) => link.call(['remove', places.job], { signal }), signal);
    } catch (error) {
      if (!(error instanceof SshError)) throw error;
    }
  }

  get #given(): HostPaths {
    if (this.#places === undefined) throw new Error('the job has no place there yet');
    return this.#places;
  }
}
