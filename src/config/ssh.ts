import { join } from 'node:path';
import type { Config } from './config.js';
import { environmentSchema, given, parseEnvironment } from './environment.js';
import { passwordsOf } from './secrets.js';

/** The settings of the processes that connect to SSH hosts; they run as `jr-remote`. */
export interface SshProcessConfig {
  root: string;
  aliveSeconds: number;
  watchSeconds: number;
  shardsPerGpu: number;
  /** Undefined outside of a cluster. */
  slurmConf: string | undefined;
  /** Slurm's variables of a job; undefined outside of one. */
  slurm: { node: string; jobId: string; gpus: string; shards: string; restart: number } | undefined;
}

/** Reads the settings of such a process. @throws ConfigError naming the problem, in one line. */
export function readSshProcessConfig(env: NodeJS.ProcessEnv = process.env): SshProcessConfig {
  const schema = environmentSchema.pick({
    JR_ROOT: true,
    JR_SHARDS_PER_GPU: true,
    JR_SSH_ALIVE_INTERVAL: true,
    JR_SSH_WATCH_INTERVAL: true,
  });
  const e = parseEnvironment(schema, env);
  const { SLURMD_NODENAME: node, SLURM_JOB_ID: jobId } = env;
  return {
    root: e.JR_ROOT,
    aliveSeconds: e.JR_SSH_ALIVE_INTERVAL,
    watchSeconds: e.JR_SSH_WATCH_INTERVAL,
    shardsPerGpu: e.JR_SHARDS_PER_GPU,
    slurmConf: env['SLURM_CONF'],
    slurm:
      node === undefined || jobId === undefined
        ? undefined
        : {
            node,
            jobId,
            gpus: env['SLURM_JOB_GPUS'] ?? '',
            shards: env['SLURM_SHARDS_ON_NODE'] ?? '',
            restart: Number(env['SLURM_RESTART_COUNT'] ?? 0),
          },
  };
}

/**
 * Reads the location of the SSH hosts file and the passwords, for root's commands on this machine.
 * @throws ConfigError naming the problem, in one line.
 */
export function readSshConfig(
  env: NodeJS.ProcessEnv = process.env,
): Pick<Config['ssh'], 'nodesFile' | 'passwords'> {
  const schema = environmentSchema.pick({ JR_ROOT: true, JR_SSH_NODES: true });
  const { JR_ROOT: root, JR_SSH_NODES: nodesFile } = parseEnvironment(schema, env);
  return {
    nodesFile: nodesFile ?? join(root, 'ssh_nodes.yaml'),
    passwords: passwordsOf(given(env)),
  };
}
