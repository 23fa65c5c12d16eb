import { appendFileSync } from 'node:fs';
import { plain } from '../terminal.js';

/** What a worker says: on standard error, and in a file if one is asked for. */
export interface WorkerLog {
  debug: (text: string) => void;
  info: (text: string) => void;
  warn: (text: string) => void;
  /** What a job writes, as it is. */
  output: (bytes: Buffer) => void;
}

export function workerLog(options: { debug: boolean; file?: string | undefined }): WorkerLog {
  const { file } = options;
  const write = (bytes: Buffer | string) => {
    process.stderr.write(bytes);
    if (file !== undefined) appendFileSync(file, bytes, { mode: 0o600 });
  };
  const say = (level: string) => (text: string) =>
    write(`${new Date().toISOString()} ${level} ${plain(text)}\n`);
  return {
    debug: options.debug ? say('debug') : () => undefined,
    info: say('info'),
    warn: say('warn'),
    output: write,
  };
}
