import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { ConfigError } from '../config/config-error.js';
import { errnoOf } from '../errors.js';
import { environment } from './field-types.js';

const maxBytes = 1024 ** 2;

/**
 * Reads the variables of every job from a file with one `NAME=value` on each line; empty lines and
 * lines that begin with `#` are left out. Every job's program may depend on them, so nobody but
 * root, or the API's own user where that is not root's cluster, may write them.
 * @throws ConfigError naming the file and the line, without its value
 */
export function readJobEnvFile(path: string | undefined): Record<string, string> {
  if (path === undefined) return {};
  const variables: Record<string, string> = {};
  const lines = read(path).split('\n');
  lines.forEach((line, i) => {
    if (line.trim() === '' || line.startsWith('#')) return;
    const [, name, value] = /^([^=]+)=(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined)
      throw refusal(path, `line ${i + 1}: expected NAME=value`);
    if (Object.hasOwn(variables, name)) throw refusal(path, `line ${i + 1}: sets ${name} again`);
    const parsed = environment.safeParse({ [name]: value });
    if (!parsed.success)
      throw refusal(
        path,
        `line ${i + 1}: ${name.slice(0, 64)}: ${parsed.error.issues[0]?.message}`,
      );
    variables[name] = value;
  });
  const parsed = environment.safeParse(variables);
  if (!parsed.success) throw refusal(path, `${parsed.error.issues[0]?.message}`);
  return variables;
}

function read(path: string): string {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const code = errnoOf(cause) ?? String(cause);
    const remedy = code === 'EACCES' ? '; let the API’s user read it (chmod o+r)' : '';
    throw new ConfigError(`JR_JOB_ENV_FILE: ${path} cannot be read (${code})${remedy}`, { cause });
  }
  try {
    const { uid, mode, size, isFile } = statsOf(file);
    if (!isFile) throw refusal(path, 'is not a file');
    if (uid !== 0 && uid !== process.geteuid?.())
      throw refusal(path, 'belongs to another user than root');
    if ((mode & 0o022) !== 0)
      throw refusal(path, 'users other than its owner can write it; run chmod go-w');
    if (size > maxBytes) throw refusal(path, `is larger than ${maxBytes} bytes`);
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}

function statsOf(file: number) {
  const stats = fstatSync(file);
  return { uid: stats.uid, mode: stats.mode, size: stats.size, isFile: stats.isFile() };
}

function refusal(path: string, problem: string): ConfigError {
  return new ConfigError(`JR_JOB_ENV_FILE: ${path}: ${problem}`);
}
