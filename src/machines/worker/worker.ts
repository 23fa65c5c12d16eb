import { readdirSync } from 'node:fs';
import { join as joinPath } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readConfig } from '../../config/config.js';
import { publicSettings } from '../../config/secrets.js';
import { judgeCpus } from '../../config/many-cpus.js';
import { readWorkerConfig } from '../../config/worker.js';
import { digestOf } from '../../config/join-token.js';
import type { JoinReply } from '../../cluster/workers/record.js';
import { layoutOf } from '../../config/layout.js';
import { idsOfJobUsers } from '../daemons/unix-users.js';
import { jobProcesses, killAll, scontrol } from '../daemons/job-processes.js';
import { makeSpoolFolder } from '../daemons/folders.js';
import { preflight } from '../daemons/preflight.js';
import { inWords, prepareMachine } from '../daemons/machine.js';
import {
  locate,
  mungedProgram,
  plainEnvironment,
  writeSupervisorConfig,
  type Program,
} from '../daemons/programs.js';
import { probesOf, waitFor } from '../daemons/readiness.js';
import { abortAtSignals, runDaemons } from '../daemons/run-daemons.js';
import type { Supervisor } from '../daemons/supervisor.js';
import { watchFarController } from './controller-watch.js';
import { ControllerLink, ControllerRefusal, LinkError } from './controller-link.js';
import {
  workerIdOf,
  keepSelf,
  makeWorkerFolders,
  mungeKeyOf,
  nodeOptions,
  openLeftovers,
  writeWorkerConfig,
  type WorkerParts,
} from './files.js';
import { agentAnswers } from './health.js';
import { join } from './join.js';

/** The process that carries Slurm's connections. */
const WORKER_LINK = 'worker-link';
/** Time after SIGTERM, as on the controller's own node. */
const jobsGraceMs = 4000;
const jobsEndMs = 15_000;
/** The longest wait for their outputs after that. */
const outputsMs = 3000;

/**
 * Joins the controller's cluster as one more node, stays until SIGINT or SIGTERM, and leaves it
 * again.
 * @throws ConfigError when the worker cannot join; Error when a part does not come up (all is
 *   stopped first)
 */
export async function runWorker(say: (line: string) => void): Promise<void> {
  const config = readConfig();
  const worker = readWorkerConfig();
  if (worker === undefined) throw new Error('this machine is not a worker');
  const layout = layoutOf(config.root);
  await preflight(config, layout);
  const machine = await prepareMachine(config, layout, { jobsFile: '', stateFile: '' }, say);
  const parts: WorkerParts = { ...machine, worker };
  makeWorkerFolders(parts);

  const stopping = abortAtSignals();
  const { signal } = stopping;
  const reply = await joinCluster(parts, say, signal);
  if (reply === undefined) {
    say('Stopped.');
    return;
  }
  await openLeftovers(parts);
  writeWorkerConfig(parts, reply);
  makeSpoolFolder(layout, reply.name, machine.unixUsers, say);
  writeSupervisorConfig(layout, programsOf(parts, reply));
  await runDaemons(
    machine,
    {
      node: reply.name,
      daemons: () =>
        new Map([
          [config.ports.slurmd, 'slurmd'],
          [config.ports.slurmctld, 'slurmctld'],
        ]),
      start: async (supervisor, watching) => {
        await startInOrder(supervisor, parts, reply, signal, say);
        const restartSlurmd = async () => {
          await supervisor.stopProgram('slurmd');
          await supervisor.startProgram('slurmd');
        };
        watching.push(watchFarController({ layout, name: reply.name, restartSlurmd, say }, signal));
        say(
          `\nJobRunner is ready: ${reply.name} of the cluster at ${worker.controller.host}, ${inWords(machine.hardware)}\n  Ctrl-C leaves it.`,
        );
        const warning = judgeCpus(machine.hardware.cpus);
        if (warning !== undefined) say(`\nWARNING: ${warning}\n`);
      },
      parting: () => Promise.resolve('Leaving …'),
      stop: async (supervisor) => {
        try {
          await leave(parts, reply, say);
        } finally {
          await supervisor.shutdown();
        }
      },
    },
    stopping,
    say,
  );
}

async function startInOrder(
  supervisor: Supervisor,
  { config, layout }: WorkerParts,
  { name: node }: JoinReply,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<void> {
  const { slurmctld, ...local } = probesOf(layout, config, node);
  const probes: ReturnType<typeof probesOf> = {
    ...local,
    'worker-agent': () => agentAnswers(layout),
    ...(slurmctld && { [WORKER_LINK]: slurmctld }),
  };
  for (const name of ['munged', 'worker-agent', WORKER_LINK, 'slurmd']) {
    await supervisor.startProgram(name);
    const probe = probes[name];
    if (probe) await waitFor(name, probe, layout, signal);
    say(`  ${name} is up`);
  }
}

/** Joins the cluster. @returns undefined after a stop meanwhile */
async function joinCluster(
  parts: WorkerParts,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<JoinReply | undefined> {
  const { layout, unixUsers, hardware, app, slurm, worker } = parts;
  say(`Joining ${worker.controller.host}:${worker.controller.port} …`);
  const id = workerIdOf(parts);
  const ownKey = mungeKeyOf(worker);
  const idsOf = ({ uid, gid }: { uid: number; gid: number }) => `${uid}:${gid}`;
  const facts = {
    worker_id: id,
    root: layout.root,
    app_root: app.root,
    slurm,
    ids: { jobs: idsOfJobUsers(unixUsers), slurm: idsOf(unixUsers.slurm) },
    cpus: hardware.cpus,
    memory_mb: hardware.memoryMb,
    gpus: hardware.gpus.map(({ model, memoryMb }) => ({ model, memory_mb: memoryMb })),
    ...(ownKey && { munge_key_sha256: digestOf(ownKey).toString('hex') }),
  };
  try {
    const reply = await join(worker, facts, say, signal);
    keepSelf(parts, id, reply, ownKey);
    return reply;
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  }
}

function programsOf(parts: WorkerParts, reply: JoinReply): Program[] {
  const { config, layout, app, worker } = parts;
  const slurmConf = { SLURM_CONF: layout.slurmConf };
  const options = `'${nodeOptions(parts, reply)}'`;
  const { JR_CACHE_GB: cacheGb } = publicSettings();
  return [
    mungedProgram(layout),
    {
      name: 'worker-agent',
      user: 'jobrunner',
      command: [app.node, joinPath(app.root, 'dist/main.js'), 'worker-agent'],
      environment: {
        JR_ROOT: layout.root,
        ...(cacheGb !== undefined && { JR_CACHE_GB: cacheGb }),
        JR_CONTROLLER_TIMEOUT: String(worker.silenceMs / 1000),
        ...plainEnvironment,
      },
      stopSeconds: 10,
      order: 20,
    },
    {
      name: WORKER_LINK,
      user: 'jobrunner',
      command: [app.node, joinPath(app.root, 'dist/main.js'), 'worker-link'],
      environment: {
        JR_ROOT: layout.root,
        JR_CONTROLLER_TIMEOUT: String(worker.silenceMs / 1000),
        JR_SLURMCTLD_PORT: String(config.ports.slurmctld),
        JR_SLURMD_PORT: String(config.ports.slurmd),
        ...plainEnvironment,
      },
      stopSeconds: 5,
      // Stops after slurmd.
      order: 25,
    },
    {
      name: 'slurmd',
      user: 'root',
      command: [
        ...[locate('slurmd'), '-D', '-Z', '-N', reply.name, '-f', layout.slurmConf],
        ...['--conf', options],
      ],
      environment: slurmConf,
      stopSeconds: 10,
      order: 30,
    },
  ];
}

/**
 * Leaves the cluster. Its jobs end as NODE_FAIL, or are queued again if submitted with `requeue`;
 * then the node is removed.
 */
async function leave(
  { layout, worker }: WorkerParts,
  { name, worker_token }: JoinReply,
  say: (line: string) => void,
): Promise<void> {
  const reason = `Reason=the worker ${name} left`;
  await scontrol(layout, 'update', `NodeName=${name}`, 'State=DOWN', reason);
  const started = Date.now();
  for (;;) {
    const pids = [...(await jobProcesses(layout, name)).values()].flat();
    if (pids.length === 0 || Date.now() - started > jobsEndMs) break;
    if (Date.now() - started > jobsGraceMs) killAll(pids);
    await delay(100);
  }
  // The next start sends the rest.
  const deadline = Date.now() + outputsMs;
  while (readdirSync(layout.workerOutbox).length > 0 && Date.now() < deadline) await delay(50);
  const link = new ControllerLink(
    {
      ...worker.controller,
      silenceMs: worker.silenceMs,
      fingerprint: worker.token.fingerprint,
    },
    worker_token,
  );
  try {
    await link.call('POST', '/leave', { body: '{}' });
  } catch (error) {
    // A controller with a new volume refuses: it never knew this worker.
    if (!(error instanceof LinkError || error instanceof ControllerRefusal)) throw error;
    say(`${error.message}; it will notice by itself that this worker is gone`);
  } finally {
    link.close();
  }
}
