import { healthReplySchema, type Health } from '../cluster/health-reply.js';
import { nodesReplySchema, type NodeView } from '../cluster/nodes/replies.js';
import type { JobReply } from '../jobs/job-view.js';
import { jobsReplySchema } from '../jobs/replies.js';
import type { Api } from './api.js';
import { CliError } from './cli-error.js';
import { gpuListSchema, gpuTable, jobList } from './gpus.js';
import { jobTable } from './jobs.js';
import { plain, say } from './terminal.js';

/** States of jobs that run, or still hold resources. */
const runningStates = ['COMPLETING', 'RUNNING', 'CONFIGURING', 'SUSPENDED'];
const waitingStates = ['PENDING', 'SUBMITTING', 'REQUEUED', 'REQUEUE_HOLD'];
/** Most jobs that the API lists at once. */
const maxListed = 1000;
const shownWaiting = 20;
/** An external cluster may have hundreds of nodes that take no job. */
const shownClosures = 20;

/** Shows the GPUs of all machines, the queue, and everything that is not as it should be. */
export async function showStatus(api: Api, { json }: { json?: boolean }): Promise<void> {
  const gpus = await api.get('/gpus', gpuListSchema);
  const health = await api.get('/health', healthReplySchema, [503]);
  const { nodes, problem } = await nodesOf(api);
  const jobs: JobReply[] = [];
  for (const state of [...runningStates, ...waitingStates])
    jobs.push(...(await allIn(api, state)).reverse());
  const hosts = nodes.filter(({ ssh }) => ssh !== null);
  if (json) {
    say(JSON.stringify({ ...gpus, ssh_hosts: hosts, health, jobs }, null, 2));
    return;
  }
  const running = jobs.filter((job) => !isWaiting(job));
  // In the order of their start: lower numbers first; of equal ones, the older first.
  const waiting = jobs
    .filter(isWaiting)
    .sort((a, b) => a.priority - b.priority || a.job_id - b.job_id);
  say(
    gpuTable(
      gpus,
      hosts.flatMap((host) => rowsOfHost(host, running)),
    ),
  );
  const closures = nodes.flatMap(closureOf);
  for (const line of [...problemsOf(health), ...problem, ...closures.slice(0, shownClosures)])
    say(line);
  if (closures.length > shownClosures)
    say(`… and ${closures.length - shownClosures} more nodes that take no job`);
  say(`\n${running.length} running, ${waiting.length} waiting`);
  if (jobs.length > 0) say(jobTable([...running, ...waiting.slice(0, shownWaiting)]));
  if (waiting.length > shownWaiting) say(`… and ${waiting.length - shownWaiting} more waiting`);
}

/** Lists the nodes; without an answer of Slurm's, the rest of the status is shown all the same. */
async function nodesOf(api: Api): Promise<{ nodes: NodeView[]; problem: string[] }> {
  try {
    const { nodes } = await api.get('/nodes', nodesReplySchema);
    // A node is listed once for each of its partitions.
    const seen = new Map(nodes.map((node) => [node.name, node]));
    return { nodes: [...seen.values()], problem: [] };
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    return { nodes: [], problem: [`the nodes are unknown: ${error.message}`] };
  }
}

/** Lists all jobs in a state, newest first. */
async function allIn(api: Api, state: string): Promise<JobReply[]> {
  const found: JobReply[] = [];
  for (let before: number | null | undefined; before !== null;) {
    const start = before === undefined ? '' : `&before=${before}`;
    const path = `/jobs?state=${state}&limit=${maxListed}${start}`;
    const page = await api.get(path, jobsReplySchema);
    found.push(...page.jobs);
    before = page.next_before;
  }
  return found;
}

/** Shows the GPUs of an SSH host in one line: they are not watched one by one. */
function rowsOfHost({ name, state, ssh }: NodeView, running: readonly JobReply[]): string[][] {
  if (ssh === null || ssh.gpus.count === 0) return [];
  const { count, type, memory_gb: gib } = ssh.gpus;
  const here = running
    .filter((job) => job.node === name && job.gres !== null)
    .map((job) => ({ job_id: job.job_id, share: job.gpus, name: job.name }));
  const gpus = count === 1 ? '1 GPU' : `${count} GPUs`;
  return [[name, gpus, type, `${gib.toFixed(1)} GiB`, '-', '-', state, jobList(here)]];
}

/** Says why a node takes no job, if it takes none. */
function closureOf({ name, state, reason, ssh }: NodeView): string[] {
  if (ssh?.leaving) return [`${plain(name)} leaves the cluster: no job starts there`];
  if (!/^(drain|down|fail|error|unk)|\*$/.test(state)) return [];
  const why = reason ?? ssh?.problem;
  return [`${plain(name)} is ${plain(state)}${why ? `: ${plain(why)}` : ''}; no job starts there`];
}

/** Says what is not as it should be, one line each. */
function problemsOf(health: Health): string[] {
  const { slurmctld, slurmdbd, not_answering: silent, cpus, disk, database } = health;
  const problems: (string | false)[] = [
    slurmctld === 'down' && 'Slurm’s controller (slurmctld) does not answer: no job starts',
    slurmdbd === 'down' && 'Slurm’s accounting (slurmdbd) does not answer',
    silent.length > 0 && `slurmd does not answer on ${silent.map(plain).join(', ')}`,
    disk === 'full' && 'the disk of JR_ROOT is full',
    disk === 'unknown' && 'the disk of JR_ROOT cannot be examined',
    database === 'failed' && 'the database cannot be read',
    cpus === 'overcommitted' &&
      'JR_NUM_CPUS is more than the machine has: jobs share CPUs and slow one another down',
  ];
  return problems.filter((problem) => problem !== false).map((problem) => `WARNING: ${problem}`);
}

function isWaiting(job: JobReply): boolean {
  return waitingStates.includes(job.status);
}
