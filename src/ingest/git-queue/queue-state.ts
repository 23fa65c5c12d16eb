import { keyOf, type ClaimRecord } from './claim-record.js';
import type { QueueFile, QueueRow } from './queue-file.js';

/** The queue as one commit has it. */
export interface QueueState {
  /** Undefined while the branch has no commit. */
  commit: string | undefined;
  file: QueueFile;
  /** By key; null for one that cannot be read, which keeps its number taken. */
  records: ReadonlyMap<string, ClaimRecord | null>;
  /** What is wrong with single rows and claims. */
  problems: readonly { where: string; message: string }[];
}

/** A job that may be claimed. */
export interface OpenJob {
  key: string;
  row: QueueRow;
  /** The claim that has to be out of the way; undefined where there is none. */
  replaces: ClaimRecord | undefined;
}

interface Slot {
  key: string;
  copy: number;
  record: ClaimRecord | null;
}

/**
 * The jobs nobody has. Equal rows can stand in for each other, so a claim is of one of them, not of a place in the file: rows may
 * be inserted, moved and removed meanwhile. The claims of a group are numbered; one that was given back is taken up again with its
 * attempts, else the next number is used.
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
      // In the order of their numbers.
      const copy = (mine.at(-1)?.copy ?? 0) + 1;
      key = keyOf(row.digest, copy);
      mine.push({ key, copy, record: null });
    }
    jobs.push({ key, row, replaces: undefined });
  }
  return jobs;
}

/** The jobs somebody has, whose row still says so; whether their lease has run out is for the caller to tell. */
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

/** One list for all of a key, made when first asked for: whoever writes the rows may well write the same one 100,000 times. */
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
