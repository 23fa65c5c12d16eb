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
 * Jobs in accounting that were there at or after `since` (milliseconds since 1970).
 * @param delimiter what nobody can guess: a job may put separators and line breaks into its own comment.
 */
export function sacctArguments(since: number, delimiter: string): string[] {
  return [
    '--noheader',
    '--parsable2',
    `--delimiter=${delimiter}`,
    '--allusers',
    '--allocations',
    // Rows of a number that was given out anew are wanted too; the comment tells them apart.
    '--duplicates',
    // sacct reads this in local time; the client runs it under TZ=UTC.
    `--starttime=${new Date(since).toISOString().slice(0, 19)}`,
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
