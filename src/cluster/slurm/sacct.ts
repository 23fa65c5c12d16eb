import { parseEpoch, wordOrNull, type SlurmJob } from './job-record.js';
import { parseState } from './states.js';

const fields = [
  'JobIDRaw',
  'State',
  'ExitCode',
  'Submit',
  'Start',
  'End',
  'NodeList',
  'Comment',
  'WorkDir',
];

/**
 * Selects jobs in accounting: since a time (milliseconds since 1970), or by number. By time, sacct
 * omits ended jobs that were not eligible. Such jobs were cancelled while held, or requeued and
 * cancelled before their next start.
 */
export type Past = { since: number } | { slurmJobIds: readonly number[] };

/**
 * @param delimiter a text that nobody can guess: a job may put separators and line breaks into its
 * own comment
 */
export function sacctArguments(which: Past, delimiter: string): string[] {
  return [
    '--noheader',
    '--parsable2',
    `--delimiter=${delimiter}`,
    '--allusers',
    '--allocations',
    // Slurm reuses job numbers; the comment tells the rows of one number apart.
    '--duplicates',
    // sacct reads a time as local time; the client runs it under TZ=UTC.
    'since' in which
      ? `--starttime=${new Date(which.since).toISOString().slice(0, 19)}`
      : `--jobs=${which.slurmJobIds.join(',')}`,
    `--format=${fields.join(',')}`,
  ];
}

/** @throws Error on a record that cannot be read. */
export function parseSacct(output: string, delimiter: string): SlurmJob[] {
  return output
    .split('\n')
    .filter((line) => line.includes(delimiter))
    .map((line) => {
      const [id, state, exit, submit, start, end, nodes, comment, workDir] = line.split(delimiter);
      const code = /^(\d+):(\d+)$/.exec(exit ?? '');
      if (!id || !/^\d+$/.test(id) || state === undefined || code === null || comment === undefined)
        throw new Error(`sacct printed a line that cannot be read: ${line}`);
      return {
        slurmJobId: Number(id),
        state: parseState(state),
        reason: null,
        exitCode: Number(code[1]),
        signal: Number(code[2]),
        submittedAt: parseEpoch(submit ?? ''),
        startedAt: wordOrNull(nodes ?? '') === null ? null : parseEpoch(start ?? ''),
        endedAt: parseEpoch(end ?? ''),
        nodeList: wordOrNull(nodes ?? ''),
        ...cancellerIn(state),
        comment,
        ...(workDir && { workDir }),
      };
    });
}

/** Reads who cancelled a job from a state such as `CANCELLED by 995`. */
function cancellerIn(state: string): Pick<SlurmJob, 'cancelledBy'> {
  const uid = /^CANCELLED by (\d+)$/.exec(state)?.[1];
  return uid === undefined ? {} : { cancelledBy: Number(uid) };
}

/** Keeps the list far below the 128 KiB that Linux allows in one argument. */
const maxNumbersPerCall = 1000;

/**
 * Asks sacct about many jobs, in parts.
 * @param ask asks about one part
 */
export async function inParts(
  slurmJobIds: readonly number[],
  ask: (part: readonly number[]) => Promise<SlurmJob[]>,
): Promise<SlurmJob[]> {
  const records: SlurmJob[] = [];
  for (let at = 0; at < slurmJobIds.length; at += maxNumbersPerCall)
    records.push(...(await ask(slurmJobIds.slice(at, at + maxNumbersPerCall))));
  return records;
}
