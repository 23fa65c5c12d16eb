import type { OperatorClient } from '../../src/cluster/slurm/client.js';
import { SlurmError } from '../../src/cluster/slurm/command.js';
import type { SlurmJob } from '../../src/cluster/slurm/job-record.js';
import type { SlurmNode } from '../../src/cluster/slurm/nodes.js';
import type { GpuPlacement } from '../../src/cluster/slurm/placements.js';
import type { JobSubmitter, SubmitSpec } from '../../src/cluster/slurm/submit/job-submitter.js';
import { isTerminal } from '../../src/cluster/slurm/states.js';
import { NODE_NAME } from '../../src/config/layout.js';

export interface ScriptedJob extends SlurmJob {
  spec: SubmitSpec;
  script: string;
  priority: number;
}

const node: SlurmNode = {
  name: NODE_NAME,
  state: 'idle',
  partition: 'main*',
  cpus: 16,
  cpusAllocated: 0,
  memoryMb: 32_000,
  memoryAllocatedMb: 0,
  gres: 'gpu:nvidia0:1,gpu:nvidia1:1',
  gresUsed: null,
  reason: null,
};

/** A Slurm in memory: it stores the jobs it gets, and a test decides their fate. */
export class ScriptedSlurm implements OperatorClient, JobSubmitter {
  readonly jobs = new Map<number, ScriptedJob>();
  readonly nodeList: SlurmNode[] = [{ ...node }];
  readonly placed = new Map<number, GpuPlacement>();
  readonly accounts: string[] = [];
  /** While set, every submission throws this. */
  refusal: SlurmError | undefined;
  /** While set, every call throws this. */
  failure: SlurmError | undefined;
  #lastId = 0;

  job(id: number | null): ScriptedJob {
    const job = this.jobs.get(id ?? 0);
    if (job === undefined) throw new SlurmError('refused', 'Invalid job id specified');
    return job;
  }

  /** Lets a waiting job start. */
  start(id: number | null): void {
    const job = this.job(id);
    Object.assign(job, { state: 'RUNNING', reason: null, startedAt: Date.now() });
    job.nodeList = NODE_NAME;
  }

  /** Ends a job, successfully by default. */
  end(id: number | null, how: Partial<Pick<SlurmJob, 'state' | 'exitCode' | 'signal'>> = {}): void {
    Object.assign(this.job(id), { state: 'COMPLETED', ...how, endedAt: Date.now() });
  }

  /** Loses a job, and gives its number to the next one, as after a restored backup. */
  forget(id: number | null): void {
    this.#lastId = this.job(id).slurmJobId - 1;
    this.jobs.delete(this.#lastId + 1);
  }

  submit(spec: SubmitSpec, script: string): Promise<number> {
    return this.#answer(() => {
      if (this.refusal) throw this.refusal;
      const slurmJobId = ++this.#lastId;
      this.jobs.set(slurmJobId, {
        slurmJobId,
        spec,
        script,
        priority: 1_000_000 - spec.nice,
        state: 'PENDING',
        reason: 'Resources',
        exitCode: 0,
        signal: 0,
        submittedAt: Date.now(),
        startedAt: null,
        endedAt: null,
        nodeList: null,
        comment: spec.comment,
      });
      return slurmJobId;
    });
  }

  commentOf(id: number) {
    return this.#answer(() => this.job(id).comment);
  }

  cancel(id: number) {
    return this.#answer(() => this.end(id, { state: 'CANCELLED' }));
  }

  hold(id: number) {
    return this.#answer(() => {
      Object.assign(this.job(id), { reason: 'JobHeldUser', priority: 0 });
    });
  }

  release(id: number) {
    return this.#answer(() => {
      Object.assign(this.job(id), { reason: 'Resources', priority: 1_000_000 });
    });
  }

  requeue(id: number) {
    return this.#answer(() => {
      Object.assign(this.job(id), { state: 'PENDING', reason: 'Resources', startedAt: null });
    });
  }

  queue() {
    return this.#answer(() => this.#records());
  }

  history() {
    return this.#answer(() => this.#records());
  }

  historyOf(ids: readonly number[]) {
    return this.#answer(() => this.#records().filter((job) => ids.includes(job.slurmJobId)));
  }

  pending() {
    return this.#answer(() =>
      [...this.jobs.values()]
        .filter((job) => job.state === 'PENDING')
        .map(({ slurmJobId, spec, priority, reason }) => ({
          slurmJobId,
          partitions: [spec.partition ?? 'main'],
          priority,
          reason: reason ?? '',
        })),
    );
  }

  nodes() {
    return this.#answer(() => this.nodeList.map((one) => ({ ...one })));
  }

  pingController() {
    return this.#answer(() => undefined);
  }

  pingAccounting() {
    return this.#answer(() => undefined);
  }

  setAccount(account: string) {
    return this.#answer(() => void this.accounts.push(account));
  }

  priorityOf(id: number) {
    return this.#answer(() => this.job(id).priority);
  }

  setPriority(id: number, priority: number) {
    return this.#answer(() => void (this.job(id).priority = priority));
  }

  placements() {
    return this.#answer(() => this.placed);
  }

  submitPlaceholder(gres: string, comment: string) {
    return this.#answer(() => {
      const slurmJobId = ++this.#lastId;
      this.#holds.set(slurmJobId, {
        slurmJobId,
        state: 'RUNNING',
        shards: Number(/\d+$/.exec(gres)?.[0]),
        comment,
      });
      return slurmJobId;
    });
  }

  readonly #holds = new Map<number, Awaited<ReturnType<OperatorClient['placeholders']>>[number]>();

  placeholders() {
    return this.#answer(() => [...this.#holds.values()]);
  }

  drainNode(name: string, reason: string) {
    return this.#answer(() => this.#changeNode(name, { state: 'drained', reason }));
  }

  resumeNode(name: string) {
    return this.#answer(() => this.#changeNode(name, { state: 'idle', reason: null }));
  }

  #changeNode(name: string, change: Partial<SlurmNode>): void {
    const found = this.nodeList.find((one) => one.name === name);
    if (found === undefined) throw new SlurmError('refused', 'Invalid node name specified');
    Object.assign(found, change);
  }

  #records(): SlurmJob[] {
    return [...this.jobs.values()].map((job) => ({
      ...job,
      reason: isTerminal(job.state) ? null : job.reason,
    }));
  }

  // Not one async method each: failures, also a test's own mistakes, are thrown in one place.
  async #answer<T>(act: () => T): Promise<T> {
    await Promise.resolve();
    if (this.failure) throw this.failure;
    return act();
  }
}
