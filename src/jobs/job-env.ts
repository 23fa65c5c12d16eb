import { mayUse, type Caller } from '../auth/caller.js';
import { exportLine } from './script/shell-quote.js';

type Env = Readonly<Record<string, string>>;

/** Stands for a value that the caller does not see. */
const masked = '***';

/** Whether the caller sees the values of a job's variables: its owner and admins, no reader. */
export function seesEnv(caller: Caller, owner: string): boolean {
  return caller.role !== 'reader' && mayUse(caller, owner);
}

/** Keeps the names alone. */
export function maskEnv(env: Env): Record<string, string> {
  return Object.fromEntries(Object.keys(env).map((name) => [name, masked]));
}

/** Masks the values in a job's script. */
export function maskScript(script: string, env: Env): string {
  return Object.entries(env).reduce(
    (text, [name, value]) => text.replace(exportLine(name, value), () => exportLine(name, masked)),
    script,
  );
}
