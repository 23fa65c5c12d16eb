import { existsSync } from 'node:fs';
import { ConfigError } from '../config/config-error.js';
import type { ExternalSlurm, SiteAccess } from '../config/external.js';
import { watchShared } from '../jobs/job-ended.js';
import { sitePace } from '../jobs/polling.js';
import { siteTemplates } from '../machines/external/folders.js';
import { isOtherUser } from '../cluster/external/group.js';
import { SiteInventory } from '../cluster/external/inventory.js';
import { SitePlaces } from '../jobs/placement/external.js';
import { findPrograms } from '../cluster/external/programs.js';
import { NiceRanking, siteNiceOf } from '../jobs/queue-priority/external.js';
import { SlurmError } from '../cluster/slurm/command.js';
import { findVersion, restClient } from '../cluster/slurm/rest/client.js';
import type { UnreadField } from '../cluster/slurm/rest/read.js';
import { userOf } from '../cluster/slurm/rest/token.js';
import { restTransport } from '../cluster/slurm/rest/transport.js';
import type { SiteClient, SiteDefaults } from '../cluster/slurm/external/client.js';
import { siteCommandClient } from '../cluster/slurm/external/command-client.js';
import { parseTimeLimit } from '../config/time-limit.js';
import type { Base } from './base.js';
import type { Cluster, Site } from './cluster.js';

/** @throws ConfigError naming what is missing, in one line. */
export async function openSite(base: Base, external: ExternalSlurm): Promise<Cluster> {
  const { config, log, onClose } = base;
  const { access } = external;
  const slurm = await clientOf(access, external, base);
  const inventory = new SiteInventory(slurm, log);
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
  if (external.partition !== undefined && !there.includes(external.partition))
    throw new ConfigError(
      `JR_SLURM_PARTITION: there is no ${external.partition} on the site; there is ${there.join(', ')}`,
    );
  if (!hasAccounting)
    log.warn(
      'the site keeps no history of jobs (accounting): what ends while the API is away for longer than MinJobAge is lost sight of',
    );
  const user = access.kind === 'rest' ? (access.user ?? userOf(access.token())) : access.user;
  const maxTime = parseTimeLimit(config.node.maxTime) ?? 'UNLIMITED';
  const places = new SitePlaces(inventory, { partition: external.partition, maxTime });
  const sharesByGroup = await isOtherUser(user);
  const site = { slurm, inventory, places, hasAccounting, sharesByGroup };
  log.info({ partitions: there, hasAccounting }, 'the site answers');
  return { slurm, places, own: undefined, site };
}

/** In what jobs are dealt with on a site, see jobs.ts. */
export function siteWays({ config, layout, db }: Base, { slurm, sharesByGroup }: Site) {
  return {
    accountFor: () => Promise.resolve(undefined),
    limitsChanged: () => Promise.resolve(),
    niceOf: siteNiceOf,
    ranking: new NiceRanking(db, slurm),
    pace: sitePace(config.pollSeconds),
    watchEndings: watchShared(layout.jobEnded),
    /** Its accounting keeps comments only where the site has asked for it (AccountingStoreFlags). */
    knowsByFolder: true,
    templates: siteTemplates(layout),
    script: { jobEndedFile: layout.jobEnded, sharesByGroup },
  };
}

/** Which setting is to blame when the site cannot be asked. */
function settingOf(access: SiteAccess): string {
  if (access.kind === 'rest') return 'JR_SLURMRESTD_URL';
  return access.slurmConf === undefined
    ? 'JR_SLURM_MODE: is external, and the site cannot be asked; JR_SLURM_CONF names its slurm.conf where Slurm finds none'
    : 'JR_SLURM_CONF';
}

async function clientOf(
  access: SiteAccess,
  defaults: SiteDefaults,
  { now, log }: Pick<Base, 'now' | 'log'>,
): Promise<SiteClient> {
  if (access.kind === 'commands') {
    const { path, slurmConf, user } = access;
    if (slurmConf !== undefined && !existsSync(slurmConf))
      throw new ConfigError(`JR_SLURM_CONF: there is no file ${slurmConf}`);
    return siteCommandClient({ programs: findPrograms(path), slurmConf, user, defaults });
  }
  const { url, token } = access;
  const user = access.user ?? userOf(token());
  if (user === undefined)
    throw new ConfigError('JR_SLURM_USER: must be set, since the token names no user');
  const ask = restTransport({ url, user, token, now });
  try {
    const onUnread = (unread: UnreadField) =>
      log.error({ unread }, 'slurmrestd tells of this in a way that is not known here; said once');
    return restClient({ ask, ...(await findVersion(ask)), user, defaults, onUnread });
  } catch (cause) {
    if (!(cause instanceof SlurmError)) throw cause;
    throw new ConfigError(`JR_SLURMRESTD_URL: ${cause.message}`, { cause });
  }
}
