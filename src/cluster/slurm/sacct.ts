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
 * Which jobs in accounting: those since a time (milliseconds since 1970), or those of given numbers. By time sacct leaves out jobs that
 * are not eligible yet, though they ended: cancelled while they were held, or queued again and cancelled before their next start.
 */
export type Past = { since: number } | { slurmJobIds: readonly number[] };

/**
 * @param delimiter what nobody can guess: a job may put separators and line breaks into its own comment.
 */
export function sacctArguments(which: Past, delimiter: string): string[] {
  return [
    '--noheader',
    '--parsable2',
    `--delimiter=${delimiter}`,
    '--allusers',
    '--allocations',
    // Rows of a number that was given out anew are wanted too; the comment tells them apart.
    '--duplicates',
    // sacct reads a time in local time; the client runs it under TZ=UTC.
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
        comment,
        ...(workDir && { workDir }),
      };
    });
}

/** So many stay far below the 128 KiB that Linux takes in one argument. */
const numbersAtOnce = 1000;

/** @param ask for so many of them as sacct can be asked for at once */
export async function inParts(
  slurmJobIds: readonly number[],
  ask: (part: readonly number[]) => Promise<SlurmJob[]>,
): Promise<SlurmJob[]> {
  const records: SlurmJob[] = [];
  for (let at = 0; at < slurmJobIds.length; at += numbersAtOnce)
    records.push(...(await ask(slurmJobIds.slice(at, at + numbersAtOnce))));
  return records;
}
