import { ConfigError } from '../../../config/config-error.js';
import type { SshProcessConfig } from '../../../config/ssh.js';
import type { Layout } from '../../../config/layout.js';
import { readInstallationId } from '../installation.js';
import { readHosts, readStatus, sshSettings } from '../read-hosts.js';
import { makeScratch } from '../scratch.js';
import { SshError } from '../ssh/errors.js';
import { HostSession } from '../ssh/session.js';
import { HOST_FAILED, type Ending } from './ending.js';
import { HostProtocolError } from './listing.js';
import { JobLog } from './log.js';
import { readSpec } from './read-spec.js';
import { SshJob } from './ssh-job.js';

/** Seconds to wait for a host before its job has started there. */
const patienceSeconds = 60;

/**
 * Runs a job on the SSH host that Slurm has chosen, from its start to the removal of its folder
 * there. SIGTERM ends it, within ten seconds (Slurm's KillWait).
 * @throws ConfigError when the caller is not Slurm
 */
export async function runSshJob(
  jobId: string,
  config: SshProcessConfig,
  layout: Layout,
): Promise<Ending> {
  const { slurm } = config;
  if (slurm === undefined)
    throw new ConfigError('SLURMD_NODENAME, SLURM_JOB_ID: not set; only Slurm runs this command');
  if (!/^\d{1,15}$/.test(jobId)) throw new ConfigError(`job_id: ${jobId} is not a number`);
  // The API is a member of our group.
  process.umask(0o007);
  const spec = await readSpec(layout, jobId);
  const { hosts } = readHosts(layout);
  const log = new JobLog(spec.log_dir);
  const host = hosts.find(({ name }) => name === slurm.node);
  if (host === undefined) {
    log.hostFailed(`SSH host ${slurm.node}: has left the list of hosts; run the job again`);
    return { code: HOST_FAILED };
  }
  const scratch = makeScratch(layout.sshState);
  const settings = sshSettings(config, layout, scratch.path);
  const session = new HostSession(host, settings, log.say, { patienceSeconds });
  const job = new SshJob({
    spec,
    slurm,
    session,
    log,
    shardsPerGpu: config.shardsPerGpu,
    state: layout.sshState,
    scratch: scratch.path,
    installation: readInstallationId(layout.sshInstallation),
    isChecked: readStatus(layout, host.name)?.ok === true,
  });
  const cancelled = new AbortController();
  process.on('SIGTERM', () => {
    cancelled.abort(new Error('Slurm ends the job'));
  });
  try {
    return await job.run(cancelled.signal);
  } catch (error) {
    if (error instanceof HostProtocolError)
      log.hostFailed(`SSH host ${host.name}: ${error.message}`);
    else if (error instanceof SshError) log.hostFailed(error.message);
    else throw error;
    return { code: HOST_FAILED };
  } finally {
    session.close();
    scratch.remove();
  }
}
