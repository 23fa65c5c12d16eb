import { mayUse, type Caller } from '../auth/caller.js';
import { exportLine } from './script/shell-quote.js';

type Env = Readonly<Record<string, string>>;

/** Replacement for a value that the caller may not see. */
const masked = '***';

/** Tells whether the caller sees a job's variables: its owner and admins do, readers do not. */
export function seesEnv(caller: Caller, owner: string): boolean {
  return caller.role !== 'reader' && mayUse(caller, owner);
}

/** Masks the values and keeps the names. */
export function maskEnv(env: Env): Record<string, string> {
  return Object.fromEntries(Object.keys(env).map((name) => [name, masked]));
}

/**
 * Masks the values in a job's script.
 * @param common names of variables of every job; their values, one line each, may be others by now
 */
export function maskScript(script: string, env: Env, common: readonly string[] = []): string {
  const own = Object.entries(env).reduce(
    (text, [name, value]) => text.replace(exportLine(name, value), () => exportLine(name, masked)),
    script,
  );
  return common.reduce((text, name) => {
    if (Object.hasOwn(env, name)) return text;
    const line = new RegExp(`^export ${name}=.*$`, 'm');
    return text.replace(line, () => exportLine(name, masked));
  }, own);
}
