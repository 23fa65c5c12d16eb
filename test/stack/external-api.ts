import { execFileSync } from 'node:child_process';
import { chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LiveStack } from './live-stack.js';
import { makeRoot } from './prepared-root.js';
import type { ExternalCluster } from './external-cluster.js';

/** Settings of our own live stack that the API over an external cluster must not get. */
const common = {
  JR_SIMULATE_GPUS: '',
  JR_NUM_CPUS: '',
  JR_SLURM_POLL_SECONDS: '1',
  JR_SLURM_MODE: 'external',
};

/** Makes a folder that belongs to the API's user. */
export async function ownedRoot(): Promise<string> {
  const root = await makeRoot();
  const idOf = (flag: string) =>
    Number(execFileSync('id', [flag, 'jobrunner'], { encoding: 'utf8' }));
  chownSync(root, idOf('-u'), idOf('-g'));
  return root;
}

/** Settings of the API over an external cluster, for both kinds of access. */
export class ExternalApi {
  constructor(readonly cluster: ExternalCluster) {}

  get tokenFile(): string {
    return join(this.cluster.root, 'token');
  }

  putToken(token: string): void {
    writeFileSync(this.tokenFile, `${token}\n`, { mode: 0o644 });
  }

  async putGoodToken(): Promise<void> {
    this.putToken(await this.cluster.token('runner'));
  }

  viaCommands(): Record<string, string> {
    return { ...common, JR_SLURM_CONF: this.cluster.slurmConf, JR_SLURM_ACCOUNT: 'phys' };
  }

  viaRest(): Record<string, string> {
    return {
      ...common,
      JR_SLURMRESTD_URL: this.cluster.restUrl,
      JR_SLURM_JWT_FILE: this.tokenFile,
      JR_SLURM_GROUP: 'runner',
      JR_SLURM_PARTITION: 'cpu',
    };
  }

  async start(settings: Record<string, string>): Promise<LiveStack> {
    return LiveStack.start({ ...settings, JR_ROOT: await ownedRoot() });
  }

  /** Starts one API that uses the cluster's commands, and one that uses slurmrestd. */
  async startBothWays(): Promise<{ commands: LiveStack; rest: LiveStack }> {
    const [commands, rest] = await Promise.all([
      this.start(this.viaCommands()),
      this.start(this.viaRest()),
    ]);
    return { commands, rest };
  }
}
