import { keyOf, type ClaimRecord } from './claim-record.js';
import type { QueueFile, QueueRow } from './queue-file.js';

/** State of the queue at one commit. */
export interface QueueState {
  /** Undefined while the branch has no commit. */
  commit: string | undefined;
  file: QueueFile;
  /** Claims by key; null for an unreadable claim, which keeps its number occupied. */
  records: ReadonlyMap<string, ClaimRecord | null>;
  /** Problems of single rows and claims. */
  problems: readonly { where: string; message: string }[];
}

/** A job that may be claimed. */
export interface OpenJob {
  key: string;
  row: QueueRow;
  /** The claim that a new one replaces; undefined if there is none. */
  replaces: ClaimRecord | undefined;
}

interface Slot {
  key: string;
  copy: number;
  record: ClaimRecord | null;
}

/**
 * Lists the unclaimed jobs.
 * Equal rows are interchangeable: a claim belongs to one of them, not to a position, so rows may be
 * inserted, moved and removed. The claims of a group are numbered. A job takes a claim that was
 * given back, with its attempts; otherwise it takes the next number.
 */
export function readyJobs(state: QueueState): OpenJob[] {
  const slots = slotsByGroup(state);
  const free = new Map<string, string[]>();
  const jobs: OpenJob[] = [];
  for (const row of state.file.rows) {
    if (row.status !== 'ready') continue;
    const group = groupOf(row.digest);
    const mine = listIn(slots, group);
    let names = free.get(group);
    if (names === undefined)
      free.set(
        group,
        (names = mine
          .filter(isGivenBack)
          .map(({ key }) => key)
          .reverse()),
      );
    let key = names.pop();
    if (key === undefined) {
      // The claims are sorted by number.
      const copy = (mine.at(-1)?.copy ?? 0) + 1;
      key = keyOf(row.digest, copy);
      mine.push({ key, copy, record: null });
    }
    jobs.push({ key, row, replaces: undefined });
  }
  return jobs;
}

/**
 * Lists the claimed jobs whose row still says `running`. The caller decides whether their lease has
 * run out.
 */
export function runningJobs(state: QueueState): (OpenJob & { replaces: ClaimRecord })[] {
  const rows = new Map<string, QueueRow[]>();
  for (const row of state.file.rows)
    if (row.status === 'running') listIn(rows, row.digest).push(row);
  const slots = slotsByGroup(state);
  return [...rows].flatMap(([digest, running]) =>
    (slots.get(groupOf(digest)) ?? [])
      .filter((slot) => slot.record?.status === 'running')
      .slice(0, running.length)
      .map(({ key, record }, i) => ({
        key,
        row: running[i] as QueueRow,
        replaces: record as ClaimRecord,
      })),
  );
}

function slotsByGroup({ records }: QueueState): Map<string, Slot[]> {
  const groups = new Map<string, Slot[]>();
  for (const [key, record] of records) {
    const group = key.slice(0, 16);
    listIn(groups, group).push({ key, copy: Number(key.slice(17)), record });
  }
  for (const slots of groups.values()) slots.sort((a, b) => a.copy - b.copy);
  return groups;
}

/**
 * Returns the list of a key and creates it on first use. A file may repeat one row 100,000 times,
 * so lists are extended in place.
 */
export function listIn<T>(lists: Map<string, T[]>, key: string): T[] {
  let list = lists.get(key);
  if (list === undefined) lists.set(key, (list = []));
  return list;
}

function isGivenBack({ record }: Slot): boolean {
  return record?.status === 'ready';
}

function groupOf(digest: string): string {
  return digest.slice(0, 16);
}
