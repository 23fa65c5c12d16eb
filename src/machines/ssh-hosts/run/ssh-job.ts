import { setTimeout as sleep } from 'node:timers/promises';
import type { SshProcessConfig } from '../../../config/ssh.js';
import type { SshJobSpec } from '../../../jobs/ssh-job-spec.js';
import { askWhyTooSmall } from '../capacity.js';
import { SshError } from '../ssh/errors.js';
import type { HostSession } from '../ssh/session.js';
import { sendDataset } from './dataset.js';
import { HOST_FAILED, type Ending } from './ending.js';
import { packJob, pathsOnHost, scriptForHost, type HostPaths } from './job-files.js';
import type { JobLog } from './log.js';
import { fetchOutputs } from './outputs.js';
import { onceThereIsRoom } from './room.js';
import { readState, type HostJobProgress, type HostJobState } from './state.js';

/**
 * Slurm sends SIGKILL ten seconds after SIGTERM (KillWait in slurm.conf); everything must be done
 * before.
 */
const windUpMs = 9000;
/** The time for the job to end by itself. */
const graceMs = 5000;

export interface SshJobParts {
  spec: SshJobSpec;
  slurm: NonNullable<SshProcessConfig['slurm']>;
  session: HostSession;
  log: JobLog;
  shardsPerGpu: number;
  /** A folder of ours for locks, and one for files that live as long as this process. */
  state: string;
  scratch: string;
  installation: string;
  /** Whether the watch has found the host fit: a new host may get a job before its first check. */
  isChecked: boolean;
}

/** A job on an SSH host, seen from here. */
export class SshJob {
  readonly #parts: SshJobParts;
  #paths: HostPaths | undefined;

  constructor(parts: SshJobParts) {
    this.#parts = parts;
  }

  /**
   * Runs the job.
   * @param cancelled aborts when the job must end
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

  /** Sends the job's files and starts it. */
  async #begin(signal: AbortSignal): Promise<void> {
    const { spec, slurm, session, log, shardsPerGpu, state, scratch, installation } = this.#parts;
    const { isChecked } = this.#parts;
    const facts = await session.use((link) => Promise.resolve(link.facts), signal);
    if (!isChecked) {
      const reason = await session.use((link) => askWhyTooSmall(link, signal), signal);
      if (reason !== null) throw new SshError('other', `SSH host ${session.host.name}: ${reason}`);
    }
    const paths = pathsOnHost(spec, facts, installation, slurm.restart);
    this.#paths = paths;
    if (spec.dataset)
      await sendDataset(spec.dataset, { session, log, state, installation, paths, signal });
    const script = scriptForHost(spec, session.host, facts, paths, shardsPerGpu);
    log.keepScript(script);
    const files = await packJob(spec, script, scratch);
    const logs = spec.request.split_log ? 'split' : 'one';
    const begin = ['begin', paths.job, slurm.gpus, slurm.shards, slurm.jobId, logs];
    try {
      await session.use((link) => link.call(begin, { input: files.tar(), signal }), signal);
    } finally {
      await files.remove();
    }
    // From here on it runs there, reachable or not.
    session.patience = Infinity;
  }

  /**
   * Follows the job to its end. Its results are only on the host: a full disk here is waited out,
   * as a broken link is.
   */
  async #toItsEnd(signal: AbortSignal): Promise<Ending> {
    const { spec, log } = this.#parts;
    const work = async () => this.#finish(await this.#follow(signal), signal);
    return onceThereIsRoom(spec.output_dir, work, log.say, signal);
  }

  /** Copies the job's log until the job has ended and the whole log is here. */
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
        // A host that ends each call at once must not keep our processors busy.
        if (idle > 0) await sleep(1000, undefined, { signal });
        continue;
      }
      const isComplete = log.stdoutBytes >= stdout && log.stderrBytes >= stderr;
      // A job may have shortened its own log, or removed it.
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
            ? `SSH host ${name}: rebooted while the job ran; the job is not started a second time`
            : `SSH host ${name}: the job's processes were killed there, and left no exit code`,
        );
        return { code: HOST_FAILED };
      case 'none':
        log.hostFailed(
          `SSH host ${name}: the job's folder is gone; was ${session.host.workdir} emptied, or the host set up anew?`,
        );
        return { code: HOST_FAILED };
      case 'running':
        throw new Error('a running job was mistaken for an ended one');
    }
  }

  /** Ends the job for Slurm: warns it, kills it, and fetches its results as far as time allows. */
  async #windUp(): Promise<Ending> {
    const { session, log } = this.#parts;
    const ending = { code: 128 + 15 };
    const paths = this.#paths;
    if (paths === undefined) return ending;
    session.patience = windUpMs;
    const deadline = new AbortController();
    const timer = setTimeout(() => {
      deadline.abort(new Error('the time is up'));
    }, windUpMs);
    const { signal } = deadline;
    const stop = (name: string) =>
      session.use((link) => link.call(['stop', paths.job, name], { signal }), signal);
    const kill = setTimeout(() => {
      // The job's end will show whether it worked.
      stop('KILL').catch(() => undefined);
    }, graceMs);
    try {
      await stop('TERM');
      await this.#finish(await this.#follow(signal), signal);
    } catch (error) {
      log.say(
        `SSH host ${session.host.name}: not everything was cleared up in time; the rest follows later (${(error as Error).message})`,
      );
    } finally {
      clearTimeout(timer);
      clearTimeout(kill);
    }
    return ending;
  }

  /** Clears up after a failure of ours or the host's. The watch removes the rest. */
  async #clearUp(signal: AbortSignal): Promise<void> {
    const { session } = this.#parts;
    const paths = this.#paths;
    if (paths === undefined) return;
    session.patience = 0;
    try {
      await session.use((link) => link.call(['remove', paths.job], { signal }), signal);
    } catch (error) {
      if (!(error instanceof SshError)) throw error;
    }
  }

  get #given(): HostPaths {
    if (this.#paths === undefined) throw new Error('the job has no folder there yet');
    return this.#paths;
  }
}
