import { appendFileSync } from 'node:fs';
import { plain, TerminalLog } from '../terminal.js';

/** A runner's log: on stderr, and in a file if wanted. */
export interface RunnerLog {
  debug: (text: string) => void;
  info: (text: string) => void;
  warn: (text: string) => void;
  /** Writes a job's output: to a terminal as `TerminalLog` shows it, elsewhere unchanged. */
  output: (bytes: Buffer) => void;
}

export function runnerLog(options: { debug: boolean; file?: string | undefined }): RunnerLog {
  const { file } = options;
  const terminal = process.stderr.isTTY ? new TerminalLog() : undefined;
  const write = (bytes: Buffer | string, shown = bytes) => {
    process.stderr.write(shown);
    if (file !== undefined) appendFileSync(file, bytes, { mode: 0o600 });
  };
  const say = (level: string) => (text: string) =>
    write(`${new Date().toISOString()} ${level} ${plain(text)}\n`);
  return {
    debug: options.debug ? say('debug') : () => undefined,
    info: say('info'),
    warn: say('warn'),
    output: (bytes) => write(bytes, terminal?.write(bytes)),
  };
}
