import type { QueueState } from '../../ingest/git-queue/queue-state.js';
import { runningJobs } from '../../ingest/git-queue/queue-state.js';
import type { ClaimRecord } from '../../ingest/git-queue/claim-record.js';
import type { QueueRow } from '../../ingest/git-queue/queue-file.js';

/** A row as `queue list --json` prints it. */
export interface ListedJob {
  line: number;
  status: string;
  script: string;
  args: string;
  kwargs: string;
  worker: string | null;
  lease_until: string | null;
  attempts: number;
  message: string | null;
}

/** Lists the rows of a queue in their order, each with its claim. */
export function listJobs(state: QueueState, status?: string): ListedJob[] {
  const claims = new Map<QueueRow, ClaimRecord>(
    runningJobs(state).map(({ row, replaces }) => [row, replaces]),
  );
  const rest = [...state.records].filter(([, record]) => record && record.status !== 'running');
  return state.file.rows.flatMap((row) => {
    const at = rest.findIndex(
      ([key, record]) =>
        key.startsWith(`${row.digest.slice(0, 16)}-`) && record?.status === row.status,
    );
    const record =
      claims.get(row) ?? (at === -1 ? undefined : (rest.splice(at, 1)[0]?.[1] ?? undefined));
    if (status !== undefined && row.status !== status) return [];
    return [
      {
        line: row.line,
        status: row.status,
        script: row.script,
        args: row.args,
        kwargs: row.kwargs,
        worker: record?.worker ?? null,
        lease_until: record?.lease_until ?? null,
        attempts: record?.attempts ?? 0,
        message: record?.message ?? null,
      },
    ];
  });
}
