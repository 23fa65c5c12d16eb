import pLimit from 'p-limit';
import { z } from 'zod';
import { AppError } from '../../../errors.js';
import { SlurmError } from '../command.js';
import type { ExternalClient } from '../external/client.js';
import { historyPath, parseHistory, parseJobs, parsePendingJobs } from './jobs.js';
import { parseRestNodes } from './nodes.js';
import { parseRestPartitions } from './partitions.js';
import { onceEach, readReply, type TellUnread } from './read.js';
import type { RestAsk } from './transport.js';
import { optionalNumber, text } from './value.js';
import { chooseVersion, isFlat, type RestVersion } from './version.js';

export interface RestClientParts {
  ask: RestAsk;
  version: RestVersion;
  hasAccounting: boolean;
  /** The user whose jobs these are. */
  user: string;
  /** Receives each field with an unexpected format, once. */
  onUnread: TellUnread;
}

const maxConcurrentRequests = 4;

const pingReply = z.object({
  pings: z.array(
    z.object({
      ping: z.string().optional(),
      pinged: z.string().optional(),
      responding: z.boolean().optional(),
    }),
  ),
});
const killReply = z.object({
  status: z.array(z.object({ error: z.object({ code: optionalNumber, string: text }) })).nullish(),
});
/** Since v0.0.40 a job's refusal appears only here, beside a warning. */
const changeReply = z.object({
  results: z.array(z.object({ error_code: optionalNumber, error: text, why: text })).nullish(),
});

/**
 * Finds the API version and whether the server answers accounting requests.
 * @throws SlurmError; also if no offered version is known here
 */
export async function findVersion(
  ask: RestAsk,
): Promise<Pick<RestClientParts, 'version' | 'hasAccounting'>> {
  const page = await ask({ method: 'GET', path: '/openapi/v3' });
  const { version, offered, hasAccounting } = chooseVersion(page);
  if (version === undefined)
    throw new SlurmError(
      'refused',
      `slurmrestd offers ${offered.join(', ') || 'no Slurm API'}; it must offer v0.0.38, v0.0.40, v0.0.41 or v0.0.42`,
    );
  return { version, hasAccounting };
}

/** Makes a client that asks an external cluster through its slurmrestd. */
export function restClient(parts: RestClientParts): ExternalClient {
  const { ask, version, hasAccounting, user } = parts;
  const tell = onceEach(parts.onUnread);
  // Paths of lists end with a slash since v0.0.40.
  const slash = isFlat(version) ? '' : '/';
  const get = (path: string, timeoutMs?: number) =>
    ask({ method: 'GET', path, ...(timeoutMs !== undefined && { timeoutMs }) });
  const slurm = `/slurm/${version}`;
  const slurmdb = `/slurmdb/${version}`;
  const change = async (id: number, body: object) => {
    const reply = await ask({ method: 'POST', path: `${slurm}/job/${id}`, body });
    const failed = readReply(changeReply, reply).results?.find((result) => result.error_code);
    if (failed) throw new SlurmError('refused', failed.why || failed.error);
  };
  const askAccounting = async (path: string) => {
    if (!hasAccounting) return [];
    return parseHistory(await get(slurmdb + path), user, tell);
  };
  const askHistory = (since: number) => askAccounting(historyPath(since).replace('?', `${slash}?`));
  return {
    queue: async () => parseJobs(await get(`${slurm}/jobs${slash}`), user, tell),
    pending: async () => parsePendingJobs(await get(`${slurm}/jobs${slash}`), tell),
    commentOf: async (id) => {
      const jobs = parseJobs(await get(`${slurm}/job/${id}`), user, tell);
      const comment = jobs.find((job) => job.slurmJobId === id)?.comment ?? undefined;
      if (comment === undefined) throw new SlurmError('refused', 'Invalid job id specified');
      return comment;
    },
    history: askHistory,
    historyOf: async (ids) => {
      const few = pLimit(maxConcurrentRequests);
      const asked = ids.map((id) => few(() => askAccounting(`/job/${id}`)));
      return (await Promise.all(asked)).flat();
    },
    cancel: async (id) => {
      const reply = await ask({ method: 'DELETE', path: `${slurm}/job/${id}` });
      const failed = readReply(killReply, reply).status?.find(({ error }) => error.code);
      if (failed) throw new SlurmError('refused', failed.error.string);
    },
    hold: (id) => change(id, { hold: true }),
    release: (id) => change(id, { hold: false }),
    requeue: () =>
      Promise.reject(
        new AppError(
          'not_supported',
          'slurmrestd cannot requeue a job; cancel the job and run it again (POST /jobs/{id}/rerun)',
        ),
      ),
    setNice: (id, nice) => change(id, { nice }),
    nodes: async () => parseRestNodes(await get(`${slurm}/nodes${slash}`, 15_000), tell),
    partitions: async () => parseRestPartitions(await get(`${slurm}/partitions${slash}`), tell),
    hasAccounting: () => Promise.resolve(hasAccounting),
    pingController: async () => {
      const { pings } = readReply(pingReply, await get(`${slurm}/ping${slash}`, 15_000));
      if (!pings.some((one) => one.responding ?? (one.pinged ?? one.ping) === 'UP'))
        throw new SlurmError('unreachable', 'slurmctld does not answer slurmrestd');
    },
    pingAccounting: async () => {
      await askHistory(Date.now());
    },
  };
}
