import { existsSync } from 'node:fs';
import { ConfigError } from '../config/config-error.js';
import type { ExternalSlurm, ExternalAccess } from '../config/external.js';
import { watchShared } from '../jobs/job-ended.js';
import { externalPollIntervals } from '../jobs/polling.js';
import { externalTemplates } from '../machines/external/folders.js';
import { isOtherUser } from '../cluster/external/group.js';
import { ExternalInventory } from '../cluster/external/inventory.js';
import { measureAsSelf } from '../jobs/disk-use/measure.js';
import { ExternalTargets } from '../jobs/placement/external.js';
import { findPrograms } from '../cluster/external/programs.js';
import { NiceRanking, externalNiceOf } from '../jobs/queue-priority/external.js';
import { SlurmError } from '../cluster/slurm/command.js';
import { findVersion, restClient } from '../cluster/slurm/rest/client.js';
import type { UnreadField } from '../cluster/slurm/rest/read.js';
import { userOf } from '../cluster/slurm/rest/token.js';
import { restTransport } from '../cluster/slurm/rest/transport.js';
import type { ExternalClient } from '../cluster/slurm/external/client.js';
import { externalCommands } from '../cluster/slurm/external/commands.js';
import { externalSbatchSubmitter } from '../cluster/slurm/submit/external-sbatch.js';
import type { JobSubmitter, SubmitDefaults } from '../cluster/slurm/submit/job-submitter.js';
import { restSubmitter } from '../cluster/slurm/submit/slurmrestd.js';
import { externalCommandClient } from '../cluster/slurm/external/command-client.js';
import { parseTimeLimit } from '../config/time-limit.js';
import type { Base } from './base.js';
import type { Cluster, ExternalCluster } from './cluster.js';

/** Connects to an external cluster. @throws ConfigError naming the missing setting, in one line */
export async function openExternalCluster(base: Base, settings: ExternalSlurm): Promise<Cluster> {
  const { config, log, onClose } = base;
  const { access } = settings;
  const { slurm, jobSubmitter } = await connect(access, settings, base);
  const inventory = new ExternalInventory(slurm, log);
  onClose(() => inventory.close());
  let hasAccounting: boolean;
  try {
    await inventory.start();
    hasAccounting = await slurm.hasAccounting();
  } catch (cause) {
    if (!(cause instanceof SlurmError)) throw cause;
    throw new ConfigError(`${settingOf(access)}: ${cause.message}`, { cause });
  }
  const there = inventory.partitions().map((one) => one.name);
  if (settings.partition !== undefined && !there.includes(settings.partition))
    throw new ConfigError(
      `JR_SLURM_PARTITION: unknown partition ${settings.partition}; available: ${there.join(', ')}`,
    );
  if (!hasAccounting)
    log.warn(
      'the external cluster keeps no history of jobs (accounting); the API loses track of jobs that end while it is down for longer than MinJobAge',
    );
  const user = access.kind === 'rest' ? (access.user ?? userOf(access.token())) : access.user;
  const maxTime = parseTimeLimit(config.node.maxTime) ?? 'UNLIMITED';
  const targets = new ExternalTargets(inventory, { partition: settings.partition, maxTime });
  const sharesByGroup = await isOtherUser(user);
  const external = { slurm, inventory, targets, hasAccounting, sharesByGroup };
  log.info({ partitions: there, hasAccounting }, 'the external cluster answers');
  const measureJobs = measureAsSelf(base.layout.root);
  return { slurm, jobSubmitter, targets, measureJobs, own: undefined, external };
}

/** Defines how jobs are handled on an external cluster; see jobs.ts. */
export function externalPolicy(
  { config, layout, db }: Base,
  { slurm, sharesByGroup }: ExternalCluster,
) {
  return {
    accountFor: () => Promise.resolve(undefined),
    limitsChanged: () => Promise.resolve(),
    niceOf: externalNiceOf,
    ranking: new NiceRanking(db, slurm),
    intervals: externalPollIntervals(config.pollSeconds),
    watchEndings: watchShared(layout.jobEnded),
    /** Accounting keeps comments only if the cluster is configured to (AccountingStoreFlags). */
    knowsByFolder: true,
    templates: externalTemplates(layout),
    script: { jobEndedFile: layout.jobEnded, sharesByGroup },
  };
}

/** Names the setting to blame if the external cluster cannot be asked. */
function settingOf(access: ExternalAccess): string {
  if (access.kind === 'rest') return 'JR_SLURMRESTD_URL';
  return access.slurmConf === undefined
    ? 'JR_SLURM_MODE: is external, and its Slurm cannot be asked; set JR_SLURM_CONF if Slurm does not find its slurm.conf'
    : 'JR_SLURM_CONF';
}

async function connect(
  access: ExternalAccess,
  defaults: SubmitDefaults,
  { now, log }: Pick<Base, 'now' | 'log'>,
): Promise<{ slurm: ExternalClient; jobSubmitter: JobSubmitter }> {
  if (access.kind === 'commands') {
    const { path, slurmConf, user } = access;
    if (slurmConf !== undefined && !existsSync(slurmConf))
      throw new ConfigError(`JR_SLURM_CONF: there is no file ${slurmConf}`);
    const commands = externalCommands({ programs: findPrograms(path), slurmConf, user });
    const jobSubmitter = externalSbatchSubmitter(commands, defaults);
    return { slurm: externalCommandClient(commands), jobSubmitter };
  }
  const { url, token } = access;
  const user = access.user ?? userOf(token());
  if (user === undefined)
    throw new ConfigError('JR_SLURM_USER: must be set, since the token names no user');
  const ask = restTransport({ url, user, token, now });
  try {
    const onUnread = (unread: UnreadField) =>
      log.error({ unread }, 'slurmrestd sent a field in an unknown format; logged once');
    const found = await findVersion(ask);
    const jobSubmitter = restSubmitter(ask, found.version, defaults);
    return { slurm: restClient({ ask, ...found, user, onUnread }), jobSubmitter };
  } catch (cause) {
    if (!(cause instanceof SlurmError)) throw cause;
    throw new ConfigError(`JR_SLURMRESTD_URL: ${cause.message}`, { cause });
  }
}
