/** The state of a job on a host, as `job_state` of libexec/ssh-host.sh prints it. */
export type HostJobState =
  | { kind: 'running' }
  | { kind: 'exit'; code: number }
  | { kind: 'signal'; number: number }
  /** It ended without an exit code. */
  | { kind: 'lost'; why: 'killed' | 'rebooted' }
  | { kind: 'none'; why: 'prepared' | 'gone' };

export interface HostJobProgress {
  state: HostJobState;
  /** Bytes that it has written. */
  stdout: number;
  stderr: number;
}

/** Parses a state. @throws Error on unreadable text */
export function readState(printed: Buffer): HostJobProgress {
  const [word = '', sizes = ''] = printed.toString().split('\n');
  const [stdout = NaN, stderr = NaN] = sizes.split(' ').map(Number);
  if (!Number.isSafeInteger(stdout) || !Number.isSafeInteger(stderr))
    throw new Error(`the host reported an unreadable job state: ${JSON.stringify(sizes)}`);
  return { state: stateOf(word), stdout, stderr };
}

function stateOf(word: string): HostJobState {
  if (word === 'running') return { kind: 'running' };
  const [, kind, number] = /^(exit|signal) (\d{1,3})$/.exec(word) ?? [];
  if (kind === 'exit') return { kind, code: Number(number) };
  if (kind === 'signal') return { kind, number: Number(number) };
  if (word === 'lost killed' || word === 'lost rebooted')
    return { kind: 'lost', why: word === 'lost killed' ? 'killed' : 'rebooted' };
  if (word === 'none prepared' || word === 'none gone')
    return { kind: 'none', why: word === 'none gone' ? 'gone' : 'prepared' };
  throw new Error(`the host reported an unreadable job state: ${JSON.stringify(word)}`);
}
