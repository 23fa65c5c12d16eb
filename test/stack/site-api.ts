import { execFileSync } from 'node:child_process';
import { chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LiveStack, makeRoot } from './live-stack.js';
import type { SiteSlurm } from './site-slurm.js';

/** What a live stack of our own would be told, and a site's must not be. */
const common = {
  JR_SIMULATE_GPUS: '',
  JR_NUM_CPUS: '',
  JR_SLURM_POLL_SECONDS: '1',
  JR_SLURM_MODE: 'external',
};

/** A folder as somebody gives it to the API's user. */
export async function ownedRoot(): Promise<string> {
  const root = await makeRoot();
  const idOf = (flag: string) =>
    Number(execFileSync('id', [flag, 'jobrunner'], { encoding: 'utf8' }));
  chownSync(root, idOf('-u'), idOf('-g'));
  return root;
}

/** The API over a site, in each of the ways there. */
export class SiteApi {
  constructor(readonly site: SiteSlurm) {}

  get tokenFile(): string {
    return join(this.site.root, 'token');
  }

  putToken(token: string): void {
    writeFileSync(this.tokenFile, `${token}\n`, { mode: 0o644 });
  }

  async putGoodToken(): Promise<void> {
    this.putToken(await this.site.token('runner'));
  }

  viaCommands(): Record<string, string> {
    return { ...common, JR_SLURM_CONF: this.site.slurmConf, JR_SLURM_ACCOUNT: 'phys' };
  }

  viaRest(): Record<string, string> {
    return {
      ...common,
      JR_SLURMRESTD_URL: this.site.restUrl,
      JR_SLURM_JWT_FILE: this.tokenFile,
      JR_SLURM_GROUP: 'runner',
      JR_SLURM_PARTITION: 'cpu',
    };
  }

  async start(settings: Record<string, string>): Promise<LiveStack> {
    return LiveStack.start({ ...settings, JR_ROOT: await ownedRoot() });
  }

  /** One that asks the site by its commands, and one that asks slurmrestd. */
  async startBothWays(): Promise<{ commands: LiveStack; rest: LiveStack }> {
    const [commands, rest] = await Promise.all([
      this.start(this.viaCommands()),
      this.start(this.viaRest()),
    ]);
    return { commands, rest };
  }
}
