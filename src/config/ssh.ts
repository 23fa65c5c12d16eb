import { join } from 'node:path';
import type { Config } from './config.js';
import { environmentSchema, given, parseEnvironment } from './environment.js';
import { passwordsOf } from './secrets.js';

/** What the processes need that reach SSH hosts from here; they run as `jr-remote`. */
export interface SshProcessConfig {
  root: string;
  aliveSeconds: number;
  watchSeconds: number;
  shardsPerGpu: number;
  /** Undefined where there is no Slurm to ask. */
  slurmConf: string | undefined;
  /** What Slurm tells a job; undefined outside of one. */
  slurm: { node: string; jobId: string; gpus: string; shards: string; restart: number } | undefined;
}

/** @throws ConfigError naming what cannot be used, in one line. */
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
 * Where the SSH hosts are named, and their passwords, for the commands that root runs on the box.
 * @throws ConfigError naming what cannot be used, in one line.
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
